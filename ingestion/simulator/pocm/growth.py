"""What grows the shop: recommendations, promotions, affiliates, loyalty points, and subscribers who come and go.

Everything but the subscriptions follows from the day's visits and orders. A subscription is written with its whole
life on the day it begins; what lies beyond the simulated time is dropped there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.columns import MONEY_UNITS
from ingestion.simulator.drawing import Minter, draw, pick
from ingestion.simulator.model import DAY_MS, HOUR_MS, EventBatch, Ints
from ingestion.simulator.pocm.generate import CENT, MINUTE_MS, _batch, _midnight, _where
from ingestion.simulator.pocm.tables import AFFILIATES, PROMOTIONS, TENANTS, Tenant

FIRST_ID = 1 << 37
"""Ids given out by the other parts of a tenant's day lie below."""
STREAM = 1_000_110
CAMPAIGNS = (("reorder", 0.4), ("goes-with-it", 0.45), ("new-arrivals", 0.15))
SHOWN_TOGETHER = 3
PLANS = (
    ("sensor-basic", "month", 29.90),
    ("sensor-basic", "year", 299.00),
    ("sensor-plus", "month", 49.90),
    ("sensor-plus", "year", 499.00),
    ("care-line", "month", 12.50),
)
"""(plan, period, price in the tenant's first currency)."""
PLAN_SHARES = np.array([0.34, 0.12, 0.26, 0.1, 0.18])
UPGRADE_OF = np.array([2, 3, 2, 3, 0])
"""The plan that each plan changes to."""
CYCLES = 36
"""Periods after which a subscription is not followed any further."""

RATES = {
    "recommended": 0.4,
    "recommended_without_session": 0.03,
    "clicked": 0.3,
    "promotion_seen": 0.2,
    "promotion_seen_before_order": 0.8,
    "attributed": 0.95,
    "attributed_again": 0.04,
    "points_earned": 0.9,
    "points_doubled": 0.2,
    "points_redeemed": 0.08,
    "subscribers": 0.25,
    "subscribes": 0.04,
    "cancels_month": 0.06,
    "cancels_year": 0.25,
    "regrets": 0.25,
    "returns": 0.5,
    "upgrades": 0.05,
    "subscribes_twice": 0.02,
}
"""Shares of whatever each step acts on: views, orders, payments, users, visits, periods, starts, cancellations."""


@dataclass
class Part:
    """What the growth events of one tenant's day are drawn with, and what happened on the day."""

    tenant: Tenant
    rng: np.random.Generator
    ids: Minter
    day: Mapping[str, pd.DataFrame]

    def chance(self, rate: str, size: int) -> npt.NDArray[np.bool_]:
        """Return which of `size` trials succeed at a rate of `RATES`."""
        return self.rng.random(size) < RATES[rate]

    def of(self, event_type: str, columns: Sequence[str]) -> pd.DataFrame:
        """Return columns of the day's events of a type; none where it did not happen."""
        found = self.day.get(event_type)
        return pd.DataFrame(columns=list(columns)) if found is None else found[list(columns)]


def growth_events(
    index: int, start: date, scale: float, seed: int, batches: Sequence[EventBatch]
) -> list[EventBatch]:
    """Return the growth events caused on day `index` after `start`, given the day's other events."""
    found = []
    for number, tenant in enumerate(TENANTS):
        rng = np.random.default_rng([seed, index, number, STREAM])
        mine = {b.event_type: b.frame for b in batches if b.frame["tenant_id"].iloc[0] == tenant.tenant_id}
        part = Part(tenant, rng, Minter(seed, index, number, used=FIRST_ID), mine)
        frames = {
            **_recommendations(part),
            "PROMOTION_SHOWN": _promotions(part),
            "AFFILIATE_ATTRIBUTED": _attributions(part),
            **_loyalty(part),
            **_subscriptions(part, _midnight(start, index), scale, begins=index == 0),
        }
        found += [_batch(name, tenant, part.ids, frame) for name, frame in frames.items() if len(frame)]
    return found


