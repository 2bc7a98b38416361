"""The true values of the `studyin` marts, out of the simulator's own events, in plain pandas.

Written from the columns' descriptions, on purpose without a look at the warehouse's SQL: it is the third opinion.
Who a row is about stands as `user_id`, for the simulator does not know the key of the pseudonyms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal
from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.figures import ORDER, money_ratio, money_text, period_text, quantile_exact, ratio
from ingestion.simulator.model import DAY_MS, HOUR_MS, Frames, Rows
from ingestion.simulator.studyin.generate import FIELDS, SYSTEM

WINDOW_DAYS = 30
SESSION = ["tenant_id", "session_id"]
PERSON = ["tenant_id", "user_id"]
GAMIFICATION = ("xp_earned", "level_up", "achievement_unlocked", "streak_updated")
LATENCIES = {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95, "latency_p99_ms": 0.99}

Aggregates = Mapping[str, Callable[[pd.DataFrame], Any]]


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of every mart of measures."""
    events = {name: events.get(name, _no_events(name)) for name in FIELDS}
    learning = _learning(events)
    sessions = _sessions(events, learning)
    return {
        "learning_sessions": _session_rows(sessions),
        "daily_activity_summary": daily_activity(learning, sessions),
        "learning_overview": learning_overview(learning, sessions),
        "activity_heatmap": activity_heatmap(learning),
        "gamification_stats": gamification_stats(learning),
        "gamification_progress": gamification_progress(learning),
        "ai_coach_metrics": ai_coach_metrics(events),
        "system_metrics": system_metrics(events, HOUR_MS, "hour"),
        "system_metrics_daily": system_metrics(events, DAY_MS, "day"),
        "hourly_analytics_summary": hourly_summary(events, learning, sessions),
    }


def _no_events(event_type: str) -> pd.DataFrame:
    """Return an empty frame of the type: a small world may hold none."""
    dtypes = {"text": "str", "number": "float64"}
    columns = {name: dtypes.get(kind, "int64") for name, kind in FIELDS[event_type].items()}
    columns |= dict.fromkeys(("event_id", "tenant_id", "user_id", "session_id"), "str")
    return pd.DataFrame(
        {name: pd.Series(dtype=dtype) for name, dtype in (columns | {"occurred_at": "int64"}).items()}
    )


def _learning(events: Frames) -> pd.DataFrame:
    """Every event that is not of the system, with its type and what it adds to each sum."""
    frame = pd.concat(
        [events[name].assign(event_type=name) for name in FIELDS if name not in SYSTEM], ignore_index=True
    )
    viewed, completed = (frame["event_type"] == name for name in ("material_view", "material_complete"))
    assessed = completed & (frame["material_type"] == "assessment")
    frame["clicks"] = frame["clicks"].fillna(1).where(viewed, 0).astype(np.int64)
    frame["material_duration"] = frame["duration_s"].where(completed, 0).fillna(0).astype(np.int64)
    frame["points"] = frame["xp"].where(frame["event_type"] == "xp_earned", 0).fillna(0).astype(np.int64)
    frame["is_assessment"] = assessed
    frame["is_scored"] = assessed & frame["score"].notna()
    frame["score_units"] = frame["score"].where(frame["is_scored"], 0).map(_units).astype(np.int64)
    return frame


def _units(score: float) -> int:
    return int((Decimal(repr(score)) * 10_000 + Decimal("0.5")).to_integral_value(ROUND_FLOOR))


