"""What late events restate of ticketing: sessions by silence that become one, versions out of order, experiments."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.dbt import prepare_manifest, run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MODELS = ["run", "--select", "+bilten__kpi_daily", "+bilten__funnel_daily", "+bilten__dim_events"]
Rows = list[tuple[Any, ...]]
QUERIES = {
    "sessions": "select visitor_key, toString(started_at), toString(ended_at), events from bilten.fact_sessions "
    "order by started_at, visitor_key",
    "events": "select visitor_key, toString(occurred_at), session_id from bilten.fact_events order by all",
    "kpis": "select toString(day), sessions, page_views from bilten.kpi_daily order by all",
    "funnel": "select toString(day), step, sessions from bilten.funnel_daily "
    "where scope = 'all' and step_number <= 2 order by day, step_number",
    "states": "select version, toString(valid_from), toString(valid_to), capacity from bilten.dim_events "
    "order by valid_from",
    "ids": "select visitor_key, session_id from bilten.fact_sessions order by all",
}


def seen(visitor: str, moment: str, kind: str = "page_view", **envelope: Any) -> Event:
    payload = {"visitor_id": visitor, "page": "/"}
    return Event(f"{visitor} {moment}", f"2026-11-{moment}", kind, payload, user_key=None, **envelope)


def version(number: int, moment: str, capacity: int) -> Event:
    payload = {
        "ticketed_event_id": "jazz",
        "organizer_id": "t1",
        "version": number,
        "name": "Jazz",
        "category": "music",
    }
    payload |= {"venue": "hall", "city": "Berlin", "country": "DE", "starts_at": "2026-12-01T20:00:00Z"}
    moment = f"2026-11-{moment}"
    return Event(
        f"v{number} {moment}", moment, "ticketed_events", payload | {"capacity": capacity}, user_key=None
    )


@dataclass
class Box:
    """A box office that receives increments, and what its marts held after each."""

    settings: Settings
    store: ObjectStore
    client: Client
    after: dict[str, dict[str, Rows]] = field(default_factory=dict)
    parts: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    def receive(self, name: str, hour: int, events: list[Event]) -> None:
        """Load what was received in an hour of 30 November, and build what it touches."""
        manifest = write_load(self.store, f"2026-11-30 {hour:02d}:30", events, source="bilten")
        load_hours(self.client, self.store, "bilten", {manifest.hours[0].received_hour: [manifest]})
        window = {
            "window_from": f"2026-11-30 {hour:02d}:00:00",
            "window_to": f"2026-11-30 {hour + 1:02d}:00:00",
        }
        run_dbt(self.settings, MODELS, window)
        self.look(name)

    def look(self, name: str) -> None:
        """Keep what the marts hold, and the parts of every day: another part has been written since."""
        self.after[name] = {
            key: [tuple(row) for row in self.client.query(query).result_rows]
            for key, query in QUERIES.items()
        }
        found = self.client.query(
            "select table, partition_id, name from system.parts where active and database = 'bilten'"
        ).result_rows
        self.parts[name] = {
            table: {f"{day} {part}" for of, day, part in found if of == table}
            for table in {row[0] for row in found}
        }

    def rewritten(self, table: str, before: str, after: str) -> set[str]:
        """Days of November of whose partitions one of two increments wrote."""
        changed = self.parts[before][table] ^ self.parts[after][table]
        return {part.split()[0].removeprefix("202611") for part in changed}

    def sessions(self, name: str, visitor: str) -> list[tuple[str, str, int]]:
        """Start, end and events of a visitor's sessions; times as day of the month and time of day."""
        found = [row[1:] for row in self.after[name]["sessions"] if row[0] == visitor]
        return [(start[8:16], end[8:16], events) for start, end, events in found]


