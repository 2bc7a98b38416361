"""Goods: they arrive in lots, leave for orders, move between warehouses, get lost, and one lot is recalled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.drawing import Minter
from ingestion.simulator.model import DAY_MS, HOUR_MS, EventBatch, Ints
from ingestion.simulator.pocm import places
from ingestion.simulator.pocm.generate import COSTS, FIELDS, MINUTE_MS, PRODUCT_IDS, _batch
from ingestion.simulator.pocm.lines import order_lines
from ingestion.simulator.pocm.tables import TENANTS, Tenant

FIRST_ID = 1 << 35
"""The ids of a tenant's day that belong to its warehouses begin here."""
STREAM = 1_000_120
UNITS_PER_VISIT = 1.2
"""What a visit sells in the mean, bulk orders included."""
DAYS_BETWEEN_RECEIPTS = 7
OPENING_DAYS = 9
"""How many days' demand lies in the warehouses at the beginning, of what is well supplied."""
SHORT_EVERY = 5
"""Of so many products one is badly supplied: it runs out and comes back."""
SHORT_SUPPLY = (0.5, 0.7, 1.8)
"""Shares of a week's demand that arrive of it, week by week."""
WITHOUT_THRESHOLD_EVERY = 7
"""Of so many products one has no reorder threshold."""
RATES = {
    "shrinkage": 0.06,
    "damage": 0.03,
    "count": 0.03,
    "transfer": 0.08,
    "line_stays": 0.02,
    "line_comes_back": 0.05,
    "threshold_changes": 0.02,
}
"""Shares of products in warehouses on a day, or of lines that were ordered."""


def recall_day(days: int) -> int:
    """Return the number of the day on which `places.RECALLED_BATCH` is recalled."""
    return 2 * days // 3


@dataclass
class Part:
    """What the movements of one tenant's day are drawn with, and what was ordered on it."""

    tenant: Tenant
    rng: np.random.Generator
    ids: Minter
    index: int
    days: int
    start: date
    scale: float
    orders: pd.DataFrame
    cancelled: pd.DataFrame

    @property
    def midnight(self) -> int:
        """Return when the day begins, in milliseconds since 1970."""
        first = datetime(self.start.year, self.start.month, self.start.day, tzinfo=UTC)
        return int((first + timedelta(days=self.index)).timestamp()) * 1000


def stock_events(
    index: int, days: int, start: date, scale: float, seed: int, batches: Sequence[EventBatch]
) -> list[EventBatch]:
    """Return what moves in the warehouses because of day `index` of `days`, given the day's other events."""
    found = []
    for number, tenant in enumerate(TENANTS):
        shop = {b.event_type: b.frame for b in batches if b.frame["tenant_id"].iloc[0] == tenant.tenant_id}
        day = Part(
            tenant,
            np.random.default_rng([seed, index, number, STREAM]),
            Minter(seed, index, number, used=FIRST_ID),
            index,
            days,
            start,
            scale,
            shop.get("ORDER_PLACED", pd.DataFrame(columns=["order_id", "items", "occurred_at"])),
            shop.get("ORDER_CANCELLED", pd.DataFrame(columns=["order_id", "occurred_at"])),
        )
        frames = _moved(day)
        found += [_batch(name, tenant, day.ids, frame) for name, frame in frames.items() if len(frame)]
    return found


def _moved(day: Part) -> dict[str, pd.DataFrame]:
    shelves = _shelves(day)
    shipped = _shipped(day)
    frames = {
        "STOCK_RECEIVED": _received(day, shelves),
        "STOCK_SHIPPED": shipped,
        "STOCK_ADJUSTED": pd.concat([_adjusted(day, shelves), _returned(day, shipped)], ignore_index=True),
        "STOCK_TRANSFERRED": _transferred(day, shelves),
        "REORDER_THRESHOLD_SET": _thresholds(day, shelves),
    }
    if day.index == recall_day(day.days):
        frames["BATCH_RECALLED"] = pd.DataFrame(
            {
                "batch_id": [places.RECALLED_BATCH],
                "product_id": [places.RECALLED_BATCH.removeprefix("B-")[:-3]],
                "reason": ["adhesive irritates the skin"],
                "occurred_at": [day.midnight + 9 * HOUR_MS],
            }
        )
    return frames


