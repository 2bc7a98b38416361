"""The second engine's learning marts over hand-made deliveries."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.proof.shop import Shop, recomputed

SESSION = {"session_id": "s1", "user_key": "u1"}


@pytest.fixture
def app() -> Shop:
    return Shop(source="studyin")


def only(app: Shop, mart: str, folder: Path) -> dict[str, Any]:
    (row,) = recomputed(app, mart, folder)
    return row


def test_a_session_runs_from_its_first_start_to_its_last_end(app: Shop, tmp_path: Path) -> None:
    app.sends("session_start", "10:00:05", **SESSION).sends("session_start", "10:00", **SESSION)
    app.sends("session_end", "10:12", duration_s=720, xp=9, **SESSION)
    app.sends("session_end", "10:10", duration_s=600, xp=5, **SESSION)
    row = only(app, "learning_sessions", tmp_path)
    assert (row["started_at"], row["ended_at"]) == (
        datetime(2026, 11, 16, 10, 0),
        datetime(2026, 11, 16, 10, 12),
    )
    assert (row["is_closed"], row["starts"], row["ends"], row["reported_xp"]) == (True, 2, 2, 9)


def test_of_two_ends_at_one_moment_the_later_id_reports(app: Shop, tmp_path: Path) -> None:
    app.sends("session_start", "10:00", **SESSION)
    app.sends("session_end", "10:10", event_id="b", duration_s=1, xp=2, **SESSION)
    app.sends("session_end", "10:10", event_id="a", duration_s=3, xp=4, **SESSION)
    assert only(app, "learning_sessions", tmp_path)["reported_duration_s"] == 1


def test_a_session_that_nothing_closes_ends_at_its_last_event(app: Shop, tmp_path: Path) -> None:
    app.sends("session_end", "09:00", duration_s=1, xp=0, **SESSION).sends(
        "session_start", "10:00", **SESSION
    )
    app.sends("material_view", "10:04", material_id="m", material_type="pdf", **SESSION)
    row = only(app, "learning_sessions", tmp_path)
    assert (row["is_closed"], row["is_reversed"], row["duration_ms"]) == (False, True, 240_000)


def test_a_session_without_a_start_begins_with_its_first_event(app: Shop, tmp_path: Path) -> None:
    app.sends("material_view", "23:59", material_id="m", material_type="pdf", **SESSION)
    app.sends("session_end", "2026-11-17T00:01", duration_s=None, xp=None, **SESSION)
    row = only(app, "learning_sessions", tmp_path)
    assert (row["session_date"], row["is_start_missing"], row["is_closed"]) == (
        date(2026, 11, 16),
        True,
        True,
    )
    assert (row["reported_duration_s"], row["reported_xp"]) == (None, None)


def test_a_repeated_delivery_counts_once(app: Shop, tmp_path: Path) -> None:
    for load_id in ("a" * 32, "b" * 32):
        app.sends("xp_earned", "10:00", event_id="x", load_id=load_id, xp=10, reason="quiz", **SESSION)
    assert only(app, "daily_activity_summary", tmp_path)["xp_earned"] == 10


def test_clicks_add_up_and_a_view_without_a_count_is_one(app: Shop, tmp_path: Path) -> None:
    for clicks in (None, 7):
        app.sends("material_view", "10:00", material_id="m", material_type="pdf", clicks=clicks)
    row = only(app, "daily_activity_summary", tmp_path)
    assert (row["materials_viewed"], row["material_clicks"]) == (2, 8)
    assert (row["active_users"], row["events_without_user"], row["sessions"]) == (0, 2, 0)
    assert row["avg_session_duration_s"] is None


def test_scores_are_added_in_ten_thousandths_and_null_is_not_scored(app: Shop, tmp_path: Path) -> None:
    for score in (0, 70.55, 33.33335, None):
        app.sends("material_complete", "10:00", material_id="m", material_type="assessment", score=score)
    app.sends("material_complete", "10:00", material_id="m", material_type="quiz", score=99)
    row = only(app, "daily_activity_summary", tmp_path)
    assert (row["assessments_submitted"], row["assessments_scored"]) == (4, 3)
    assert row["assessment_score_sum"] == Decimal("103.8834")
    assert row["avg_assessment_score"] == Decimal("34.6278")


def test_the_latest_level_counts_whenever_it_arrived(app: Shop, tmp_path: Path) -> None:
    app.sends("level_up", "11:00", level=4, event_id="b", user_key="u1")
    app.sends("level_up", "11:00", level=9, event_id="a", user_key="u1")
    app.sends("level_up", "10:00", level=7, event_id="c", received_at="2026-11-20T10:00", user_key="u1")
    row = only(app, "gamification_stats", tmp_path)
    assert (row["level"], row["level_reached_at"], row["streak_days"], row["xp"]) == (
        4,
        datetime(2026, 11, 16, 11),
        None,
        0,
    )


def test_an_achievement_unlocked_again_counts_once_in_stats_and_on_each_day(
    app: Shop, tmp_path: Path
) -> None:
    for at in ("10:00", "11:00", "2026-11-17T10:00"):
        app.sends("achievement_unlocked", at, achievement="owl", user_key="u1")
    assert only(app, "gamification_stats", tmp_path)["achievement_names"] == ["owl"]
    days = recomputed(app, "gamification_progress", tmp_path)
    assert [(row["day"].day, row["achievements_unlocked"]) for row in days] == [(16, 1), (17, 1)]


def test_the_overview_is_of_the_thirty_days_up_to_the_newest_active_one(app: Shop, tmp_path: Path) -> None:
    for at in ("2026-10-17T10:00", "2026-10-18T10:00"):
        app.sends("xp_earned", at, xp=1, reason="quiz", user_key="u1")
    app.sends("xp_earned", "2026-11-16T10:00", xp=1, reason="quiz", user_key="u2")
    app.sends("xp_earned", "2026-11-20T10:00", xp=1, reason="quiz")
    rows = recomputed(app, "learning_overview", tmp_path)
    assert [(row["user_key"], row["as_of_day"], row["xp_earned"]) for row in rows] == [
        ("u1", date(2026, 11, 16), 1),
        ("u2", date(2026, 11, 16), 1),
    ]


def test_the_heatmap_counts_hours_and_events(app: Shop, tmp_path: Path) -> None:
    for at in ("10:00", "10:30", "2026-11-23T10:00", "2026-11-22T10:00"):
        app.sends("xp_earned", at, xp=1, reason="quiz", user_key="u1")
    rows = recomputed(app, "activity_heatmap", tmp_path)
    assert [(r["weekday"], r["hour_of_day"], r["learning_events"], r["active_hours"]) for r in rows] == [
        (1, 10, 3, 2),
        (7, 10, 1, 1),
    ]


def test_feedback_without_an_answer_that_day_has_no_latency(app: Shop, tmp_path: Path) -> None:
    app.sends("ai_coach_feedback", "10:00", conversation_id="c", rating=4)
    row = only(app, "ai_coach_metrics", tmp_path)
    assert (row["conversations"], row["latency_p50_ms"], row["avg_rating"]) == (0, None, 4.0)


def test_requests_are_told_by_path_and_status(app: Shop, tmp_path: Path) -> None:
    for status, latency in ((200, 10), (404, 20), (499, 30), (500, 40)):
        app.sends("api_request", "10:00", path="/x", method="GET", status=status, latency_ms=latency)
    row = only(app, "system_metrics", tmp_path)
    assert (row["requests"], row["client_errors"], row["server_errors"], row["error_rate"]) == (4, 2, 1, 0.25)
    assert (row["latency_p50_ms"], row["latency_p99_ms"]) == (30, 40)
    daily = only(app, "system_metrics_daily", tmp_path)
    assert (daily["day"], daily["requests"]) == (date(2026, 11, 16), 4)


def test_the_hour_of_receipt_is_another_clock(app: Shop, tmp_path: Path) -> None:
    app.sends("system_error", "10:00", type="T", received_at="2026-11-16T12:30", user_key="u1")
    rows = recomputed(app, "hourly_analytics_summary", tmp_path)
    assert [
        (r["hour"].hour, r["events"], r["errors"], r["active_users"], r["received_rows"]) for r in rows
    ] == [
        (10, 1, 1, 0, 0),
        (12, 0, 0, 0, 1),
    ]
