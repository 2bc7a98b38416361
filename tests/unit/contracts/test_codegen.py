"""What is generated from the contracts."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from contract_folder import ContractFolder

from ingestion.codegen import CONTRACTS_FOLDER, DDL_FOLDER, generated_files, stale_files, write_generated
from ingestion.contract import ContractError, load_source
from ingestion.contract_example import example_payload
from ingestion.ddl import DdlError, read_tables
from ingestion.oracle import parse, violations

PROJECT = Path(__file__).resolve().parents[3]
STAGING = Path("dbt_project/models/staging")

NEW_EVENT = """
description: A gift was wrapped.
x-version: "1.0"
x-entity: gifts
type: object
required: [gift_id]
properties:
    gift_id: {type: string, minLength: 1, description: Identifier of the gift.}
    paper: {type: string, enum: [red, gold], description: Colour of the paper.}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose contracts are those of pocm, with everything generated."""
    for folder in (CONTRACTS_FOLDER, DDL_FOLDER):
        shutil.copytree(PROJECT / folder, tmp_path / folder)
    write_generated(tmp_path)
    return tmp_path


@pytest.fixture
def shop(tmp_path: Path) -> ContractFolder:
    """A project with the small shop's contracts only."""
    shutil.copytree(PROJECT / DDL_FOLDER, tmp_path / DDL_FOLDER)
    return ContractFolder(tmp_path / CONTRACTS_FOLDER)


def staging(shop: ContractFolder, entity: str) -> str:
    """The staging model of an entity of the small shop."""
    shop.write()
    return generated_files(shop.root.parents[1])[STAGING / "shop" / f"stg_shop__{entity}.sql"]


def selected(sql: str) -> list[str]:
    """The names that a staging model selects, in order."""
    body = sql.rsplit("\nselect\n", 1)[1].rsplit("\nfrom ", 1)[0]
    return [line.strip().rstrip(",").split(" as ")[-1].strip("`") for line in body.splitlines()]


def documented(project: Path) -> dict[str, dict[str, Any]]:
    """The staging models of pocm as their documentation lists them, by name."""
    text = (project / STAGING / "pocm" / "_staging_pocm__models.yml").read_text()
    return {model["name"]: model for model in yaml.safe_load(text)["models"]}


def test_the_checked_in_files_are_what_the_contracts_say() -> None:
    assert stale_files(PROJECT) == []


def test_generating_twice_changes_nothing(project: Path) -> None:
    assert write_generated(project) == []


def test_a_new_event_is_one_new_file(project: Path) -> None:
    (project / CONTRACTS_FOLDER / "pocm" / "GIFT_WRAPPED.v1.yaml").write_text(NEW_EVENT)
    written = {path.relative_to(project).as_posix() for path in write_generated(project)}
    assert written == {
        "docs/catalogue/pocm.md",
        "dbt_project/models/staging/pocm/_staging_pocm__docs.md",
        "dbt_project/models/staging/pocm/_staging_pocm__models.yml",
        "dbt_project/models/staging/pocm/stg_pocm__gifts.sql",
    }
    assert "### GIFT_WRAPPED 1.0" in (project / "docs/catalogue/pocm.md").read_text()
    assert selected((project / STAGING / "pocm" / "stg_pocm__gifts.sql").read_text())[-2:] == [
        "gift_id",
        "paper",
    ]


def test_the_files_of_an_event_that_is_gone_are_stale_and_then_removed(project: Path) -> None:
    (project / CONTRACTS_FOLDER / "pocm" / "WAREHOUSE_UPSERTED.v1.yaml").unlink()
    view = project / STAGING / "pocm" / "stg_pocm__warehouses.sql"
    assert view in stale_files(project)
    write_generated(project)
    assert not view.exists()


def test_a_file_that_somebody_edited_is_stale(project: Path) -> None:
    view = project / STAGING / "pocm" / "stg_pocm__orders.sql"
    view.write_text(view.read_text() + "limit 1\n")
    assert stale_files(project) == [view]


def test_a_model_that_somebody_wrote_by_hand_is_left_alone(project: Path) -> None:
    own = project / STAGING / "pocm" / "stg_pocm__by_hand.sql"
    own.write_text("select 1\n")
    assert stale_files(project) == []
    write_generated(project)
    assert own.exists()


def test_nothing_is_written_when_a_contract_is_wrong(project: Path) -> None:
    (project / CONTRACTS_FOLDER / "pocm" / "GIFT_WRAPPED.v1.yaml").write_text(
        NEW_EVENT.replace("[red, gold]", "[1]")
    )
    with pytest.raises(ContractError, match="1 is no string"):
        write_generated(project)
    assert not (project / STAGING / "pocm" / "stg_pocm__gifts.sql").exists()


def test_every_column_of_a_staging_model_is_documented_under_its_name(project: Path) -> None:
    for name, model in documented(project).items():
        columns = [column["name"] for column in model["columns"]]
        assert selected((project / STAGING / "pocm" / f"{name}.sql").read_text()) == columns


def test_every_doc_block_that_a_model_or_source_refers_to_exists_once(project: Path) -> None:
    folder = project / STAGING
    blocks = [b for path in folder.rglob("*.md") for b in re.findall(r"{% docs (\w+) %}", path.read_text())]
    used = {u for path in folder.rglob("*.yml") for u in re.findall(r"doc\(''(\w+)''\)", path.read_text())}
    assert len(blocks) == len(set(blocks))
    assert used <= set(blocks)


