"""The true cohorts follow their definition in words: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pandas as pd

from ingestion.simulator.pocm.truth_cohorts import true_values

COLUMNS = ["event_id", "tenant_id", "occurred_at", "user_id", "order_id", "currency", "amount"]


def event(
    at: str, order_id: str, user_id: str | None, currency: str = "EUR", amount: int = 10_000
) -> list[Any]:
    """An event about an order, at a day of 2026 or 2027."""
    moment = int(datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() * 1000)
    return [f"{order_id}-{at}", "t", moment, user_id, order_id, currency, amount]


def marts(
    placed: list[list[Any]], refunded: list[list[Any]] | None = None
) -> dict[str, list[dict[str, Any]]]:
    return true_values(
        {
            "ORDER_PLACED": pd.DataFrame(placed, columns=COLUMNS),
            "REFUND_ISSUED": pd.DataFrame(refunded or [], columns=COLUMNS).astype({"amount": "int64"}),
        }
    )


def test_weeks_of_a_cohort_run_to_the_tenants_newest_with_zeros_and_across_the_year() -> None:
    rows = marts(
        [event("2026-12-27", "o1", "u1"), event("2027-01-03", "o2", "u2"), event("2027-01-04", "o3", "u2")]
    )
    cells = [
        (row["cohort_week"], row["activity_week"], row["week_number"], row["retained_users"])
        for row in rows["cohort_retention"]
    ]
    assert cells == [
        ("2026-12-21", "2026-12-21", 0, 1),
        ("2026-12-21", "2026-12-28", 1, 0),
        ("2026-12-21", "2027-01-04", 2, 0),
        ("2026-12-28", "2026-12-28", 0, 1),
        ("2026-12-28", "2027-01-04", 1, 1),
    ]


def test_the_first_order_decides_whatever_the_order_of_events_and_nobody_decides_nothing() -> None:
    placed = [
        event("2026-11-18", "o2", "u1"),
        event("2026-11-10", "o1", "u1"),
        event("2026-11-02", "o0", None),
    ]
    assert {row["cohort_week"] for row in marts(placed)["cohort_retention"]} == {"2026-11-09"}


def test_a_refund_lowers_the_value_of_who_placed_the_order_in_the_week_it_was_issued() -> None:
    placed = [event("2026-11-09", "o1", "u1", amount=10_000), event("2026-11-09", "o2", "u2", amount=10_000)]
    placed += [event("2026-11-10", "o3", "u3", currency="USD", amount=0)]
    rows = marts(placed, [event("2026-11-20", "o1", None, amount=30_000)])["cohort_ltv"]
    found = [(row["currency"], row["week_number"], row["net_revenue"], row["ltv"]) for row in rows]
    assert found == [
        ("EUR", 0, "2.0000", "0.6666"),
        ("USD", 0, "0.0000", "0.0000"),
        ("EUR", 1, "-3.0000", "-0.3333"),
        ("USD", 1, "0.0000", "0.0000"),
    ]


def test_a_user_of_two_weeks_of_a_month_is_one_user_of_the_month() -> None:
    rows = marts(
        [event("2026-11-29", "o1", "u1"), event("2026-11-30", "o2", "u1"), event("2026-12-01", "o3", "u2")]
    )
    assert [(row["week"], row["users"]) for row in rows["active_weekly"]] == [
        ("2026-11-23", 1),
        ("2026-11-30", 2),
    ]
    assert [(row["month"], row["users"]) for row in rows["active_monthly"]] == [
        ("2026-11-01", 1),
        ("2026-12-01", 1),
    ]
