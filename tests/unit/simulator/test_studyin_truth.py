"""The true values of the learning marts: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pandas as pd

from ingestion.simulator.studyin.truth import true_values

NUMBERS = count()
Sent = tuple[str, dict[str, Any]]


def sent(event_type: str, at: str, **values: Any) -> Sent:
    """An event at `at` (ISO, UTC), in session s1 of user u1 unless told otherwise."""
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return event_type, {
        "event_id": f"e{next(NUMBERS):04d}",
        "tenant_id": "t",
        "occurred_at": int(moment.timestamp() * 1000),
        "user_id": "u1",
        "session_id": "s1",
        **values,
    }


def view(at: str, **values: Any) -> Sent:
    return sent("material_view", at, material_id="m", material_type="pdf", **({"clicks": None} | values))


def complete(at: str, **values: Any) -> Sent:
    defaults = {"material_id": "m", "material_type": "assessment", "duration_s": None, "score": None}
    return sent("material_complete", at, **(defaults | values))


def end(at: str, **values: Any) -> Sent:
    return sent("session_end", at, **({"duration_s": 60, "xp": 5} | values))


def start(at: str, **values: Any) -> Sent:
    return sent("session_start", at, material_id=None, platform="ios", **values)


def marts(*events: Sent) -> dict[str, list[dict[str, Any]]]:
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event_type, values in events:
        by_type.setdefault(event_type, []).append(values)
    return true_values({name: pd.DataFrame(rows) for name, rows in by_type.items()})


def session(*events: Sent) -> dict[str, Any]:
    (row,) = marts(*events)["learning_sessions"]
    return row


def test_a_session_runs_from_its_first_start_to_its_last_end() -> None:
    row = session(
        start("2026-03-02T10:00:05"),
        start("2026-03-02T10:00"),
        end("2026-03-02T10:10"),
        end("2026-03-02T10:12", xp=9),
        view("2026-03-02T10:20"),
    )
    assert (row["started_at"], row["ended_at"]) == ("2026-03-02 10:00:00", "2026-03-02 10:12:00")
    assert (row["is_closed"], row["starts"], row["ends"], row["reported_xp"]) == (True, 2, 2, 9)


def test_a_session_that_nothing_closes_ends_at_its_last_event() -> None:
    row = session(start("2026-03-02T23:50"), view("2026-03-03T00:10"))
    assert (row["session_date"], row["ended_at"]) == ("2026-03-02", "2026-03-03 00:10:00")
    assert (row["is_closed"], row["is_reversed"], row["reported_xp"]) == (False, False, None)


def test_an_end_before_the_start_ends_nothing() -> None:
    row = session(end("2026-03-02T09:00"), start("2026-03-02T10:00"), view("2026-03-02T10:05"))
    assert (row["is_closed"], row["is_reversed"], row["duration_ms"]) == (False, True, 300_000)


def test_a_session_without_a_start_begins_with_its_first_event() -> None:
    row = session(view("2026-03-02T10:00"), end("2026-03-02T10:05"))
    assert (row["is_start_missing"], row["is_closed"], row["duration_ms"]) == (True, True, 300_000)


def test_a_view_without_a_count_is_one_click() -> None:
    (row,) = marts(view("2026-03-02T10:00"), view("2026-03-02T10:01", clicks=7))["daily_activity_summary"]
    assert (row["materials_viewed"], row["material_clicks"]) == (2, 8)


def test_a_score_that_is_missing_is_no_score_and_a_score_of_zero_is_one() -> None:
    (row,) = marts(
        complete("2026-03-02T10:00", score=0.0),
        complete("2026-03-02T10:01", score=70.55),
        complete("2026-03-02T10:02"),
        complete("2026-03-02T10:03", material_type="quiz", score=99.0),
    )["daily_activity_summary"]
    assert (row["assessments_submitted"], row["assessments_scored"]) == (3, 2)
    assert (row["assessment_score_sum"], row["avg_assessment_score"]) == ("70.5500", "35.2750")
    assert row["materials_completed"] == 4


def test_points_of_a_session_end_are_not_added() -> None:
    (row,) = marts(
        sent("xp_earned", "2026-03-02T10:00", xp=10, reason="quiz"), end("2026-03-02T10:05", xp=10)
    )["daily_activity_summary"]
    assert row["xp_earned"] == 10


def test_the_latest_level_counts_whenever_it_arrives_and_the_id_decides_a_tie() -> None:
    (row,) = marts(
        sent("level_up", "2026-03-03T10:00", level=4, event_id="b"),
        sent("level_up", "2026-03-03T10:00", level=9, event_id="a"),
        sent("level_up", "2026-03-02T10:00", level=7, event_id="z"),
    )["gamification_stats"]
    assert (row["level"], row["xp"], row["streak_days"]) == (4, 0, None)


def test_the_overview_looks_back_thirty_days_from_the_newest_active_day() -> None:
    rows = marts(
        view("2026-03-01T10:00"),
        view("2026-03-02T10:00"),
        view("2026-03-31T10:00", user_id="u2", session_id="s2"),
    )["learning_overview"]
    assert [(r["user_id"], r["as_of_day"], r["learning_events"], r["active_days"]) for r in rows] == [
        ("u1", "2026-03-31", 1, 1),
        ("u2", "2026-03-31", 1, 1),
    ]


def test_feedback_counts_on_the_day_it_was_given() -> None:
    turn = {"conversation_id": "c", "latency_ms": 900, "tokens": 30, "model": "m"}
    rows = marts(
        sent("ai_coach_interaction", "2026-03-02T10:00", **turn),
        sent("ai_coach_feedback", "2026-03-03T10:00", conversation_id="c", rating=4),
    )["ai_coach_metrics"]
    assert [(r["day"], r["conversations"], r["avg_rating"], r["latency_p95_ms"]) for r in rows] == [
        ("2026-03-02", 1, None, 900),
        ("2026-03-03", 0, 4.0, None),
    ]


def test_events_of_the_system_make_nobody_active() -> None:
    asked = {"path": "/x", "method": "GET", "latency_ms": 5}
    found = marts(
        sent("api_request", "2026-03-02T10:00", status=503, **asked),
        sent("api_request", "2026-03-02T10:01", status=404, **asked),
        sent("system_error", "2026-03-02T10:02", type="T", message="m", path=None, user_id=None),
    )
    (hour,), (path,) = found["hourly_analytics_summary"], found["system_metrics"]
    assert (hour["events"], hour["learning_events"], hour["active_users"], hour["errors"]) == (3, 0, 0, 1)
    assert (path["requests"], path["server_errors"], path["client_error_rate"]) == (2, 1, 0.5)
    assert found["daily_activity_summary"] == []
