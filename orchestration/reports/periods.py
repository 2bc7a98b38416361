"""The range of time that a report tells of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from orchestration.partitions import CADENCES, Cadence

UNITS: dict[str, Cadence] = {cadence.unit: cadence for cadence in CADENCES}
"""Periods by their name, all UTC: hour, day, ISO week, month."""
CLICKHOUSE_START = {
    "hour": "toStartOfHour({})",
    "day": "toDate({})",
    "week": "toMonday({})",
    "month": "toStartOfMonth({})",
}
"""The start of the period that holds a moment, in ClickHouse."""


@dataclass(frozen=True)
class Range:
    """From `start` (inclusive) to `end` (exclusive), both aware and UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse what is no range.

        Raises:
            ValueError: a bound has no time zone or stands within a second, or the end is not after the start.
        """
        for bound in (self.start, self.end):
            if bound.tzinfo is None or bound.microsecond:
                raise ValueError(f"{bound.isoformat()} is no full second with a time zone")
        if self.end <= self.start:
            raise ValueError(
                f"the range ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()})"
            )

    def __str__(self) -> str:
        """Return both bounds as a person writes them."""
        return f"{_shown(self.start)} to {_shown(self.end)} UTC"


@dataclass(frozen=True)
class LastPeriods:
    """The newest whole periods: so many hours, days, weeks or months that have ended."""

    number: int
    unit: str

    def before(self, now: datetime) -> Range:
        """Return the range of them at a moment; the running period is not in it."""
        cadence = UNITS[self.unit]
        end = start = cadence.floor(now)
        for _ in range(self.number):
            start = cadence.before(start)
        return Range(start, end)


def _shown(moment: datetime) -> str:
    moment = moment.astimezone(UTC)
    midnight = moment - moment.replace(hour=0, minute=0, second=0) == timedelta(0)
    return f"{moment:%Y-%m-%d}" if midnight else f"{moment:%Y-%m-%d %H:%M}"
