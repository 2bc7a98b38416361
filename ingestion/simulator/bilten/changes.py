"""The rows of the platform's database and how they change."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime

import pandas as pd

from ingestion.simulator.bilten import world
from ingestion.simulator.bilten.world import Names, spread
from ingestion.simulator.columns import Kind, identifiers
from ingestion.simulator.model import DAY_MS, EventBatch

FIRST: dict[str, Kind] = {"version": "integer", "operation": "text"}
"""What every change row has; the form moves it beside the row."""
FIELDS: Mapping[str, Mapping[str, Kind]] = {
    "users": FIRST
    | {
        "email": "text",
        "full_name": "text",
        "country": "text",
        "city": "text",
        "signup_channel": "text",
        "has_marketing_consent": "flag",
        "user_status": "text",
        "registered_at": "time",
    },
    "organizers": FIRST
    | {"organizer_id": "text", "name": "text", "country": "text", "city": "text", "plan": "text"},
    "ticketed_events": FIRST
    | {
        "ticketed_event_id": "text",
        "organizer_id": "text",
        "name": "text",
        "category": "text",
        "venue": "text",
        "city": "text",
        "country": "text",
        "capacity": "integer",
        "price": "money",
        "currency": "text",
        "event_status": "text",
        "starts_at": "time",
    },
}
CHANGED_SHARE = 8
"""One row in so many changes on a day."""


def change_rows(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return the rows that change on a day; on the first all of them are inserted in its first minutes."""
    first = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000
    tables = {"users": _users(scale, first), "organizers": _organizers(), "ticketed_events": _events(first)}
    return [
        EventBatch(name, _changed(name, table, index, first, seed), FIELDS[name])
        for name, table in tables.items()
    ]


def _changed(name: str, table: pd.DataFrame, index: int, first: int, seed: int) -> pd.DataFrame:
    """Return a day's versions of the rows of a table: a row has at most one a day, numbered by the day."""
    keys: Names = table["key"].to_numpy(dtype=object)
    if index:
        mine = spread(f"{seed} {index} {name}", keys, CHANGED_SHARE) == 0
        table = _later(name, table, index)[mine].reset_index(drop=True)
        keys = keys[mine]
    window = DAY_MS if index else 10 * 60_000
    moment = first + index * DAY_MS + spread(f"{seed} {index} moment", keys, window)
    number = pd.util.hash_array(f"{name} {index} " + keys, categorize=False)
    frame = table.assign(
        event_id=identifiers("chg_", number).to_pylist(),
        occurred_at=moment,
        version=index + 1,
        operation="update" if index else "insert",
        wire_type=name,
        service="bilten-db",
        service_version="16.4",
    )
    for missing in ("idempotency_key", "device_id", "session_id", "order_id", "trace_id"):
        frame[missing] = None
    return frame


def _later(name: str, table: pd.DataFrame, index: int) -> pd.DataFrame:
    """Return the table as it is after some days."""
    if name == "ticketed_events":
        return table.assign(capacity=table["capacity"] + 10 * index, event_status="published")
    if name == "users":
        return table.assign(has_marketing_consent=index % 2 == 0)
    return table.assign(plan="enterprise")


def _users(scale: float, first: int) -> pd.DataFrame:
    everybody = world.visitors(scale).dropna(subset=["user_id"]).reset_index(drop=True)
    number = everybody["user_id"].str.slice(5)
    return pd.DataFrame(
        {
            "key": everybody["user_id"],
            "tenant_id": world.PLATFORM,
            "user_id": everybody["user_id"],
            "email": "person" + number + "@example.org",
            "full_name": "Person " + number,
            "country": everybody["country"],
            "city": everybody["city"],
            "signup_channel": everybody["channel"],
            "has_marketing_consent": spread("consent", everybody["user_id"].to_numpy(object), 2) == 1,
            "user_status": "active",
            "registered_at": first - spread("registered", everybody["user_id"].to_numpy(object), 90 * DAY_MS),
        }
    )


def _organizers() -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "key": organizer.tenant_id,
                "tenant_id": organizer.tenant_id,
                "user_id": None,
                "organizer_id": organizer.tenant_id,
                "name": organizer.name,
                "country": organizer.country,
                "city": organizer.city,
                "plan": "pro",
            }
            for organizer in world.ORGANIZERS
        ]
    )


def _events(first: int) -> pd.DataFrame:
    table = world.ticketed_events()
    return table.assign(
        key=table["ticketed_event_id"],
        user_id=None,
        organizer_id=table["tenant_id"],
        event_status="draft",
        starts_at=first + table["starts_in_days"] * DAY_MS + 19 * 3_600_000,
    )