def _shelves(day: Part) -> pd.DataFrame:
    """Return every product in every warehouse with the units that a day sells of it there."""
    products = len(day.tenant.products)
    houses = np.array(places.warehouse_ids(day.tenant), dtype=object)
    weights = 1 / (np.arange(products) + 2.0)
    sold = day.tenant.visits_per_day * day.scale * UNITS_PER_VISIT * weights / weights.sum() / len(houses)
    product = np.repeat(np.arange(products), len(houses))
    return pd.DataFrame(
        {
            "product": product,
            "product_id": PRODUCT_IDS[product],
            "house": np.tile(np.arange(len(houses)), products),
            "warehouse_id": np.tile(houses, products),
            "daily": sold[product],
            "is_short": product % SHORT_EVERY == SHORT_EVERY - 2,
        }
    )


def _received(day: Part, shelves: pd.DataFrame) -> pd.DataFrame:
    """Return the deliveries: all lots at the beginning, two lots a week afterwards."""
    turn = day.index + shelves["product"] + 3 * shelves["house"]
    due = shelves[(turn % DAYS_BETWEEN_RECEIPTS == 0) | (day.index == 0)]
    week = (turn[due.index] // DAYS_BETWEEN_RECEIPTS).to_numpy(np.int64)
    if day.index == 0:
        lots = np.tile(np.arange(places.LOTS), (len(due), 1))
        days = np.where(due["is_short"], OPENING_DAYS / 3, OPENING_DAYS)
    else:
        lots = np.stack([2 * week % places.LOTS, (2 * week + 1) % places.LOTS], axis=1)
        supply = np.array(SHORT_SUPPLY)[week % len(SHORT_SUPPLY)]
        days = DAYS_BETWEEN_RECEIPTS * np.where(due["is_short"], supply, 1.0)
    parts = lots.shape[1]
    rows = due.loc[due.index.repeat(parts)].reset_index(drop=True)
    size = len(rows)
    quantity = rows["daily"].to_numpy() * np.repeat(days, parts) / parts * day.rng.uniform(0.9, 1.1, size)
    rows["quantity"] = np.maximum(np.ceil(quantity), 1).astype(np.int64)
    rows["batch_id"] = _lots(rows["product_id"], lots.ravel())
    cost = COSTS[rows["product"].to_numpy()] * day.rng.uniform(0.95, 1.05, size)
    rows["unit_cost"] = cost.round().astype(np.int64)
    rows["currency"] = day.tenant.currencies[0][0]
    # The later the lot, the longer it keeps.
    keeps = np.array([str(day.start + timedelta(days=400 + 120 * lot)) for lot in range(places.LOTS)], object)
    rows["expires_on"] = keeps[lots.ravel()]
    begins = 10 * MINUTE_MS if day.index == 0 else 6 * HOUR_MS
    rows["occurred_at"] = day.midnight + begins + np.arange(size) * 1300
    return rows


def _lots(product_ids: pd.Series, lots: Ints) -> npt.NDArray[np.object_]:
    names = np.array([places.batch_ids("")[lot].removeprefix("B-") for lot in range(places.LOTS)], object)
    chosen: npt.NDArray[np.object_] = "B-" + product_ids.to_numpy(dtype=object) + names[lots]
    return chosen


def _shipped(day: Part) -> pd.DataFrame:
    """Return what leaves for the day's orders, line by line; what was cancelled before it was packed stays."""
    orders = day.orders[["order_id", "items", "occurred_at"]].drop_duplicates("order_id")
    cancelled = day.cancelled[["order_id", "occurred_at"]].drop_duplicates("order_id")
    orders = orders.merge(
        cancelled.rename(columns={"occurred_at": "cancelled_at"}), on="order_id", how="left"
    )
    waits = np.clip(day.rng.lognormal(np.log(7), 0.8, len(orders)), 0.5, 70) * HOUR_MS
    orders["occurred_at"] = orders["occurred_at"].astype(np.int64) + waits.astype(np.int64)
    orders = orders[~(orders["cancelled_at"] <= orders["occurred_at"])]
    lines = order_lines(orders).merge(orders[["order_id", "occurred_at"]], on="order_id")
    lines = lines[day.rng.random(len(lines)) >= RATES["line_stays"]].reset_index(drop=True)
    keys = lines["order_id"].to_numpy(dtype=object)
    lines["batch_id"] = places.batch_of(lines["product_id"].to_numpy(dtype=object), keys)
    lines["warehouse_id"] = places.warehouse_of(day.tenant, keys)
    lines["currency"] = day.tenant.currencies[0][0]
    lines["occurred_at"] += lines["line"] * 40
    return lines.drop(columns=["line", "unit_price"])


def _returned(day: Part, shipped: pd.DataFrame) -> pd.DataFrame:
    """Return what customers send back and the warehouse puts on the shelf again; never what is recalled."""
    size = len(shipped)
    comes_back = day.rng.random(size) < RATES["line_comes_back"]
    waits = day.rng.integers(2 * DAY_MS, 14 * DAY_MS, size)
    back = shipped.assign(occurred_at=shipped["occurred_at"] + waits, delta=1, reason="return")
    return back[comes_back & (back["batch_id"] != places.RECALLED_BATCH)][
        [*FIELDS["STOCK_ADJUSTED"], "occurred_at"]
    ]


def _adjusted(day: Part, shelves: pd.DataFrame) -> pd.DataFrame:
    """Return what is missing, broken, or counted anew."""
    rng, parts = day.rng, []
    for reason, least, most in (("shrinkage", -4, 0), ("damage", -3, 0), ("count", -3, 4)):
        chosen = _some(day, shelves, reason)
        delta = rng.integers(least, most, len(chosen))
        parts.append(chosen.assign(delta=delta, reason=reason))
    rows = pd.concat(parts, ignore_index=True)
    rows["batch_id"] = _lots(rows["product_id"], rng.integers(0, places.LOTS, len(rows)))
    rows["occurred_at"] = day.midnight + 19 * HOUR_MS + rng.integers(0, HOUR_MS, len(rows))
    return rows[[*FIELDS["STOCK_ADJUSTED"], "occurred_at"]]


def _transferred(day: Part, shelves: pd.DataFrame) -> pd.DataFrame:
    """Return what one warehouse sends to the next."""
    rows = _some(day, shelves, "transfer")
    houses = np.array(places.warehouse_ids(day.tenant), dtype=object)
    rows = rows.rename(columns={"warehouse_id": "from"})
    rows["to"] = houses[(rows["house"].to_numpy() + 1) % len(houses)]
    rows["batch_id"] = _lots(rows["product_id"], day.rng.integers(0, places.LOTS, len(rows)))
    rows["quantity"] = np.maximum(np.ceil(rows["daily"] / 2), 1).astype(np.int64)
    rows["occurred_at"] = day.midnight + 16 * HOUR_MS + day.rng.integers(0, 2 * HOUR_MS, len(rows))
    return rows


def _thresholds(day: Part, shelves: pd.DataFrame) -> pd.DataFrame:
    """Return the stock below which buyers want to be told: three days' demand, later sometimes another."""
    with_threshold = shelves[shelves["product"] % WITHOUT_THRESHOLD_EVERY != 0]
    rows = with_threshold if day.index == 0 else _some(day, with_threshold, "threshold_changes")
    days = 3.0 if day.index == 0 else day.rng.uniform(1, 6, len(rows))
    return rows.assign(
        threshold=np.ceil(rows["daily"] * days).astype(np.int64),
        occurred_at=day.midnight + 8 * HOUR_MS + np.arange(len(rows)) * 900,
    )


def _some(day: Part, rows: pd.DataFrame, rate: str) -> pd.DataFrame:
    return rows[day.rng.random(len(rows)) < RATES[rate]].reset_index(drop=True)
