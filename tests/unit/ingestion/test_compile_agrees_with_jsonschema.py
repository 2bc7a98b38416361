"""The SQL compiled from a contract finds the same violated rules as the `jsonschema` library."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.compile import compile_contract, general_rules, generally_valid, members, violations_of
from ingestion.contract import Contract, load_source, load_sources
from ingestion.contract_example import example_payload
from ingestion.oracle import NotJsonError, parse, violations
from ingestion.schema_types import is_open, types_of, value_schema

EVERY_KEYWORD: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Every keyword",
    "description": "Uses every keyword that contracts may use.",
    "x-version": "1.0",
    "x-entity": "keywords",
    "type": "object",
    "required": ["code", "whole", "customer", "lines", "flag"],
    "allOf": [
        {
            "if": {"properties": {"color": {"const": "red"}}, "required": ["color"]},
            "then": {"required": ["ratio", "tags"]},
        },
        {
            "if": {"properties": {"code": {"const": "abcd"}}, "required": ["code"]},
            "then": {"required": ["amount"]},
        },
    ],
    "properties": {
        "code": {
            "type": "string",
            "minLength": 2,
            "maxLength": 4,
            "pattern": "^[a-zß]+$",
            "description": "d",
        },
        "loose": {"type": ["string", "null"], "pattern": "b[^x]d", "description": "d"},
        "color": {"type": ["string", "null"], "enum": ["red", 'gr"een', "blau é", None], "description": "d"},
        "fixed": {"type": "string", "const": "only", "description": "d"},
        "whole": {"type": "integer", "minimum": -2, "exclusiveMaximum": 10, "description": "d"},
        "size": {"type": ["integer", "null"], "enum": [1, 2, 3, None], "description": "d"},
        "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 1, "description": "d"},
        "amount": {"type": "number", "minimum": 0, "x-type": "money", "description": "d"},
        "free": {"type": "number", "description": "d"},
        "currency": {"type": "string", "description": "d"},
        "flag": {"type": "boolean", "description": "d"},
        "yes": {"type": "boolean", "const": True, "description": "d"},
        "day": {"type": ["string", "null"], "format": "date", "description": "d"},
        "moment": {"type": "string", "format": "date-time", "description": "d"},
        "tags": {
            "type": "array",
            "minItems": 1,
            "maxItems": 3,
            "items": {"type": "string", "minLength": 1},
            "description": "d",
        },
        "numbers": {
            "type": ["array", "null"],
            "items": {"type": "integer", "maximum": 5},
            "description": "d",
        },
        "labels": {
            "type": ["object", "null"],
            "additionalProperties": {"type": "string", "minLength": 1, "maxLength": 4},
            "description": "d",
        },
        "gauges": {
            "type": "object",
            "additionalProperties": {"type": ["number", "null"], "minimum": 0},
            "description": "d",
        },
        "switches": {
            "type": "object",
            "additionalProperties": {"type": "integer", "enum": [0, 1]},
            "description": "d",
        },
        "anything": {"type": ["object", "null"], "additionalProperties": True, "description": "d"},
        "customer": {
            "type": "object",
            "description": "d",
            "required": ["city"],
            "properties": {
                "city": {"type": "string", "minLength": 1, "description": "d"},
                "marks": {
                    "type": "object",
                    "additionalProperties": {"type": "string", "pattern": "^[a-z]+$"},
                    "description": "d",
                },
                "age": {"type": ["integer", "null"], "minimum": 0, "description": "d"},
                "address_of": {
                    "type": ["object", "null"],
                    "description": "d",
                    "required": ["zip"],
                    "properties": {"zip": {"type": "string", "maxLength": 3, "description": "d"}},
                },
            },
        },
        "lines": {
            "type": "array",
            "description": "d",
            "items": {
                "type": "object",
                "required": ["sku", "count"],
                "properties": {
                    "sku": {"type": "string", "minLength": 1, "description": "d"},
                    "count": {"type": "integer", "minimum": 1, "description": "d"},
                    "price": {"type": ["number", "null"], "x-type": "money", "description": "d"},
                },
            },
        },
    },
}
SOURCE: dict[str, Any] = {
    "description": "d",
    "owner": "o",
    "future_tolerance_minutes": 10,
    "max_event_bytes": 1000000,
    "wire_formats": {
        "api": {
            "description": "d",
            "detect": ["id"],
            "envelope": {
                "event_id": "id",
                "event_type": "type",
                "tenant_id": "tenant",
                "occurred_at": "at",
                "payload": "data",
            },
        }
    },
}
RAW_NUMBERS = [
    *(
        "0",
        "-0",
        "-0.0",
        "1.0",
        "1E2",
        "0.1e1",
        "1.10",
        "1e-7",
        "0.00005",
        "1.00001",
        "5e-324",
        "2e308",
        "-1e400",
    ),
    *(
        "9007199254740991",
        "9007199254740992",
        "-9007199254740993",
        "12345678901234567890",
        "18446744073709551616",
    ),
    *(
        "99999999999",
        "99999999999.0001",
        "-99999999999.5",
        "100000000000",
        "0.1234",
        "0.12345",
        "1e400",
        "10",
        "9.5",
    ),
]
TEXTS = [
    *(
        "",
        "a",
        "ab",
        "abcd",
        "abcde",
        "ß" * 4,
        "ß" * 5,
        "😀" * 4,
        "😀" * 5,
        "bad",
        "b\nd",
        "b\u2028d",
        "ab\n",
        "a\u0000b",
    ),
    *(
        "red",
        'gr"een',
        "blau é",
        "RED",
        "only",
        "e\u0301e",
        "\\",
        '\\"',
        "\t",
        "\u007f",
        "null",
        "true",
        "1",
        "{",
        "[]",
    ),
    *(
        "2026-02-28",
        "2026-02-29",
        "2024-02-29",
        "1900-01-01",
        "2026-2-1",
        "2026-13-01",
        "2026-02-28T10:00:00Z",
    ),
    *(
        "2026-02-28t10:00:00z",
        "2026-02-28T10:00:60Z",
        "2026-02-30T10:00:00Z",
        "2026-02-28T10:00:00.123456789+05:30",
    ),
    *("2026-02-28T24:00:00Z", "2026-02-28T10:00:00", "2026-02-28 10:00:00Z", "EUR", "eur", "EURO", "EUR\n"),
]
MARK = "@raw:"
PAYLOADS = """(
    select number, json_extract(text, '$')::varchar as payload
    from (select unnest(?::varchar[]) as text, generate_subscripts(?::varchar[], 1) as number)
)"""


def contracts(root: Path) -> list[Contract]:
    folder = root / "keywords"
    folder.mkdir()
    (folder / "_source.yaml").write_text(yaml.safe_dump(SOURCE))
    (folder / "EVERY.v1.yaml").write_text(yaml.safe_dump(EVERY_KEYWORD, allow_unicode=True))
    shipped = [contract for source in load_sources().values() for contract in source.contracts]
    return [load_source("keywords", root).contract("EVERY"), *shipped]


def scalars() -> st.SearchStrategy[Any]:
    return st.one_of(
        st.sampled_from(RAW_NUMBERS).map(lambda number: MARK + number),
        st.sampled_from(TEXTS),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.none(),
        st.booleans(),
    )


def anything() -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["sku", "count", "zip", "a", "é"])
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
        max_leaves=5,
    )


def near(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values of a property: mostly of its type and near its limits, sometimes anything."""
    kinds = types_of(schema)
    if is_open(schema):
        keys = st.sampled_from(["a", "", "x y", "é", 'quo"te', "*", "$.a"])
        right = st.dictionaries(keys, near(value_schema(schema) or {"type": "string"}), max_size=3)
    elif kinds == ("object",):
        right = object_near(schema)
    elif kinds == ("array",):
        right = st.lists(near(schema["items"]), max_size=4)
    elif kinds == ("string",):
        right = st.sampled_from(TEXTS)
    elif kinds == ("boolean",):
        right = st.booleans()
    else:
        right = st.sampled_from(RAW_NUMBERS).map(lambda number: MARK + number) | st.integers(-3, 12)
    # One in five is of any kind.
    return st.integers(0, 4).flatmap(lambda die: anything() if die == 0 else right)