def _sessions(events: Frames, learning: pd.DataFrame) -> pd.DataFrame:
    """Sessions with their bounds in milliseconds since 1970, who learnt in them, and what closed them."""
    inside = learning.dropna(subset=["session_id"])
    by = inside.groupby(SESSION)
    table = pd.DataFrame({"first_at": by["occurred_at"].min(), "last_at": by["occurred_at"].max()})
    starts = events["session_start"].dropna(subset=["session_id"]).groupby(SESSION)["occurred_at"]
    table["starts"] = starts.size().reindex(table.index).fillna(0).astype(np.int64)
    table["started_at"] = starts.min().reindex(table.index).fillna(table["first_at"]).astype(np.int64)
    ends = events["session_end"].dropna(subset=["session_id"])
    table["ends"] = ends.groupby(SESSION).size().reindex(table.index).fillna(0).astype(np.int64)
    ends = ends.merge(table["started_at"].reset_index(), on=SESSION)
    closing = ends[ends["occurred_at"] >= ends["started_at"]].sort_values(ORDER).groupby(SESSION).last()
    table["is_closed"] = table.index.isin(closing.index)
    ended = closing["occurred_at"].reindex(table.index)
    table["ended_at"] = ended.fillna(table["last_at"]).astype(np.int64)
    table["reported_duration_s"] = closing["duration_s"].reindex(table.index).astype("Int64")
    table["reported_xp"] = closing["xp"].reindex(table.index).astype("Int64")
    table["user_id"] = (
        inside.dropna(subset=["user_id"]).sort_values(ORDER).groupby(SESSION)["user_id"].first()
    )
    table["learning_events"] = by.size()
    table["xp_earned"] = by["points"].sum()
    for column, name in (
        ("materials_viewed", "material_view"),
        ("materials_completed", "material_complete"),
        ("coach_interactions", "ai_coach_interaction"),
    ):
        table[column] = (inside["event_type"] == name).groupby([inside[key] for key in SESSION]).sum()
    table["duration_ms"] = table["ended_at"] - table["started_at"]
    return table.reset_index()


def _session_rows(sessions: pd.DataFrame) -> Rows:
    columns = ["learning_events", "duration_ms", "xp_earned", "materials_viewed", "materials_completed"]
    return [
        {
            "tenant_id": row["tenant_id"],
            "session_id": row["session_id"],
            "session_date": period_text(row["started_at"], "day"),
            "started_at": period_text(row["started_at"], "second"),
            "ended_at": period_text(row["ended_at"], "second"),
            "user_id": _known(row["user_id"]),
            "is_closed": bool(row["is_closed"]),
            "is_start_missing": row["starts"] == 0,
            "is_reversed": row["starts"] > 0 and row["ends"] > 0 and not row["is_closed"],
            **{name: row[name] for name in ("starts", "ends", *columns, "coach_interactions")},
            **{name: _known(row[name]) for name in ("reported_duration_s", "reported_xp")},
        }
        for row in sessions.sort_values(SESSION).to_dict("records")
    ]


def _activity(learning: pd.DataFrame, sessions: pd.DataFrame) -> dict[str, Any]:
    """What some learning events and the sessions that started with them add up to."""
    counts = learning["event_type"].value_counts()
    scored, units = int(learning["is_scored"].sum()), int(learning["score_units"].sum())
    duration = int(sessions["duration_ms"].sum())
    return {
        "learning_events": len(learning),
        "sessions": len(sessions),
        "sessions_closed": int(sessions["is_closed"].sum()),
        "session_duration_ms": duration,
        "avg_session_duration_s": ratio(duration, 1000 * len(sessions)),
        "materials_viewed": int(counts.get("material_view", 0)),
        "material_clicks": int(learning["clicks"].sum()),
        "materials_completed": int(counts.get("material_complete", 0)),
        "material_duration_s": int(learning["material_duration"].sum()),
        "assessments_submitted": int(learning["is_assessment"].sum()),
        "assessments_scored": scored,
        "assessment_score_sum": money_text(units),
        "avg_assessment_score": money_ratio(units, scored),
        "xp_earned": int(learning["points"].sum()),
        "level_ups": int(counts.get("level_up", 0)),
        "achievements_unlocked": int(counts.get("achievement_unlocked", 0)),
        "coach_interactions": int(counts.get("ai_coach_interaction", 0)),
        "coach_feedback": int(counts.get("ai_coach_feedback", 0)),
    }


