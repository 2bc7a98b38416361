"""Parcels: packed, promised, delayed, tried in vain, delivered or sent back; and what customers return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.drawing import Minter, draw, pick
from ingestion.simulator.model import HOUR_MS, EventBatch, Ints
from ingestion.simulator.pocm.generate import _batch
from ingestion.simulator.pocm.lines import order_lines
from ingestion.simulator.pocm.places import RECALLED_BATCH, batch_of, warehouse_of
from ingestion.simulator.pocm.tables import TENANTS, Tenant

FIRST_ID = 1 << 36
"""The ids that the shop gives out on a tenant's day lie below."""
STREAM = 1_000_100
CARRIERS = (("parcelpost", 0.5), ("swiftvan", 0.35), ("nightline", 0.15))
FAILURE_REASONS = ("nobody_home", "address_unclear", "access_denied")
ORIGIN_REASONS = ("undeliverable", "refused", "address_unknown")
RETURN_REASONS = ("changed_mind", "wrong_item", "defective", "late_delivery")
SERVICES = ((9, 0.25), (28, 0.35), (76, 0.4))
"""(hours promised from packing to arrival, share): the courier in town, express, standard."""
MOST_ATTEMPTS = 3
RATES = {
    "split": 0.06,
    "attempt_fails": 0.13,
    "refused": 0.015,
    "attempt_not_scanned": 0.02,
    "delay_is_told": 0.75,
    "eta_corrected": 0.06,
    "eta_after_delivery": 0.03,
    "scanned_late": 0.04,
    "line_returned": 0.06,
    "recalled_line_returned": 0.5,
}
"""Shares of orders, shipments, attempts and lines."""


@dataclass
class Part:
    """What the parcels of one tenant's day are drawn with, and what happened in the shop."""

    tenant: Tenant
    rng: np.random.Generator
    ids: Minter
    shop: Mapping[str, pd.DataFrame]

    def of(self, event_type: str, *columns: str) -> pd.DataFrame:
        """Return columns of the day's events of a type; no rows where it did not happen."""
        return self.shop.get(event_type, pd.DataFrame(columns=list(columns)))[list(columns)]


def logistics_events(index: int, seed: int, batches: Sequence[EventBatch]) -> list[EventBatch]:
    """Return what becomes of the orders that were paid on day `index`, given the day's other events."""
    found = []
    for number, tenant in enumerate(TENANTS):
        rng = np.random.default_rng([seed, index, number, STREAM])
        shop = {b.event_type: b.frame for b in batches if b.frame["tenant_id"].iloc[0] == tenant.tenant_id}
        day = Part(tenant, rng, Minter(seed, index, number, used=FIRST_ID), shop)
        frames = _followed(day)
        found += [_batch(name, tenant, day.ids, frame) for name, frame in frames.items() if len(frame)]
    return found


def _followed(day: Part) -> dict[str, pd.DataFrame]:
    shipments = _shipments(day)
    attempts = _attempts(day, shipments)
    last = attempts.drop_duplicates("shipment_id", keep="last").set_index("shipment_id")
    shipments = shipments.join(last[["occurred_at", "success"]].add_prefix("last_"), on="shipment_id")
    delivered = shipments[shipments["last_success"]].reset_index(drop=True)
    refused = shipments[~shipments["last_success"]].reset_index(drop=True)
    scanned = attempts[day.rng.random(len(attempts)) >= RATES["attempt_not_scanned"]]
    return {
        "SHIPMENT_CREATED": shipments,
        "ETA_REVISED": _revisions(day, shipments),
        "DELIVERY_ATTEMPTED": scanned,
        "SHIPMENT_DELIVERED": _deliveries(day, delivered),
        "SHIPMENT_RETURNED_TO_ORIGIN": pd.DataFrame(
            {
                "shipment_id": refused["shipment_id"],
                "reason": draw(day.rng, ORIGIN_REASONS, len(refused)),
                "occurred_at": refused["last_occurred_at"] + _hours(day, len(refused), 16, 0.5, 2, 120),
            }
        ),
        "RETURN_RECEIVED": _returns(day, delivered),
    }


def _chance(day: Part, rate: str, size: int) -> npt.NDArray[np.bool_]:
    return day.rng.random(size) < RATES[rate]


def _hours(day: Part, size: int, median: float, spread: float, least: float, most: float) -> Ints:
    """Return waiting times in milliseconds; median and limits are hours."""
    drawn = np.clip(day.rng.lognormal(np.log(median), spread, size), least, most)
    waits: Ints = (drawn * HOUR_MS).astype(np.int64)
    return waits


def _shipments(day: Part) -> pd.DataFrame:
    """Return one parcel for each paid order, sometimes two; what is cancelled before it is packed stays."""
    paid = day.of("PAYMENT_CAPTURED", "order_id", "occurred_at").sort_values("occurred_at")
    paid = paid.drop_duplicates("order_id").rename(columns={"occurred_at": "paid_at"})
    cancelled = day.of("ORDER_CANCELLED", "order_id", "occurred_at").drop_duplicates("order_id")
    orders = day.of("ORDER_PLACED", "order_id", "region", "city").drop_duplicates("order_id")
    orders = orders.merge(paid, on="order_id").merge(
        cancelled.rename(columns={"occurred_at": "cancelled_at"}), on="order_id", how="left"
    )
    packed = orders["paid_at"].to_numpy(np.int64) + _hours(day, len(orders), 5, 0.7, 0.5, 60)
    orders["occurred_at"] = packed
    orders = orders[~(orders["cancelled_at"] <= packed)]
    second = orders[_chance(day, "split", len(orders))].copy()
    second["occurred_at"] += _hours(day, len(second), 9, 0.5, 1, 40)
    shipments = pd.concat([orders, second], ignore_index=True)
    size = len(shipments)
    hours, shares = zip(*SERVICES, strict=True)
    promised = day.rng.choice(np.array(hours), size=size, p=np.array(shares))
    shipments["shipment_id"] = day.ids.new("shp_", size)
    shipments["warehouse_id"] = warehouse_of(day.tenant, shipments["order_id"].to_numpy(dtype=object))
    shipments["carrier"] = pick(day.rng, CARRIERS, size)
    shipments["eta"] = _full_hour(shipments["occurred_at"].to_numpy(np.int64) + promised * HOUR_MS)
    transit = _hours(day, size, 0.7, 0.38, 0.1, 4)
    shipments["arrives_at"] = shipments["occurred_at"] + transit * promised
    return shipments[
        [
            "shipment_id",
            "order_id",
            "warehouse_id",
            "region",
            "city",
            "carrier",
            "eta",
            "occurred_at",
            "arrives_at",
        ]
    ]


