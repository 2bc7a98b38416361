"""The simulated shops behave like shops, and every event of theirs is one that the contracts allow."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from datetime import UTC, datetime
from typing import Any

import pytest

from ingestion.contract import load_source
from ingestion.oracle import parse, violations

from .conftest import World

POCM = load_source("pocm")


@pytest.fixture(scope="module")
def events(clean: World) -> list[dict[str, Any]]:
    return clean.events()


def test_every_payload_satisfies_its_contract(events: list[dict[str, Any]]) -> None:
    for event in events:
        payload = parse(json.dumps(event["payload"]))
        assert violations(POCM.contract(event["type"]), payload) == set(), event


def test_every_event_type_of_the_contracts_happens_and_the_alias_too(events: list[dict[str, Any]]) -> None:
    names = {contract.event_type for contract in POCM.contracts}
    assert {event["type"] for event in events} == names | {"PURCHASE"}


def test_both_wire_forms_carry_events_of_both_tenants(events: list[dict[str, Any]]) -> None:
    counts = Counter((event["form"], event["tenant_id"]) for event in events)
    assert len(counts) == 4
    assert min(counts.values()) > 100


def test_one_tenant_sells_in_two_currencies_and_the_other_in_another_one(
    events: list[dict[str, Any]],
) -> None:
    currencies = defaultdict(set)
    for event in events:
        if event["type"] in ("ORDER_PLACED", "PURCHASE"):
            currencies[event["tenant_id"]].add(event["payload"]["currency"])
    assert currencies == {"alpenmed": {"EUR", "CHF"}, "brightcare": {"USD"}}


def test_an_order_costs_the_sum_of_its_lines_less_the_discount(events: list[dict[str, Any]]) -> None:
    orders = [event["payload"] for event in events if event["type"] in ("ORDER_PLACED", "PURCHASE")]
    for order in orders:
        goods = sum(round(line["unit_price"] * 10_000) * line["quantity"] for line in order["items"])
        discount = round(order.get("discount_amount", 0) * 10_000)
        assert round(order["amount"] * 10_000) == goods - discount


def test_sessions_cross_the_hour_and_midnight(events: list[dict[str, Any]]) -> None:
    times = defaultdict(list)
    for event in events:
        if event["session_id"]:
            times[event["session_id"]].append(moment(event["occurred_at"]))
    assert any(min(seen).date() != max(seen).date() for seen in times.values())
    assert sum(min(seen).hour != max(seen).hour for seen in times.values()) > 20


def test_some_events_have_no_session_and_some_no_user(events: list[dict[str, Any]]) -> None:
    payments = [event for event in events if event["type"] == "PAYMENT_CAPTURED"]
    assert any(payment["session_id"] is None for payment in payments)
    assert any(event["user_id"] is None and event["session_id"] for event in events)


def test_refunds_come_in_whole_and_in_parts_and_on_later_days(events: list[dict[str, Any]]) -> None:
    paid = {event["payload"]["payment_id"]: event for event in events if event["type"] == "PAYMENT_CAPTURED"}
    refunds = [event for event in events if event["type"] == "REFUND_ISSUED"]
    shares = [
        refund["payload"]["amount"] / paid[refund["payload"]["payment_id"]]["payload"]["amount"]
        for refund in refunds
    ]
    assert 1.0 in shares
    assert min(shares) < 0.9
    assert any(
        moment(refund["occurred_at"]).date()
        > moment(paid[refund["payload"]["payment_id"]]["occurred_at"]).date()
        for refund in refunds
    )


def test_a_failed_attempt_is_followed_by_a_captured_one_of_the_same_payment(
    events: list[dict[str, Any]],
) -> None:
    outcomes = defaultdict(set)
    for event in events:
        if event["type"].startswith("PAYMENT_"):
            outcomes[event["payload"]["payment_id"]].add(event["type"])
    assert {"PAYMENT_CAPTURED", "PAYMENT_FAILED"} in outcomes.values()


def test_users_come_back_and_buy_again(events: list[dict[str, Any]]) -> None:
    buyers = Counter(
        e["user_id"] for e in events if e["type"] in ("ORDER_PLACED", "PURCHASE") and e["user_id"]
    )
    assert max(buyers.values()) >= 3


def test_a_product_changes_its_category_midway(events: list[dict[str, Any]]) -> None:
    seen = [
        event["payload"]["category"]
        for event in sorted(events, key=lambda event: moment(event["occurred_at"]))
        if event["type"] == "PRODUCT_UPSERTED"
        and event["tenant_id"] == "alpenmed"
        and event["payload"]["product_id"] == "prd-adhesive"
    ]
    assert seen == ["consumables", "skin care"]


def test_registrations_carry_personal_data(events: list[dict[str, Any]]) -> None:
    registered = [event["payload"] for event in events if event["type"] == "USER_REGISTERED"]
    for name in ("email", "phone", "full_name"):
        assert any(name in payload for payload in registered)


def test_event_ids_are_distinct(events: list[dict[str, Any]]) -> None:
    assert len({event["event_id"] for event in events}) == len(events)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
