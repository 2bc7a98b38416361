"""Random ticketing: visitors with and without sessions of the producer, around midnights and for days on end."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from random_producer import Deliveries, RandomProducer

START = datetime(2026, 10, 28, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
TICKETED = ("jazz", "opera", "derby", "unheard-of")


def deliveries(seed: int, visits: int = 70, days: int = 9) -> Deliveries:
    """Return what was sent, by the time at which it was received (one delivery per hour of receipt)."""
    ticketing = _Ticketing(random.Random(seed), days, frozenset({"order_id"}))
    for number in range(visits):
        ticketing.visit(number)
    for number in range(4):
        ticketing.restless(number)
    for number in range(40):
        ticketing.change(number)
    return ticketing.delivered()


class _Ticketing(RandomProducer):
    def add(
        self, moment: datetime, event_type: str, payload: dict[str, object], **envelope: str | None
    ) -> None:
        """Note an event without the fields that it does not have."""
        super().add(
            moment,
            event_type,
            {name: value for name, value in payload.items() if value is not None},
            **envelope,
        )

    def visit(self, number: int) -> None:
        """Up to a dozen events, often around a midnight, with pauses of just under and over half an hour."""
        rng = self.rng
        day = START + timedelta(days=rng.randrange(self.days))
        moment = day + (rng.random() * timedelta(days=1) if rng.random() < 0.4 else timedelta(hours=23))
        visitor = rng.choice([None, f"v{rng.randrange(8)}"])
        user = rng.choice([None, f"u{rng.randrange(10)}"])
        session = f"s{number}" if rng.random() < 0.4 else None
        bot = rng.choice([None, False, False, False, True])
        tenant = rng.choice(["t1", "t1", "t2"])
        for _ in range(rng.randint(1, 12)):
            self.track(moment, tenant, visitor, user, session, bot=bot)
            moment += rng.choice([0.0, 1.0, 5.0, 20.0, 29.9999, 30.0, 45.0]) * MINUTE

    def restless(self, number: int) -> None:
        """Somebody who is never silent for half an hour, over several midnights."""
        moment = START + timedelta(days=self.rng.randrange(self.days - 2), hours=self.rng.randrange(24))
        for _ in range(self.rng.randint(60, 160)):
            self.track(moment, "t1", f"restless{number}", None, None, bot=False)
            moment += self.rng.choice([15, 20, 25]) * MINUTE

    def track(
        self,
        moment: datetime,
        tenant: str,
        visitor: str | None,
        user: str | None,
        session: str | None,
        *,
        bot: bool | None,
    ) -> None:
        rng = self.rng
        payload: dict[str, object] = {
            "visitor_id": visitor,
            "ip": rng.choice([None, "ip1", "ip2"]) if visitor is None else None,
            "ticketed_event_id": rng.choice([None, *TICKETED]),
            "campaign_id": rng.choice([None, None, "spring", "autumn"]),
            "channel": rng.choice([None, "web", "mobile"]),
            "country": rng.choice([None, "DE", "FR"]),
            "city": rng.choice([None, "Berlin", "Paris"]),
            "device_type": rng.choice([None, "desktop", "mobile"]),
            "browser": rng.choice([None, "Firefox", "Chrome"]),
            "referrer": rng.choice([None, "https://news.example/a?b=c", "nonsense"]),
            "is_bot": bot,
        }
        kind = rng.choice(["page_view", "page_view", "page_view", "click", "click", "conversion", "custom"])
        order = None
        if kind == "conversion":
            name = rng.choice(["registration", "ticket_purchase", "ticket_purchase", "newsletter"])
            payload["event_name"] = name
            if name == "ticket_purchase":
                order = rng.choice([None, f"o{rng.randrange(15)}"])
                payload |= {
                    "order_id": order,
                    "tickets": rng.choice([None, 1, 2, 7]),
                    "amount": rng.choice([None, 10.5, 99.9999]),
                    "currency": rng.choice([None, "EUR", "CHF"]),
                }
        elif kind == "custom":
            payload |= {
                "event_name": rng.choice(["experiment_assigned", "experiment_exposed", "scrolled"]),
                "experiment": rng.choice(["button", "price", None]),
                "variant": rng.choice(["control", "red", "blue"]),
            }
        elif kind == "page_view":
            payload["page"] = rng.choice(["/", "/events"])
        self.add(moment, kind, payload, tenant_id=tenant, user_key=user, session_id=session, order_id=order)

    def change(self, number: int) -> None:
        """A version of a row, told at any time, some of them twice or with a clock that ran backwards."""
        rng = self.rng
        moment = START + rng.random() * timedelta(days=self.days)
        payload: dict[str, object] = {"version": rng.randint(1, 6), "operation": rng.choice([None, "update"])}
        if number % 2:
            payload |= {"country": rng.choice(["DE", "FR"]), "city": "Berlin", "user_status": "active"}
            self.add(moment, "users", payload, tenant_id="t1", user_key=rng.choice([None, "u1", "u2"]))
            return
        name = rng.choice(TICKETED[:3])
        payload |= {
            "ticketed_event_id": name,
            "organizer_id": "t1",
            "name": name,
            "category": rng.choice(["music", "sport"]),
            "venue": "hall",
            "city": "Berlin",
            "country": "DE",
            "starts_at": "2026-12-01T20:00:00Z",
            "capacity": rng.choice([0, 10, 300]),
        }
        self.add(moment, "ticketed_events", payload, tenant_id=rng.choice(["t1", "t2"]), user_key=None)