def test_dbt_knows_the_correlations_that_a_source_declares(shop: ContractFolder) -> None:
    shop.source["correlations"] = {"session": "session_id", "payment": "payload.payment_id"}
    shop.write()
    macro = generated_files(shop.root.parents[1])[Path("dbt_project/macros/correlations.sql")]
    assert "'shop': ['session', 'payment']," in macro


def test_the_sources_are_the_tables_of_the_ddl(project: Path) -> None:
    content = yaml.safe_load((project / STAGING / "_raw__sources.yml").read_text())
    listed = {(s["name"], t["name"], len(t["columns"])) for s in content["sources"] for t in s["tables"]}
    assert listed == {(t.database, t.name, len(t.columns)) for t in read_tables(project / DDL_FOLDER)}


def test_a_column_of_the_ddl_without_a_comment_is_refused(project: Path) -> None:
    path = project / DDL_FOLDER / "99_more.sql"
    path.write_text("create table if not exists raw.more (\n    a String\n)\nengine = Log\ncomment 'x';\n")
    with pytest.raises(DdlError, match=r"99_more\.sql: 'a String' is not `name Type comment"):
        stale_files(project)


def test_a_field_is_nullable_unless_every_event_of_the_entity_requires_it(shop: ContractFolder) -> None:
    lost = {**shop.paid, "required": ["payment_id"], "properties": dict(shop.paid["properties"])}
    lost["properties"].pop("state")
    shop.contracts["LOST.v1"] = lost
    sql = staging(shop, "payments")
    assert "event_type in ('LOST', 'PAID')" in sql
    assert "payment_id String," in sql
    assert "amount Nullable(Decimal(18, 4))," in sql
    assert "state Nullable(String)" in sql


def test_two_major_versions_share_a_staging_model(shop: ContractFolder) -> None:
    newer = {**shop.paid, "x-version": "2.0", "required": ["payment_id"]}
    shop.contracts["PAID.v2"] = newer
    sql = staging(shop, "payments")
    assert "event_type in ('PAID')" in sql
    assert "amount Nullable(Decimal(18, 4))," in sql


def test_a_required_identifier_of_the_payload_replaces_that_of_the_envelope(shop: ContractFolder) -> None:
    shop.paid["properties"]["order_id"] = {"type": "string", "description": "Identifier of the order."}
    shop.paid["required"].append("order_id")
    sql = staging(shop, "payments")
    assert selected(sql).count("order_id") == 1
    assert "tupleElement(parsed, 'order_id') as order_id" in sql


def test_an_optional_identifier_of_the_payload_falls_back_to_that_of_the_envelope(
    shop: ContractFolder,
) -> None:
    shop.paid["properties"]["order_id"] = {"type": "string", "description": "Identifier of the order."}
    assert "coalesce(tupleElement(parsed, 'order_id'), envelope_order_id) as order_id" in staging(
        shop, "payments"
    )


def test_a_dropped_field_has_no_column_and_a_pseudonymised_one_says_so(shop: ContractFolder) -> None:
    shop.paid["properties"]["email"] = {
        "type": "string",
        "description": "Address.",
        "x-pii": {"class": "email", "action": "pseudonymise"},
    }
    shop.paid["properties"]["holder"] = {
        "type": "string",
        "description": "Holder of the card.",
        "x-pii": {"class": "name", "action": "drop"},
    }
    sql = staging(shop, "payments")
    assert "email" in selected(sql)
    assert "holder" not in sql
    files = generated_files(shop.root.parents[1])
    assert "Address, as a keyed pseudonym." in files[STAGING / "shop" / "_staging_shop__docs.md"]
    model = yaml.safe_load(files[STAGING / "shop" / "_staging_shop__models.yml"])["models"][1]
    meta = {c["name"]: c.get("config", {}).get("meta", {}) for c in model["columns"]}
    assert meta["email"] == {"pii": {"class": "email", "action": "pseudonymise"}}


def test_a_nested_object_is_read_by_its_path(shop: ContractFolder) -> None:
    brand = {"type": "string", "description": "Brand of the card."}
    shop.paid["properties"]["card"] = {
        "type": "object",
        "description": "Card.",
        "properties": {"brand": brand},
    }
    sql = staging(shop, "payments")
    assert "tupleElement(tupleElement(parsed, 'card'), 'brand') as card_brand" in sql


def test_a_column_named_like_a_keyword_is_quoted(shop: ContractFolder) -> None:
    shop.paid["properties"]["from"] = {"type": "string", "description": "Where it came from."}
    assert "tupleElement(parsed, 'from') as `from`" in staging(shop, "payments")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": r"^[A-Z]{2}-\d{4,}(x|y)?$"},
        {"type": "string", "pattern": "^[^a-z!]+$"},
        {"type": "string", "pattern": r"^\W\w\D$"},
        {"type": "string", "format": "date-time"},
        {"type": "string", "format": "date"},
        {"type": "string", "minLength": 30, "maxLength": 30},
        {"type": ["string", "null"], "enum": [None, "b"]},
        {"type": "integer", "minimum": -5, "maximum": -3},
        {"type": "integer", "exclusiveMinimum": 7},
        {"type": "number", "exclusiveMaximum": 0},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.125},
        {"type": "boolean", "const": False},
        {"type": "array", "minItems": 3, "items": {"type": "integer", "minimum": 4}},
        {"type": "string", "x-example": "gold"},
    ],
)
def test_the_catalogues_example_keeps_the_rules(shop: ContractFolder, schema: dict[str, Any]) -> None:
    shop.paid["properties"]["extra"] = {"description": "Something.", **schema}
    contract = load_source("shop", shop.write()).contract("PAID")
    payload = example_payload(contract)
    assert "extra" in payload
    assert violations(contract, parse(json.dumps(payload))) == set()
