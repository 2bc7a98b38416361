"""What a producer sends at random, and how it is delivered: late, twice, out of order, under retried keys."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

from lake_writer import Event

Deliveries = dict[str, list[Event]]


class RandomProducer:
    """Collects events; `ties` are the payload fields that correlate events of different dates."""

    def __init__(self, rng: random.Random, days: int, ties: frozenset[str] = frozenset()) -> None:
        self.rng = rng
        self.days = days
        self.ties = ties
        self.events: list[Event] = []

    def add(
        self, moment: datetime, event_type: str, payload: dict[str, object], **envelope: str | None
    ) -> None:
        """Note an event; half of all carry an idempotency key."""
        number = len(self.events)
        self.events.append(
            Event(
                event_id=f"e{self.rng.randrange(10**9):09d}-{number}",
                occurred_at=f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}",
                event_type=event_type,
                payload=payload,
                idempotency_key=f"k{number}" if self.rng.random() < 0.5 else None,
                **envelope,  # type: ignore[arg-type]
            )
        )

    def delivered(self) -> Deliveries:
        """Every event once, many up to two days late, some again, some under another id and time."""
        found: Deliveries = {}
        for number, event in enumerate(self.events):
            copies = [event]
            if self.rng.random() < 0.3:
                copies.append(event)
            if event.idempotency_key and self.rng.random() < 0.3:
                moment = datetime.fromisoformat(event.occurred_at) + timedelta(
                    hours=self.rng.randrange(-30, 30)
                )
                again = f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d}"
                copies.append(replace(event, event_id=f"retry-{number}", occurred_at=again))
            # What no session or cart ties to other dates comes very late: it restates its own date, long after the
            # dates whose events that date's carts and orders need were rebuilt.
            is_tied = event.session_id or self.ties & event.payload.keys()
            slack = (1, 60, 3600, 86400, 2 * 86400) if is_tied else (3600, 10 * 86400)
            for copy in copies:
                lateness = timedelta(seconds=self.rng.choice(slack) * self.rng.random())
                received = datetime.fromisoformat(event.occurred_at) + lateness + timedelta(hours=31)
                found.setdefault(f"{received:%Y-%m-%d %H}:30", []).append(copy)
        return found
