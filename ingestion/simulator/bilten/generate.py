"""One day of visits: page views, clicks, registrations, purchases, experiments, crawlers.

Every function works on whole columns. A *visit* is what one visitor does in one go; its events are laid out by
phase and then given times by one running sum over all visits.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from ingestion.simulator.bilten import world
from ingestion.simulator.columns import Kind, identifiers, json_objects, json_value
from ingestion.simulator.model import DAY_MS, EventBatch

VISITS = 380
"""A day at scale 1, crawlers left out."""
CRAWLS = 12
ENTRY, ASSIGNED, BROWSED, EXPOSED, CLICKED, REGISTERED, BOUGHT, CONFIRMED, REPORTED = range(9)
"""Phases of a visit, in their order; the last is the server's report of an order, which repeats the client's."""
TYPES = {
    ENTRY: ("page_view", None),
    ASSIGNED: ("custom", "experiment_assigned"),
    BROWSED: ("page_view", "event_page"),
    EXPOSED: ("custom", "experiment_exposed"),
    CLICKED: ("click", "button"),
    REGISTERED: ("conversion", "registration"),
    BOUGHT: ("conversion", "ticket_purchase"),
    CONFIRMED: ("page_view", "confirmation"),
    REPORTED: ("conversion", "ticket_purchase"),
}
TRACKED: dict[str, Kind] = {
    "eventName": "text",
    "context": "json",
    "page": "text",
    "referrer": "text",
    "userAgent": "text",
    "ipAddress": "text",
    "visitorId": "text",
    "country": "text",
    "city": "text",
}
"""What every tracked event sends; the form moves the first two to where the tracker has them."""
FIELDS: Mapping[str, Mapping[str, Kind]] = {
    "page_view": TRACKED,
    "click": TRACKED | {"element": "text"},
    "conversion": TRACKED
    | {"orderId": "text", "tickets": "integer", "amount": "money", "currency": "text", "ticketType": "text"},
    "custom": TRACKED | {"experiment": "text", "variant": "text"},
}


def day_events(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return the tracked events of the visits that begin on a day, by type."""
    rng = np.random.default_rng([seed, index, 3])
    begin = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000 + index * DAY_MS
    frame = pd.concat(
        [_visits(rng, begin, index, scale), _crawls(rng, begin, index, scale)], ignore_index=True
    )
    frame = _with_identity(_with_places(frame), index)
    return [
        EventBatch(kind, frame[frame["event_type"] == kind].reset_index(drop=True), fields)
        for kind, fields in FIELDS.items()
    ]


