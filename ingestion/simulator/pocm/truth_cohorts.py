"""What is true of cohorts, and of the distinct users, devices and sessions of weeks and months.

Every cell of a cohort is counted from the purchases of its own users, not from sums of weeks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ingestion.simulator.figures import first_orders, money_ratio, money_text, period_text, ratio
from ingestion.simulator.model import DAY_MS, Frames, Rows

WEEK_MS = 7 * DAY_MS
FIRST_MONDAY = 4 * DAY_MS
"""The first Monday after 1970 began, in milliseconds."""
BUYER = ["tenant_id", "user_id"]
ACTIVE = {"users": "user_id", "devices": "device_id", "sessions": "session_id"}


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of the marts of cohorts and of distinct counts."""
    purchases, refunds = _moves(events)
    return {
        "cohort_retention": cohort_retention(purchases, refunds),
        "cohort_ltv": cohort_ltv(purchases, refunds),
        "active_weekly": active(events, "week"),
        "active_monthly": active(events, "month"),
    }


def week_of(moments: pd.Series) -> pd.Series:
    """Return the Monday at midnight before each moment, all in milliseconds since 1970."""
    return (moments - FIRST_MONDAY) // WEEK_MS * WEEK_MS + FIRST_MONDAY


def _moves(events: Frames) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the purchases and the refunds of users, with their week and their user's cohort."""
    purchases = first_orders(events).dropna(subset=["user_id"])
    purchases = purchases.assign(week=week_of(purchases["occurred_at"]))
    cohorts = purchases.groupby(BUYER, as_index=False)["week"].min().rename(columns={"week": "cohort"})
    buyers = purchases[["tenant_id", "order_id", "user_id"]]
    refunds = events["REFUND_ISSUED"].drop(columns="user_id").merge(buyers, on=["tenant_id", "order_id"])
    refunds = refunds.assign(week=week_of(refunds["occurred_at"])).merge(cohorts, on=BUYER)
    return purchases.merge(cohorts, on=BUYER), refunds[refunds["week"] >= refunds["cohort"]]


def _cells(
    purchases: pd.DataFrame, refunds: pd.DataFrame
) -> Iterator[tuple[dict[str, str | int], int, pd.DataFrame, pd.DataFrame]]:
    """Yield each cohort's weeks: the names of the cell, its week, and all that the cohort bought and got back."""
    for tenant, bought in purchases.groupby("tenant_id"):
        returned = refunds[refunds["tenant_id"] == tenant]
        newest = max(bought["week"].max(), returned["week"].max() if len(returned) else 0)
        for cohort, mine in bought.groupby("cohort"):
            back = returned[returned["cohort"] == cohort]
            for week in range(cohort, newest + 1, WEEK_MS):
                cell = {
                    "tenant_id": tenant,
                    "cohort_week": period_text(cohort, "day"),
                    "week_number": (week - cohort) // WEEK_MS,
                    "activity_week": period_text(week, "day"),
                    "cohort_users": mine["user_id"].nunique(),
                }
                yield cell, week, mine, back


def cohort_retention(purchases: pd.DataFrame, refunds: pd.DataFrame) -> Rows:
    """Return how many users of each cohort bought in each week up to the tenant's newest."""
    rows = []
    for cell, week, mine, _ in _cells(purchases, refunds):
        retained = mine.loc[mine["week"] == week, "user_id"].nunique()
        rate = ratio(retained, mine["user_id"].nunique())
        rows.append({**cell, "retained_users": retained, "retention_rate": rate})
    return rows


def cohort_ltv(purchases: pd.DataFrame, refunds: pd.DataFrame) -> Rows:
    """Return what each cohort brought, in each of its currencies, in each week and up to it."""
    rows = []
    for cell, week, mine, back in _cells(purchases, refunds):
        users = mine["user_id"].nunique()
        for currency in sorted({*mine["currency"], *back["currency"]}):
            bought, returned = (frame[frame["currency"] == currency] for frame in (mine, back))
            now, then = bought[bought["week"] == week], returned[returned["week"] == week]
            revenue, refunded = int(now["amount"].sum()), int(then["amount"].sum())
            so_far = int(bought.loc[bought["week"] <= week, "amount"].sum())
            so_far -= int(returned.loc[returned["week"] <= week, "amount"].sum())
            rows.append(
                {
                    **cell,
                    "currency": currency,
                    "orders": len(now),
                    "revenue": money_text(revenue),
                    "refund_amount": money_text(refunded),
                    "net_revenue": money_text(revenue - refunded),
                    "net_revenue_per_user": money_ratio(revenue - refunded, users),
                    "cumulative_net_revenue": money_text(so_far),
                    "ltv": money_ratio(so_far, users),
                }
            )
    return rows


def active(events: Frames, unit: str) -> Rows:
    """Return the distinct users, devices and sessions with any event, for each `week` or `month` with one."""
    seen = pd.concat(
        [frame.reindex(columns=["tenant_id", "occurred_at", *ACTIVE.values()]) for frame in events.values()]
    )
    if unit == "week":
        period = week_of(seen["occurred_at"])
    else:
        months = seen["occurred_at"].to_numpy().astype("datetime64[ms]").astype("datetime64[M]")
        period = pd.Series(months.astype("datetime64[ms]").astype(np.int64), index=seen.index)
    counts = seen.assign(period=period).groupby(["tenant_id", "period"])[list(ACTIVE.values())].nunique()
    return [
        {
            "tenant_id": tenant,
            unit: period_text(start, "day"),
            **{name: int(number) for name, number in zip(ACTIVE, row, strict=True)},
        }
        for (tenant, start), row in zip(counts.index, counts.to_numpy(), strict=True)
    ]
