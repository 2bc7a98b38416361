"""The simulated learning world: apps, materials, vocabulary and rates."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class App:
    """A tenant: one app with its learners."""

    app: str
    learners: int
    """Learners at scale 1."""
    sessions_per_day: int
    """Mean learning sessions at scale 1."""
    requests_per_day: int
    utc_offset_hours: int
    """Where the learners live."""


APPS = (
    App("studyin-med", 150, 100, 520, 1),
    App("studyin-nursing", 50, 32, 170, -5),
)

HOUR_WEIGHTS = (1, 0.5, 0.3, 0.2, 0.2, 0.5, 2, 4, 5, 5, 4.5, 4, 4.5, 4, 4, 4.5, 5, 6, 7.5, 9, 9.5, 8, 5, 2.5)
"""Sessions by local hour."""

MATERIALS = 60
MATERIAL_TYPES = (("video", 0.34), ("pdf", 0.3), ("quiz", 0.2), ("case", 0.1), ("assessment", 0.06))
MARKED = ("quiz", "assessment")
XP_OF_TYPE = {"video": 15, "pdf": 10, "quiz": 25, "case": 30, "assessment": 60}
PLATFORMS = (("ios", 0.5), ("android", 0.35), ("web", 0.15))
OTHER_REASONS = (("streak", 0.5), ("daily_goal", 0.4), ("invited_friend", 0.1))
ACHIEVEMENTS = (
    ("first_steps", 0.3),
    ("night_owl", 0.2),
    ("first_week", 0.18),
    ("quiz_master", 0.14),
    ("anatomy_expert", 0.1),
    ("hundred_cases", 0.08),
)
MODELS = (("coach-2", 0.8), ("coach-2-mini", 0.2))
RATINGS = (("5", 0.42), ("4", 0.3), ("3", 0.13), ("2", 0.08), ("1", 0.07))
ROUTES = (
    ("GET /api/materials", 0.3),
    ("GET /api/materials/{id}", 0.2),
    ("POST /api/analytics/events/track", 0.15),
    ("GET /api/learning/overview", 0.11),
    ("POST /api/coach/messages", 0.08),
    ("POST /api/auth/refresh", 0.08),
    ("POST /auth/login", 0.05),
    ("GET /health", 0.03),
)
STATUSES = (
    ("200", 0.9),
    ("304", 0.03),
    ("404", 0.025),
    ("401", 0.015),
    ("429", 0.005),
    ("500", 0.015),
    ("503", 0.01),
)
ERRORS = (("TimeoutError", 0.5), ("DatabaseError", 0.3), ("AuthenticationError", 0.2))
PEOPLE = ("jana.novak@example.com", "O'Neill", "Zoë Müller", "learner 4711")
"""What error messages quote of people: the loader must not write it."""

RATES = {
    "guest": 0.05,
    "start_missing": 0.05,
    "start_doubled": 0.04,
    "end_missing": 0.12,
    "end_doubled": 0.04,
    "reversed": 0.04,
    "empty": 0.06,
    "counted_clicks": 0.2,
    "completes": 0.5,
    "unscored": 0.1,
    "other_xp": 0.25,
    "level_up": 0.12,
    "achievement": 0.14,
    "streak": 0.5,
    "streak_broken": 0.08,
    "same_moment": 0.1,
    "coached": 0.3,
    "rated": 0.45,
    "rated_later": 0.2,
    "request_with_user": 0.6,
    "errors": 0.02,
}
"""Shares of whatever each step acts on: sessions, views, completions, conversations, requests."""
