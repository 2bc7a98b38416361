"""Random learners: sessions of every broken shape, points out of order, a coach, requests without a user."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from random_producer import Deliveries, RandomProducer

START = datetime(2026, 11, 14, tzinfo=UTC)
KINDS = ("pdf", "video", "assessment")


def deliveries(seed: int, sessions: int = 60, days: int = 10) -> Deliveries:
    """Return what an app sent, by the time at which it was received (one delivery per hour of receipt)."""
    app = _App(random.Random(seed), days)
    for number in range(sessions):
        app.session(number)
    for number in range(sessions):
        app.gamify(number)
    for number in range(sessions):
        app.coach(number)
    for number in range(3 * sessions):
        app.request(number)
    return app.delivered()


class _App(RandomProducer):
    def moment(self) -> datetime:
        return START + timedelta(milliseconds=self.rng.randrange(self.days * 86400 * 1000))

    def who(self) -> dict[str, str | None]:
        return {
            "tenant_id": self.rng.choice(("a1", "a2")),
            "user_key": self.rng.choice((None, "u1", "u2", "u3", "u4")),
        }

    def session(self, number: int) -> None:
        """One session: it may cross midnight, lack its start or end, have two of either, or end before it starts."""
        rng = self.rng
        moment = self.moment()
        session_id = rng.choice((None, f"s{number}", f"s{number}", f"s{number // 5}"))
        who = self.who() | {"session_id": session_id}
        ends = moment + timedelta(milliseconds=rng.randrange(-600_000, 7_200_000))
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            self.add(moment + timedelta(seconds=rng.randrange(3)), "session_start", {}, **who)
        for _ in range(rng.choice((0, 1, 1, 1, 2))):
            report = {"duration_s": rng.randrange(7200), "xp": rng.randrange(100)}
            self.add(ends + timedelta(seconds=rng.randrange(3)), "session_end", report, **who)
        for _ in range(rng.randrange(4)):
            self.material(moment + timedelta(milliseconds=rng.randrange(8_000_000)), who)

    def material(self, moment: datetime, who: dict[str, str | None]) -> None:
        rng = self.rng
        material: dict[str, object] = {
            "material_id": f"m{rng.randrange(9)}",
            "material_type": rng.choice(KINDS),
        }
        if rng.random() < 0.5:
            self.add(moment, "material_view", material | {"clicks": rng.choice((None, 1, 7))}, **who)
        else:
            result = {"duration_s": rng.choice((None, 30)), "score": rng.choice((None, 0, 82.3, 61.00005))}
            self.add(moment, "material_complete", material | result, **who)

    def gamify(self, number: int) -> None:
        """Points, levels and streaks; whole seconds, so that some stand at one moment."""
        rng = self.rng
        who = self.who()
        moment = START + timedelta(minutes=rng.randrange(self.days * 24 * 60))
        self.add(moment, "xp_earned", {"xp": rng.randrange(50), "reason": "quiz"}, **who)
        for _ in range(rng.randrange(3)):
            self.add(moment, "level_up", {"level": rng.randrange(1, 9)}, **who)
            self.add(moment, "streak_updated", {"days": rng.randrange(30)}, **who)
        if number % 3 == 0:
            self.add(moment, "achievement_unlocked", {"achievement": f"badge-{rng.randrange(5)}"}, **who)

    def coach(self, number: int) -> None:
        rng = self.rng
        who = self.who()
        moment = self.moment()
        for _ in range(rng.randrange(3)):
            asked = {
                "conversation_id": f"c{number // 2}",
                "latency_ms": rng.randrange(3000),
                "tokens": rng.randrange(900),
            }
            self.add(moment, "ai_coach_interaction", asked, **who)
        if rng.random() < 0.4:
            rated = {"conversation_id": f"c{number // 2}", "rating": rng.randrange(1, 6)}
            self.add(moment + timedelta(hours=rng.randrange(40)), "ai_coach_feedback", rated, **who)

    def request(self, number: int) -> None:
        """What the app's servers report; they know no user, whatever the producer says."""
        rng = self.rng
        who = {"tenant_id": rng.choice(("a1", "a2")), "user_key": rng.choice((None, None, "u9"))}
        path = rng.choice(("/api/materials", "/api/auth/login"))
        answered = {
            "path": path,
            "method": "GET",
            "status": rng.choice((200, 200, 399, 400, 499, 500, 503)),
            "latency_ms": rng.randrange(2000),
        }
        self.add(self.moment(), "api_request", answered, **who)
        if number % 7 == 0:
            self.add(self.moment(), "system_error", {"type": "TimeoutError", "path": path}, **who)
