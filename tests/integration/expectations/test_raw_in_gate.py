"""The raw-in gate on the real engine: each planted violation is named, counted and nothing else is."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from gate_shop import EVENTS, HOUR, ORDER, PAYMENT, REGISTERED, WINDOW, Shop, broken, event, load

from expectations.model import GateWindow, SuiteResult
from expectations.raw_in import raw_in_suite
from expectations.runner import run_suite
from ingestion.contract import Source
from lake.manifest import Counts, HourEntry, Manifest
from tests.integration.warehouse.statements import grown, longest

pytestmark = pytest.mark.stack


def gate(shop: Shop, source: Source, *manifests: Manifest, window: GateWindow = WINDOW) -> SuiteResult:
    suite = raw_in_suite(source, manifests or (load(),), window)
    return run_suite(shop.warehouse, suite, window, partition="2026-11-16-10:00", run_id="run-1")


def test_valid_events_pass_every_check(shop: Shop, source: Source) -> None:
    result = gate(shop, source)

    assert result.success, result.message
    assert len(result.results) > len(source.contracts)


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        ({**PAYMENT, "amount": -1}, "amount: minimum"),
        ({**PAYMENT, "amount": 1.23456}, "amount: x-type"),
        ({**PAYMENT, "currency": "euro"}, "currency: pattern"),
        ({**PAYMENT, "risk_score": 1.5}, "risk_score: maximum"),
        ({**PAYMENT, "gateway": None}, "gateway: type"),
        ({k: v for k, v in PAYMENT.items() if k != "method"}, "method: required"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_payload_that_breaks_its_contract_is_named_with_field_and_keyword(
    shop: Shop, source: Source, payload: dict[str, Any], rule: str
) -> None:
    shop.accept(event("PAYMENT_CAPTURED", 30, payload))

    result = gate(shop, source)

    assert broken(result) == {"PAYMENT_CAPTURED.v1": 1}
    assert result.failures[0].sample[0]["rule"] == rule
    assert "2026-11-16-10:00" in result.message


def test_order_line_that_breaks_the_contract_is_found_inside_its_array(shop: Shop, source: Source) -> None:
    line = {"product_id": "p1", "quantity": 0, "unit_price": 1}
    shop.accept(event("ORDER_PLACED", 30, {**ORDER, "order_id": "o2", "items": [line]}))

    result = gate(shop, source)

    assert broken(result) == {"ORDER_PLACED.v1": 1}
    assert result.failures[0].sample[0]["rule"] == "items[].quantity: minimum"


def test_rows_of_every_broken_rule_are_counted(shop: Shop, source: Source) -> None:
    shop.accept(*(event("PAYMENT_FAILED", minute, {**PAYMENT, "amount": -1}) for minute in (30, 31, 32)))

    assert broken(gate(shop, source)) == {"PAYMENT_FAILED.v1": 3}


def test_personal_value_under_a_declared_name_must_be_a_pseudonym(shop: Shop, source: Source) -> None:
    shop.accept(event("USER_REGISTERED", 30, {**REGISTERED, "email": "eve@example.com"}))

    result = gate(shop, source)

    assert broken(result) == {"USER_REGISTERED.v1": 1, "payload.personal": 1}
    assert "eve@example.com" not in result.message


def test_personal_value_under_an_unknown_name_is_found_at_any_depth(shop: Shop, source: Source) -> None:
    shop.accept(
        event(
            "SEARCH",
            30,
            {"search_id": "q", "query": "x", "results_count": 0, "debug": {"card_number": "4111 1111"}},
        )
    )

    result = gate(shop, source)

    assert broken(result) == {"payload.personal": 1}
    assert result.failures[0].sample[0]["field"] == "card_number"


def test_user_id_that_was_landed_as_it_is_fails(shop: Shop, source: Source) -> None:
    shop.accept({**EVENTS[-1], "user_key": "eve@example.com"})

    assert broken(gate(shop, source)) == {"user_key.pseudonym": 1}


@pytest.mark.parametrize(
    ("envelope", "rules"),
    [
        ({"tenant_id": ""}, {"envelope.text"}),
        ({"received_at": HOUR.replace(hour=12)}, {"received_at.in_hour"}),
        ({"occurred_at": HOUR.replace(hour=11)}, {"occurred_at.plausible"}),
        ({"contract_version": "9.0"}, {"contract_version.known"}),
        ({"event_type": "NEVER_HEARD_OF"}, {"event_type.known", "contract_version.known"}),
        ({"event_id": EVENTS[0]["event_id"]}, {"event_id.once"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_envelope_that_breaks_a_rule_is_named(
    shop: Shop, source: Source, envelope: dict[str, Any], rules: set[str]
) -> None:
    shop.accept({**EVENTS[-1], **envelope})

    assert set(broken(gate(shop, source))) == rules


def test_duplicates_may_share_an_event_id_with_the_delivery_that_counts(shop: Shop, source: Source) -> None:
    shop.accept({**EVENTS[0], "is_duplicate": True})

    result = gate(shop, source)

    assert result.success, result.message


def test_delivery_loaded_twice_is_named(shop: Shop, source: Source) -> None:
    shop.put({**EVENTS[0], "is_duplicate": True})

    assert broken(gate(shop, source)) == {"delivery.unique": 1, "events.equal_loads": 1}


def test_row_lost_between_load_and_warehouse_is_counted(shop: Shop, source: Source) -> None:
    shop.client.command("delete from raw.events where row_number <= 2")

    assert broken(gate(shop, source)) == {"events.equal_loads": 2}


def test_load_that_only_the_lake_knows_is_found(shop: Shop, source: Source) -> None:
    assert broken(gate(shop, source, load(), replace(load(), load_id="f" * 32))) == {
        "loads.equal_lake": len(EVENTS)
    }


def test_load_that_does_not_balance_is_found(shop: Shop, source: Source) -> None:
    shop.client.command("alter table ops.loads update read = read + 1 where 1 settings mutations_sync = 1")

    assert set(broken(gate(shop, source))) == {"loads.balance", "loads.equal_lake"}


MAPPED = "read = read + 2, skipped = 1, folded = 2, expanded = 1"


def mapped() -> Manifest:
    """The load, as if a mapping had left out and grouped rows of its input, and made one more of one."""
    plain = load()
    counts = replace(plain.counts, read=plain.counts.read + 2, skipped=1, folded=2, expanded=1)
    return replace(plain, counts=counts, hours=(HourEntry(HOUR, counts),))


def test_rows_that_a_mapping_left_out_grouped_and_multiplied_balance(shop: Shop, source: Source) -> None:
    shop.client.command(f"alter table ops.loads update {MAPPED} where 1 settings mutations_sync = 1")

    result = gate(shop, source, mapped())

    assert result.success, result.message


@pytest.mark.parametrize("count", ["skipped", "folded", "expanded"])
def test_a_row_that_a_mapping_lost_is_found(shop: Shop, source: Source, count: str) -> None:
    shop.client.command(f"alter table ops.loads update {MAPPED} where 1 settings mutations_sync = 1")
    shop.client.command(
        f"alter table ops.loads update {count} = {count} - 1 where 1 settings mutations_sync = 1"
    )

    assert set(broken(gate(shop, source, mapped()))) == {"loads.balance", "loads.equal_lake"}


def test_rows_outside_the_window_are_not_looked_at(shop: Shop, source: Source) -> None:
    shop.put(
        {**EVENTS[0], "event_type": "NEVER_HEARD_OF", "received_hour": HOUR.replace(hour=20)}, first_row=99
    )

    result = gate(shop, source)

    assert result.success, result.message


def test_window_without_loads_passes_on_no_rows(shop: Shop, source: Source) -> None:
    empty = GateWindow(HOUR.replace(hour=3), HOUR.replace(hour=4))

    result = gate(shop, source, load(), window=empty)

    assert result.success, result.message


def test_payload_that_is_no_json_object_fails_instead_of_passing_unread(shop: Shop, source: Source) -> None:
    shop.accept(event("PAYMENT_CAPTURED", 30, json.loads("[]")))

    assert "PAYMENT_CAPTURED.v1" in broken(gate(shop, source))


def test_no_statement_grows_with_the_received_hours_of_a_window(shop: Shop, source: Source) -> None:
    lengths = []
    for hours in (20, 2_000):
        window = GateWindow(HOUR, HOUR + timedelta(hours=hours))
        later = tuple(HourEntry(HOUR + timedelta(hours=n), Counts()) for n in range(1, hours))
        manifest = replace(load(), hours=(*load().hours, *later))
        lengths.append(
            longest(shop.client, lambda m=manifest, w=window: gate(shop, source, m, window=w))  # type: ignore[misc]
        )
    assert grown(*lengths) == {}


def test_a_gate_leaves_no_table_behind(shop: Shop, source: Source) -> None:
    gate(shop, source)
    left = "select name from system.tables where database = 'raw' and startsWith(name, 'stage__')"
    assert shop.client.query(left).result_rows == []
