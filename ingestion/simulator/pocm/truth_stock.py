"""The true values of the stock's marts, in plain Python over days and pandas over events.

Goods are kept here as a warehouse would keep them: a queue of arrivals, of which the oldest leave first.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.figures import ORDER, day_of, first_orders, money_text, period_text, ratio
from ingestion.simulator.model import DAY_MS, Frames, Rows
from ingestion.simulator.pocm.lines import order_lines

SHELF = ["tenant_id", "product_id", "warehouse_id"]
BATCH = ["tenant_id", "batch_id"]
MOVES = [*SHELF, "batch_id", "occurred_at", "event_id", "quantity", "kind", "unit_cost"]
SEVERITIES = ("mild", "moderate", "severe", "fatal")


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of inventory_daily and batch_performance."""
    moves = _moves(events)
    return {"inventory_daily": _inventory(events, moves), "batch_performance": _batches(events, moves)}


def _moves(events: Frames) -> pd.DataFrame:
    received, shipped = events["STOCK_RECEIVED"], events["STOCK_SHIPPED"]
    adjusted, moved = events["STOCK_ADJUSTED"], events["STOCK_TRANSFERRED"]
    parts = [
        received.assign(kind="received"),
        shipped.assign(kind="shipped", quantity=-shipped["quantity"]),
        adjusted.assign(kind=adjusted["reason"], quantity=adjusted["delta"], unit_cost=0),
        moved.assign(kind="transfer", warehouse_id=moved["from"], quantity=-moved["quantity"], unit_cost=0),
        moved.assign(kind="transfer", warehouse_id=moved["to"], unit_cost=0),
    ]
    moves = pd.concat([part[MOVES] for part in parts], ignore_index=True)
    return moves.assign(day=day_of(moves) // DAY_MS)


def _inventory(events: Frames, moves: pd.DataFrame) -> Rows:
    rows: Rows = []
    last_days = moves.groupby("tenant_id")["day"].max()
    thresholds = dict(iter(events["REORDER_THRESHOLD_SET"].sort_values(ORDER).groupby(SHELF)))
    recalls = events["BATCH_RECALLED"].groupby(BATCH)["occurred_at"].min() // DAY_MS
    for shelf, mine in moves.groupby(SHELF):
        tenant = shelf[0]
        days = range(int(mine["day"].min()), int(last_days[tenant]) + 1)
        limits = _limits(thresholds.get(shelf))
        shelf_days = _Shelf(mine, {batch: day for (owner, batch), day in recalls.items() if owner == tenant})
        earlier = [day for day in limits if day < days[0]]
        shelf_days.threshold = limits[max(earlier)] if earlier else None
        for day in days:
            shelf_days.threshold = limits.get(day, shelf_days.threshold)
            rows.append(dict(zip(SHELF, shelf, strict=True)) | shelf_days.after(day))
    return rows


def _limits(thresholds: pd.DataFrame | None) -> dict[int, int]:
    """Return the threshold that was set last on each day on which one was set."""
    if thresholds is None:
        return {}
    days = day_of(thresholds) // DAY_MS
    return {int(day): int(limit) for day, limit in zip(days, thresholds["threshold"], strict=True)}


class _Shelf:
    """A product in a warehouse, day after day."""

    def __init__(self, moves: pd.DataFrame, recalls: dict[str, int]) -> None:
        self.moves = dict(iter(moves.groupby("day")))
        self.recalls = recalls
        self.threshold: int | None = None
        self.stock = 0
        self.arrivals: deque[list[int]] = deque()
        """(day, what is left of it), the oldest first."""
        self.owed = 0
        """What left before it was known to have come."""
        self.received = self.received_cost = self.shipped = self.shipped_cost = 0
        self.batches: dict[str, int] = {}
        self.history: list[tuple[int, int, int | None]] = []
        """(items shipped, their cost, value of the stock) of every day so far."""

    def after(self, day: int) -> dict[str, Any]:
        """Return the row of the next day."""
        moved = self.moves.get(day)
        totals = self._take(day, moved) if moved is not None else dict.fromkeys(("movements", *_TOTALS), 0)
        opening, self.stock = self.stock, self.stock + totals["net"]
        cost = self._unit_cost()
        value = None if cost is None else max(self.stock, 0) * cost
        self.history.append((totals["shipped"], totals["shipped_cost"], value))
        return {
            "day": period_text(day * DAY_MS, "day"),
            "movements": totals["movements"],
            "opening_stock": opening,
            "received": totals["received"],
            "units_sold": totals["shipped"],
            "shrinkage": totals["lost"],
            "stock_on_hand": self.stock,
            "stockout": opening > 0 >= self.stock,
            "reorder_threshold": self.threshold,
            "below_reorder_threshold": None if self.threshold is None else self.stock < self.threshold,
            "average_unit_cost": None if cost is None else money_text(cost),
            "stock_value": None if value is None else money_text(value),
            "cost_shipped": money_text(totals["shipped_cost"]),
            **self._windows(),
            "shrinkage_rate": ratio(totals["lost"], max(opening + totals["received"], 0)),
            **self._ages(day),
            "recalled_quantity": sum(
                max(held, 0)
                for batch, held in self.batches.items()
                if self.recalls.get(batch, day + 1) <= day
            ),
            "received_to_date": self.received,
            "received_cost_to_date": money_text(self.received_cost),
            "shipped_to_date": self.shipped,
            "shipped_cost_to_date": money_text(self.shipped_cost),
        }

    def _take(self, day: int, moved: pd.DataFrame) -> dict[str, int]:
        """Book a day's movements: what arrives first, then what leaves, of the oldest."""
        quantity, kind = moved["quantity"], moved["kind"]
        cost = quantity * moved["unit_cost"]
        totals = {
            "movements": len(moved),
            "net": int(quantity.sum()),
            "received": int(quantity[kind == "received"].sum()),
            "received_cost": int(cost[kind == "received"].sum()),
            "shipped": -int(quantity[kind == "shipped"].sum()),
            "shipped_cost": -int(cost[kind == "shipped"].sum()),
            "lost": -int(quantity[(kind == "shrinkage") & (quantity < 0)].sum()),
        }
        self.received += totals["received"]
        self.received_cost += totals["received_cost"]
        self.shipped += totals["shipped"]
        self.shipped_cost += totals["shipped_cost"]
        for batch, change in moved.groupby("batch_id")["quantity"].sum().items():
            self.batches[str(batch)] = self.batches.get(str(batch), 0) + int(change)
        self.arrivals.append([day, int(quantity[quantity > 0].sum())])
        self.owed -= int(quantity[quantity < 0].sum())
        while self.owed and self.arrivals:
            oldest = self.arrivals[0]
            leaves = min(self.owed, oldest[1])
            self.owed -= leaves
            oldest[1] -= leaves
            if not oldest[1]:
                self.arrivals.popleft()
        return totals

    def _unit_cost(self) -> int | None:
        if self.received:
            return self.received_cost // self.received
        return self.shipped_cost // self.shipped if self.shipped else None

    def _windows(self) -> dict[str, Any]:
        sold = sum(items for items, _, _ in self.history[-28:])
        month = self.history[-30:]
        cost = sum(cost for _, cost, _ in month)
        values = [value for _, _, value in month if value is not None]
        return {
            "units_sold_28d": sold,
            "days_of_cover": ratio(self.stock * 28, sold),
            "cost_shipped_30d": money_text(cost),
            "stock_value_30d": money_text(sum(values)),
            "days_valued_30d": len(values),
            "turnover_30d": cost / 10_000 * len(values) / (sum(values) / 10_000) if sum(values) else None,
        }

    def _ages(self, day: int) -> dict[str, int]:
        left = [(day - arrived, items) for arrived, items in self.arrivals]
        return {
            "quantity_age_0_30": sum(items for age, items in left if age <= 30),
            "quantity_age_31_60": sum(items for age, items in left if 30 < age <= 60),
            "quantity_age_61_90": sum(items for age, items in left if 60 < age <= 90),
            "quantity_age_over_90": sum(items for age, items in left if age > 90),
        }


_TOTALS = ("net", "received", "received_cost", "shipped", "shipped_cost", "lost")


def _batches(events: Frames, moves: pd.DataFrame) -> Rows:
    sold = _sold_lines(events)
    back = events["RETURN_RECEIVED"].merge(
        sold.drop_duplicates(["tenant_id", "order_id", "product_id"])[
            ["tenant_id", "order_id", "product_id", "batch_id"]
        ],
        on=["tenant_id", "order_id", "product_id"],
    )
    harm, recalls = events["ADVERSE_EVENT_REPORTED"].dropna(subset=["batch_id"]), events["BATCH_RECALLED"]
    facts = pd.concat(
        [
            moves.assign(received=moves["quantity"].where(moves["kind"] == "received", 0)),
            sold.assign(sold=sold["quantity"], event_id=sold["order_id"]),
            back.assign(returned=back["quantity"]),
            harm.assign(
                adverse_events=1, **{f"adverse_events_{s}": harm["severity"] == s for s in SEVERITIES}
            ),
            recalls.assign(recalled_at=recalls["occurred_at"]),
        ],
        ignore_index=True,
    ).sort_values(ORDER)
    counts = ("received", "sold", "returned", "adverse_events", *(f"adverse_events_{s}" for s in SEVERITIES))
    facts = facts.reindex(columns=[*BATCH, "product_id", "occurred_at", "recalled_at", *counts])
    grouped = facts.astype(dict.fromkeys(counts, "float64")).groupby(BATCH)
    table = grouped[list(counts)].sum().astype(np.int64)
    table["product_id"] = grouped["product_id"].first()
    table["recalled_at"] = grouped["recalled_at"].min()
    table["last_day"] = grouped["occurred_at"].max()
    rows = []
    for key, row in zip(table.index, table.to_dict("records"), strict=True):
        recalled = not pd.isna(row["recalled_at"])
        rows.append(
            {
                **dict(zip(BATCH, key, strict=True)),
                "product_id": None if pd.isna(row["product_id"]) else row["product_id"],
                **{name: row[name] for name in counts},
                "recalled": recalled,
                "recalled_at": period_text(int(row["recalled_at"]), "second") if recalled else None,
                "last_day": period_text(row["last_day"], "day"),
                "return_rate": ratio(row["returned"], row["sold"]),
                "adverse_events_per_unit_sold": ratio(row["adverse_events"], row["sold"]),
            }
        )
    return rows


def _sold_lines(events: Frames) -> pd.DataFrame:
    """Return the lines of orders whose batch the order names, or the first shipment of that product for it."""
    orders = first_orders(events)
    orders = orders[orders["items"].notna()] if "items" in orders else orders.iloc[:0].assign(items="")
    key = ["tenant_id", "order_id", "product_id"]
    packed = events["STOCK_SHIPPED"].sort_values(ORDER).drop_duplicates(key)[[*key, "batch_id"]]
    parts = [
        order_lines(mine).merge(mine[["order_id", "tenant_id", "occurred_at"]], on="order_id")
        for _, mine in orders.groupby("tenant_id")
    ]
    if not parts:
        return pd.DataFrame(columns=[*key, "batch_id", "quantity", "occurred_at"])
    lines = pd.concat(parts, ignore_index=True)
    lines = lines.merge(packed.rename(columns={"batch_id": "packed"}), on=key, how="left")
    lines["batch_id"] = lines["batch_id"].fillna(lines.pop("packed"))
    return lines.dropna(subset=["batch_id"]).sort_values(["occurred_at", "order_id", "line"])