def _recommendations(part: Part) -> dict[str, pd.DataFrame]:
    """Three products beside a product that is looked at, and what is chosen out of them."""
    rng = part.rng
    views = part.of("PRODUCT_VIEWED", ("occurred_at", "session_id", "user_id"))
    views = views[part.chance("recommended", len(views))]
    anonymous = part.chance("recommended_without_session", len(views))
    blocks = views.assign(
        occurred_at=views["occurred_at"] + rng.integers(200, 3_000, len(views)),
        session_id=_where(~anonymous, views["session_id"].to_numpy(object)),
        recommendation_id=part.ids.new("rec_", len(views)).to_numpy(),
        campaign=_where(rng.random(len(views)) < 0.85, pick(rng, CAMPAIGNS, len(views))),
    )
    shown = blocks.loc[blocks.index.repeat(SHOWN_TOGETHER)].reset_index(drop=True)
    position = np.tile(np.arange(SHOWN_TOGETHER), len(blocks))
    products = np.array(part.tenant.products, dtype=object)
    first = np.repeat(rng.integers(0, len(products), len(blocks)), SHOWN_TOGETHER)
    shown = shown.assign(position=position + 1, product_id=products[(first + 5 * position) % len(products)])
    clicked = shown[part.chance("clicked", len(shown)) & (rng.random(len(shown)) < 1 / shown["position"])]
    wait = rng.lognormal(np.log(20_000), 1.2, len(clicked)).astype(np.int64)
    again = clicked.assign(occurred_at=clicked["occurred_at"] + wait)
    twice = again[rng.random(len(again)) < 0.05]
    return {
        "RECOMMENDATION_SHOWN": shown,
        "RECOMMENDATION_CLICKED": pd.concat(
            [again, twice.assign(occurred_at=twice["occurred_at"] + 5 * MINUTE_MS)], ignore_index=True
        ),
    }


def _promotions(part: Part) -> pd.DataFrame:
    """Promotions that visitors see: most of those who redeem one saw it before."""
    rng = part.rng
    views = part.of("PRODUCT_VIEWED", ("occurred_at", "session_id", "user_id"))
    seen = views[part.chance("promotion_seen", len(views))]
    seen = seen.assign(
        occurred_at=seen["occurred_at"] + rng.integers(100, 2_000, len(seen)),
        promotion_code=draw(rng, PROMOTIONS, len(seen)),
    )
    orders = part.of("ORDER_PLACED", ("occurred_at", "session_id", "user_id", "promotion_code"))
    redeemed = orders[orders["promotion_code"].notna()]
    redeemed = redeemed[part.chance("promotion_seen_before_order", len(redeemed))]
    redeemed = redeemed.assign(
        occurred_at=redeemed["occurred_at"] - rng.integers(30_000, 20 * MINUTE_MS, len(redeemed))
    )
    # The first day has no yesterday that an event could have been received on.
    return _not_before_day([seen, redeemed], views)


def _not_before_day(parts: Sequence[pd.DataFrame], views: pd.DataFrame) -> pd.DataFrame:
    found = pd.concat(parts, ignore_index=True)
    earliest = views["occurred_at"].min() if len(views) else 0
    return found.assign(occurred_at=np.maximum(found["occurred_at"].to_numpy(np.int64), earliest))


def _attributions(part: Part) -> pd.DataFrame:
    """Orders credited to affiliates minutes to hours later; a few are claimed by a second one."""
    rng = part.rng
    columns = ("occurred_at", "order_id", "user_id", "affiliate_id", "amount", "currency")
    orders = part.of("ORDER_PLACED", columns).drop_duplicates("order_id")
    orders = orders[orders["affiliate_id"].notna()]
    orders = orders[part.chance("attributed", len(orders))]
    share = rng.integers(4, 9, len(orders))
    credited = orders.assign(
        occurred_at=orders["occurred_at"] + rng.integers(MINUTE_MS, 6 * HOUR_MS, len(orders)),
        commission=orders["amount"].to_numpy(np.int64) * share // (100 * CENT) * CENT,
    )
    claimed = credited[part.chance("attributed_again", len(credited))]
    claimed = claimed.assign(
        occurred_at=claimed["occurred_at"] + rng.integers(HOUR_MS, DAY_MS, len(claimed)),
        affiliate_id=draw(rng, AFFILIATES, len(claimed)),
    )
    return pd.concat([credited, claimed], ignore_index=True).drop(columns="amount")


def _loyalty(part: Part) -> dict[str, pd.DataFrame]:
    """A point for every unit of money paid, twice as many in a campaign; some are spent again."""
    rng = part.rng
    paid = part.of("PAYMENT_CAPTURED", ("occurred_at", "user_id", "amount")).dropna(subset=["user_id"])
    paid = paid[part.chance("points_earned", len(paid)) & (paid["amount"] >= MONEY_UNITS).to_numpy()]
    doubled = part.chance("points_doubled", len(paid))
    earned = paid.assign(
        occurred_at=paid["occurred_at"] + rng.integers(1_000, MINUTE_MS, len(paid)),
        points=paid["amount"].to_numpy(np.int64) // MONEY_UNITS * (1 + doubled),
        campaign=_where(doubled, np.full(len(paid), "double-points", dtype=object)),
    ).drop(columns="amount")
    spent = earned[part.chance("points_redeemed", len(earned))]
    spent = spent.assign(
        occurred_at=spent["occurred_at"] + rng.integers(HOUR_MS, 4 * DAY_MS, len(spent)),
        points=rng.integers(1, 10, len(spent)) * 50,
        campaign=None,
    )
    return {"LOYALTY_POINTS_EARNED": earned, "LOYALTY_POINTS_REDEEMED": spent}


