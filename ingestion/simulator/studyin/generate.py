"""A day of the learning apps: sessions and what learners do in them, and what their servers say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.columns import Kind
from ingestion.simulator.drawing import Minter, draw, pick
from ingestion.simulator.model import DAY_MS, ENVELOPE, HOUR_MS, EventBatch, Ints
from ingestion.simulator.studyin.tables import (
    ACHIEVEMENTS,
    APPS,
    ERRORS,
    HOUR_WEIGHTS,
    MARKED,
    MATERIAL_TYPES,
    MATERIALS,
    MODELS,
    OTHER_REASONS,
    PEOPLE,
    PLATFORMS,
    RATES,
    RATINGS,
    ROUTES,
    STATUSES,
    XP_OF_TYPE,
    App,
)

MINUTE_MS = 60_000
WORLD = 2_000_001
"""Stream of what is the same on every day."""

FIELDS: Mapping[str, Mapping[str, Kind]] = {
    "session_start": {"material_id": "text", "platform": "text"},
    "session_end": {"duration_s": "integer", "xp": "integer"},
    "material_view": {"material_id": "text", "material_type": "text", "clicks": "integer"},
    "material_complete": {
        "material_id": "text",
        "material_type": "text",
        "duration_s": "integer",
        "score": "number",
    },
    "xp_earned": {"xp": "integer", "reason": "text"},
    "level_up": {"level": "integer"},
    "achievement_unlocked": {"achievement": "text"},
    "streak_updated": {"days": "integer"},
    "ai_coach_interaction": {
        "conversation_id": "text",
        "latency_ms": "integer",
        "tokens": "integer",
        "model": "text",
    },
    "ai_coach_feedback": {"conversation_id": "text", "rating": "integer"},
    "api_request": {"path": "text", "method": "text", "status": "integer", "latency_ms": "integer"},
    "system_error": {"type": "text", "message": "text", "path": "text"},
}
"""Payload fields of each event type, in the order in which the producers send them."""
SYSTEM = ("api_request", "system_error")
WITH_KEY = ("xp_earned", "level_up", "achievement_unlocked", "streak_updated", "material_complete")
"""Event types that the app sends again under the same idempotency key when it got no answer."""

Flags = npt.NDArray[np.bool_]


@dataclass
class Day:
    """What the generation of one app's day needs everywhere."""

    app: App
    index: int
    midnight: int
    scale: float
    rng: np.random.Generator
    ids: Minter

    def chance(self, rate: str, size: int) -> Flags:
        """Return which of `size` trials succeed at a rate of `RATES`."""
        return self.rng.random(size) < RATES[rate]

    def within(self, frame: pd.DataFrame) -> Ints:
        """Return a moment inside each row's session."""
        elapsed = (self.rng.random(len(frame)) * frame["length"]).to_numpy(np.int64)
        moments: Ints = frame["started_at"].to_numpy(np.int64) + elapsed
        return moments