def object_near(schema: Mapping[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={name: near(sub) for name, sub in schema["properties"].items()})


def payload_of(contract: Contract) -> st.SearchStrategy[dict[str, Any]]:
    """Payloads near the valid one: members left out, replaced, and unknown ones added."""
    changed = object_near(contract.schema).flatmap(
        lambda edits: st.lists(st.sampled_from(sorted(contract.schema["properties"])), max_size=2).map(
            lambda gone: {n: v for n, v in (example_payload(contract) | edits).items() if n not in gone}
        )
    )
    extra = st.dictionaries(st.sampled_from(["unknown", "x y", "é", 'quo"te']), scalars(), max_size=1)
    return st.builds(lambda payload, more: payload | more, changed, extra)


def as_text(payload: Any, ascii_only: bool) -> str:
    text = json.dumps(payload, ensure_ascii=ascii_only)
    return re.sub(rf'"{MARK}([^"]*)"', r"\1", text)


@pytest.fixture(scope="module")
def engine() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def found_by_sql(
    engine: duckdb.DuckDBPyConnection, contract: Contract, texts: list[str]
) -> list[tuple[bool, set[tuple[str, str]]]]:
    check = compile_contract(contract)
    general = violations_of(general_rules({}))
    rows = engine.execute(
        f"""select {check.plainly_valid} and {generally_valid({})}, {check.violations} || {general}
        from {members(PAYLOADS, check.extract, check.declared, len(check.paths))} order by number""",
        [texts, texts],
    ).fetchall()
    return [(plain, {(v["code"], v["field"]) for v in found}) for plain, found in rows]


ALL: list[Contract] = []


@pytest.fixture(scope="module", autouse=True)
def all_contracts(tmp_path_factory: pytest.TempPathFactory) -> None:
    ALL[:] = contracts(tmp_path_factory.mktemp("contracts"))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_compiled_sql_and_jsonschema_name_the_same_violations(
    engine: duckdb.DuckDBPyConnection, data: st.DataObject
) -> None:
    # Half of the examples go to the contract that uses everything.
    contract = data.draw(st.one_of(st.just(ALL[0]), st.sampled_from(ALL)), label="contract")
    payloads = data.draw(st.lists(payload_of(contract), min_size=10, max_size=40), label="payloads")
    texts = [as_text(payload, data.draw(st.booleans())) for payload in payloads]
    for text, (plainly_valid, found) in zip(texts, found_by_sql(engine, contract, texts), strict=True):
        assert found == violations(contract, parse(text)), text
        assert not (plainly_valid and found), text


def places(schema: Mapping[str, Any]) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every declared member; 0 stands for an array's only element, `any key` for an open object's."""
    for name, sub in schema.get("properties", {}).items():
        yield (name,)
        for kind, step, inner in (("object", (), sub), ("array", (0,), sub.get("items", {}))):
            if types_of(sub) == (kind,):
                yield from ((name, *step, *rest) for rest in places(inner))
                yield (name, *step)
        if is_open(sub):
            yield (name, "any key")


def with_value(payload: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    if path[0] == 0:
        return [with_value((payload or [{}])[0] if isinstance(payload, list) else {}, path[1:], value)]
    base = payload if isinstance(payload, dict) else {}
    return base | {path[0]: with_value(base.get(path[0]), path[1:], value)}


def test_every_field_with_every_edge_value_is_judged_alike(engine: duckdb.DuckDBPyConnection) -> None:
    values = [
        *TEXTS,
        *(MARK + number for number in RAW_NUMBERS),
        None,
        True,
        False,
        [],
        {},
        [[]],
        [None],
        ["a"] * 4,
    ]
    for contract in ALL:
        example = example_payload(contract)
        texts = [
            as_text(with_value(example, path, value), True)
            for path in dict.fromkeys(places(contract.schema))
            for value in values
        ]
        for text, (plainly_valid, found) in zip(texts, found_by_sql(engine, contract, texts), strict=True):
            assert found == violations(contract, parse(text)), text
            assert not (plainly_valid and found), text


def test_the_example_of_every_contract_is_valid_and_of_the_shipped_ones_at_first_sight(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    judged = [(c, *found_by_sql(engine, c, [json.dumps(example_payload(c))])[0]) for c in ALL]

    assert [found for _, _, found in judged] == [set()] * len(ALL)
    assert [c.event_type for c, plainly, _ in judged if c.source != "keywords" and not plainly] == []


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ('{"code": "ab", "code": "cd"}', "payload"),
        ('{"unknown": 1, "unknown": 1}', "payload"),
        ('{"customer": {"city": "a", "city": "b"}}', "customer"),
        ('{"labels": {"x": "a", "x": "a"}}', "labels"),
        ('{"anything": {"x": 1, "y": 2, "x": 3}}', "anything"),
        ('{"lines": [{"sku": "a", "count": 1}, {"sku": "a", "sku": "b", "count": 1}]}', "lines"),
    ],
)
def test_a_repeated_key_is_a_violation_where_fields_are_declared(
    engine: duckdb.DuckDBPyConnection, text: str, field: str
) -> None:
    with pytest.raises(NotJsonError):
        parse(text)

    assert ("field_format", field) in found_by_sql(engine, ALL[0], [text])[0][1]


def test_every_violated_rule_of_a_payload_is_named_not_only_the_first(
    engine: duckdb.DuckDBPyConnection,
) -> None:
    text = '{"code": "X", "whole": 10.5, "flag": 1, "lines": [{"count": 0}], "customer": {"city": ""}}'

    assert found_by_sql(engine, ALL[0], [text])[0][1] == {
        ("field_range", "code"),
        ("field_format", "code"),
        ("field_type", "whole"),
        ("field_range", "whole"),
        ("field_type", "flag"),
        ("field_missing", "lines.sku"),
        ("field_range", "lines.count"),
        ("field_range", "customer.city"),
    }


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1e308", set()),
        ("1e309", {("field_range", "payload")}),
        ("-1E+400", {("field_range", "payload")}),
        ("1" + "0" * 308, set()),
        ("1" + "0" * 309, {("field_range", "payload")}),
        ("1" + "0" * 250 + "e99", {("field_range", "payload")}),
        ('"1e400"', set()),
        ('{"a": [1e400]}', {("field_range", "payload")}),
        ("[" * 511 + "]" * 511, set()),
        ("[" * 512 + "]" * 512, {("field_format", "payload")}),
        ('{"a":' * 512 + "1" + "}" * 512, {("field_format", "payload")}),
        ("[" + ",".join(["[]"] * 2_000) + "]", set()),
        ('"' + "[" * 2_000 + '"', set()),
    ],
    ids=lambda value: str(value)[:12],
)
def test_what_no_engine_could_read_is_refused_in_fields_that_nobody_declared_too(
    engine: duckdb.DuckDBPyConnection, value: str, found: set[tuple[str, str]]
) -> None:
    for contract in ALL:
        text = json.dumps(example_payload(contract))[:-1] + f', "unknown": {value}}}'
        plainly_valid, judged = found_by_sql(engine, contract, [text])[0]

        assert judged == found == violations(contract, parse(text))
        assert not (plainly_valid and found)
