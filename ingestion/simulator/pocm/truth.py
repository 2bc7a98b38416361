"""The true values of the `pocm` marts, out of the simulator's own events, in plain pandas.

Written from the formulas in words, on purpose without a look at the warehouse's SQL: it is the third opinion.
Money is an integer count of 1/10,000 until it is written out as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.figures import (
    NO_CURRENCY,
    ORDER,
    day_of,
    money_ratio,
    money_text,
    period_text,
    quantile_exact,
    ratio,
)
from ingestion.simulator.model import DAY_MS, HOUR_MS, Frames, Rows
from ingestion.simulator.pocm import (
    truth_cohorts,
    truth_devices,
    truth_governance,
    truth_growth,
    truth_logistics,
    truth_stock,
)
from ingestion.simulator.pocm.figures import first_orders
from ingestion.simulator.pocm.generate import FIELDS

ABANDONED_AFTER_MS = 72 * HOUR_MS
STEPS = ("search", "product_view", "add_to_cart", "checkout", "payment")
SESSION_EVENTS = (
    "SEARCH",
    "SEARCH_RESULT_CLICKED",
    "PRODUCT_VIEWED",
    "CART_CREATED",
    "CART_ITEM_ADDED",
    "CART_ITEM_REMOVED",
    "CHECKOUT_STARTED",
    "ORDER_PLACED",
    "ORDER_CANCELLED",
    "PAYMENT_CAPTURED",
    "PAYMENT_FAILED",
)
NAMES_CURRENCY = (
    "PRODUCT_VIEWED",
    "CART_ITEM_ADDED",
    "CART_ITEM_REMOVED",
    "CHECKOUT_STARTED",
    "ORDER_PLACED",
    "PAYMENT_CAPTURED",
    "PAYMENT_FAILED",
)
CART_NAMES_CURRENCY = ("CART_ITEM_ADDED", "CART_ITEM_REMOVED", "CHECKOUT_STARTED", "ORDER_PLACED")
SESSION = ["tenant_id", "session_id"]

GROUPS: Sequence[Callable[[Frames], dict[str, Rows]]] = (
    truth_cohorts.true_values,
    truth_growth.true_values,
    truth_logistics.true_values,
    truth_governance.true_values,
    truth_devices.true_values,
    truth_stock.true_values,
)
"""What is true of the marts of the other groups of events."""
KPI_COUNTS: Sequence[Callable[[Frames], dict[str, pd.DataFrame]]] = (truth_logistics.kpi_counts,)
"""Their columns of the KPI marts: rows of tenant_id, occurred_at, currency and the `value` to add up."""
KPI_COUNTS_OF_PERIODS: Sequence[Callable[[Frames, int], dict[str, pd.DataFrame]]] = (
    truth_devices.kpi_counts,
)
"""The same for what is counted once in each period of a length in milliseconds."""
KPI_RATES: Mapping[str, tuple[str, str]] = {
    "return_rate": ("items_returned", "items_sold"),
    "rto_rate": ("rto", "shipments"),
    "device_adherence": ("patch_days_valid", "patch_days_prescribed"),
    "adverse_event_rate": ("adverse_events", "active_devices"),
}
"""Rates over those columns: numerator and denominator."""


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of every mart that the simulator knows the truth of."""
    events = {name: events.get(name, _no_events(name)) for name in FIELDS}
    of_groups = {mart: rows for true_values_of in GROUPS for mart, rows in true_values_of(events).items()}
    return of_groups | {
        "kpi_hourly": kpis(events, HOUR_MS, "hour"),
        "kpi_daily": kpis(events, DAY_MS, "day"),
        "funnel_step": funnel_step(events),
        "payments_daily": payments_daily(events),
        "active_users": active_users(events),
    }


def _no_events(event_type: str) -> pd.DataFrame:
    """Return an empty frame of the type: a small world may hold none."""
    dtypes = {"text": "str", "json": "str", "number": "float64", "flag": "bool"}
    columns = {name: dtypes.get(kind, "int64") for name, kind in FIELDS[event_type].items()}
    columns |= dict.fromkeys(("event_id", "tenant_id", "user_id", "session_id", "device_id"), "str")
    columns |= {"occurred_at": "int64", "items_quantity": "int64"}
    return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in columns.items()})


