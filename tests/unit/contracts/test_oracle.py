"""The second opinion on payloads, where it goes beyond JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ingestion.contract import load_source
from ingestion.contract_example import example_payload
from ingestion.oracle import NotJsonError, parse, validator, violations

POCM = load_source("pocm")
ORDER = POCM.contract("ORDER_PLACED")
CAPTURED = POCM.contract("PAYMENT_CAPTURED")


def order(**changes: str) -> Any:
    """An order that is in order, with some top-level values replaced by JSON text."""
    texts = {key: json.dumps(value) for key, value in example_payload(ORDER).items()} | changes
    return parse("{" + ", ".join(f"{json.dumps(key)}: {text}" for key, text in texts.items()) + "}")


@pytest.mark.parametrize("contract", POCM.contracts, ids=lambda c: c.event_type)
def test_the_example_of_a_contract_is_valid(contract: Any) -> None:
    assert violations(contract, parse(json.dumps(example_payload(contract)))) == set()


def test_every_violated_rule_is_reported_without_the_lines_position() -> None:
    payload = parse('{"amount": -1, "currency": "eur", "items": [{"quantity": 0}, {"product_id": 7}]}')
    assert violations(ORDER, payload) == {
        ("field_missing", "order_id"),
        ("field_range", "amount"),
        ("field_format", "currency"),
        ("field_range", "items.quantity"),
        ("field_missing", "items.product_id"),
        ("field_missing", "items.quantity"),
        ("field_missing", "items.unit_price"),
        ("field_type", "items.product_id"),
    }


def test_a_payload_that_is_no_object_is_of_the_wrong_type() -> None:
    assert violations(ORDER, parse("[]")) == {("field_type", "")}


@pytest.mark.parametrize(
    "amount",
    [
        "0",
        "-0.0",
        "0.0001",
        "12.340000000",
        "99999999999",
        "1e2",
        "1E+2",
        "99999999998.9999",
        "1.25e1",
        "0e999999",
    ],
)
def test_an_amount_of_at_most_four_decimals_is_accepted(amount: str) -> None:
    assert violations(ORDER, order(amount=amount)) == set()


@pytest.mark.parametrize(
    "amount",
    [
        *("0.00001", "1e-5", "99999999999.0001", "100000000000", "1e400", "1e99999999999999999999", "-0.01"),
        *(
            "1.00000000000000000000000000000000001",
            "9" * 5000,
            "1e-999999",
        ),
    ],
)
def test_an_amount_beyond_what_the_warehouse_holds_is_out_of_range(amount: str) -> None:
    beyond_any_engine = {("field_range", "payload")} if abs(float(amount)) == float("inf") else set()
    assert violations(ORDER, order(amount=amount)) == {("field_range", "amount")} | beyond_any_engine


@pytest.mark.parametrize(
    ("attempt", "expected"),
    [
        ("1", set()),
        ("1.0", set()),
        ("1e2", set()),
        ("null", set()),
        ("9007199254740991", set()),
        ("9007199254740992", {("field_range", "attempt")}),
        ("1e30", {("field_range", "attempt")}),
        ("1.5", {("field_type", "attempt")}),
        ("true", {("field_type", "attempt")}),
        ('"1"', {("field_type", "attempt")}),
        ("0", {("field_range", "attempt")}),
    ],
)
def test_an_integer_is_a_number_without_a_fraction_that_every_engine_holds(
    attempt: str, expected: set[tuple[str, str]]
) -> None:
    payload = example_payload(CAPTURED) | {"attempt": parse(attempt)}
    assert violations(CAPTURED, payload) == expected


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        ("0", set()),
        ("1.0", set()),
        ("null", set()),
        ("0.10000000000000000000000000001", set()),
        # As a double this is 1, which is what the warehouse would hold.
        ("1.00000000000000000000000001", set()),
        ("1.0000001", {("field_range", "risk_score")}),
        ("1e999", {("field_range", "risk_score"), ("field_range", "payload")}),
        ("-1e999", {("field_range", "risk_score"), ("field_range", "payload")}),
    ],
)
def test_a_number_is_compared_as_a_double(score: str, expected: set[tuple[str, str]]) -> None:
    payload = example_payload(CAPTURED) | {"risk_score": parse(score)}
    assert violations(CAPTURED, payload) == expected


def test_the_end_of_a_pattern_is_the_end_of_the_text() -> None:
    assert violations(ORDER, order(currency='"EUR\\n"')) == {("field_format", "currency")}


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": Infinity}', '{"a": 1, "a": 1}', "{", "[" * 100_000])
def test_what_the_loader_would_not_take_as_json_is_none(text: str) -> None:
    with pytest.raises(NotJsonError):
        parse(text)


def _dated(kind: str, value: str) -> bool:
    schema = {"type": "object", "properties": {"at": {"type": "string", "format": kind}}}
    contract = type(ORDER)(**{**vars(ORDER), "schema": schema})
    return bool(validator(contract).is_valid({"at": value}))


@pytest.mark.parametrize(
    "value",
    [
        *("2026-11-16T09:30:00Z", "2026-11-16T09:30:00.123456789Z", "2024-02-29T00:00:00+05:30"),
        *("1901-01-01T00:00:00+23:59", "2199-12-31T23:59:59-23:59"),
    ],
)
def test_a_time_of_rfc_3339_is_a_date_time(value: str) -> None:
    assert _dated("date-time", value)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "2026-11-16",
            "2026-11-16 09:30:00Z",
            "2026-11-16T09:30:00",
            "2026-11-16t09:30:00z",
            "2026-11-16T09:30Z",
        ),
        *("2026-02-29T00:00:00Z", "2026-11-16T24:00:00Z", "2026-11-16T23:59:60Z", "2026-11-16T09:30:00.Z"),
        *(
            "2026-11-16T09:30:00+0530",
            "2026-11-16T09:30:00+24:00",
            "2026-11-16T09:30:00Z\n",
            "1900-12-31T00:00:00Z",
        ),
        *("2200-01-01T00:00:00Z", "2026-11-16T09:30:00.1234567890Z", "٢٠٢٦-11-16T09:30:00Z", ""),
    ],
)
def test_what_some_engine_would_not_read_as_that_time_is_no_date_time(value: str) -> None:
    assert not _dated("date-time", value)


@pytest.mark.parametrize(
    ("value", "valid"),
    [
        ("2026-11-16", True),
        ("2024-02-29", True),
        ("2026-02-29", False),
        ("20261116", False),
        ("2026-11-6", False),
    ],
)
def test_a_date_is_a_day_of_the_calendar(value: str, valid: bool) -> None:
    assert _dated("date", value) is valid