def _full_hour(moments: Ints) -> Ints:
    return -(-moments // HOUR_MS) * HOUR_MS


def _attempts(day: Part, shipments: pd.DataFrame) -> pd.DataFrame:
    """Return every time the carrier was at the door: until it succeeds, three times at most."""
    failures = np.minimum(day.rng.geometric(1 - RATES["attempt_fails"], len(shipments)) - 1, MOST_ATTEMPTS)
    refused = _chance(day, "refused", len(shipments))
    count = np.where(refused, 1, np.minimum(failures + 1, MOST_ATTEMPTS))
    shipment = np.repeat(np.arange(len(shipments)), count)
    attempt = 1 + np.arange(len(shipment)) - np.repeat(np.cumsum(count) - count, count)
    success = (attempt > failures[shipment]) & ~refused[shipment]
    reason = np.where(refused[shipment], "refused", draw(day.rng, FAILURE_REASONS, len(shipment)))
    reason[success] = None
    pause = day.rng.integers(18 * HOUR_MS, 30 * HOUR_MS, len(shipments))
    return pd.DataFrame(
        {
            "shipment_id": shipments["shipment_id"].to_numpy(dtype=object)[shipment],
            "attempt": attempt,
            "success": success,
            "failure_reason": reason,
            "occurred_at": shipments["arrives_at"].to_numpy(np.int64)[shipment]
            + (attempt - 1) * pause[shipment],
        }
    )


def _revisions(day: Part, shipments: pd.DataFrame) -> pd.DataFrame:
    """Return new promises: of parcels that slip, of a few that do not, and some that come after the parcel."""
    rng, size = day.rng, len(shipments)
    arrives, packed = shipments["arrives_at"].to_numpy(np.int64), shipments["occurred_at"].to_numpy(np.int64)
    slips = arrives > shipments["eta"].to_numpy(np.int64)
    told = np.where(slips, _chance(day, "delay_is_told", size), _chance(day, "eta_corrected", size))
    after = _chance(day, "eta_after_delivery", size)
    told_at = packed + ((arrives - packed) * rng.uniform(0.3, 0.95, size)).astype(np.int64)
    promise = _full_hour(arrives + rng.integers(-3 * HOUR_MS, 9 * HOUR_MS, size))
    after_at = shipments["last_occurred_at"].to_numpy(np.int64) + rng.integers(
        HOUR_MS // 2, 9 * HOUR_MS, size
    )
    names = shipments["shipment_id"].to_numpy(dtype=object)
    return pd.DataFrame(
        {
            "shipment_id": np.concatenate([names[told], names[after]]),
            "eta": np.concatenate([promise[told], _full_hour(after_at[after] + 24 * HOUR_MS)]),
            "occurred_at": np.concatenate([told_at[told], after_at[after]]),
        }
    )


def _deliveries(day: Part, delivered: pd.DataFrame) -> pd.DataFrame:
    """Return the hand-overs; the scanner reports most within minutes, some at the end of the tour."""
    size = len(delivered)
    tour = np.where(_chance(day, "scanned_late", size), _hours(day, size, 4, 0.4, 1, 9), 0)
    return pd.DataFrame(
        {
            "shipment_id": delivered["shipment_id"],
            "delivered_at": delivered["last_occurred_at"],
            "occurred_at": delivered["last_occurred_at"] + _hours(day, size, 0.03, 0.8, 0.002, 0.5) + tour,
        }
    )


def _returns(day: Part, delivered: pd.DataFrame) -> pd.DataFrame:
    """Return items that customers send back: a few of everything, and many of the recalled lot."""
    first = delivered.drop_duplicates("order_id")[["order_id", "last_occurred_at"]]
    orders = day.of("ORDER_PLACED", "order_id", "user_id", "items").drop_duplicates("order_id")
    orders = orders.merge(first, on="order_id").reset_index(drop=True)
    lines = order_lines(orders).merge(orders.drop(columns="items"), on="order_id")
    lot = batch_of(lines["product_id"].to_numpy(dtype=object), lines["order_id"].to_numpy(dtype=object))
    recalled = lot == RECALLED_BATCH
    size = len(lines)
    back = np.where(
        recalled, _chance(day, "recalled_line_returned", size), _chance(day, "line_returned", size)
    )
    reason = np.where(recalled, "recalled", draw(day.rng, RETURN_REASONS, size))
    quantity = day.rng.integers(1, lines["quantity"].to_numpy(np.int64) + 1)
    received = lines["last_occurred_at"].to_numpy(np.int64) + _hours(day, size, 30, 1.1, 1, 480)
    columns = lines[["order_id", "product_id", "user_id"]].assign(
        quantity=quantity, reason=reason, occurred_at=received
    )
    return columns[back].reset_index(drop=True)