def kpis(events: Frames, period_ms: int, period_name: str) -> Rows:
    """Return one row per tenant, period and currency."""
    grain = ["tenant_id", "period", "currency"]

    def by(frame: pd.DataFrame, column: str = "occurred_at") -> Any:
        return frame.assign(period=frame[column] // period_ms * period_ms).groupby(grain)

    orders, refunds, captured = first_orders(events), events["REFUND_ISSUED"], events["PAYMENT_CAPTURED"]
    refunded = orders.merge(refunds[["tenant_id", "order_id"]].drop_duplicates())
    sessions, searches, carts = _sessions(events), _searches(events), _carts(events)
    table = pd.DataFrame(
        {
            "gmv": by(orders)["amount"].sum(),
            "orders": by(orders).size(),
            "items_sold": by(orders)["items_quantity"].sum(),
            "unique_purchasers": by(orders)["user_id"].nunique(),
            "sessions": by(sessions).size(),
            "payments_captured": by(captured).size(),
            "payments_captured_amount": by(captured)["amount"].sum(),
            "payments_failed": by(events["PAYMENT_FAILED"]).size(),
            "refunds": by(refunds).size(),
            "refund_amount": by(refunds)["amount"].sum(),
            "orders_refunded": by(refunded).size(),
            "searches": by(searches).size(),
            "zero_result_searches": by(searches)["is_empty"].sum(),
            "carts_created": by(carts).size(),
            "carts_abandoned": by(carts)["is_abandoned"].sum(),
            **{
                column: by(frame)["value"].sum()
                for counts in KPI_COUNTS
                for column, frame in counts(events).items()
            },
            **{
                column: by(frame)["value"].sum()
                for counts_of in KPI_COUNTS_OF_PERIODS
                for column, frame in counts_of(events, period_ms).items()
            },
        }
    )
    table = table.fillna(0).astype(np.int64).reset_index()
    return [_kpi_row(row, period_name) for row in table.sort_values(grain).to_dict("records")]


def _kpi_row(row: dict[str, Any], period_name: str) -> dict[str, Any]:
    attempts = row["payments_captured"] + row["payments_failed"]
    return {
        "tenant_id": row["tenant_id"],
        period_name: period_text(row["period"], period_name),
        **dict.fromkeys(truth_devices.KPI_OF_DAYS),
        **{name: value for name, value in row.items() if name not in ("tenant_id", "period")},
        "gmv": money_text(row["gmv"]),
        "payments_captured_amount": money_text(row["payments_captured_amount"]),
        "refund_amount": money_text(row["refund_amount"]),
        "conversion_rate": ratio(row["payments_captured"], row["sessions"]),
        "aov": money_ratio(row["gmv"], row["orders"]),
        "arpu": money_ratio(row["gmv"], row["unique_purchasers"]),
        "payment_success_rate": ratio(row["payments_captured"], attempts),
        "refund_rate": ratio(row["orders_refunded"], row["orders"]),
        "zero_result_rate": ratio(row["zero_result_searches"], row["searches"]),
        "cart_abandonment_rate": ratio(row["carts_abandoned"], row["carts_created"]),
        **{
            rate: ratio(row.get(numerator, 0), row.get(denominator, 0))
            for rate, (numerator, denominator) in KPI_RATES.items()
        },
    }


def _sessions(events: Frames) -> pd.DataFrame:
    """Sessions with their start (as `occurred_at`) and their currency."""
    seen = _columns(events, SESSION_EVENTS, [*SESSION, "occurred_at"]).dropna(subset=["session_id"])
    starts = seen.groupby(SESSION, as_index=False)["occurred_at"].min()
    return starts.merge(_first_currency(events, NAMES_CURRENCY, SESSION), how="left").fillna(
        {"currency": NO_CURRENCY}
    )


def _searches(events: Frames) -> pd.DataFrame:
    """Searches with the currency of their session."""
    searches = events["SEARCH"].assign(is_empty=events["SEARCH"]["results_count"] == 0)
    merged = searches.merge(_first_currency(events, NAMES_CURRENCY, SESSION), on=SESSION, how="left")
    return merged.fillna({"currency": NO_CURRENCY})


def _carts(events: Frames) -> pd.DataFrame:
    """Carts with their currency, and whether no order came out of them in time."""
    key = ["tenant_id", "cart_id"]
    carts = events["CART_CREATED"]
    placed = events["ORDER_PLACED"][[*key, "occurred_at"]].rename(columns={"occurred_at": "placed_at"})
    pairs = carts.merge(placed, on=key)
    wait = pairs["placed_at"] - pairs["occurred_at"]
    bought = (
        pairs[(wait >= 0) & (wait <= ABANDONED_AFTER_MS)][key].drop_duplicates().assign(is_abandoned=False)
    )
    carts = carts.merge(bought, on=key, how="left").fillna({"is_abandoned": True})
    carts["is_abandoned"] = carts["is_abandoned"].astype(bool)
    currency = _first_currency(events, CART_NAMES_CURRENCY, key)
    return carts.merge(currency, on=key, how="left").fillna({"currency": NO_CURRENCY})


def _first_currency(events: Frames, names: Iterable[str], key: Sequence[str]) -> pd.DataFrame:
    named = _columns(events, names, [*key, "currency", *ORDER]).dropna(subset=[*key, "currency"])
    return named.sort_values(ORDER).drop_duplicates(key)[[*key, "currency"]]


def funnel_step(events: Frames) -> Rows:
    """Return five rows per tenant, day of the session's start, and scope: `all`, or a product."""
    days = _sessions(events)[[*SESSION, "occurred_at"]].rename(columns={"occurred_at": "started_at"})
    days["day"] = days.pop("started_at") // DAY_MS * DAY_MS
    rows: Rows = []
    for scope, first in (("all", "SEARCH"), ("product", "SEARCH_RESULT_CLICKED")):
        key = SESSION if scope == "all" else [*SESSION, "product_id"]
        grain = ["tenant_id", "day"] if scope == "all" else ["tenant_id", "day", "product_id"]
        search, view, add = (
            _moments(events, name, key) for name in (first, "PRODUCT_VIEWED", "CART_ITEM_ADDED")
        )
        searched, viewed = _first(search, key), _first(view, key)
        viewed_after_search = _next(searched, view, key)
        added = _next(viewed, add, key)
        checked_out = _next(added, _moments(events, "CHECKOUT_STARTED", SESSION), key)
        paid = _next(checked_out, _moments(events, "PAYMENT_CAPTURED", SESSION), key)
        touched = (
            days
            if scope == "all"
            else pd.concat([search, view, add])[key].drop_duplicates().merge(days, on=SESSION)
        )
        groups = touched[grain].drop_duplicates().sort_values(grain)
        reached = [searched, viewed, added, checked_out, paid]
        following = [viewed_after_search, added, checked_out, paid, None]
        tables = [
            _step_table(here, after, days, key, grain) for here, after in zip(reached, following, strict=True)
        ]
        for group in groups.itertuples(index=False, name=None):
            rows.extend(_funnel_rows(group, tables))
    return rows


def _moments(events: Frames, name: str, key: Sequence[str]) -> pd.DataFrame:
    return events[name][[*key, "occurred_at"]].dropna(subset=["session_id"])


def _first(moments: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    return moments.groupby(list(key), as_index=False)["occurred_at"].min()


def _next(reached: pd.DataFrame, moments: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """The first of `moments` at or after each time reached, with the time since then."""
    on = [name for name in moments.columns if name != "occurred_at"]
    pairs = reached[[*key, "occurred_at"]].merge(moments.rename(columns={"occurred_at": "next_at"}), on=on)
    pairs = pairs[pairs["next_at"] >= pairs["occurred_at"]]
    first = pairs.groupby([*key, "occurred_at"], as_index=False)["next_at"].min()
    first["waited"] = first["next_at"] - first["occurred_at"]
    return first.assign(occurred_at=first.pop("next_at"))


def _step_table(
    here: pd.DataFrame, after: pd.DataFrame | None, days: pd.DataFrame, key: list[str], grain: list[str]
) -> dict[Any, tuple[int, int, float | None]]:
    """Sessions at the step, sessions at the next, and the median seconds between, by group."""
    counts = here.merge(days, on=SESSION).groupby(grain).size()
    table: dict[Any, tuple[int, int, float | None]] = {
        group: (int(n), 0, None) for group, n in counts.items()
    }
    if after is None:
        return table
    for group, waited in after.merge(days, on=SESSION).groupby(grain)["waited"]:
        table[group] = (table[group][0], len(waited), quantile_exact(waited, 0.5) / 1000)
    return table


def _funnel_rows(group: tuple[Any, ...], tables: list[dict[Any, tuple[int, int, float | None]]]) -> Rows:
    rows = []
    for number, (step, table) in enumerate(zip(STEPS, tables, strict=True), start=1):
        sessions, following, median = table.get(group, (0, 0, None))
        last = number == len(STEPS)
        rows.append(
            {
                "tenant_id": group[0],
                "day": period_text(group[1], "day"),
                "scope": group[2] if len(group) > 2 else "all",
                "step": step,
                "step_number": number,
                "sessions": sessions,
                "sessions_next": None if last else following,
                "drop_off_rate": None if last or not sessions else 1 - following / sessions,
                "median_seconds_to_next": median,
            }
        )
    return rows


def payments_daily(events: Frames) -> Rows:
    """Return one row per tenant, day, gateway, method and currency."""
    grain = ["tenant_id", "day", "gateway", "method", "currency"]
    captured = events["PAYMENT_CAPTURED"].assign(is_captured=True)
    attempts = pd.concat([captured, events["PAYMENT_FAILED"].assign(is_captured=False)])
    risk = attempts["risk_score"]
    attempts = attempts.assign(
        day=day_of(attempts),
        captured_amount=attempts["amount"].where(attempts["is_captured"], 0),
        risk=np.select([risk.isna(), risk < 0.3, risk < 0.7], ["unknown", "low", "medium"], "high"),
    )
    refunds, chargebacks = _refunds(events), _with_payment(events, events["CHARGEBACK_OPENED"])
    by_attempt = attempts.groupby(grain)
    table = pd.DataFrame(
        {
            "captured": by_attempt["is_captured"].sum(),
            "attempts": by_attempt.size(),
            "captured_amount": by_attempt["captured_amount"].sum(),
            **{f"risk_{band}": attempts[attempts["risk"] == band].groupby(grain).size()
               for band in ("low", "medium", "high", "unknown")},
            "refunds_full": refunds[~refunds["is_partial"]].groupby(grain).size(),
            "refunds_partial": refunds[refunds["is_partial"]].groupby(grain).size(),
            "refund_amount": refunds.groupby(grain)["amount"].sum(),
            "chargebacks": chargebacks.groupby(grain).size(),
        }
    )  # fmt: skip
    table = table.fillna(0).astype(np.int64)
    latencies = dict(iter(attempts.dropna(subset=["latency_ms"]).groupby(grain)["latency_ms"]))
    rows = []
    for key, row in zip(table.index, table.to_dict("records"), strict=True):
        latency = latencies.get(key)
        tenant, day, gateway, method, currency = key
        attempts_count = row.pop("attempts")
        rows.append(
            {
                "tenant_id": tenant,
                "day": period_text(day, "day"),
                "gateway": gateway,
                "method": method,
                "currency": currency,
                **row,
                "failed": attempts_count - row["captured"],
                "success_rate": ratio(row["captured"], attempts_count),
                "captured_amount": money_text(row["captured_amount"]),
                "refund_amount": money_text(row["refund_amount"]),
                **{
                    f"latency_p{level}_ms": None
                    if latency is None
                    else int(quantile_exact(latency, level / 100))
                    for level in (50, 95, 99)
                },
            }
        )
    return rows


def _with_payment(events: Frames, frame: pd.DataFrame) -> pd.DataFrame:
    """Attach gateway and method of the captured payment, and its amount as `paid`."""
    key = ["tenant_id", "payment_id"]
    captured = events["PAYMENT_CAPTURED"].sort_values(ORDER).drop_duplicates(key)
    paid = captured[[*key, "gateway", "method", "amount"]].rename(columns={"amount": "paid"})
    merged = frame.merge(paid, on=key, how="left").fillna({"gateway": "unknown", "method": "unknown"})
    return merged.assign(day=day_of(merged))


def _refunds(events: Frames) -> pd.DataFrame:
    """A refund is partial while the payment's refunds up to it do not add up to what was captured."""
    refunds = _with_payment(events, events["REFUND_ISSUED"]).sort_values(ORDER)
    so_far = refunds.groupby(["tenant_id", "payment_id"])["amount"].cumsum()
    return refunds.assign(is_partial=so_far < refunds["paid"])


def active_users(events: Frames) -> Rows:
    """Return distinct users of the trailing 1, 7 and 30 days, for each day of a tenant from first to last."""
    seen = pd.concat([frame[["tenant_id", "user_id"]].assign(day=day_of(frame)) for frame in events.values()])
    rows = []
    for tenant, mine in seen.groupby("tenant_id"):
        by_day = {day: set(users.dropna()) for day, users in mine.groupby("day")["user_id"]}
        for day in range(min(by_day), max(by_day) + DAY_MS, DAY_MS):
            counts = {
                name: len(set().union(*(by_day.get(day - back * DAY_MS, set()) for back in range(span))))
                for name, span in (("dau", 1), ("wau", 7), ("mau", 30))
            }
            rows.append({"tenant_id": tenant, "day": period_text(day, "day"), **counts})
    return rows


def _columns(events: Frames, names: Iterable[str], columns: Sequence[str]) -> pd.DataFrame:
    return pd.concat([events[name][list(columns)] for name in names])
