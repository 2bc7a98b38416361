"""What is true of the marts of growth: searches, campaigns and subscriptions, out of the simulator's own events.

The subscriptions of a month are counted from what each had become when the month began and ended, not from a running sum.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.figures import NO_CURRENCY, ORDER, day_of, money_text, period_text, ratio
from ingestion.simulator.model import Frames, Rows
from ingestion.simulator.pocm.figures import first_orders

SUBSCRIPTION = ["tenant_id", "subscription_id"]
LINE = ["tenant_id", "plan", "currency"]
NO_CAMPAIGN = "none"


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of the marts of growth."""
    changes = _changes(events)
    return {
        "search_daily": search_daily(events),
        "marketing_daily": marketing_daily(events),
        "fact_subscriptions": fact_subscriptions(changes),
        "subscriptions_monthly": subscriptions_monthly(changes),
    }


def search_daily(events: Frames) -> Rows:
    """Return the searches of a day: all, by query, and by the places in the list that somebody chose."""
    searches = events["SEARCH"].sort_values(ORDER)
    searches = searches.assign(day=day_of(searches), again=searches.duplicated(["tenant_id", "search_id"]))
    clicks = events["SEARCH_RESULT_CLICKED"]
    clicks = clicks.assign(day=day_of(clicks))[["tenant_id", "search_id", "day", "position"]]
    firsts = searches.loc[~searches["again"], ["tenant_id", "search_id", "event_id"]]
    found = clicks.merge(firsts, on=["tenant_id", "search_id"], how="left")
    lost = found[found["event_id"].isna()].groupby(["tenant_id", "day"]).size()
    of_search = found.groupby("event_id").size()
    searches = searches.assign(clicks=searches["event_id"].map(of_search).fillna(0).astype(np.int64))
    rows = []
    keys = {*searches.groupby(["tenant_id", "day"]).groups, *lost.index}
    for tenant, day in sorted(keys):
        mine = searches[(searches["tenant_id"] == tenant) & (searches["day"] == day)]
        of_queries = {query: _searched(group) for query, group in mine.groupby("query")}
        counts = [row["searches"] for row in of_queries.values()]
        begin = {"tenant_id": tenant, "day": period_text(day, "day")}
        rows.append(
            {
                **begin,
                **{"scope": "all", "query": "", "position": 0},
                **_searched(mine),
                "clicks_without_search": int(lost.get((tenant, day), 0)),
                "query_rank": None,
            }
        )
        for query, row in of_queries.items():
            rank = 1 + sum(count > row["searches"] for count in counts)
            rows.append(
                {
                    **begin,
                    **{"scope": "query", "query": query, "position": 0},
                    **row,
                    "clicks_without_search": 0,
                    "query_rank": rank,
                }
            )
        rows += [
            {**begin, "scope": "position", "query": "", **row, "clicks_without_search": 0, "query_rank": None}
            for row in _places(mine, found)
        ]
    return rows


def _searched(searches: pd.DataFrame) -> dict[str, Any]:
    size, empty = len(searches), int((searches["results_count"] == 0).sum())
    clicked = int((searches["clicks"] > 0).sum())
    return {
        "searches": size,
        "searches_clicked": clicked,
        "clicks": int(searches["clicks"].sum()),
        "zero_result_searches": empty,
        "zero_result_rate": ratio(empty, size),
        "click_rate": ratio(clicked, size),
    }


def _places(searches: pd.DataFrame, clicks: pd.DataFrame) -> Rows:
    chosen = clicks.merge(searches[["event_id", "results_count"]], on="event_id")
    rows = []
    for place, there in chosen.groupby("position"):
        clicked = set(there["event_id"])
        shown = clicked | set(searches.loc[searches["results_count"] >= place, "event_id"])
        rows.append(
            {
                "position": int(place),
                "searches": len(shown),
                "searches_clicked": len(clicked),
                "clicks": len(there),
                "zero_result_searches": None,
                "zero_result_rate": None,
                "click_rate": ratio(len(clicked), len(shown)),
            }
        )
    return rows


