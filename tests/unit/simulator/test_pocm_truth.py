"""The true values follow the formulas in words: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pandas as pd

from ingestion.simulator.pocm.generate import FIELDS
from ingestion.simulator.pocm.truth import quantile_exact, true_values

HOUR_MS = 3_600_000
NUMBERS = count()
DEFAULTS: dict[str, dict[str, Any]] = {
    "PRODUCT_VIEWED": {"product_id": "p1", "price": 10_000, "currency": "EUR"},
    "SEARCH": {"search_id": "s", "query": "patch", "results_count": 3},
    "SEARCH_RESULT_CLICKED": {"search_id": "s", "product_id": "p1", "position": 1},
    "CART_CREATED": {"cart_id": "c1"},
    "CART_ITEM_ADDED": {"cart_id": "c1", "product_id": "p1", "currency": "EUR"},
    "CHECKOUT_STARTED": {"cart_id": "c1", "currency": "EUR"},
    "ORDER_PLACED": {
        "order_id": "o1",
        "cart_id": "c1",
        "amount": 100_000,
        "currency": "EUR",
        "items_quantity": 1,
        "promotion_code": None,
    },
    "PAYMENT_CAPTURED": {
        "payment_id": "pay1",
        "order_id": "o1",
        "amount": 100_000,
        "currency": "EUR",
        "gateway": "stripe",
        "method": "card",
        "latency_ms": 100,
        "risk_score": 0.1,
    },
    "REFUND_ISSUED": {"payment_id": "pay1", "order_id": "o1", "amount": 100_000, "currency": "EUR"},
    "CHARGEBACK_OPENED": {"payment_id": "pay1", "amount": 100_000, "currency": "EUR"},
    "LOGIN": {},
}
DEFAULTS["PAYMENT_FAILED"] = DEFAULTS["PAYMENT_CAPTURED"]


def event(event_type: str, at: str, **values: Any) -> tuple[str, dict[str, Any]]:
    """An event at `at` (day and time in March 2026), in session s1 of user u1 unless told otherwise."""
    moment = datetime.strptime(f"2026-03-{at}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return event_type, {
        "event_id": f"e{next(NUMBERS):04d}",
        "tenant_id": "t",
        "occurred_at": int(moment.timestamp() * 1000),
        "user_id": "u1",
        "session_id": "s1",
        **DEFAULTS[event_type],
        **values,
    }


def marts(*events: tuple[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    nothing = {name: dict.fromkeys(fields) for name, fields in FIELDS.items()}
    frames = {
        name: pd.DataFrame([nothing[name] | row for other, row in events if other == name])
        for name in {n for n, _ in events}
    }
    return true_values(frames)


def step(rows: list[dict[str, Any]], name: str, scope: str = "all") -> dict[str, Any]:
    return next(row for row in rows if row["step"] == name and row["scope"] == scope)


def test_a_ratio_without_denominator_is_null() -> None:
    [row] = marts(event("PRODUCT_VIEWED", "02 10:00:00"))["kpi_daily"]
    assert row["conversion_rate"] == 0
    for name in ("aov", "arpu", "payment_success_rate", "refund_rate", "zero_result_rate"):
        assert row[name] is None
    assert row["cart_abandonment_rate"] is None


def test_average_order_value_is_cut_after_the_fourth_decimal() -> None:
    orders = [event("ORDER_PLACED", f"02 10:0{n}:00", order_id=f"o{n}", amount=amount) for n, amount in
              enumerate((100_000, 100_000, 66_666))]  # fmt: skip
    [row] = marts(*orders)["kpi_daily"]
    assert row["gmv"] == "26.6666"
    assert row["aov"] == "8.8888"
    assert row["arpu"] == "26.6666"


def test_an_order_placed_twice_counts_as_it_was_placed_first() -> None:
    [row] = marts(
        event("ORDER_PLACED", "02 10:30:00", amount=990_000),
        event("ORDER_PLACED", "02 10:00:00", amount=100_000),
    )["kpi_daily"]
    assert (row["orders"], row["gmv"]) == (1, "10.0000")


def test_an_order_without_user_has_no_purchaser() -> None:
    [row] = marts(event("ORDER_PLACED", "02 10:00:00", user_id=None))["kpi_daily"]
    assert (row["orders"], row["unique_purchasers"], row["arpu"]) == (1, 0, None)


def test_currencies_are_never_added() -> None:
    rows = marts(
        event("ORDER_PLACED", "02 10:00:00"),
        event("ORDER_PLACED", "02 10:00:00", order_id="o2", currency="CHF"),
    )["kpi_daily"]
    assert [(row["currency"], row["gmv"]) for row in rows] == [("CHF", "10.0000"), ("EUR", "10.0000")]


def test_a_session_counts_under_the_first_currency_it_names_at_the_time_it_started() -> None:
    rows = marts(
        event("SEARCH", "02 23:59:00", results_count=0),
        event("PRODUCT_VIEWED", "03 00:05:00", currency="CHF"),
        event("PRODUCT_VIEWED", "03 00:06:00", currency="EUR"),
    )["kpi_daily"]
    assert [(row["day"], row["currency"], row["sessions"], row["zero_result_rate"]) for row in rows] == [
        ("2026-03-02", "CHF", 1, 1.0)
    ]


def test_a_search_without_session_has_no_currency() -> None:
    [row] = marts(event("SEARCH", "02 10:00:00", session_id=None))["kpi_daily"]
    assert (row["currency"], row["searches"], row["sessions"]) == ("XXX", 1, 0)


def test_a_login_alone_is_no_session_but_an_active_user() -> None:
    values = marts(event("LOGIN", "02 10:00:00"))
    assert values["kpi_daily"] == []
    assert values["active_users"] == [{"tenant_id": "t", "day": "2026-03-02", "dau": 1, "wau": 1, "mau": 1}]


def test_a_cart_is_abandoned_after_72_hours_and_not_before() -> None:
    def rate(ordered_at: str) -> float:
        rows = marts(event("CART_CREATED", "02 10:00:00"), event("ORDER_PLACED", ordered_at))["kpi_daily"]
        return next(row["cart_abandonment_rate"] for row in rows if row["carts_created"])

    assert rate("05 10:00:00") == 0
    assert rate("05 10:00:01") == 1


def test_the_refund_rate_belongs_to_the_day_of_the_order_and_the_refund_to_its_own() -> None:
    rows = marts(
        event("ORDER_PLACED", "02 10:00:00"),
        event("REFUND_ISSUED", "04 10:00:00", amount=25_000),
        event("REFUND_ISSUED", "04 11:00:00", amount=75_000),
    )["kpi_daily"]
    assert [(row["day"], row["refund_rate"], row["refunds"], row["refund_amount"]) for row in rows] == [
        ("2026-03-02", 1.0, 0, "0.0000"),
        ("2026-03-04", None, 2, "10.0000"),
    ]


def test_hours_are_told_apart() -> None:
    rows = marts(
        event("PAYMENT_FAILED", "02 10:59:59", session_id=None),
        event("PAYMENT_CAPTURED", "02 11:00:00", session_id=None),
    )["kpi_hourly"]
    assert [(row["hour"], row["payment_success_rate"]) for row in rows] == [
        ("2026-03-02 10:00:00", 0.0),
        ("2026-03-02 11:00:00", 1.0),
    ]


def test_a_refund_is_partial_until_everything_is_paid_back() -> None:
    rows = marts(
        event("PAYMENT_CAPTURED", "02 10:00:00"),
        event("REFUND_ISSUED", "02 12:00:00", amount=40_000),
        event("REFUND_ISSUED", "02 11:00:00", amount=60_000),
    )["payments_daily"]
    assert [(row["refunds_full"], row["refunds_partial"]) for row in rows] == [(1, 1)]


def test_a_refund_of_an_unknown_payment_has_no_gateway() -> None:
    [row] = marts(event("REFUND_ISSUED", "02 12:00:00"))["payments_daily"]
    assert (row["gateway"], row["method"], row["refunds_full"]) == ("unknown", "unknown", 1)
    assert (row["success_rate"], row["latency_p50_ms"]) == (None, None)


def test_a_chargeback_counts_on_its_own_day_under_the_gateway_that_captured() -> None:
    rows = marts(event("PAYMENT_CAPTURED", "02 10:00:00"), event("CHARGEBACK_OPENED", "09 10:00:00"))
    assert [(row["day"], row["gateway"], row["chargebacks"]) for row in rows["payments_daily"]] == [
        ("2026-03-02", "stripe", 0),
        ("2026-03-09", "stripe", 1),
    ]


def test_risk_bands_begin_at_their_lower_bound() -> None:
    scores = (0.299, 0.3, 0.699, 0.7, None)
    payments = [event("PAYMENT_FAILED", "02 10:00:00", risk_score=score) for score in scores]
    [row] = marts(*payments)["payments_daily"]
    assert [row[f"risk_{band}"] for band in ("low", "medium", "high", "unknown")] == [1, 2, 1, 1]


def test_latency_percentiles_leave_out_what_was_not_measured() -> None:
    payments = [event("PAYMENT_FAILED", "02 10:00:00", latency_ms=n) for n in (30, 10, None, 20, 40)]
    [row] = marts(*payments)["payments_daily"]
    assert (row["latency_p50_ms"], row["latency_p99_ms"]) == (30, 40)


def test_a_quantile_is_an_element_of_the_values() -> None:
    assert quantile_exact(pd.Series([4, 1, 3, 2]), 0.5) == 3
    assert quantile_exact(pd.Series([7]), 0.99) == 7


def test_the_funnel_does_not_ask_for_a_search() -> None:
    rows = marts(event("PRODUCT_VIEWED", "02 10:00:00"), event("CART_ITEM_ADDED", "02 10:00:30"))[
        "funnel_step"
    ]
    assert step(rows, "search")["sessions"] == 0
    assert step(rows, "search")["drop_off_rate"] is None
    assert step(rows, "product_view")["sessions_next"] == 1
    assert step(rows, "product_view")["median_seconds_to_next"] == 30


def test_the_funnel_asks_for_the_order_of_steps() -> None:
    rows = marts(
        event("CART_ITEM_ADDED", "02 09:59:00"),
        event("PRODUCT_VIEWED", "02 10:00:00"),
        event("SEARCH", "02 10:01:00"),
        event("CHECKOUT_STARTED", "02 10:02:00"),
    )["funnel_step"]
    assert step(rows, "search")["sessions_next"] == 0
    assert step(rows, "product_view")["sessions"] == 1
    assert step(rows, "add_to_cart")["sessions"] == 0
    assert step(rows, "checkout")["sessions"] == 0


def test_a_product_has_a_funnel_of_its_own() -> None:
    rows = marts(
        event("PRODUCT_VIEWED", "02 10:00:00"),
        event("PRODUCT_VIEWED", "02 10:01:00", product_id="p2"),
        event("CART_ITEM_ADDED", "02 10:02:00"),
        event("CHECKOUT_STARTED", "02 10:03:00"),
        event("PAYMENT_CAPTURED", "02 10:04:00"),
    )["funnel_step"]
    reached = {
        scope: [step(rows, name, scope)["sessions"] for name in ("product_view", "payment")]
        for scope in ("all", "p1", "p2")
    }
    assert reached == {"all": [1, 1], "p1": [1, 1], "p2": [1, 0]}


def test_a_session_belongs_to_the_day_it_started_in_the_funnel_too() -> None:
    rows = marts(event("SEARCH", "02 23:59:00"), event("PRODUCT_VIEWED", "03 00:01:00"))["funnel_step"]
    assert {row["day"] for row in rows} == {"2026-03-02"}
    assert step(rows, "search")["drop_off_rate"] == 0


def test_active_users_trail_over_days_without_events() -> None:
    rows = marts(
        event("LOGIN", "01 10:00:00"),
        event("LOGIN", "08 10:00:00", user_id="u2"),
        event("LOGIN", "08 11:00:00"),
    )["active_users"]
    assert [(row["dau"], row["wau"], row["mau"]) for row in rows] == [(1, 1, 1)] + [(0, 1, 1)] * 6 + [
        (2, 2, 2)
    ]