def _subscriptions(part: Part, midnight: int, scale: float, begins: bool) -> dict[str, pd.DataFrame]:
    """The day's new subscribers with all that follows; on the first day also those there were before."""
    rng, tenant = part.rng, part.tenant
    known = max(1, round(tenant.users * scale))
    before = round(known * RATES["subscribers"]) if begins else 0
    new = int(rng.poisson(tenant.visits_per_day * scale * RATES["subscribes"]))
    size = before + new
    shares = np.array([share for _, share, _ in tenant.currencies])
    lives = pd.DataFrame(
        {
            "subscription_id": part.ids.new("sub_", size),
            "user_id": part.ids.of("usr_", rng.integers(0, known, size)),
            "choice": rng.choice(len(PLANS), size=size, p=PLAN_SHARES),
            "priced_in": rng.choice(len(shares), size=size, p=shares / shares.sum()),
            "is_new": np.arange(size) >= before,
            "began": midnight + rng.integers(0, DAY_MS, size),
        }
    )
    first, returned = _life(part, lives)
    moves = [first, _life(part, returned)[0]] if len(returned) else [first]
    found = pd.concat(moves, ignore_index=True)
    return {
        f"SUBSCRIPTION_{move}": _priced(tenant, found[found["move"] == move])
        for move in ("STARTED", "RENEWED", "CANCELLED")
    }


def _life(part: Part, lives: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the events of subscriptions until they are cancelled, and those that come back after that."""
    rng, size = part.rng, len(lives)
    is_yearly = np.array([period == "year" for _, period, _ in PLANS])[lives["choice"]]
    length = np.where(is_yearly, 365, 30) * DAY_MS
    is_new = lives["is_new"].to_numpy()
    # Of those who were there before, only the renewals are ever seen; they fall on any day of their period.
    origin = lives["began"].to_numpy() - np.where(is_new, 0, (rng.random(size) * length).astype(np.int64))
    regrets = part.chance("regrets", size) & is_new
    leaves_after = rng.geometric(np.where(is_yearly, RATES["cancels_year"], RATES["cancels_month"]), size)
    ended = origin + (leaves_after - rng.random(size)).clip(0.01) * length
    ended = np.where(regrets, origin + rng.uniform(0.2, 30, size) * HOUR_MS, ended)
    ended = np.maximum(ended.astype(np.int64), lives["began"].to_numpy() + HOUR_MS)
    cycle = np.tile(np.arange(1, CYCLES + 1), size)
    row = np.repeat(np.arange(size), CYCLES)
    due = origin[row] + cycle * length[row]
    is_due = (due < ended[row]) & (due >= lives["began"].to_numpy()[row])
    renewed = lives.iloc[row[is_due]].assign(occurred_at=due[is_due], move="RENEWED")
    upgraded = part.chance("upgrades", len(renewed))
    renewed["choice"] = np.where(upgraded, UPGRADE_OF[renewed["choice"]], renewed["choice"])
    started = lives[is_new].assign(occurred_at=origin[is_new], move="STARTED")
    twice = started[part.chance("subscribes_twice", len(started))]
    twice = twice.assign(occurred_at=twice["occurred_at"] + MINUTE_MS)
    cancelled = lives.assign(occurred_at=ended, move="CANCELLED")
    back = lives[part.chance("returns", size) & (regrets | (rng.random(size) < 0.3))]
    wait = (rng.exponential(3, len(back)).clip(0.02, 40) * DAY_MS).astype(np.int64)
    back = back.assign(is_new=True, began=ended[back.index] + wait).reset_index(drop=True)
    return pd.concat([started, twice, renewed, cancelled], ignore_index=True), back


def _priced(tenant: Tenant, moves: pd.DataFrame) -> pd.DataFrame:
    """Name plan, period, currency and amount."""
    choice, place = moves["choice"].to_numpy(), moves["priced_in"].to_numpy()
    levels = np.array([level for _, _, level in tenant.currencies])
    euros: Ints = np.array([round(price * 100) for _, _, price in PLANS], dtype=np.int64)[choice]
    return pd.DataFrame(
        {
            "subscription_id": moves["subscription_id"],
            "plan": np.array([plan for plan, _, _ in PLANS], dtype=object)[choice],
            "period": np.array([period for _, period, _ in PLANS], dtype=object)[choice],
            "currency": np.array([name for name, _, _ in tenant.currencies], dtype=object)[place],
            "amount": np.round(euros * levels[place]).astype(np.int64) * CENT,
            "user_id": moves["user_id"],
            "occurred_at": moves["occurred_at"],
        }
    )