def marketing_daily(events: Frames) -> Rows:
    """Return what campaigns showed and what came of it, by tenant, day, type, campaign and currency."""
    shown = events["RECOMMENDATION_SHOWN"].sort_values(ORDER)
    product = ["tenant_id", "recommendation_id", "product_id"]
    clicks = events["RECOMMENDATION_CLICKED"]
    shown = shown.drop_duplicates(product).merge(
        clicks[product].drop_duplicates().assign(clicked=1), on=product, how="left"
    )
    promotions, orders = events["PROMOTION_SHOWN"].sort_values(ORDER), first_orders(events)
    credited = events["AFFILIATE_ATTRIBUTED"].sort_values(ORDER).drop_duplicates(["tenant_id", "order_id"])
    sold = orders[["tenant_id", "order_id", "amount", "currency"]]
    sold = sold.rename(columns={"currency": "sold_in", "amount": "sold_for"})
    revenue = credited.merge(sold, on=["tenant_id", "order_id"], how="left")
    promoted = _promoted_sessions(promotions, events["ORDER_PLACED"])
    redeemed = orders[orders["promotion_code"].notna()]
    earned, spent = events["LOYALTY_POINTS_EARNED"], events["LOYALTY_POINTS_REDEEMED"]
    parts = [
        _counted(
            shown, "recommendation", "campaign", recommendations_shown=1, recommendations_clicked="clicked"
        ),
        _counted(clicks, "recommendation", "campaign", recommendation_clicks=1),
        _counted(promotions, "promotion", "promotion_code", promotions_shown=1),
        _counted(
            promoted,
            "promotion",
            "promotion_code",
            promotion_sessions=1,
            promotion_sessions_converted="converted",
        ),
        _counted(
            redeemed,
            "promotion",
            "promotion_code",
            "currency",
            promotion_orders=1,
            promotion_revenue="amount",
        ),
        _counted(
            revenue, "affiliate", "affiliate_id", "sold_in", affiliate_orders=1, affiliate_revenue="sold_for"
        ),
        _counted(credited, "affiliate", "affiliate_id", "currency", affiliate_commission="commission"),
        _counted(earned, "loyalty", "campaign", loyalty_points_earned="points"),
        _counted(spent, "loyalty", "campaign", loyalty_points_redeemed="points"),
    ]
    grain = ["tenant_id", "day", "campaign_type", "campaign", "currency"]
    table = pd.concat(parts, ignore_index=True).fillna(0).groupby(grain).sum().astype(np.int64)
    return [
        _campaign_row(dict(zip(grain, key, strict=True)) | row)
        for key, row in zip(table.index, table.to_dict("records"), strict=True)
    ]


def _promoted_sessions(promotions: pd.DataFrame, placements: pd.DataFrame) -> pd.DataFrame:
    """The first showing of each code in a session, and whether an order under the code followed in it."""
    key = ["tenant_id", "session_id", "promotion_code"]
    first = promotions.dropna(subset=["session_id"]).drop_duplicates(key)
    placed = placements.dropna(subset=["session_id", "promotion_code"])[[*key, "occurred_at"]]
    pairs = first.merge(placed.rename(columns={"occurred_at": "placed_at"}), on=key)
    bought = pairs.loc[pairs["placed_at"] >= pairs["occurred_at"], key].drop_duplicates()
    return first.merge(bought.assign(converted=1), on=key, how="left")


def _counted(
    frame: pd.DataFrame, campaign_type: str, campaign: str, currency: str = "", **measures: int | str
) -> pd.DataFrame:
    """Rows of the grain with measures to add up: 1 for each row, or the values of a column."""
    columns = {
        name: frame[what].fillna(0) if isinstance(what, str) else what for name, what in measures.items()
    }
    return pd.DataFrame(
        {
            "tenant_id": frame["tenant_id"],
            "day": day_of(frame),
            "campaign_type": campaign_type,
            "campaign": frame[campaign].astype(object).where(frame[campaign].notna(), NO_CAMPAIGN),
            "currency": frame[currency].astype(object).where(frame[currency].notna(), NO_CURRENCY)
            if currency
            else NO_CURRENCY,
            **columns,
        }
    )


def _campaign_row(row: dict[str, Any]) -> dict[str, Any]:
    money = ("promotion_revenue", "affiliate_revenue", "affiliate_commission")
    return {
        **row,
        "day": period_text(row["day"], "day"),
        **{name: money_text(row[name]) for name in money},
        "recommendation_ctr": ratio(row["recommendations_clicked"], row["recommendations_shown"]),
        "promotion_conversion": ratio(row["promotion_sessions_converted"], row["promotion_sessions"]),
    }


