"""Partitions of received time at every cadence, and the arithmetic between windows, keys and dbt vars.

A partition is named by the clock of the platform (`received_at`), not by the clock of the event: an hour that
was materialised never grows afterwards, and what a late event restates follows from the touched dates of that
hour.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal

import dagster as dg

from lake.errors import WrongUseError

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
DBT_FORMAT = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Cadence:
    """How often something is rebuilt: the length of its partitions, their names, and when they are due."""

    name: str
    """The dbt tag of its models and the ending of its job."""
    unit: Literal["hour", "day", "week", "month"]
    key_format: str
    """How a partition is named, by its start. No two cadences name one alike."""
    begins: str
    """Cron of the beginnings of its partitions."""
    due: str
    """Cron of the schedule that rebuilds the partition that has ended, after the runs of the finer cadences."""
    grace: timedelta
    """How long after its end a partition may still be missing."""
    back: int
    """How many recent partitions are looked for."""

    def floor(self, moment: datetime) -> datetime:
        """Start of the period that contains a moment; weeks begin on Monday."""
        moment = moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        if self.unit == "hour":
            return moment
        midnight = moment.replace(hour=0)
        if self.unit == "week":
            return midnight - DAY * midnight.weekday()
        return midnight.replace(day=1) if self.unit == "month" else midnight

    def after(self, start: datetime) -> datetime:
        """Start of the period after the one that starts at `start`."""
        longest = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 31 * DAY}[self.unit]
        return self.floor(start + longest)

    def before(self, start: datetime) -> datetime:
        """Start of the period before the one that starts at `start`."""
        return self.floor(start - HOUR)

    def key(self, moment: datetime) -> str:
        """Partition key of the period that contains a moment."""
        return self.floor(moment).strftime(self.key_format)

    def parse(self, key: str) -> datetime:
        """Start of the period that a partition key names, aware and UTC.

        Raises:
            ValueError: when it is no key of this cadence.
        """
        return datetime.strptime(key, self.key_format).replace(tzinfo=UTC)

    def latest_complete(self, now: datetime, grace: timedelta = timedelta(0)) -> datetime:
        """Start of the newest period that ended at least `grace` before `now`."""
        return self.before(self.floor(now - grace))

    def partitions(self, first_day: date) -> dg.TimeWindowPartitionsDefinition:
        """Periods of received time in UTC, from the one that holds `first_day` to the running one.

        The running one is included, so that fresh loads can be materialised at once.
        """
        return dg.TimeWindowPartitionsDefinition(
            cron_schedule=self.begins,
            start=self.key(datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)),
            fmt=self.key_format,
            timezone="UTC",
            end_offset=1,
        )


HOURLY: Final = Cadence(
    "hourly", "hour", "%Y-%m-%d-%H:%M", "0 * * * *", "10 * * * *", timedelta(minutes=30), 24
)
DAILY: Final = Cadence("daily", "day", "%Y-%m-%d", "0 0 * * *", "40 0 * * *", timedelta(hours=2), 7)
# The ISO week date of its Monday: the week alone is no date that can be parsed.
WEEKLY: Final = Cadence("weekly", "week", "%G-W%V-%u", "0 0 * * 1", "20 1 * * 1", timedelta(hours=6), 4)
MONTHLY: Final = Cadence("monthly", "month", "%Y-%m", "0 0 1 * *", "0 2 1 * *", timedelta(hours=6), 3)
RANGE: Final = "..."
"""Between the first and the last key of a range in its label."""
CADENCES: Final = (HOURLY, DAILY, WEEKLY, MONTHLY)
"""From the finest to the coarsest; each reads what the finer ones made."""


class WindowError(WrongUseError):
    """A window that cannot be materialised; the message names it and the valid ones."""


@dataclass(frozen=True)
class Window:
    """Received time from `start` (inclusive) to `end` (exclusive), both aware, UTC and on the hour."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse what is no window.

        Raises:
            WindowError: when a bound is naive or not on the hour, or the window is empty.
        """
        for name, bound in (("start", self.start), ("end", self.end)):
            if bound.tzinfo is None:
                raise WindowError(
                    f"the window's {name} {bound.isoformat()} has no timezone: give one, e.g. +00:00"
                )
            if bound != HOURLY.floor(bound):
                raise WindowError(f"the window's {name} {bound.isoformat()} is not on the hour")
        if self.end <= self.start:
            raise WindowError(
                f"the window ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()})"
            )

    def from_day(self, first: date) -> Window:
        """Cut off what lies before a UTC day; a window that ends before it stays as it is."""
        midnight = datetime(first.year, first.month, first.day, tzinfo=UTC)
        return Window(max(self.start, midnight), self.end) if self.end > midnight else self

    @property
    def hours(self) -> list[datetime]:
        """The start of every hour in the window."""
        return list(self._starts(HOURLY))

    @property
    def days(self) -> list[date]:
        """Every UTC day the window touches, whole or in part."""
        return [day.date() for day in self._starts(DAILY)]

    def split(self, cadence: Cadence) -> list[Window]:
        """Every whole period of a cadence that the window touches, whole or in part."""
        return [Window(start, cadence.after(start)) for start in self._starts(cadence)]

    def widened(self, cadence: Cadence) -> Window:
        """The window widened to whole periods of a cadence."""
        return Window(cadence.floor(self.start), cadence.after(cadence.floor(self.end - HOUR)))

    def keys(self, cadence: Cadence) -> KeyRange:
        """The partitions of a cadence that the window touches, whole or in part."""
        return KeyRange(cadence.key(self.start), cadence.key(self.end - HOUR))

    def _starts(self, cadence: Cadence) -> Iterator[datetime]:
        start = cadence.floor(self.start)
        while start < self.end:
            yield start
            start = cadence.after(start)


@dataclass(frozen=True)
class KeyRange:
    """First and last partition key of a single-run range."""

    start: str
    end: str

    @property
    def tags(self) -> dict[str, str]:
        """The run tags that make Dagster execute the range as one run."""
        return {
            "dagster/asset_partition_range_start": self.start,
            "dagster/asset_partition_range_end": self.end,
        }


def window_of_label(label: str) -> Window:
    """The received hours that a label names: a partition key of any cadence, or two of them joined by `...`.

    Raises:
        ValueError: when it is no such label.
    """
    first, _, last = label.partition(RANGE)
    return Window(_period(first)[1].start, _period(last or first)[1].end)


def cadence_of_label(label: str) -> Cadence:
    """The cadence whose partitions a label names.

    Raises:
        ValueError: when it is no such label.
    """
    return _period(label.partition(RANGE)[0])[0]


def dbt_vars(window: Window) -> dict[str, str]:
    """The window as dbt models read it: received hours, `YYYY-MM-DD HH:MM:SS` in UTC, end exclusive."""
    return {
        "window_from": window.start.astimezone(UTC).strftime(DBT_FORMAT),
        "window_to": window.end.astimezone(UTC).strftime(DBT_FORMAT),
    }


GAP: Final = timedelta(days=1)
"""Windows with less than this between them are one: 24 empty hours cost a run two seconds, another run twenty."""


def with_partition(hours: Iterable[datetime], first_day: date) -> list[datetime]:
    """Leave out hours that no run can build: nothing was ever built from them."""
    now = datetime.now(UTC)
    return [hour for hour in hours if hour.date() >= first_day and hour <= now]


def contiguous(hours: Iterable[datetime], gap: timedelta = timedelta(0)) -> list[Window]:
    """Group hours into the fewest windows without a gap, or with none longer than `gap`, in order.

    Repeated hours count once.
    """
    windows: list[Window] = []
    for hour in sorted({HOURLY.floor(hour) for hour in hours}):
        if windows and hour - windows[-1].end <= gap:
            windows[-1] = Window(windows[-1].start, hour + HOUR)
        else:
            windows.append(Window(hour, hour + HOUR))
    return windows


def check_available(window: Window, now: datetime, first_day: date) -> None:
    """Refuse a window outside the partitions there are.

    Raises:
        WindowError: when it starts before `first_day` or ends after the running hour.
    """
    first = datetime(first_day.year, first_day.month, first_day.day, tzinfo=UTC)
    last = HOURLY.after(HOURLY.floor(now))
    if window.start < first or window.end > last:
        raise WindowError(
            f"the window {window.start.isoformat()} to {window.end.isoformat()} is outside the partitions "
            f"there are: {first.isoformat()} to {last.isoformat()}; they begin with the first day that the lake "
            "holds, or on MILLRACE_FIRST_DAY"
        )


def _period(key: str) -> tuple[Cadence, Window]:
    for cadence in CADENCES:
        try:
            start = cadence.parse(key)
        except ValueError:
            continue
        return cadence, Window(start, cadence.after(start))
    forms = ", ".join(cadence.key_format for cadence in CADENCES)
    raise ValueError(f"{key!r} is no partition key; they are written {forms}")
