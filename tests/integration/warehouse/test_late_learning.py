"""Studyin's marts in increments: what an event that comes late restates, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

SESSIONS = (
    "select session_id, toString(session_date), is_closed, is_start_missing, duration_ms "
    "from studyin.learning_sessions order by all"
)
DAYS = (
    "select toString(day), active_users, sessions, sessions_closed, session_duration_ms "
    "from studyin.daily_activity_summary order by all"
)
STATS = "select user_key, xp, level, streak_days, achievements from studyin.gamification_stats order by all"
PARTS = (
    "select concat(table, ' ', partition_id), name from system.parts "
    "where database in ('studyin', 'intermediate') and active order by all"
)


def happened(event_type: str, at: str, session_id: str | None = None, **payload: Any) -> Event:
    user = payload.pop("user", "u1")
    name = f"{event_type} {at} {session_id} {user}"
    return Event(name, at, event_type, payload, tenant_id="a1", user_key=user, session_id=session_id)


def viewed(at: str, session_id: str | None = None, **envelope: Any) -> Event:
    return happened("material_view", at, session_id, material_id="m1", material_type="pdf", **envelope)


@pytest.fixture
def receive(warehouse: Client, store: ObjectStore, stack: Settings) -> Any:
    """Load events under one hour of receipt and build studyin's models for it."""

    def receive(
        day: str,
        events: Sequence[Event],
        select: str = "stg_studyin__*+",
        comment: dict[str, str] | None = None,
    ) -> None:
        manifest = write_load(store, f"{day} 10:05", list(events), source="studyin")
        load_hours(warehouse, store, "studyin", {manifest.hours[0].received_hour: [manifest]})
        window = {"window_from": f"{day} 10:00:00", "window_to": f"{day} 11:00:00"}
        run_dbt(stack, ["run", "--select", select], window, log_comment=comment)

    return receive


def rows(client: Client, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(query).result_rows]


def test_late_events_restate_their_session_and_overtake_no_later_level(
    warehouse: Client, receive: Any
) -> None:
    receive(
        "2026-11-18",
        [
            happened("session_start", "2026-11-16 23:50:00", "open"),
            viewed("2026-11-17 00:10:00", "open"),
            viewed("2026-11-10 00:05:00", "startless"),
            viewed("2026-11-12 09:00:00", "old", user="u2"),
            happened("level_up", "2026-11-17 12:00:00", level=5),
            happened("streak_updated", "2026-11-17 12:00:00", days=0),
            happened("xp_earned", "2026-11-17 12:00:00", xp=10, reason="quiz"),
        ],
    )
    assert rows(warehouse, SESSIONS) == [
        ("old", "2026-11-12", False, True, 0),
        ("open", "2026-11-16", False, False, 1_200_000),
        ("startless", "2026-11-10", False, True, 0),
    ]
    assert rows(warehouse, STATS) == [("u1", 10, 5, 0, 0)]
    parts = dict(rows(warehouse, PARTS))
    receive(
        "2026-11-19",
        [
            happened("session_end", "2026-11-17 00:30:00", "open", duration_s=2400, xp=7),
            happened("session_start", "2026-11-09 23:59:00", "startless"),
            happened("level_up", "2026-11-15 09:00:00", level=4),
            happened("streak_updated", "2026-11-15 09:00:00", days=9),
            happened("xp_earned", "2026-11-15 09:00:00", xp=7, reason="quiz"),
        ],
    )
    assert rows(warehouse, SESSIONS) == [
        ("old", "2026-11-12", False, True, 0),
        ("open", "2026-11-16", True, False, 2_400_000),
        ("startless", "2026-11-09", False, False, 360_000),
    ]
    assert rows(warehouse, DAYS) == [
        ("2026-11-09", 1, 1, 0, 360_000),
        ("2026-11-10", 1, 0, 0, 0),
        ("2026-11-12", 1, 1, 0, 0),
        ("2026-11-15", 1, 0, 0, 0),
        ("2026-11-16", 1, 1, 1, 2_400_000),
        ("2026-11-17", 1, 0, 0, 0),
    ]
    assert rows(warehouse, STATS) == [("u1", 17, 5, 0, 0)]
    left_alone = {place for place, name in rows(warehouse, PARTS) if parts.get(place) == name}
    assert left_alone >= {"learning_sessions 20261112", "int_studyin__activity_hours 20261112"}


def test_an_event_that_turns_out_to_be_a_repetition_is_taken_back(warehouse: Client, receive: Any) -> None:
    first = happened("xp_earned", "2026-11-16 09:00:00", xp=5, reason="quiz")
    again = Event(**{**vars(first), "event_id": "again", "occurred_at": "2026-11-17 09:00:00"})
    once, twice = (Event(**{**vars(event), "idempotency_key": "k"}) for event in (first, again))
    receive("2026-11-19", [twice, happened("xp_earned", "2026-11-17 10:00:00", xp=1, reason="quiz")])
    assert rows(warehouse, STATS) == [("u1", 6, None, None, 0)]
    receive("2026-11-18", [once])
    assert rows(warehouse, STATS) == [("u1", 6, None, None, 0)]
    assert rows(
        warehouse, "select toString(day), xp_earned from studyin.gamification_progress order by all"
    ) == [
        ("2026-11-16", 5),
        ("2026-11-17", 1),
    ]
    assert rows(
        warehouse, "select active_hours, learning_events from studyin.activity_heatmap order by weekday"
    ) == [
        (1, 1),
        (1, 1),
    ]


def test_the_overview_moves_on_with_the_newest_day(warehouse: Client, receive: Any) -> None:
    overview = "select user_key, toString(as_of_day), active_days from studyin.learning_overview order by all"
    receive("2026-11-17", [viewed("2026-11-01 09:00:00"), viewed("2026-11-16 09:00:00", user="u2")])
    assert rows(warehouse, overview) == [("u1", "2026-11-16", 1), ("u2", "2026-11-16", 1)]
    receive("2026-12-02", [viewed("2026-12-01 09:00:00", user="u2")])
    assert rows(warehouse, overview) == [("u2", "2026-12-01", 2)]


def test_an_hour_does_not_read_the_history(warehouse: Client, receive: Any) -> None:
    history = [
        event
        for month in range(1, 11)
        for day in range(1, 21)
        for event in (
            viewed(f"2026-{month:02d}-{day:02d} 09:00:00", f"s{month}-{day}"),
            happened("xp_earned", f"2026-{month:02d}-{day:02d} 09:00:00", xp=1, reason="quiz"),
            *(
                happened(
                    "api_request",
                    f"2026-{month:02d}-{day:02d} 09:0{n}:00",
                    user=None,
                    path="/a",
                    status=200,
                    latency_ms=n,
                )
                for n in range(5)
            ),
        )
    ]
    receive("2026-10-25", history)
    comment = {"run_id": "cost of an hour of learning"}
    receive("2026-11-16", [viewed("2026-11-16 09:00:00", "new")], "stg_studyin__*+,tag:hourly", comment)
    warehouse.command("system flush logs")
    (statements, read) = warehouse.query(
        "select count(), max(arrayMax(mapValues(mapFilter((k, v) -> k = 'SelectedRows', ProfileEvents)))) "
        "from system.query_log where type = 'QueryFinish' and log_comment = {comment:String}",
        parameters={"comment": json.dumps(comment, sort_keys=True)},
    ).first_row
    assert statements > 5
    assert len(history) == 1400
    assert read < 100