@pytest.fixture(scope="module")
def box(stack: Settings) -> Iterator[Box]:
    client = warehouse(stack)
    empty_warehouse(client)
    prepare_manifest(stack)
    store = object_store(stack).for_bucket(f"test-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    box = Box(stack, store, client)
    restless = [
        seen("since-noon", f"{16 + n // 72:02d} {n // 3 % 24:02d}:{n % 3 * 20:02d}") for n in range(36, 76)
    ]
    box.receive(
        "begun",
        10,
        [
            *(seen("ann", "10 10:00"), seen("ann", "10 10:50", "click")),
            *(seen("bob", "12 23:20"), seen("bob", "13 00:10", "click")),
            *(seen("cid", "10 10:00", session_id="s1"), seen("cid", "10 18:00", session_id="s1")),
            *(seen("eve", "14 23:40"), seen("eve", "15 00:05", idempotency_key="k")),
            seen("dan", "17 09:00"),
            *restless,
            seen("all-day", "18 11:59:59.999"),
            *(seen("all-day", f"18 {n // 3:02d}:{n % 3 * 20:02d}") for n in range(37, 72)),
            seen("all-day", "19 00:10"),
            version(3, "03 10:00", 300),
        ],
    )
    box.receive("late in the middle", 11, [seen("ann", "10 10:25")])
    box.receive("late at midnight", 12, [seen("bob", "12 23:45")])
    box.receive("older versions", 13, [version(1, "01 10:00", 100), version(2, "04 10:00", 200)])
    # An earlier delivery says that eve's second event happened a day later: there is no session over midnight any more.
    box.receive("taken back", 9, [seen("eve", "16 08:00", idempotency_key="k")])
    run_dbt(stack, [*MODELS, "--full-refresh"])
    box.look("whole")
    yield box
    empty_warehouse(client)
    client.close()


def test_a_late_event_in_the_middle_makes_one_session_of_two(box: Box) -> None:
    assert box.sessions("begun", "ann") == [("10 10:00", "10 10:00", 1), ("10 10:50", "10 10:50", 1)]
    assert box.sessions("late in the middle", "ann") == [("10 10:00", "10 10:50", 3)]
    ids = {row[2] for row in box.after["late in the middle"]["events"] if row[0] == "ann"}
    assert len(ids) == 1


def test_the_session_that_vanished_is_gone_from_every_mart(box: Box) -> None:
    ann_and_cid = [row for row in box.after["begun"]["kpis"] if row[0] == "2026-11-10"]
    assert ann_and_cid == [("2026-11-10", 3, 3)]
    assert [row for row in box.after["late in the middle"]["kpis"] if row[0] == "2026-11-10"] == [
        ("2026-11-10", 2, 4)
    ]
    assert ("2026-11-10", "click", 1) in box.after["late in the middle"]["funnel"]
    assert ("2026-11-10", "click", 0) in box.after["begun"]["funnel"]


def test_a_late_event_joins_what_lies_on_both_sides_of_midnight(box: Box) -> None:
    assert box.sessions("late in the middle", "bob") == [
        ("12 23:20", "12 23:20", 1),
        ("13 00:10", "13 00:10", 1),
    ]
    assert box.sessions("late at midnight", "bob") == [("12 23:20", "13 00:10", 3)]
    days = [row for row in box.after["late at midnight"]["kpis"] if row[0] in ("2026-11-12", "2026-11-13")]
    assert days == [("2026-11-12", 1, 2), ("2026-11-13", 0, 0)]


def test_a_late_event_rewrites_its_own_day_and_the_one_over_midnight_only(box: Box) -> None:
    for table in ("fact_events", "fact_sessions", "funnel_daily"):
        assert box.rewritten(table, "begun", "late in the middle") == {"10"}
        assert box.rewritten(table, "late in the middle", "late at midnight") == {"12", "13"}


def test_a_session_over_midnight_ends_where_its_second_half_is_taken_back(box: Box) -> None:
    assert box.sessions("older versions", "eve") == [("14 23:40", "15 00:05", 2)]
    assert box.sessions("taken back", "eve") == [("14 23:40", "14 23:40", 1), ("16 08:00", "16 08:00", 1)]


def test_a_producers_session_goes_on_through_any_silence(box: Box) -> None:
    assert box.sessions("whole", "cid") == [("10 10:00", "10 18:00", 2)]


def test_who_is_never_silent_from_before_noon_to_midnight_begins_anew_there(box: Box) -> None:
    assert box.sessions("whole", "since-noon") == [("16 12:00", "17 01:00", 40)]
    assert box.sessions("whole", "all-day") == [("18 11:59", "18 23:40", 36), ("19 00:10", "19 00:10", 1)]


def test_versions_that_come_out_of_order_heal_the_history(box: Box) -> None:
    assert [row[0] for row in box.after["begun"]["states"]] == [3]
    assert box.after["older versions"]["states"] == [
        (1, "2026-11-01 10:00:00.000", "2026-11-04 10:00:00.000", 100),
        (3, "2026-11-04 10:00:00.000", None, 300),
    ]


@pytest.mark.parametrize("mart", QUERIES)
def test_increments_leave_what_a_full_build_makes(box: Box, mart: str) -> None:
    assert box.after["taken back"][mart] == box.after["whole"][mart]
    assert box.after["whole"][mart]
