"""The newest thousand events of a type, carried on from run to run, are the newest of all events."""

from __future__ import annotations

from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, at, write_load

from lake.paths import hour_of
from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MODELS = ["stg_pocm__events", "int_pocm__events_counted", "pocm__recent_events"]
LIMIT = 1000


def events_of(day: str, name: str, number: int, event_type: str = "SEARCH") -> list[Event]:
    """So many events of a day, a second apart."""
    return [
        Event(f"{name}{n:04d}", f"{day} {10 + n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}", event_type)
        for n in range(number)
    ]


def newest(deliveries: dict[str, list[Event]]) -> list[tuple[Any, ...]]:
    """The newest of each type, out of everything that was received."""
    every = [event for events in deliveries.values() for event in events]
    kept: list[Event] = []
    for event_type in {event.event_type for event in every}:
        of_type = [event for event in every if event.event_type == event_type]
        kept += sorted(of_type, key=lambda event: (event.occurred_at, event.event_id))[-LIMIT:]
    return sorted((event.event_type, event.event_id, event.occurred_at) for event in kept)


def test_recent_events_are_the_newest_after_every_run(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    received: dict[str, list[Event]] = {}

    def run(hour: str, events: list[Event]) -> None:
        """Make a received hour hold these events, and nothing else; none empties it."""
        manifests = [write_load(store, hour, events)] if events else []
        load_hours(warehouse, store, "pocm", {hour_of(at(hour)): manifests})
        run_dbt(
            stack,
            ["run", "--select", *MODELS],
            {"window_from": f"{hour[:13]}:00:00", "window_to": f"{hour[:13]}:59:59"},
        )
        received[hour] = events
        found = warehouse.query(
            "select event_type, event_id, toString(toDateTime(occurred_at)) from pocm.recent_events order by all"
        ).result_rows
        assert sorted(found) == newest(received)

    rare = events_of("2026-11-01", "rare", 3, "BATCH_RECALLED")
    run("2026-11-13 10:05", [*rare, *events_of("2026-11-10", "a", 600), *events_of("2026-11-11", "b", 600)])
    # Of the older day fewer are wanted now; a late event of it is wanted, one of a day before is not.
    run("2026-11-14 10:05", events_of("2026-11-12", "c", 300))
    run("2026-11-14 11:05", [Event("late", "2026-11-11 23:59:59"), Event("older", "2026-11-09 12:00:00")])
    run("2026-11-15 10:05", [])
    # Without an hour the older ones stand again, which the table had dropped.
    run("2026-11-14 10:05", [])
