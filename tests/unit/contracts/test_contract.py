"""Reading contracts."""

from __future__ import annotations

import re

import pytest
from contract_folder import ContractFolder

from ingestion.contract import ContractError, load_source, load_sources

ATTEMPT = "payment_id order_id amount currency gateway method latency_ms risk_score failure_code"
SUBSCRIPTION = "subscription_id plan amount currency period"

DOMAIN_FIELDS = {
    "USER_REGISTERED": "region city channel",
    "LOGIN": "method success",
    "CONSENT_CHANGED": "purpose granted",
    "NOTIFICATION_SENT": "channel template",
    "NOTIFICATION_OPENED": "channel template",
    "SEARCH": "search_id query results_count",
    "SEARCH_RESULT_CLICKED": "search_id product_id position",
    "PRODUCT_VIEWED": "product_id price currency channel",
    "CART_CREATED": "cart_id",
    "CART_ITEM_ADDED": "cart_id product_id quantity unit_price currency",
    "CART_ITEM_REMOVED": "cart_id product_id quantity unit_price currency",
    "CHECKOUT_STARTED": "cart_id amount currency",
    "ORDER_PLACED": "order_id cart_id amount currency channel region city promotion_code affiliate_id items",
    "ORDER_CANCELLED": "order_id reason",
    "PAYMENT_CAPTURED": ATTEMPT,
    "PAYMENT_FAILED": ATTEMPT,
    "REFUND_ISSUED": "refund_id payment_id order_id amount currency reason",
    "CHARGEBACK_OPENED": "payment_id order_id amount currency reason",
    "PRODUCT_UPSERTED": "product_id name category brand is_patch unit_cost",
    "WAREHOUSE_UPSERTED": "warehouse_id region city",
    "SHIPMENT_CREATED": "shipment_id order_id warehouse_id region city carrier eta",
    "ETA_REVISED": "shipment_id eta",
    "DELIVERY_ATTEMPTED": "shipment_id attempt success failure_reason",
    "SHIPMENT_DELIVERED": "shipment_id delivered_at",
    "SHIPMENT_RETURNED_TO_ORIGIN": "shipment_id reason",
    "RETURN_RECEIVED": "order_id product_id quantity reason",
    "STOCK_RECEIVED": "product_id warehouse_id batch_id quantity unit_cost expires_on",
    "STOCK_SHIPPED": "product_id warehouse_id batch_id quantity unit_cost order_id",
    "STOCK_ADJUSTED": "product_id warehouse_id batch_id delta reason",
    "STOCK_TRANSFERRED": "product_id from to batch_id quantity",
    "REORDER_THRESHOLD_SET": "product_id warehouse_id threshold",
    "BATCH_RECALLED": "batch_id product_id reason",
    "RECOMMENDATION_SHOWN": "recommendation_id product_id position",
    "RECOMMENDATION_CLICKED": "recommendation_id product_id position",
    "PROMOTION_SHOWN": "promotion_code",
    "AFFILIATE_ATTRIBUTED": "affiliate_id order_id commission currency",
    "SUBSCRIPTION_STARTED": SUBSCRIPTION,
    "SUBSCRIPTION_RENEWED": SUBSCRIPTION,
    "SUBSCRIPTION_CANCELLED": SUBSCRIPTION,
    "LOYALTY_POINTS_EARNED": "points",
    "LOYALTY_POINTS_REDEEMED": "points",
    "DEVICE_ACTIVATED": "device_type firmware_version batch_id",
    "PRESCRIPTION_ASSIGNED": "prescription_id starts_on prescribed_days",
    "PATCH_APPLIED": "patch_id batch_id valid wear_minutes",
    "DOSE_DELIVERED": "dose_id prescribed_mg delivered_mg success",
    "SENSOR_READING": "sensor value unit",
    "DEVICE_STATUS": "status battery_pct firmware_version error_code",
    "FIRMWARE_UPDATED": "from to",
    "DEVICE_INTERACTION": "action duration location",
    "ADVERSE_EVENT_REPORTED": "severity code batch_id",
    "COMPLIANCE_AUDIT": "actor action resource purpose outcome",
    "GDPR_EXPORT_REQUESTED": "request_id",
    "GDPR_EXPORT_COMPLETED": "request_id",
    "ML_PREDICTION": "model model_version subject score outcome",
}


def test_pocm_has_no_event_that_the_domain_does_not_know() -> None:
    assert {c.event_type for c in load_source("pocm").contracts} == set(DOMAIN_FIELDS)


@pytest.mark.parametrize("event_type", [c.event_type for c in load_source("pocm").contracts])
def test_a_pocm_event_declares_the_fields_of_the_domain(event_type: str) -> None:
    declared = {f.name for f in load_source("pocm").contract(event_type).fields}
    assert declared >= set(DOMAIN_FIELDS[event_type].split())


