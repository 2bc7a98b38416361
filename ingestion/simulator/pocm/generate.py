"""One day of `pocm`: what visitors, the shop's back office and the catalogue's editors cause on it.

Every function works on whole columns. A *visit* is what one visitor does in one go; its events are laid out
by phase and then given times by one running sum over all visits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ingestion.simulator.columns import (
    MONEY_UNITS,
    Kind,
    concatenated,
    constant,
    json_arrays,
    json_objects,
    json_value,
    text_array,
)
from ingestion.simulator.drawing import Minter, as_series, draw, pick
from ingestion.simulator.model import ENVELOPE, HOUR_MS, EventBatch, Ints
from ingestion.simulator.pocm import places, tables
from ingestion.simulator.pocm.tables import RATES, Tenant

MINUTE_MS = 60_000
BROWSE, RECOVERY, HEADLESS = 0, 1, 2
CENT = MONEY_UNITS // 100
PRICES = np.array([round(product.price * 100) * CENT for product in tables.PRODUCTS], dtype=np.int64)
COSTS = np.array([round(product.unit_cost * MONEY_UNITS) for product in tables.PRODUCTS], dtype=np.int64)
PRODUCT_IDS = np.array([product.product_id for product in tables.PRODUCTS], dtype=object)

CART_FIELDS: Mapping[str, Kind] = {
    "cart_id": "text",
    "product_id": "text",
    "quantity": "integer",
    "unit_price": "money",
    "currency": "text",
}
STOCK_FIELDS: Mapping[str, Kind] = {"product_id": "text", "warehouse_id": "text", "batch_id": "text"}
PAYMENT_FIELDS: Mapping[str, Kind] = {
    "payment_id": "text",
    "order_id": "text",
    "amount": "money",
    "currency": "text",
    "gateway": "text",
    "method": "text",
    "latency_ms": "integer",
    "risk_score": "number",
    "failure_code": "text",
    "attempt": "integer",
}
SUBSCRIPTION_FIELDS: Mapping[str, Kind] = {
    "subscription_id": "text",
    "plan": "text",
    "amount": "money",
    "currency": "text",
    "period": "text",
}
RECOMMENDATION_FIELDS: Mapping[str, Kind] = {
    "recommendation_id": "text",
    "product_id": "text",
    "position": "integer",
    "campaign": "text",
}
FIELDS: Mapping[str, Mapping[str, Kind]] = {
    "USER_REGISTERED": {
        "region": "text",
        "city": "text",
        "channel": "text",
        "email": "text",
        "phone": "text",
        "full_name": "text",
    },
    "LOGIN": {"method": "text", "success": "flag"},
    "CONSENT_CHANGED": {"purpose": "text", "granted": "flag"},
    "NOTIFICATION_SENT": {"channel": "text", "template": "text"},
    "NOTIFICATION_OPENED": {"channel": "text", "template": "text"},
    "SEARCH": {"search_id": "text", "query": "text", "results_count": "integer"},
    "SEARCH_RESULT_CLICKED": {"search_id": "text", "product_id": "text", "position": "integer"},
    "RECOMMENDATION_SHOWN": RECOMMENDATION_FIELDS,
    "RECOMMENDATION_CLICKED": RECOMMENDATION_FIELDS,
    "PROMOTION_SHOWN": {"promotion_code": "text"},
    "AFFILIATE_ATTRIBUTED": {
        "affiliate_id": "text",
        "order_id": "text",
        "commission": "money",
        "currency": "text",
    },
    "SUBSCRIPTION_STARTED": SUBSCRIPTION_FIELDS,
    "SUBSCRIPTION_RENEWED": SUBSCRIPTION_FIELDS,
    "SUBSCRIPTION_CANCELLED": SUBSCRIPTION_FIELDS,
    "LOYALTY_POINTS_EARNED": {"points": "integer", "campaign": "text"},
    "LOYALTY_POINTS_REDEEMED": {"points": "integer", "campaign": "text"},
    "PRODUCT_VIEWED": {"product_id": "text", "price": "money", "currency": "text", "channel": "text"},
    "CART_CREATED": {"cart_id": "text"},
    "CART_ITEM_ADDED": CART_FIELDS,
    "CART_ITEM_REMOVED": CART_FIELDS,
    "CHECKOUT_STARTED": {"cart_id": "text", "amount": "money", "currency": "text"},
    "ORDER_PLACED": {
        "order_id": "text",
        "cart_id": "text",
        "amount": "money",
        "currency": "text",
        "channel": "text",
        "region": "text",
        "city": "text",
        "promotion_code": "text",
        "discount_amount": "money",
        "affiliate_id": "text",
        "items": "json",
    },
    "ORDER_CANCELLED": {"order_id": "text", "reason": "text"},
    "PAYMENT_CAPTURED": {name: kind for name, kind in PAYMENT_FIELDS.items() if name != "failure_code"},
    "PAYMENT_FAILED": PAYMENT_FIELDS,
    "REFUND_ISSUED": {
        "refund_id": "text",
        "payment_id": "text",
        "order_id": "text",
        "amount": "money",
        "currency": "text",
        "reason": "text",
    },
    "CHARGEBACK_OPENED": {
        "payment_id": "text",
        "order_id": "text",
        "amount": "money",
        "currency": "text",
        "reason": "text",
    },
    "DEVICE_ACTIVATED": {
        "device_type": "text",
        "firmware_version": "text",
        "batch_id": "text",
        "product_id": "text",
    },
    "PRESCRIPTION_ASSIGNED": {
        "prescription_id": "text",
        "starts_on": "text",
        "prescribed_days": "integer",
        "product_id": "text",
    },
    "PATCH_APPLIED": {
        "patch_id": "text",
        "batch_id": "text",
        "valid": "flag",
        "wear_minutes": "integer",
        "product_id": "text",
    },
    "DOSE_DELIVERED": {
        "dose_id": "text",
        "prescribed_mg": "number",
        "delivered_mg": "number",
        "success": "flag",
    },
    "SENSOR_READING": {"sensor": "text", "value": "number", "unit": "text"},
    "DEVICE_STATUS": {
        "status": "text",
        "battery_pct": "integer",
        "firmware_version": "text",
        "error_code": "text",
    },
    "FIRMWARE_UPDATED": {"from": "text", "to": "text"},
    "DEVICE_INTERACTION": {"action": "text", "duration": "number", "location": "text"},
    "ADVERSE_EVENT_REPORTED": {"severity": "text", "code": "text", "batch_id": "text"},
    "SHIPMENT_CREATED": {
        "shipment_id": "text",
        "order_id": "text",
        "warehouse_id": "text",
        "region": "text",
        "city": "text",
        "carrier": "text",
        "eta": "time",
    },
    "ETA_REVISED": {"shipment_id": "text", "eta": "time"},
    "DELIVERY_ATTEMPTED": {
        "shipment_id": "text",
        "attempt": "integer",
        "success": "flag",
        "failure_reason": "text",
    },
    "SHIPMENT_DELIVERED": {"shipment_id": "text", "delivered_at": "time"},
    "SHIPMENT_RETURNED_TO_ORIGIN": {"shipment_id": "text", "reason": "text"},
    "RETURN_RECEIVED": {"order_id": "text", "product_id": "text", "quantity": "integer", "reason": "text"},
    "COMPLIANCE_AUDIT": {
        "actor": "text",
        "action": "text",
        "resource": "text",
        "resource_id": "text",
        "purpose": "text",
        "outcome": "text",
    },
    "GDPR_EXPORT_REQUESTED": {"request_id": "text", "channel": "text"},
    "GDPR_EXPORT_COMPLETED": {"request_id": "text", "records": "integer"},
    "ML_PREDICTION": {
        "model": "text",
        "model_version": "text",
        "subject": "text",
        "score": "number",
        "outcome": "text",
    },
    "PRODUCT_UPSERTED": {
        "product_id": "text",
        "name": "text",
        "category": "text",
        "brand": "text",
        "is_patch": "flag",
        "unit_cost": "money",
    },
    "WAREHOUSE_UPSERTED": {"warehouse_id": "text", "region": "text", "city": "text"},
    "STOCK_RECEIVED": {
        **STOCK_FIELDS,
        "quantity": "integer",
        "unit_cost": "money",
        "currency": "text",
        "expires_on": "text",
    },
    "STOCK_SHIPPED": {
        **STOCK_FIELDS,
        "quantity": "integer",
        "unit_cost": "money",
        "currency": "text",
        "order_id": "text",
    },
    "STOCK_ADJUSTED": {**STOCK_FIELDS, "delta": "integer", "reason": "text"},
    "STOCK_TRANSFERRED": {
        "product_id": "text",
        "from": "text",
        "to": "text",
        "batch_id": "text",
        "quantity": "integer",
    },
    "REORDER_THRESHOLD_SET": {"product_id": "text", "warehouse_id": "text", "threshold": "integer"},
    "BATCH_RECALLED": {"batch_id": "text", "product_id": "text", "reason": "text"},
}
"""Payload fields of each event type, in the order in which the producers send them."""

SENDS_NULL = frozenset({"latency_ms", "risk_score"})
"""Required by the contract, and null where the gateway has no value."""
WITHOUT_KEY = (
    "SEARCH",
    "SEARCH_RESULT_CLICKED",
    "PRODUCT_VIEWED",
    "RECOMMENDATION_SHOWN",
    "RECOMMENDATION_CLICKED",
    "PROMOTION_SHOWN",
    "NOTIFICATION_SENT",
    "NOTIFICATION_OPENED",
    "SENSOR_READING",
    "DEVICE_STATUS",
    "DEVICE_INTERACTION",
)
"""Event types whose producers send no idempotency key."""
SERVICES: Mapping[str, tuple[str, str]] = {
    "ORDER": ("order-service", "4.2.0"),
    "PAYMENT": ("payment-service", "3.11.2"),
    "REFUND": ("payment-service", "3.11.2"),
    "CHARGEBACK": ("payment-service", "3.11.2"),
    "PRODUCT_UPSERTED": ("catalogue-service", "1.8.0"),
    "WAREHOUSE": ("catalogue-service", "1.8.0"),
    "STOCK": ("warehouse-service", "6.0.1"),
    "REORDER": ("warehouse-service", "6.0.1"),
    "BATCH": ("quality-service", "1.1.0"),
    "SHIPMENT": ("delivery-service", "2.7.1"),
    "ETA": ("delivery-service", "2.7.1"),
    "DELIVERY": ("delivery-service", "2.7.1"),
    "RETURN": ("delivery-service", "2.7.1"),
    "NOTIFICATION": ("notification-service", "2.0.5"),
    "AFFILIATE": ("partner-service", "0.9.4"),
    "LOYALTY": ("loyalty-service", "2.2.0"),
    "SUBSCRIPTION": ("subscription-service", "1.6.3"),
    "DEVICE": ("device-gateway", "7.3.1"),
    "FIRMWARE": ("device-gateway", "7.3.1"),
    "PATCH": ("device-gateway", "7.3.1"),
    "DOSE": ("device-gateway", "7.3.1"),
    "SENSOR": ("device-gateway", "7.3.1"),
    "PRESCRIPTION": ("care-service", "1.2.0"),
    "ADVERSE": ("safety-service", "2.0.1"),
    "COMPLIANCE": ("access-log", "3.0.2"),
    "GDPR": ("privacy-service", "1.1.0"),
    "ML": ("model-server", "0.21.0"),
    "USER": ("identity-service", "5.1.1"),
    "LOGIN": ("identity-service", "5.1.1"),
    "CONSENT": ("identity-service", "5.1.1"),
}
"""Producer by the beginning of the event type; the storefront sends the rest."""
STOREFRONT = ("storefront", "12.3.0")


@dataclass
class Step:
    """Events of one type inside visits, before they have times."""

    event_type: str
    visit: Ints
    phase: npt.NDArray[np.float64]
    """Order inside the visit."""
    columns: dict[str, Any]
    pace: float = 1.0
    """How long the gap before it is, against the usual one."""
    occurred_at: Ints = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass
class Day:
    """What the generation of one tenant's day needs everywhere."""

    tenant: Tenant
    rng: np.random.Generator
    ids: Minter
    levels: Ints
    """Prices in money units by currency and product."""

    def currency_names(self, currency: Ints) -> npt.NDArray[np.object_]:
        """Return currency codes by their place in the tenant's list."""
        return np.array([name for name, _, _ in self.tenant.currencies], dtype=object)[currency]

    def chance(self, rate: str, size: int) -> npt.NDArray[np.bool_]:
        """Return which of `size` trials succeed at a rate of `RATES`."""
        return self.rng.random(size) < RATES[rate]