def _visits(rng: np.random.Generator, begin: int, index: int, scale: float) -> pd.DataFrame:
    """Return the events of people."""
    everybody, events = world.visitors(scale), world.ticketed_events()
    weekend = 1.25 if (begin // DAY_MS + 3) % 7 >= 5 else 1.0
    size = max(int(rng.poisson(VISITS * scale * weekend)), 1)
    # A few come often: squaring a uniform number favours the first.
    who = (rng.random(size) ** 2 * len(everybody)).astype(np.int64)
    visit = everybody.iloc[who].reset_index(drop=True)
    share = np.cumsum([organizer.share for organizer in world.ORGANIZERS])
    organizer = np.searchsorted(share, rng.random(size), "right")
    names = np.array([o.tenant_id for o in world.ORGANIZERS] + [world.PLATFORM], dtype=object)
    visit["tenant_id"] = names[organizer]
    chosen = events.iloc[organizer.clip(max=1) * world.EVENTS_EACH + rng.integers(0, world.EVENTS_EACH, size)]
    for name in ("ticketed_event_id", "price", "currency"):
        visit[name] = world.only(organizer < len(world.ORGANIZERS), chosen[name])
    visit["visit"] = np.arange(size)
    visit["campaignId"] = world.only(
        rng.random(size) < 0.3, np.array(world.CAMPAIGNS, dtype=object)[rng.integers(0, 3, size)]
    )
    # Visits peak in the evening and some go on over midnight.
    visit["started"] = begin + (np.clip(rng.normal(18, 4.5, size), 0, 23.99) * 3_600_000).astype(np.int64)
    visit["is_known"] = (rng.random(size) < 0.7) & visit["user_id"].notna()
    visit["is_bot"] = False
    return _timed(rng, _laid_out(rng, visit), index)


def _laid_out(rng: np.random.Generator, visit: pd.DataFrame) -> pd.DataFrame:
    """Return one row per event of the visits, with its phase."""
    size = len(visit)
    has_event = visit["ticketed_event_id"].notna().to_numpy()
    looks = np.where(has_event, rng.geometric(0.45, size).clip(max=6), 0)
    clicks = has_event & (rng.random(size) < 0.62)
    registers = clicks & (rng.random(size) < visit["variant"].map(world.REGISTERED_SHARE).to_numpy())
    buys = registers & (rng.random(size) < world.PURCHASE_SHARE)
    counts = {
        ENTRY: np.ones(size, np.int64),
        ASSIGNED: has_event,
        BROWSED: looks,
        EXPOSED: clicks,
        CLICKED: np.where(clicks, rng.integers(1, 3, size), 0),
        REGISTERED: registers,
        BOUGHT: buys,
        CONFIRMED: buys,
        REPORTED: buys & (rng.random(size) < 0.2),
    }
    parts = [
        visit.iloc[np.repeat(np.arange(size), count.astype(np.int64))].assign(phase=phase)
        for phase, count in counts.items()
    ]
    return pd.concat(parts, ignore_index=True).sort_values(
        ["visit", "phase"], kind="stable", ignore_index=True
    )


def _timed(rng: np.random.Generator, events: pd.DataFrame, index: int) -> pd.DataFrame:
    """Give the events their times, and the purchases what was bought."""
    gap = rng.exponential(70_000, len(events)) + 400
    # Some go away for a while, which ends a session unless the producer names it.
    gap = np.where(rng.random(len(events)) < 0.03, gap + rng.uniform(15, 90, len(events)) * 60_000, gap)
    gap = np.where(events["phase"] == REPORTED, 900, gap).astype(np.int64)
    first = ~events["visit"].duplicated().to_numpy()
    total = np.cumsum(np.where(first, 0, gap))
    since = total - np.maximum.accumulate(np.where(first, total, 0))
    events["occurred_at"] = events["started"].to_numpy() + since
    bought = events["phase"].isin([BOUGHT, REPORTED]).to_numpy()
    number = rng.integers(1, 5, events["visit"].max() + 1)[events["visit"]]
    events["tickets"] = pd.array(np.where(bought, number, 0), "Int64")
    events["amount"] = events["tickets"] * pd.to_numeric(events["price"]).fillna(0).astype(np.int64)
    events.loc[~bought, ["tickets", "amount"]] = pd.NA
    events["orderId"] = world.only(bought, "order-" + str(index) + "-" + events["visit"].astype(str))
    events.loc[~bought, "currency"] = None
    # Who registers or buys is known from then on; the server knows no browser.
    known = events["is_known"] | (events["phase"] >= REGISTERED)
    events["user_id"] = events["user_id"].where(known, None)
    reported = events["phase"] == REPORTED
    for name in ("visitorId", "userAgent", "ipAddress", "country", "city", "campaignId"):
        events[name] = events[name].where(~reported, None)
    events["channel"] = events["channel"].where(~reported, "api")
    named = events["sends_session"] & ~reported
    events["session_id"] = world.only(named, f"s-{index}-" + events["visit"].astype(str))
    return events


def _crawls(rng: np.random.Generator, begin: int, index: int, scale: float) -> pd.DataFrame:
    """Return the page views of crawlers: each looks at every ticketed event of somebody."""
    size = max(int(CRAWLS * scale), 1)
    events = world.ticketed_events()
    organizer = rng.integers(0, len(world.ORGANIZERS), size)
    crawl = np.repeat(np.arange(size), world.EVENTS_EACH)
    place = organizer[crawl] * world.EVENTS_EACH + np.tile(np.arange(world.EVENTS_EACH), size)
    started = begin + rng.integers(0, DAY_MS // 2, size)
    found = events.iloc[place][["tenant_id", "ticketed_event_id"]].reset_index(drop=True)
    return found.assign(
        phase=BROWSED,
        occurred_at=started[crawl] + np.tile(np.arange(world.EVENTS_EACH) * 1_500, size),
        userAgent=np.array(world.CRAWLERS, dtype=object)[rng.integers(0, len(world.CRAWLERS), size)][crawl],
        ipAddress=[f"crawler-{index}-{number}" for number in crawl],
        channel="web",
        is_bot=True,
    )


def _with_places(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what is seen and clicked, and the context."""
    kinds = pd.DataFrame.from_dict(TYPES, orient="index", columns=["event_type", "eventName"])
    frame["event_type"] = frame["phase"].map(kinds["event_type"])
    frame["eventName"] = frame["phase"].map(kinds["eventName"])
    on_page = frame["phase"].isin([BROWSED, EXPOSED, CLICKED, REGISTERED, BOUGHT, CONFIRMED, REPORTED])
    frame["ticketed_event_id"] = frame["ticketed_event_id"].where(on_page, None)
    frame["page"] = np.where(on_page, "/events/" + frame["ticketed_event_id"].astype(str), "/")
    entry = (frame["phase"] == ENTRY) & frame["campaignId"].notna()
    frame["referrer"] = world.only(entry, "https://www.example.org/?q=tickets")
    frame["campaignId"] = frame["campaignId"].where(frame["phase"].isin([ENTRY, BOUGHT]), None)
    frame["element"] = "buy_button"
    frame["ticketType"] = world.only(frame["orderId"].notna(), "regular")
    tried = frame["event_type"] == "custom"
    frame["experiment"] = world.only(tried, world.EXPERIMENT)
    frame["variant"] = frame["variant"].where(tried, None)
    organizer = frame["tenant_id"].where(frame["tenant_id"] != world.PLATFORM, None)
    context = {
        "organizerId": organizer,
        "eventId": frame["ticketed_event_id"],
        "campaignId": frame["campaignId"],
        "source": frame["channel"],
    }
    texts = {name: (json_value(values, "text"), name == "organizerId") for name, values in context.items()}
    frame["context"] = json_objects(texts, len(frame)).to_pylist()
    return frame


def _with_identity(frame: pd.DataFrame, index: int) -> pd.DataFrame:
    """Add the envelope."""
    number = np.arange(len(frame), dtype=np.uint64) + np.uint64(index * 10_000_000)
    frame["event_id"] = identifiers("trk_", number).to_pylist()
    has_key = frame["event_type"] == "conversion"
    frame["idempotency_key"] = world.only(has_key, "key-" + frame["event_id"])
    frame["trace_id"] = identifiers("tr_", number).to_pylist()
    frame["wire_type"] = frame["event_type"]
    frame["device_id"] = None
    frame["order_id"] = frame["orderId"]
    frame["service"] = np.where(frame["channel"] == "api", "bilten-server", "bilten-js")
    frame["service_version"] = "2.4"
    return frame