def day_events(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return the events caused on day `index` after `start`, of all apps, by type."""
    day_start = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=index)
    batches = []
    for number, app in enumerate(APPS):
        day = Day(
            app,
            index,
            int(day_start.timestamp()) * 1000,
            scale,
            np.random.default_rng([seed, index, number]),
            Minter(seed, index, number),
        )
        world = np.random.default_rng([seed, WORLD, number])
        materials = pick(world, MATERIAL_TYPES, MATERIALS)
        sessions = _sessions(day)
        frames = _learning(day, sessions, materials) | _system(day)
        batches += [_batch(name, day, frame) for name, frame in frames.items() if len(frame)]
    return batches


def _sessions(day: Day) -> pd.DataFrame:
    """Sessions with learner, start and length; late ones go on after midnight."""
    size = int(day.rng.poisson(max(2.0, day.app.sessions_per_day * day.scale)))
    learners = max(2, round(day.app.learners * day.scale))
    number = day.rng.integers(0, learners, size)
    weights = np.roll(np.array(HOUR_WEIGHTS), -day.app.utc_offset_hours)
    hour = day.rng.choice(24, size=size, p=weights / weights.sum())
    minutes = day.rng.lognormal(np.log(18), 0.8, size).clip(1, 180)
    return pd.DataFrame(
        {
            "learner": number,
            "user_id": day.ids.of("learner_", number).mask(day.chance("guest", size)),
            "session_id": day.ids.new("ses_", size),
            "device_id": day.ids.of("dev_", number),
            "started_at": day.midnight + hour * HOUR_MS + day.rng.integers(0, HOUR_MS, size),
            "length": (minutes * MINUTE_MS).astype(np.int64),
        }
    )


def _learning(
    day: Day, sessions: pd.DataFrame, materials: npt.NDArray[np.object_]
) -> dict[str, pd.DataFrame]:
    busy = sessions[~day.chance("empty", len(sessions))]
    views = _views(day, busy, materials)
    completions = _completions(day, views)
    gained = _xp(day, busy, completions)
    total = gained.groupby("session_id")["xp"].sum()
    xp = sessions["session_id"].map(total).fillna(0).astype(np.int64)
    return {
        "session_start": _starts(day, sessions),
        "session_end": _ends(day, sessions.assign(xp=xp)),
        "material_view": views,
        "material_complete": completions,
        "xp_earned": gained,
        **_progress(day, busy),
        **_coach(day, busy),
    }


def _starts(day: Day, sessions: pd.DataFrame) -> pd.DataFrame:
    """Most sessions have one start, some none, some two: the app came back from the background."""
    sent = sessions[~day.chance("start_missing", len(sessions))]
    again = sent[day.chance("start_doubled", len(sent))]
    frame = pd.concat([sent, again], ignore_index=True)
    wait = np.where(np.arange(len(frame)) < len(sent), 0, day.rng.integers(1, 30_000, len(frame)))
    opened = day.chance("counted_clicks", len(frame))
    frame["occurred_at"] = frame["started_at"] + wait
    frame["material_id"] = pd.Series(_material_ids(day, day.rng.integers(0, MATERIALS, len(frame)))).where(
        pd.Series(opened)
    )
    frame["platform"] = pick(day.rng, PLATFORMS, len(frame))
    return frame


def _ends(day: Day, sessions: pd.DataFrame) -> pd.DataFrame:
    """Ends are missing, sent twice, or say a time before the start: the clock was set in between."""
    sent = sessions[~day.chance("end_missing", len(sessions))]
    ended = sent["started_at"] + sent["length"]
    back = sent["started_at"] - day.rng.integers(1_000, 10 * MINUTE_MS, len(sent))
    sent = sent.assign(occurred_at=ended.where(~day.chance("reversed", len(sent)), back))
    again = sent[day.chance("end_doubled", len(sent))]
    # Some of the doubled ends carry the very same time: the event id decides between them.
    wait = day.rng.integers(0, 20_000, len(again)) * ~day.chance("same_moment", len(again))
    again = again.assign(occurred_at=again["occurred_at"] + wait, length=again["length"] + wait)
    frame = pd.concat([sent, again], ignore_index=True)
    frame["duration_s"] = frame["length"] // 1000
    return frame


def _views(day: Day, sessions: pd.DataFrame, materials: npt.NDArray[np.object_]) -> pd.DataFrame:
    frame = _repeated(sessions, 1 + day.rng.poisson(1.6, len(sessions)))
    number = np.minimum(day.rng.geometric(0.07, len(frame)) - 1, MATERIALS - 1)
    clicks = pd.array(1 + day.rng.poisson(3, len(frame)), dtype="Int64")
    clicks[~day.chance("counted_clicks", len(frame))] = pd.NA
    frame["occurred_at"] = day.within(frame)
    frame["material_id"] = _material_ids(day, number)
    frame["material_type"] = materials[number]
    frame["clicks"] = clicks
    return frame


def _completions(day: Day, views: pd.DataFrame) -> pd.DataFrame:
    frame = views[day.chance("completes", len(views))].reset_index(drop=True)
    took = day.rng.lognormal(np.log(240), 0.8, len(frame)).clip(5, 7200).astype(np.int64)
    marked = frame["material_type"].isin(MARKED).to_numpy() & ~day.chance("unscored", len(frame))
    frame["occurred_at"] += took * 1000
    frame["duration_s"] = took
    frame["score"] = np.where(marked, np.round(100 * day.rng.beta(5, 2, len(frame)), 1), np.nan)
    return frame.drop(columns="clicks")


def _xp(day: Day, sessions: pd.DataFrame, completions: pd.DataFrame) -> pd.DataFrame:
    done = completions[["learner", "user_id", "session_id", "device_id", "occurred_at"]].assign(
        xp=completions["material_type"].map(XP_OF_TYPE).astype(np.int64), reason="material_complete"
    )
    other = sessions[day.chance("other_xp", len(sessions))].reset_index(drop=True)
    other = other.assign(
        occurred_at=day.within(other),
        xp=5 * day.rng.integers(0, 9, len(other)),
        reason=pick(day.rng, OTHER_REASONS, len(other)),
    )
    return pd.concat([done, other[done.columns]], ignore_index=True)


def _progress(day: Day, sessions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Levels rise by the day, streaks by the day until they break; two at one moment differ in their id only."""
    levels = sessions[day.chance("level_up", len(sessions))].reset_index(drop=True)
    levels = levels.assign(
        occurred_at=day.within(levels),
        level=1 + levels["learner"] % 5 + 2 * day.index + day.rng.integers(0, 2, len(levels)),
    )
    levels = pd.concat(
        [
            levels,
            levels[day.chance("same_moment", len(levels))].assign(level=lambda again: again["level"] + 1),
        ],
        ignore_index=True,
    )
    unlocked = sessions[day.chance("achievement", len(sessions))].reset_index(drop=True)
    streaks = sessions[day.chance("streak", len(sessions))].reset_index(drop=True)
    broken = day.chance("streak_broken", len(streaks))
    return {
        "level_up": levels,
        "achievement_unlocked": unlocked.assign(
            occurred_at=day.within(unlocked), achievement=pick(day.rng, ACHIEVEMENTS, len(unlocked))
        ),
        "streak_updated": streaks.assign(
            occurred_at=day.within(streaks),
            days=np.where(broken, 0, 1 + day.index + streaks["learner"] % 9),
        ),
    }


def _coach(day: Day, sessions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Conversations, some of them rated, some of those a day later and in no session."""
    held = sessions[day.chance("coached", len(sessions))].reset_index(drop=True)
    held = held.assign(conversation_id=day.ids.new("conv_", len(held)))
    turns = _repeated(held, 1 + day.rng.poisson(2, len(held)))
    turns = turns.assign(
        occurred_at=day.within(turns),
        latency_ms=day.rng.lognormal(np.log(1_800), 0.5, len(turns)).astype(np.int64),
        tokens=day.rng.integers(40, 1_500, len(turns)),
        model=pick(day.rng, MODELS, len(turns)),
    )
    rated = held[day.chance("rated", len(held))].reset_index(drop=True)
    later = day.chance("rated_later", len(rated))
    wait = np.where(later, day.rng.integers(HOUR_MS, DAY_MS, len(rated)), 30_000)
    rated = rated.assign(
        occurred_at=rated["started_at"] + rated["length"] + wait,
        session_id=rated["session_id"].mask(later),
        rating=pick(day.rng, RATINGS, len(rated)).astype(np.int64),
    )
    return {"ai_coach_interaction": turns, "ai_coach_feedback": rated}


def _system(day: Day) -> dict[str, pd.DataFrame]:
    """Requests, which name a user where the middleware knew one, on authentication routes too; and errors."""
    size = int(day.rng.poisson(max(4.0, day.app.requests_per_day * day.scale)))
    learner = day.rng.integers(0, max(2, round(day.app.learners * day.scale)), size)
    route = pd.Series(pick(day.rng, ROUTES, size).astype(str)).str.split(" ", n=1)
    known = day.chance("request_with_user", size)
    requests = pd.DataFrame(
        {
            "occurred_at": day.midnight + day.rng.integers(0, DAY_MS, size),
            "user_id": day.ids.of("learner_", learner).where(known),
            "device_id": day.ids.of("dev_", learner).where(known),
            "path": route.str[1],
            "method": route.str[0],
            "status": pick(day.rng, STATUSES, size).astype(np.int64),
            "latency_ms": day.rng.lognormal(np.log(90), 0.9, size).astype(np.int64),
        }
    )
    errors = requests[day.chance("errors", size) | (requests["status"] >= 500)].reset_index(drop=True)
    said = pd.Series(draw(day.rng, PEOPLE, len(errors)).astype(str))
    errors = errors.assign(
        type=pick(day.rng, ERRORS, len(errors)),
        message="request of " + said + " failed",
        path=errors["path"].where(day.rng.random(len(errors)) < 0.7),
        user_id=None,
        device_id=None,
    )
    return {"api_request": requests, "system_error": errors}


def _repeated(frame: pd.DataFrame, times: Ints) -> pd.DataFrame:
    return frame.iloc[np.repeat(np.arange(len(frame)), times)].reset_index(drop=True)


def _material_ids(day: Day, number: Ints) -> npt.NDArray[np.object_]:
    ids: npt.NDArray[np.object_] = day.ids.of("mat_", number).to_numpy(object)
    return ids


def _batch(event_type: str, day: Day, frame: pd.DataFrame) -> EventBatch:
    """Complete the envelope."""
    size = len(frame)
    of_system = event_type in SYSTEM
    filled: dict[str, Any] = {
        "event_id": day.ids.new("evt_", size),
        "idempotency_key": day.ids.new("idk_", size) if event_type in WITH_KEY else None,
        "wire_type": event_type,
        "tenant_id": day.app.app,
        "user_id": None,
        "device_id": None,
        "session_id": None,
        "order_id": None,
        "trace_id": day.ids.new("req_", size) if of_system else None,
        "service": "api" if of_system else "app",
        "service_version": "3.2.0" if of_system else "5.14.1",
    }
    fields = FIELDS[event_type]
    names = [*ENVELOPE, "occurred_at", *fields]
    whole = pd.DataFrame(
        {name: frame[name].to_numpy() if name in frame else filled[name] for name in dict.fromkeys(names)},
        index=range(size),
    )
    if "clicks" in frame:
        whole["clicks"] = frame["clicks"].array
    for name in whole.columns:
        if whole[name].dtype == object:
            whole[name] = whole[name].astype("str")
    return EventBatch(event_type, whole, fields)
