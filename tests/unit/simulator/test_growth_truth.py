"""The true values of searches, campaigns and subscriptions: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from .test_pocm_truth import marts

NUMBERS = count()
Sent = tuple[str, dict[str, Any]]


def sent(event_type: str, at: str, **values: Any) -> Sent:
    """An event at `at` (ISO, UTC), in session s1 of user u1 unless told otherwise."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return event_type, {
        "event_id": f"g{next(NUMBERS):04d}",
        "tenant_id": "t",
        "occurred_at": int(moment.timestamp() * 1000),
        "user_id": "u1",
        "session_id": "s1",
        **values,
    }


def subscription(move: str, at: str, name: str = "s", **values: Any) -> Sent:
    terms = {"plan": "basic", "currency": "EUR", "period": "month", "amount": 100_000}
    return sent(f"SUBSCRIPTION_{move}", at, subscription_id=name, **(terms | values))


def months(*events: Sent, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in marts(*events)["subscriptions_monthly"]]


def test_a_subscription_cancelled_and_restarted_in_one_month_leaves_and_comes() -> None:
    assert months(
        subscription("STARTED", "2026-02-16"),
        subscription("CANCELLED", "2026-03-05"),
        subscription("STARTED", "2026-03-25"),
        columns=("month", "active_at_start", "started", "cancelled", "active_at_end", "churn_rate"),
    ) == [("2026-02-01", 0, 1, 0, 1, None), ("2026-03-01", 1, 1, 1, 1, 1.0)]


def test_a_yearly_plan_brings_a_twelfth_a_month_in_its_own_currency() -> None:
    assert months(
        subscription("STARTED", "2026-02-16", "a", period="year", amount=2_990_000),
        subscription("STARTED", "2026-02-16", "b", currency="CHF", amount=110_000),
        columns=("currency", "yearly_amount", "mrr"),
    ) == [("CHF", "0.0000", "11.0000"), ("EUR", "299.0000", "24.9166")]


def test_a_month_without_an_event_keeps_its_subscribers_and_one_without_subscribers_has_no_row() -> None:
    assert months(
        subscription("STARTED", "2026-01-16", "stays"),
        subscription("STARTED", "2026-01-16", "leaves", plan="plus"),
        subscription("CANCELLED", "2026-02-01", "leaves", plan="plus"),
        subscription("RENEWED", "2026-03-16", "stays"),
        columns=("month", "plan", "active_at_start", "cancelled", "active_at_end"),
    ) == [
        ("2026-01-01", "basic", 0, 0, 1),
        ("2026-01-01", "plus", 0, 0, 1),
        ("2026-02-01", "basic", 1, 0, 1),
        ("2026-02-01", "plus", 1, 1, 0),
        ("2026-03-01", "basic", 1, 0, 1),
    ]


def test_a_cancellation_of_what_was_never_active_counts_nowhere() -> None:
    found = marts(subscription("CANCELLED", "2026-03-05"))
    assert found["subscriptions_monthly"] == []
    assert [(row["is_active"], row["times_cancelled"]) for row in found["fact_subscriptions"]] == [(False, 0)]


def test_a_place_in_the_list_counts_where_as_many_results_were_found_or_somebody_chose_it() -> None:
    asked = {"query": "patch"}
    rows = marts(
        sent("SEARCH", "2026-03-02T10:00", search_id="a", results_count=5, **asked),
        sent("SEARCH", "2026-03-02T10:01", search_id="b", results_count=1, **asked),
        sent("SEARCH_RESULT_CLICKED", "2026-03-02T10:02", search_id="a", position=2, product_id="p"),
        sent("SEARCH_RESULT_CLICKED", "2026-03-03T00:02", search_id="b", position=3, product_id="p"),
        sent("SEARCH_RESULT_CLICKED", "2026-03-04T00:02", search_id="lost", position=1, product_id="p"),
    )["search_daily"]
    places = {
        row["position"]: (row["searches"], row["click_rate"]) for row in rows if row["scope"] == "position"
    }
    assert places == {2: (1, 1.0), 3: (2, 0.5)}
    last = rows[-1]
    assert (last["day"], last["searches"], last["clicks_without_search"]) == ("2026-03-04", 0, 1)
    assert (last["zero_result_rate"], last["click_rate"]) == (None, None)


def test_an_order_is_credited_once_in_its_own_currency() -> None:
    order = {"order_id": "o1", "cart_id": "c1", "amount": 200_000, "currency": "CHF", "items_quantity": 1}
    credit = {"order_id": "o1", "currency": "EUR", "commission": 20_000}
    rows = marts(
        sent("ORDER_PLACED", "2026-03-01T10:00", promotion_code=None, items="[]", **order),
        sent("AFFILIATE_ATTRIBUTED", "2026-03-02T11:00", affiliate_id="f1", **credit),
        sent("AFFILIATE_ATTRIBUTED", "2026-03-02T12:00", affiliate_id="f2", **credit),
    )["marketing_daily"]
    assert [(row["campaign"], row["currency"], row["affiliate_revenue"]) for row in rows] == [
        ("f1", "CHF", "20.0000"),
        ("f1", "EUR", "0.0000"),
    ]
