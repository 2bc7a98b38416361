"""The SQL that re-checks payloads agrees with the jsonschema library."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
from gate_shop import Shop

from expectations.payload_sql import literal, violations
from ingestion import oracle
from ingestion.contract import Contract, Source, load_source
from ingestion.contract_example import example_payload

pytestmark = pytest.mark.stack

WRONG: tuple[Any, ...] = (
    None, "", " ", "x" * 2001, "EUR", "eur", "2026-11-16", "2026-02-30", "2026-11-16T09:30:00Z", "\u00e9\n",
    0, -1, 1, 1.5, 1.23456, 1e11, 2**53, -0.0001, True, False, [], {}, [None], [{}], {"a": 1},
)  # fmt: skip


def mutations(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The payload, and it with each field at each depth missing or replaced by each wrong value."""
    yield payload
    for path in _paths(payload):
        for value in (*WRONG, _MISSING):
            changed = deepcopy(payload)
            _set(changed, path, value)
            yield changed


_MISSING = object()


def _paths(value: Any, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        yield (*prefix, key)
        yield from _paths(child, (*prefix, key))


def _set(value: Any, path: tuple[str | int, ...], new: Any) -> None:
    for key in path[:-1]:
        value = value[key]
    if new is _MISSING:
        del value[path[-1]]
    else:
        value[path[-1]] = new


def fields_by_sql(shop: Shop, contract: Contract, payloads: list[str]) -> list[set[str]]:
    found = violations(contract.schema, {})
    texts = ", ".join(f"({number}, {literal(text)})" for number, text in enumerate(payloads))
    query = f"select {found} from values('n UInt32, payload String', {texts}) order by n"
    rows = shop.client.query(query, settings={"max_query_size": "100000000"}).result_rows
    return [
        {entry.rpartition(": ")[0].replace("[]", "").replace("{}", "") for entry in row[0]} for row in rows
    ]


def without(contract: Contract, name: str) -> Contract:
    """The contract without one of its properties."""
    properties = {key: sub for key, sub in contract.schema["properties"].items() if key != name}
    fields = tuple(field for field in contract.fields if field.path[0] != name)
    return replace(contract, schema={**contract.schema, "properties": properties}, fields=fields)


def test_broken_fields_are_those_that_jsonschema_names(shop: Shop, source: Source) -> None:
    # What insights says of the sender is personal; the rest of its events has objects with keys of any name.
    open_ones = [without(contract, "metadata") for contract in load_source("insights").contracts]
    for contract in (*source.contracts, *open_ones):
        if any(declared.pii_action for declared in contract.fields):
            continue  # what the loader does to personal fields comes between the contract and the warehouse
        payloads = [json.dumps(payload) for payload in mutations(example_payload(contract))]

        by_sql = fields_by_sql(shop, contract, payloads)

        for text, found in zip(payloads, by_sql, strict=True):
            expected = {field for _, field in oracle.violations(contract, oracle.parse(text))}
            assert bool(found) == bool(expected), (contract.event_type, text, found, expected)
            assert expected <= found or found <= expected, (contract.event_type, text, found, expected)