def test_the_lines_of_an_order_declare_the_fields_of_the_domain() -> None:
    items = next(f for f in load_source("pocm").contract("ORDER_PLACED").fields if f.name == "items")
    assert {f.name: f.required for f in items.items} == {
        "product_id": True,
        "batch_id": False,
        "quantity": True,
        "unit_price": True,
        "unit_cost": False,
    }


def test_purchase_is_another_name_of_an_order() -> None:
    assert load_source("pocm").contract("PURCHASE").event_type == "ORDER_PLACED"


def test_both_wire_formats_of_pocm_reach_every_envelope_column_that_the_warehouse_wants() -> None:
    for wire in load_source("pocm").wire_formats:
        assert {"event_id", "event_type", "tenant_id", "occurred_at", "user_id", "session_id"} <= set(
            wire.envelope
        )


def test_an_unknown_source_is_refused_with_the_valid_ones(folder: ContractFolder) -> None:
    with pytest.raises(ContractError, match=re.escape("unknown source 'shpo'; valid: shop")):
        load_source("shpo", folder.write())


def test_an_unknown_event_type_is_refused_with_the_valid_ones(folder: ContractFolder) -> None:
    with pytest.raises(ContractError, match="no event type 'LOST'; valid: PAID"):
        load_source("shop", folder.write()).contract("LOST")


def test_an_unknown_major_version_is_refused_with_the_valid_ones(folder: ContractFolder) -> None:
    with pytest.raises(ContractError, match="no major version 3; valid: 1"):
        load_source("shop", folder.write()).contract("PAID", 3)


def test_the_newest_major_version_is_meant_when_none_is_named(folder: ContractFolder) -> None:
    folder.contracts["PAID.v2"] = {**folder.paid, "x-version": "2.0"}
    assert load_source("shop", folder.write()).contract("PAID").major == 2


def test_every_source_below_the_folder_is_read(folder: ContractFolder) -> None:
    assert list(load_sources(folder.write())) == ["shop"]


def test_the_fingerprint_follows_every_byte(folder: ContractFolder) -> None:
    before = load_source("shop", folder.write()).fingerprint
    assert load_source("shop", folder.write()).fingerprint == before
    with (folder.root / "shop" / "PAID.v1.yaml").open("a") as file:
        file.write("\n")
    assert load_source("shop", folder.root).fingerprint != before


def test_a_key_given_twice_is_refused(folder: ContractFolder) -> None:
    path = folder.write() / "shop" / "PAID.v1.yaml"
    path.write_text(path.read_text() + "type: object\n")
    with pytest.raises(ContractError, match=r"PAID\.v1\.yaml: is no readable YAML.*'type' is given twice"):
        load_source("shop", folder.root)


def test_a_file_that_is_no_yaml_is_refused(folder: ContractFolder) -> None:
    (folder.write() / "shop" / "PAID.v1.yaml").write_text("{")
    with pytest.raises(ContractError, match=r"shop/PAID\.v1\.yaml: is no readable YAML"):
        load_source("shop", folder.root)


def test_a_nested_object_becomes_columns_and_is_required_as_a_whole(folder: ContractFolder) -> None:
    word = {"type": "string", "description": "A word."}
    folder.paid["properties"]["card"] = {
        "type": "object",
        "description": "The card.",
        "required": ["brand"],
        "properties": {"brand": word, "bank": word},
    }
    fields = {f.name: f for f in load_source("shop", folder.write()).contract("PAID").fields}
    assert fields["card_brand"].path == ("card", "brand")
    assert fields["card_brand"].clickhouse_type == "Nullable(String)"
    folder.paid["required"].append("card")
    fields = {f.name: f for f in load_source("shop", folder.write()).contract("PAID").fields}
    assert fields["card_brand"].clickhouse_type == "String"
    assert fields["card_bank"].clickhouse_type == "Nullable(String)"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "String"),
        ({"type": ["string", "null"]}, "Nullable(String)"),
        ({"type": "integer"}, "Int64"),
        ({"type": "number"}, "Float64"),
        ({"type": "number", "x-type": "money"}, "Decimal(18, 4)"),
        ({"type": "boolean"}, "Bool"),
        ({"type": "string", "format": "date"}, "Date32"),
        ({"type": "string", "format": "date-time"}, "DateTime64(3, 'UTC')"),
        ({"type": ["array", "null"], "items": {"type": "string"}}, "Array(String)"),
    ],
)
def test_a_required_field_has_the_column_type_of_its_schema(
    folder: ContractFolder, schema: dict[str, object], expected: str
) -> None:
    folder.paid["properties"]["extra"] = {**schema, "description": "Something."}
    folder.paid["required"].append("extra")
    fields = {f.name: f for f in load_source("shop", folder.write()).contract("PAID").fields}
    assert fields["extra"].clickhouse_type == expected