def _changes(events: Frames) -> pd.DataFrame:
    """Every event of a subscription with the one before it; `line` is what it is subscribed to."""
    changes = pd.concat(
        [events[f"SUBSCRIPTION_{move}"].assign(move=move) for move in ("STARTED", "RENEWED", "CANCELLED")]
    ).sort_values(ORDER)
    changes = changes.assign(
        is_active=changes["move"] != "CANCELLED",
        month=changes["occurred_at"].to_numpy().astype("datetime64[ms]").astype("datetime64[M]"),
    )
    before = changes.groupby(SUBSCRIPTION)[["is_active", "plan", "currency"]].shift()
    was_active = before["is_active"].fillna(False).astype(bool)
    return changes.assign(
        was_active=was_active,
        plan_before=before["plan"],
        currency_before=before["currency"],
        switches=changes["is_active"]
        & was_active
        & ((changes["plan"] != before["plan"]) | (changes["currency"] != before["currency"])),
    )


def fact_subscriptions(changes: pd.DataFrame) -> Rows:
    """Return the subscriptions as they are after their newest event."""
    rows = []
    for (tenant, name), mine in changes.groupby(SUBSCRIPTION):
        newest = mine.iloc[-1]
        ends = mine[mine["was_active"] & ~mine["is_active"]]
        is_ended = not newest["is_active"] and len(ends) > 0
        rows.append(
            {
                "tenant_id": tenant,
                "subscription_id": name,
                "started_at": period_text(mine["occurred_at"].iloc[0], "moment"),
                "is_start_known": bool(mine["move"].iloc[0] == "STARTED"),
                "plan": newest["plan"],
                "currency": newest["currency"],
                "period": newest["period"],
                "amount": money_text(int(newest["amount"])),
                "is_active": bool(newest["is_active"]),
                "cancelled_at": period_text(ends["occurred_at"].iloc[-1], "moment") if is_ended else None,
                "times_started": int((mine["is_active"] & ~mine["was_active"]).sum()),
                "times_renewed": int((mine["is_active"] & mine["was_active"]).sum()),
                "times_cancelled": len(ends),
                "last_changed_at": period_text(mine["occurred_at"].iloc[-1], "moment"),
            }
        )
    return rows


def subscriptions_monthly(changes: pd.DataFrame) -> Rows:
    """Return who was subscribed to each plan when a month began and ended, and who came and left in it."""
    rows: Rows = []
    if changes.empty:
        return rows
    before = changes.assign(plan=changes["plan_before"], currency=changes["currency_before"])
    flows = {
        "started": changes[changes["is_active"] & ~changes["was_active"]],
        "switched_in": changes[changes["switches"]],
        "cancelled": before[before["was_active"] & ~before["is_active"]],
        "switched_out": before[before["switches"]],
    }
    opened: pd.DataFrame = _active(changes.iloc[:0])
    for month in pd.period_range(changes["month"].min(), changes["month"].max(), freq="M"):
        closed = _active(changes[changes["month"] <= month.to_timestamp()])
        moved = {
            name: part[part["month"] == month.to_timestamp()].groupby(LINE).size()
            for name, part in flows.items()
        }
        lines = {*opened.index, *closed.index, *(line for part in moved.values() for line in part.index)}
        for line in sorted(lines):
            monthly, yearly = (_of(closed, line, period) for period in ("month", "year"))
            at_start = _of(opened, line, "subscriptions")
            cancelled = int(moved["cancelled"].get(line, 0))
            rows.append(
                {
                    "tenant_id": line[0],
                    "month": str(month.to_timestamp().date()),
                    "plan": line[1],
                    "currency": line[2],
                    "active_at_start": at_start,
                    **{name: int(part.get(line, 0)) for name, part in moved.items()},
                    "active_at_end": _of(closed, line, "subscriptions"),
                    "monthly_amount": money_text(monthly),
                    "yearly_amount": money_text(yearly),
                    "churn_rate": ratio(cancelled, at_start),
                    "mrr": money_text(monthly + yearly // 12),
                }
            )
        opened = closed
    return rows


def _active(changes: pd.DataFrame) -> pd.DataFrame:
    """Subscriptions active after these events, by what they are subscribed to, and their amounts by period."""
    newest = changes.drop_duplicates(SUBSCRIPTION, keep="last")
    active = newest[newest["is_active"].astype(bool)]
    return pd.DataFrame(
        {
            "subscriptions": active.groupby(LINE).size(),
            **{
                period: active[active["period"] == period].groupby(LINE)["amount"].sum()
                for period in ("month", "year")
            },
        }
    )


def _of(table: pd.DataFrame, line: tuple[str, ...], column: str) -> int:
    value = table[column].get(line, 0)
    return 0 if pd.isna(value) else int(value)
