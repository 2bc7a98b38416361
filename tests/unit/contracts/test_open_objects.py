"""Objects whose keys the producer chooses: what a contract may say of them, and what becomes of it."""

from __future__ import annotations

from typing import Any

import pytest
from contract_folder import ContractFolder

from ingestion.catalogue import catalogue
from ingestion.codegen import entity_fields
from ingestion.compat import diff
from ingestion.contract import lint_source, load_source
from ingestion.contract_example import example_payload
from ingestion.oracle import parse, violations

LABELS: dict[str, Any] = {
    "type": ["object", "null"],
    "description": "Labels.",
    "additionalProperties": {"type": "string", "maxLength": 5},
}
ANYTHING: dict[str, Any] = {"type": "object", "description": "Anything.", "additionalProperties": True}


def problems(folder: ContractFolder, schema: dict[str, Any]) -> list[str]:
    folder.paid["properties"]["extra"] = {"description": "x", **schema}
    folder.write()
    return [str(problem) for problem in lint_source("shop", folder.root)]


def columns(folder: ContractFolder) -> dict[str, str]:
    source = load_source("shop", folder.write())
    fields = entity_fields(source.entities()["payments"])
    return {field.field.name: field.clickhouse_type for field in fields}


def told(folder: ContractFolder, text: str) -> set[tuple[str, str]]:
    contract = load_source("shop", folder.write()).contract("PAID")
    base = '"payment_id": "p", "amount": 1, "currency": "EUR"'
    return violations(contract, parse(f'{{{base}, "labels": {text}}}'))


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"type": "string"}, "Map(String, String)"),
        ({"type": "number"}, "Map(String, Float64)"),
        ({"type": ["integer", "null"]}, "Map(String, Nullable(Int64))"),
        ({"type": "string", "format": "date"}, "Map(String, Date32)"),
    ],
)
def test_values_of_one_type_become_a_map(folder: ContractFolder, values: dict[str, Any], column: str) -> None:
    folder.paid["properties"]["labels"] = {**LABELS, "additionalProperties": values}
    assert columns(folder)["labels"] == column


def test_values_of_any_kind_become_their_json_text(folder: ContractFolder) -> None:
    folder.paid["properties"]["anything"] = ANYTHING
    assert columns(folder)["anything"] == "Nullable(String)"
    folder.paid["required"].append("anything")
    assert columns(folder)["anything"] == "String"


def test_a_violation_names_the_object_and_not_the_key_which_is_data(folder: ContractFolder) -> None:
    folder.paid["properties"]["labels"] = LABELS
    assert told(folder, '{"a": "12345", "b": "123456", "c": 1}') == {
        ("field_range", "labels"),
        ("field_type", "labels"),
    }
    assert told(folder, '{"any key": ""}') == told(folder, "null") == set()


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "object"}, "an object declares at least one property"),
        ({"type": "object", "additionalProperties": False}, "must say what the values are, or be true"),
        ({"type": "object", "additionalProperties": {"type": "object"}}, "must be one of string, integer"),
        ({**LABELS, "required": ["a"]}, "an open object declares no member"),
        ({"type": "object", "additionalProperties": {"type": "number", "x-type": "money"}}, "not supported"),
        ({"type": "object", "additionalProperties": {"type": "string", "minimum": 1}}, "is not supported"),
        ({"type": "array", "items": ANYTHING}, "an object declares at least one property"),
        ({"type": "string", "x-column": "not a name"}, "must name the column of a field"),
        ({"type": "string", "x-column": "state"}, "becomes the column state"),
    ],
)
def test_what_nothing_could_hold_is_refused(
    folder: ContractFolder, schema: dict[str, Any], problem: str
) -> None:
    assert any(problem in found for found in problems(folder, schema)), problems(folder, schema)


def test_a_field_can_name_its_column(folder: ContractFolder) -> None:
    folder.paid["properties"]["meta"] = {
        "type": "object",
        "description": "x",
        "properties": {"userAgent": {"type": "string", "description": "x", "x-column": "user_agent"}},
    }
    assert columns(folder)["user_agent"] == "Nullable(String)"


def test_the_catalogue_says_what_the_values_are(folder: ContractFolder) -> None:
    folder.paid["properties"] |= {"labels": LABELS, "anything": ANYTHING}
    page = catalogue(load_source("shop", folder.write()), "")
    assert "| `labels` | object of string by any key or null | no |  | each at most 5 characters |" in page
    assert "| `anything` | any object | no |" in page


def test_the_example_has_a_key_and_keeps_the_rules(folder: ContractFolder) -> None:
    folder.paid["properties"]["labels"] = LABELS
    contract = load_source("shop", folder.write()).contract("PAID")
    assert example_payload(contract)["labels"] == {"key": "value"}
    assert violations(contract, example_payload(contract)) == set()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"additionalProperties": True}, "another kind of object: its columns change"),
        ({"additionalProperties": {"type": "integer"}}, "type string became integer"),
        ({"additionalProperties": {"type": "string", "maxLength": 3}}, "greatest length <= 5 became <= 3"),
        ({"x-column": "tags"}, "column None became tags"),
    ],
)
def test_a_change_that_breaks_its_readers_is_told(
    folder: ContractFolder, change: dict[str, Any], message: str
) -> None:
    folder.paid["properties"]["labels"] = LABELS
    before = load_source("shop", folder.write())
    folder.paid["properties"]["labels"] = LABELS | change
    found = diff(before, load_source("shop", folder.write()))
    assert [message in str(c.message) for c in found if c.breaking] == [True]