def _where(present: npt.NDArray[np.bool_], values: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """Return the values that are present; the others are None."""
    chosen = values.astype(object)
    chosen[~present] = None
    return chosen


def day_events(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return the events caused on day `index` after `start`, of all tenants, by type."""
    batches: list[EventBatch] = []
    for number, tenant in enumerate(tables.TENANTS):
        batches.extend(_tenant_day(tenant, number, index=index, start=start, scale=scale, seed=seed))
    return batches


def catalogue_events(index: int, start: date, seed: int, changes: bool) -> list[EventBatch]:
    """Return the catalogue as upserts: all of it, or the changes at the middle of the period."""
    batches = []
    for number, tenant in enumerate(tables.TENANTS):
        ids = Minter(seed, index, number, used=(1 << 39) + (1 << 38) * changes)
        opened = _midnight(start, index) + (11 * HOUR_MS if changes else 5 * MINUTE_MS)
        catalogue = {product.product_id: product.__dict__ for product in tables.PRODUCTS}
        rows = (
            [
                {**catalogue[name], **change}
                for name, change in tables.PRODUCT_CHANGES
                if name in tenant.products
            ]
            if changes
            else [catalogue[name] for name in tenant.products]
        )
        frame = pd.DataFrame(rows)
        frame["unit_cost"] = (frame["unit_cost"] * MONEY_UNITS).round().astype(np.int64)
        frame["occurred_at"] = opened + np.arange(len(frame)) * 750
        batches.append(_batch("PRODUCT_UPSERTED", tenant, ids, frame))
        if not changes:
            sites = [tenant.regions[place] for _, place in tables.WAREHOUSES]
            houses = pd.DataFrame(sites, columns=["region", "city"])
            houses["warehouse_id"] = places.warehouse_ids(tenant)
            houses["occurred_at"] = opened - MINUTE_MS + np.arange(len(houses)) * 400
            batches.append(_batch("WAREHOUSE_UPSERTED", tenant, ids, houses))
    return batches


def _tenant_day(
    tenant: Tenant, number: int, *, index: int, start: date, scale: float, seed: int
) -> list[EventBatch]:
    rng = np.random.default_rng([seed, index, number])
    levels = np.array(
        [np.round(PRICES * level / CENT).astype(np.int64) * CENT for _, _, level in tenant.currencies]
    )
    day = Day(tenant, rng, Minter(seed, index, number), levels)
    visits = _visits(day, index, start, scale)
    units = _browsing(day, visits)
    lines = _cart_lines(day, visits, units)
    visits, lines = _with_returns_and_headless(day, visits, lines, _midnight(start, index))
    steps = [
        *_account_steps(day, visits),
        *_browsing_steps(day, visits, units, lines),
        *_cart_steps(day, visits, lines),
        *_purchase_steps(day, visits, lines),
    ]
    _set_times(day, visits, steps)
    frames = {step.event_type: _visit_frame(day, visits, step) for step in steps}
    frames |= _aftermath(day, frames)
    return [_batch(name, tenant, day.ids, frame) for name, frame in frames.items() if len(frame)]


def _midnight(start: date, index: int) -> int:
    moment = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=index)
    return int(moment.timestamp()) * 1000


def _visits(day: Day, index: int, start: date, scale: float) -> pd.DataFrame:
    """Return the day's visits: when they start, who comes, through which channel, with which currency."""
    tenant, rng = day.tenant, day.rng
    weekday = (start + timedelta(days=index)).weekday()
    size = int(rng.poisson(tenant.visits_per_day * scale * tables.WEEKDAY_WEIGHTS[weekday]))
    weights = np.array(tables.HOUR_WEIGHTS)
    local_hour = rng.choice(24, size=size, p=weights / weights.sum())
    hour = (local_hour - tenant.utc_offset_hours) % 24
    is_new = day.chance("new_user", size)
    known = max(1, round(tenant.users * scale))
    newcomers_per_day = max(1, round(tenant.visits_per_day * scale))
    # The square favours low numbers: a few users come often, most rarely.
    user = (known * rng.random(size) ** 2).astype(np.int64)
    user[is_new] = (10_000_000 + index * 10 * newcomers_per_day) + np.arange(int(is_new.sum()))
    user[day.chance("anonymous", size) & ~is_new] = -1
    shares = np.array([share for _, share, _ in tenant.currencies])
    currency = rng.choice(len(shares), size=size, p=shares / shares.sum())
    switches = day.chance("switches_currency", size)
    return pd.DataFrame(
        {
            "kind": np.full(size, BROWSE),
            "start": _midnight(start, index) + hour * HOUR_MS + rng.integers(0, HOUR_MS, size),
            "user": user,
            "is_new": is_new,
            "channel": pick(rng, tables.CHANNELS, size),
            "currency": currency,
            "cart_currency": np.where(switches, (currency + 1) % len(shares), currency),
            "region": rng.integers(0, len(tenant.regions), size),
            "session_id": day.ids.new("ses_", size),
            "cart_id": day.ids.new("crt_", size),
            "cart_first": day.chance("cart_first", size),
        }
    )


def _browsing(day: Day, visits: pd.DataFrame) -> pd.DataFrame:
    """Return what is looked at: one row per search or product, with what came of it."""
    rng = day.rng
    looks = np.where(day.chance("bounce", len(visits)), 0, np.minimum(rng.geometric(0.36, len(visits)), 15))
    visit = np.repeat(np.arange(len(visits)), looks)
    size = len(visit)
    searched = day.chance("search", size)
    empty = searched & day.chance("zero_results", size)
    clicked = searched & ~empty & day.chance("click", size)
    return pd.DataFrame(
        {
            "visit": visit,
            "number": np.arange(size) - np.repeat(np.cumsum(looks) - looks, looks),
            "searched": searched,
            "clicked": clicked,
            "viewed": ~searched | (clicked & day.chance("view_after_click", size)),
            "results": np.where(empty, 0, rng.integers(1, 90, size)),
            "position": rng.geometric(0.35, size),
            "product": _popular_products(day, size),
        }
    )


def _popular_products(day: Day, size: int) -> Ints:
    weights = 1 / (np.arange(len(day.tenant.products)) + 2.0)
    return day.rng.choice(len(weights), size=size, p=weights / weights.sum())


def _cart_lines(day: Day, visits: pd.DataFrame, units: pd.DataFrame) -> pd.DataFrame:
    """Return what goes into carts: mostly products just viewed; some of it is taken out again."""
    rng = day.rng
    has_cart = day.chance("cart", len(visits))
    count = np.where(has_cart, np.minimum(rng.geometric(0.55, len(visits)), 8), 0)
    visit = np.repeat(np.arange(len(visits)), count)
    viewed = units[units["viewed"]]
    views = np.bincount(viewed["visit"], minlength=len(visits))
    first = np.cumsum(views) - views
    choice = first[visit] + (rng.random(len(visit)) * views[visit]).astype(np.int64)
    seen = np.append(viewed["product"].to_numpy(), 0)[np.minimum(choice, len(viewed))]
    unseen = (views[visit] == 0) | day.chance("adds_unviewed", len(visit))
    product = np.where(unseen, _popular_products(day, len(visit)), seen)
    return pd.DataFrame(
        {
            "visit": visit,
            "product": product,
            "quantity": np.minimum(rng.geometric(0.7, len(visit)), 20),
            "unit_price": day.levels[visits["cart_currency"].to_numpy()[visit], product],
            "removed": day.chance("removes_line", len(visit)),
            "sent": True,
        }
    )


def _with_returns_and_headless(
    day: Day, visits: pd.DataFrame, lines: pd.DataFrame, midnight: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Decide who buys; add visits that come back to an abandoned cart, and orders without any visit."""
    rng = day.rng
    full = np.bincount(lines["visit"], ~lines["removed"], minlength=len(visits)) > 0
    checkout = full & day.chance("checkout", len(visits))
    visits = visits.assign(checkout=checkout, orders=checkout & day.chance("order", len(visits)))
    left = np.flatnonzero(full & ~visits["orders"].to_numpy() & day.chance("recovers_cart", len(visits)))
    returns = visits.iloc[left].copy()
    hours = np.clip(rng.lognormal(np.log(20), 1.0, len(left)), 1, 130)
    returns["start"] += (hours * HOUR_MS).astype(np.int64)
    returns["kind"], returns["is_new"], returns["checkout"], returns["orders"] = RECOVERY, False, True, True
    returns["session_id"] = day.ids.new("ses_", len(returns)).to_numpy()
    again = lines[lines["visit"].isin(left) & ~lines["removed"]].copy()
    again["visit"] = np.searchsorted(left, again["visit"]) + len(visits)
    again["sent"] = False

    size = int(rng.binomial(len(visits), RATES["headless_order"]))
    headless = visits.sample(size, random_state=rng).copy() if size else visits.iloc[:0].copy()
    headless["start"] = midnight + rng.integers(7 * HOUR_MS, 17 * HOUR_MS, size)
    headless["kind"], headless["channel"], headless["is_new"] = HEADLESS, "api", False
    headless["checkout"], headless["orders"], headless["cart_currency"] = False, True, headless["currency"]
    headless["cart_id"] = day.ids.new("crt_", size).to_numpy()
    headless["session_id"] = None
    headless["user"] = np.where(headless["user"] < 0, 0, headless["user"])
    product = _popular_products(day, size)
    bulk = pd.DataFrame(
        {
            "visit": np.arange(size) + len(visits) + len(returns),
            "product": product,
            "quantity": rng.integers(10, 120, size),
            "unit_price": day.levels[headless["cart_currency"].to_numpy(), product],
            "removed": False,
            "sent": False,
        }
    )
    return (
        pd.concat([visits, returns, headless], ignore_index=True),
        pd.concat([lines, again, bulk], ignore_index=True),
    )


def _account_steps(day: Day, visits: pd.DataFrame) -> list[Step]:
    """Registrations and sign-ins at the beginning of a visit."""
    rng = day.rng
    new = np.flatnonzero(visits["is_new"])
    first, last = draw(rng, tables.FIRST_NAMES, len(new)), draw(rng, tables.LAST_NAMES, len(new))
    number = pd.Series(visits["user"].to_numpy()[new] % 10_000_000, dtype=str)
    # Not everybody leaves every detail: the fields are optional in the contract.
    email = "user" + number + "@example." + ("com" if day.tenant.utc_offset_hours < 0 else "org")
    phone = "+4915" + number.str.zfill(8)
    registered = Step(
        "USER_REGISTERED",
        new,
        np.zeros(len(new)),
        {
            "region": _place(day, visits, new, 0),
            "city": _place(day, visits, new, 1),
            "channel": visits["channel"].to_numpy()[new],
            "email": email.where(rng.random(len(new)) < 0.95, None).to_numpy(),
            "phone": phone.where(rng.random(len(new)) < 0.4, None).to_numpy(),
            "full_name": first + " " + last,
        },
    )
    known = np.flatnonzero((visits["user"] >= 0) & (visits["kind"] != HEADLESS) & ~visits["is_new"])
    known = known[day.chance("login", len(known))]
    failed = known[day.chance("login_failed", len(known))]
    visit = np.concatenate([known, failed])
    login = Step(
        "LOGIN",
        visit,
        np.concatenate([np.full(len(known), 2.0), np.full(len(failed), 1.0)]),
        {
            "method": pick(rng, tables.LOGIN_METHODS, len(visit)),
            "success": np.arange(len(visit)) < len(known),
        },
    )
    users = np.flatnonzero((visits["user"] >= 0) & (visits["kind"] == BROWSE))
    users = users[day.chance("consent", len(users))]
    consent = Step(
        "CONSENT_CHANGED",
        users,
        np.full(len(users), 3.0),
        {
            "purpose": draw(rng, tables.PURPOSES, len(users)),
            "granted": rng.random(len(users)) < 0.7,
        },
    )
    return [registered, login, consent]


def _place(day: Day, visits: pd.DataFrame, visit: Ints, part: int) -> npt.NDArray[np.object_]:
    names = np.array([region[part] for region in day.tenant.regions], dtype=object)
    places: npt.NDArray[np.object_] = names[visits["region"].to_numpy()[visit]]
    return places


def _browsing_steps(day: Day, visits: pd.DataFrame, units: pd.DataFrame, lines: pd.DataFrame) -> list[Step]:
    """Searches, clicks on results, product views; a visit back to a cart looks at its first product again."""
    rng = day.rng
    phase = 10 + units["number"].to_numpy(np.float64)
    visit = units["visit"].to_numpy()
    search_id = day.ids.new("sea_", len(units)).to_numpy()
    searched, clicked, viewed = (units[name].to_numpy() for name in ("searched", "clicked", "viewed"))
    product = units["product"].to_numpy()
    returned = lines[(visits["kind"].to_numpy()[lines["visit"]] == RECOVERY)].drop_duplicates("visit")
    view_visit = np.concatenate([visit[viewed], returned["visit"].to_numpy()])
    view_product = np.concatenate([product[viewed], returned["product"].to_numpy()])
    currency = visits["currency"].to_numpy()[view_visit]
    return [
        Step(
            "SEARCH",
            visit[searched],
            phase[searched],
            {
                "search_id": search_id[searched],
                "query": draw(rng, tables.QUERIES, int(searched.sum())),
                "results_count": units["results"].to_numpy()[searched],
            },
        ),
        Step(
            "SEARCH_RESULT_CLICKED",
            visit[clicked],
            phase[clicked] + 0.1,
            {
                "search_id": search_id[clicked],
                "product_id": PRODUCT_IDS[product[clicked]],
                "position": units["position"].to_numpy()[clicked],
            },
            pace=0.4,
        ),
        Step(
            "PRODUCT_VIEWED",
            view_visit,
            np.concatenate([phase[viewed] + 0.2, np.full(len(returned), 10.0)]),
            {
                "product_id": PRODUCT_IDS[view_product],
                "price": day.levels[currency, view_product],
                "currency": day.currency_names(currency),
                "channel": visits["channel"].to_numpy()[view_visit],
            },
        ),
    ]


def _cart_steps(day: Day, visits: pd.DataFrame, lines: pd.DataFrame) -> list[Step]:
    """Carts, what goes in, what comes out, and the checkout."""
    sent = lines[lines["sent"]]
    carts = np.unique(sent["visit"].to_numpy())
    cart_id = visits["cart_id"].to_numpy()
    base = np.where(visits["cart_first"], 5.0, 1000.0)

    def moves(event_type: str, rows: pd.DataFrame, phase: npt.NDArray[np.float64]) -> Step:
        visit = rows["visit"].to_numpy()
        return Step(
            event_type,
            visit,
            phase,
            {
                "cart_id": cart_id[visit],
                "product_id": PRODUCT_IDS[rows["product"].to_numpy()],
                "quantity": rows["quantity"].to_numpy(),
                "unit_price": rows["unit_price"].to_numpy(),
                "currency": day.currency_names(visits["cart_currency"].to_numpy()[visit]),
            },
        )

    removed = sent[sent["removed"]]
    checkout = np.flatnonzero(visits["checkout"])
    return [
        Step("CART_CREATED", carts, base[carts], {"cart_id": cart_id[carts]}, pace=0.5),
        moves("CART_ITEM_ADDED", sent, base[sent["visit"]] + 0.001 * (1 + np.arange(len(sent)) % 900)),
        moves("CART_ITEM_REMOVED", removed, base[removed["visit"]] + 0.95),
        Step(
            "CHECKOUT_STARTED",
            checkout,
            np.full(len(checkout), 2000.0),
            {
                "cart_id": cart_id[checkout],
                "amount": _totals(visits, lines)[checkout],
                "currency": day.currency_names(visits["cart_currency"].to_numpy()[checkout]),
            },
        ),
    ]


def _totals(visits: pd.DataFrame, lines: pd.DataFrame) -> Ints:
    kept = lines[~lines["removed"]]
    totals = np.zeros(len(visits), np.int64)
    np.add.at(totals, kept["visit"].to_numpy(), kept["quantity"].to_numpy() * kept["unit_price"].to_numpy())
    return totals


def _purchase_steps(day: Day, visits: pd.DataFrame, lines: pd.DataFrame) -> list[Step]:
    """Orders with their lines, and the attempts to pay them."""
    rng = day.rng
    buyer = np.flatnonzero(visits["orders"])
    kept = lines[~lines["removed"] & visits["orders"].to_numpy()[lines["visit"]]]
    kept = kept.sort_values("visit", kind="stable")
    counts = np.bincount(kept["visit"], minlength=len(visits))[buyer]
    promoted = day.chance("promotion", len(buyer))
    goods = _totals(visits, lines)[buyer]
    discount = np.where(promoted, goods // (10 * CENT) * CENT, 0)
    order_id = day.ids.new("ord_", len(buyer)).to_numpy()
    currency = day.currency_names(visits["cart_currency"].to_numpy()[buyer])
    amount = goods - discount
    order = Step(
        "ORDER_PLACED",
        buyer,
        np.full(len(buyer), 3000.0),
        {
            "order_id": order_id,
            "cart_id": visits["cart_id"].to_numpy()[buyer],
            "amount": amount,
            "currency": currency,
            "channel": visits["channel"].to_numpy()[buyer],
            "region": _place(day, visits, buyer, 0),
            "city": _place(day, visits, buyer, 1),
            "promotion_code": _where(promoted, draw(rng, tables.PROMOTIONS, len(buyer))),
            "discount_amount": pd.array(np.where(promoted, discount, -1), "Int64"),
            "affiliate_id": _where(
                day.chance("affiliate", len(buyer)), draw(rng, tables.AFFILIATES, len(buyer))
            ),
            "items": _items(day, kept, counts, order_id).to_numpy(zero_copy_only=False),
            "items_quantity": np.bincount(kept["visit"], kept["quantity"], len(visits))[buyer].astype(
                np.int64
            ),
            "wire_type": np.where(day.chance("purchase_alias", len(buyer)), "PURCHASE", "ORDER_PLACED"),
        },
        pace=1.5,
    )
    order.columns["discount_amount"][~promoted] = pd.NA
    return [order, *_payment_steps(day, buyer, order_id, amount, currency)]


def _items(day: Day, lines: pd.DataFrame, counts: Ints, order_id: npt.NDArray[np.object_]) -> pa.Array:
    """Return the orders' lines; the shop knows the lot of patches only, and not of those that nobody scanned."""
    product = lines["product"].to_numpy()
    is_patch = np.array([item.is_patch for item in tables.PRODUCTS])[product]
    is_scanned = day.rng.integers(0, 40, len(lines)) > 0
    batch_id = _where(
        is_patch & is_scanned, places.batch_of(PRODUCT_IDS[product], np.repeat(order_id, counts))
    )
    objects = json_objects(
        {
            "product_id": (json_value(PRODUCT_IDS[product], "text"), False),
            "batch_id": (json_value(batch_id, "text"), False),
            "quantity": (json_value(lines["quantity"].to_numpy(), "integer"), False),
            "unit_price": (json_value(lines["unit_price"].to_numpy(), "money"), False),
            "unit_cost": (json_value(COSTS[product], "money"), False),
        },
        len(lines),
    )
    return json_arrays(objects, np.concatenate([[0], np.cumsum(counts)]))


def _payment_steps(
    day: Day, buyer: Ints, order_id: npt.NDArray[np.object_], amount: Ints, currency: npt.NDArray[np.object_]
) -> list[Step]:
    rng = day.rng
    fails = np.minimum(rng.geometric(1 - RATES["attempt_fails"], len(buyer)) - 1, 4)
    pays = ~day.chance("never_pays", len(buyer))
    fails = np.where(pays, fails, np.maximum(fails, 1))
    attempts = fails + pays
    order = np.repeat(np.arange(len(buyer)), attempts)
    attempt = np.arange(len(order)) - np.repeat(np.cumsum(attempts) - attempts, attempts)
    captured = attempt >= fails[order]
    code = _where(~captured, draw(rng, tables.FAILURE_CODES, len(order)))
    latency = pd.array((120 + rng.lognormal(np.log(420), 0.7, len(order))).astype(np.int64), "Int64")
    # A gateway that never answered has no latency, and some gateways score no risk.
    latency[code == "gateway_timeout"] = pd.NA
    risk = np.round(rng.beta(1.3, 5.0, len(order)), 3)
    columns: dict[str, Any] = {
        "payment_id": day.ids.new("pay_", len(buyer)).to_numpy()[order],
        "order_id": order_id[order],
        "amount": amount[order],
        "currency": currency[order],
        "gateway": pick(rng, day.tenant.gateways, len(buyer))[order],
        "method": pick(rng, day.tenant.methods, len(order)),
        "latency_ms": latency,
        "risk_score": np.where(rng.random(len(order)) < 0.04, np.nan, risk),
        "failure_code": code,
        "attempt": attempt + 1,
        "sessionless": day.chance("payment_without_session", len(order)),
    }

    def step(event_type: str, mine: npt.NDArray[np.bool_]) -> Step:
        chosen = {name: values[mine] for name, values in columns.items()}
        return Step(event_type, buyer[order][mine], 4000.0 + attempt[mine], chosen, pace=0.3)

    captures = step("PAYMENT_CAPTURED", captured)
    del captures.columns["failure_code"]
    return [captures, step("PAYMENT_FAILED", ~captured)]


def _set_times(day: Day, visits: pd.DataFrame, steps: list[Step]) -> None:
    """Give every event its time: the visit's start plus the gaps up to it."""
    visit = np.concatenate([step.visit for step in steps])
    phase = np.concatenate([step.phase for step in steps])
    pace = np.concatenate([np.full(len(step.visit), step.pace) for step in steps])
    order = np.lexsort((phase, visit))
    gaps = np.clip(day.rng.lognormal(np.log(17_000), 1.0, len(order)) * pace[order], 40, 25 * MINUTE_MS)
    gaps += np.where(day.chance("long_pause", len(order)), 50.0 * MINUTE_MS, 0.0)
    running = np.cumsum(gaps.astype(np.int64))
    ordered = visit[order]
    is_first = np.append(True, ordered[1:] != ordered[:-1])[: len(order)]
    origin = np.repeat(running[is_first], np.diff(np.append(np.flatnonzero(is_first), len(order))))
    times = np.empty(len(order), np.int64)
    times[order] = visits["start"].to_numpy()[ordered] + running - origin
    for step, part in zip(
        steps, np.split(times, np.cumsum([len(step.visit) for step in steps])[:-1]), strict=True
    ):
        step.occurred_at = part


def _visit_frame(day: Day, visits: pd.DataFrame, step: Step) -> pd.DataFrame:
    visit = step.visit
    columns = dict(step.columns)
    session = visits["session_id"].to_numpy()[visit]
    sessionless = columns.pop("sessionless", np.zeros(len(visit), bool))
    user = visits["user"].to_numpy()[visit]
    frame = pd.DataFrame(columns)
    frame["occurred_at"] = step.occurred_at
    frame["session_id"] = _where(~sessionless, session)
    frame["user_id"] = day.ids.of("usr_", user).where(user >= 0, None)
    anonymous = day.ids.of("dev_", visit + (1 << 33)).to_numpy()
    device = np.where(user >= 0, day.ids.of("dev_", user).to_numpy(), anonymous)
    frame["device_id"] = _where(visits["kind"].to_numpy()[visit] != HEADLESS, device)
    return frame


def _aftermath(day: Day, frames: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """What follows later: messages, cancellations, refunds, chargebacks, orders placed twice."""
    rng = day.rng
    orders, captured = frames["ORDER_PLACED"], frames["PAYMENT_CAPTURED"]

    def later(rows: pd.DataFrame, median_hours: float, least_hours: float, most_hours: float) -> Ints:
        drawn = rng.lognormal(np.log(median_hours), 0.9, len(rows))
        wait: Ints = (np.clip(drawn, least_hours, most_hours) * HOUR_MS).astype(np.int64)
        times: Ints = rows["occurred_at"].to_numpy(dtype=np.int64) + wait
        return times

    def follow(rows: pd.DataFrame, names: tuple[str, ...], times: Ints, **columns: Any) -> pd.DataFrame:
        return rows[["user_id", *names]].assign(occurred_at=times, **columns)

    notified = orders[day.chance("notified", len(orders)) & orders["user_id"].notna()]
    channel = pick(rng, tables.NOTIFICATION_CHANNELS, len(notified))
    sent = follow(
        notified,
        (),
        later(notified, 0.02, 0.002, 1),
        channel=channel,
        template=draw(rng, tables.TEMPLATES, len(notified)),
    )
    read = sent[day.chance("opened", len(sent))]
    opened = follow(read, ("channel", "template"), later(read, 1.5, 0.01, 40))

    cancelled = orders[day.chance("cancelled", len(orders))]
    cancellation = follow(
        cancelled,
        ("order_id",),
        later(cancelled, 2, 0.1, 30),
        reason=draw(rng, tables.CANCEL_REASONS, len(cancelled)),
    )
    back = captured[day.chance("refunded", len(captured)) | captured["order_id"].isin(cancelled["order_id"])]
    disputed = captured[day.chance("chargeback", len(captured))]
    names = ("payment_id", "order_id", "amount", "currency")
    chargebacks = follow(
        disputed,
        names,
        later(disputed, 40, 5, 300),
        reason=draw(rng, tables.CHARGEBACK_REASONS, len(disputed)),
    )
    twice = orders[day.chance("placed_again", len(orders))]
    again = twice.assign(occurred_at=twice["occurred_at"] + rng.integers(60_000, 600_000, len(twice)))
    return {
        "NOTIFICATION_SENT": sent,
        "NOTIFICATION_OPENED": opened,
        "ORDER_CANCELLED": cancellation,
        "REFUND_ISSUED": _refunds(day, back, later(back, 20, 0.5, 240)),
        "CHARGEBACK_OPENED": chargebacks,
        "ORDER_PLACED": pd.concat([orders, again], ignore_index=True),
    }


def _refunds(day: Day, payments: pd.DataFrame, times: Ints) -> pd.DataFrame:
    """Return refunds of payments: all at once, a part, or a part and later the rest."""
    rng = day.rng
    amount = payments["amount"].to_numpy()
    drawn = rng.random(len(payments))
    is_full = drawn < RATES["refund_full"]
    part = (amount * rng.uniform(0.1, 0.9, len(payments))).astype(np.int64) // CENT * CENT
    first = payments[["user_id", "payment_id", "order_id", "currency"]].assign(
        amount=np.where(is_full, amount, part), occurred_at=times
    )
    completed = drawn >= RATES["refund_full"] + RATES["refund_partial"]
    rest = first[completed].assign(
        amount=(amount - part)[completed],
        occurred_at=times[completed] + rng.integers(HOUR_MS, 50 * HOUR_MS, int(completed.sum())),
    )
    refunds = pd.concat([first, rest], ignore_index=True)
    refunds["refund_id"] = day.ids.new("ref_", len(refunds))
    refunds["reason"] = draw(rng, tables.REFUND_REASONS, len(refunds))
    return refunds


def _batch(event_type: str, tenant: Tenant, ids: Minter, frame: pd.DataFrame) -> EventBatch:
    """Complete the envelope."""
    size = len(frame)
    service, version = next(
        (producer for name, producer in SERVICES.items() if event_type.startswith(name)), STOREFRONT
    )
    trace = text_array(ids.new("", size))
    filled: dict[str, Any] = {
        "event_id": ids.new("evt_", size),
        "idempotency_key": None if event_type in WITHOUT_KEY else ids.new("idk_", size),
        "wire_type": event_type,
        "tenant_id": tenant.tenant_id,
        "user_id": None,
        "device_id": None,
        "session_id": None,
        "order_id": None,
        "trace_id": as_series(concatenated(constant("4bf9"), trace, constant("a3ce929d0e0e"))),
        "service": service,
        "service_version": version,
    }
    frame = frame.reset_index(drop=True)
    for name in ENVELOPE:
        if name not in frame:
            frame[name] = filled[name]
    for name in frame.columns.difference(["discount_amount"]):
        if frame[name].dtype == object:
            frame[name] = frame[name].astype("str")
    return EventBatch(event_type, frame, FIELDS[event_type], SENDS_NULL)