def daily_activity(learning: pd.DataFrame, sessions: pd.DataFrame) -> Rows:
    """Return one row per tenant and day with a learning event."""
    learning = learning.assign(day=learning["occurred_at"] // DAY_MS * DAY_MS)
    started = sessions.assign(day=sessions["started_at"] // DAY_MS * DAY_MS)
    of_day = dict(list(started.groupby(["tenant_id", "day"])))
    return [
        {
            "tenant_id": tenant,
            "day": period_text(day, "day"),
            "active_users": int(rows["user_id"].nunique()),
            "events_without_user": int(rows["user_id"].isna().sum()),
            "streak_updates": int((rows["event_type"] == "streak_updated").sum()),
            **_activity(rows, of_day.get((tenant, day), started.iloc[:0])),
        }
        for (tenant, day), rows in learning.groupby(["tenant_id", "day"])
    ]


def learning_overview(learning: pd.DataFrame, sessions: pd.DataFrame) -> Rows:
    """Return one row per user of the 30 days up to the tenant's newest day with an active user."""
    learning = _with_day(learning.dropna(subset=["user_id"]))
    started = sessions.dropna(subset=["user_id"]).assign(occurred_at=lambda s: s["started_at"])
    started = _with_day(started)
    found: Rows = []
    for tenant, last in learning.groupby("tenant_id")["day"].max().items():
        recent, begun = (
            frame[
                (frame["tenant_id"] == tenant) & frame["day"].between(last - (WINDOW_DAYS - 1) * DAY_MS, last)
            ]
            for frame in (learning, started)
        )
        for user in sorted({*recent["user_id"], *begun["user_id"]}):
            mine, own = recent[recent["user_id"] == user], begun[begun["user_id"] == user]
            found.append(
                {
                    "tenant_id": tenant,
                    "user_id": user,
                    "as_of_day": period_text(last, "day"),
                    "active_days": int(mine["day"].nunique()),
                    "last_active_on": period_text(mine["day"].max(), "day") if len(mine) else None,
                    **_activity(mine, own),
                }
            )
    return found


def activity_heatmap(learning: pd.DataFrame) -> Rows:
    """Return one row per user, ISO weekday and hour of the day with a learning event."""
    known = _with_day(learning.dropna(subset=["user_id"]))
    hours = known["occurred_at"] // HOUR_MS
    # 1970-01-01 was a Thursday.
    known = known.assign(
        hour=hours, weekday=(known["day"] // DAY_MS + 3) % 7 + 1, hour_of_day=(hours % 24).astype(np.int64)
    )
    grain = [*PERSON, "weekday", "hour_of_day"]
    by = known.groupby(grain)
    table = pd.DataFrame(
        {"learning_events": by.size(), "active_hours": by["hour"].nunique(), "last": by["day"].max()}
    ).reset_index()
    return [
        {**{k: v for k, v in row.items() if k != "last"}, "last_active_on": period_text(row["last"], "day")}
        for row in table.to_dict("records")
    ]


def gamification_stats(learning: pd.DataFrame) -> Rows:
    """Return one row per user with an event of gamification: where the user stands."""
    found: Rows = []
    for (tenant, user), mine in _gamification(learning).groupby(PERSON):
        levels, streaks = _of(mine, "level_up"), _of(mine, "streak_updated")
        names = sorted(set(_of(mine, "achievement_unlocked")["achievement"]))
        found.append(
            {
                "tenant_id": tenant,
                "user_id": user,
                "xp": int(mine["points"].sum()),
                "level": _last(levels, "level"),
                "level_reached_at": _moment(levels),
                "streak_days": _last(streaks, "days"),
                "streak_updated_at": _moment(streaks),
                "longest_streak_days": int(streaks["days"].max()) if len(streaks) else None,
                "achievements": len(names),
                "achievement_names": names,
                "last_event_on": period_text(mine["day"].max(), "day"),
            }
        )
    return found


def gamification_progress(learning: pd.DataFrame) -> Rows:
    """Return one row per user and day with an event of gamification."""
    found: Rows = []
    for (tenant, user, day), mine in _gamification(learning).groupby([*PERSON, "day"]):
        levels, gains = _of(mine, "level_up"), _of(mine, "xp_earned")
        names = sorted(set(_of(mine, "achievement_unlocked")["achievement"]))
        found.append(
            {
                "tenant_id": tenant,
                "user_id": user,
                "day": period_text(day, "day"),
                "xp_earned": int(mine["points"].sum()),
                "xp_gains": len(gains),
                "level_ups": len(levels),
                "level": _last(levels, "level"),
                "achievements_unlocked": len(names),
                "achievement_names": names,
                "streak_days": _last(_of(mine, "streak_updated"), "days"),
            }
        )
    return found


def ai_coach_metrics(events: Frames) -> Rows:
    """Return one row per tenant and day with an answer of the coach or feedback on one."""
    turns, rated = (_with_day(events[name]) for name in ("ai_coach_interaction", "ai_coach_feedback"))
    found: Rows = []
    for tenant, day in _groups([turns, rated], ["tenant_id", "day"]):
        answers, ratings = (_group(frame, tenant_id=tenant, day=day) for frame in (turns, rated))
        found.append(
            {
                "tenant_id": tenant,
                "day": period_text(day, "day"),
                "coach_interactions": len(answers),
                "conversations": int(answers["conversation_id"].nunique()),
                "coached_users": int(answers["user_id"].nunique()),
                "tokens": int(answers["tokens"].sum()),
                **_latencies(answers),
                "coach_feedback": len(ratings),
                "conversations_rated": int(ratings["conversation_id"].nunique()),
                "rating_sum": int(ratings["rating"].sum()),
                "avg_rating": ratio(int(ratings["rating"].sum()), len(ratings)),
            }
        )
    return found


def system_metrics(events: Frames, period_ms: int, period_name: str) -> Rows:
    """Return one row per tenant, path and period with a request."""
    requests = events["api_request"]
    requests = requests.assign(period=requests["occurred_at"] // period_ms * period_ms)
    found: Rows = []
    for (tenant, path, period), rows in requests.groupby(["tenant_id", "path", "period"]):
        client, server = int(rows["status"].between(400, 499).sum()), int((rows["status"] >= 500).sum())
        found.append(
            {
                "tenant_id": tenant,
                "path": path,
                period_name: period_text(period, period_name),
                "requests": len(rows),
                "client_errors": client,
                "server_errors": server,
                "error_rate": ratio(server, len(rows)),
                "client_error_rate": ratio(client, len(rows)),
                **_latencies(rows),
            }
        )
    return found


def hourly_summary(events: Frames, learning: pd.DataFrame, sessions: pd.DataFrame) -> Rows:
    """Return one row per tenant and hour in which anything happened; what was received is not the simulator's."""

    def hourly(frame: pd.DataFrame, column: str = "occurred_at") -> pd.DataFrame:
        return frame.assign(hour=frame[column] // HOUR_MS * HOUR_MS)

    learnt, requests, errors = map(hourly, (learning, events["api_request"], events["system_error"]))
    started = hourly(sessions, "started_at")
    found: Rows = []
    for tenant, hour in _groups([learnt, requests, errors], ["tenant_id", "hour"]):
        mine, asked, failed, begun = (
            _group(frame, tenant_id=tenant, hour=hour) for frame in (learnt, requests, errors, started)
        )
        found.append(
            {
                "tenant_id": tenant,
                "hour": period_text(hour, "hour"),
                "events": len(mine) + len(asked) + len(failed),
                "learning_events": len(mine),
                "active_users": int(mine["user_id"].nunique()),
                "sessions": len(begun),
                "xp_earned": int(mine["points"].sum()),
                "requests": len(asked),
                "server_errors": int((asked["status"] >= 500).sum()),
                "errors": len(failed),
            }
        )
    return found


def _gamification(learning: pd.DataFrame) -> pd.DataFrame:
    chosen = learning["event_type"].isin(GAMIFICATION) & learning["user_id"].notna()
    return _with_day(learning[chosen]).sort_values(ORDER)


def _with_day(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(day=frame["occurred_at"] // DAY_MS * DAY_MS)


def _of(frame: pd.DataFrame, event_type: str) -> pd.DataFrame:
    return frame[frame["event_type"] == event_type]


def _last(frame: pd.DataFrame, column: str) -> int | None:
    return int(frame[column].iloc[-1]) if len(frame) else None


def _moment(frame: pd.DataFrame) -> str | None:
    return period_text(frame["occurred_at"].iloc[-1], "second") if len(frame) else None


def _known(value: Any) -> Any:
    return None if pd.isna(value) else value


def _latencies(frame: pd.DataFrame) -> dict[str, int | None]:
    values = frame["latency_ms"]
    return {
        name: int(quantile_exact(values, level)) if len(values) else None for name, level in LATENCIES.items()
    }


def _groups(frames: Iterable[pd.DataFrame], grain: Sequence[str]) -> list[tuple[Any, ...]]:
    """Return the groups that any of the frames has, in order."""
    together = pd.concat([frame[list(grain)] for frame in frames]).drop_duplicates().sort_values(list(grain))
    return list(together.itertuples(index=False, name=None))


def _group(frame: pd.DataFrame, **values: Any) -> pd.DataFrame:
    chosen = np.logical_and.reduce([frame[name] == value for name, value in values.items()])
    return frame[chosen]
