"""Which rows of a mart a window compares: those that its received hours could have changed, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import duckdb

from expectations.proof.marts import Mart, Period
from expectations.proof.warehouse import FIRST_DAYS, ClickHouse, table_columns

Window = tuple[datetime, datetime]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EARLIEST = date(1970, 1, 1)
"""The first day that ClickHouse's Date holds."""


@dataclass(frozen=True)
class Scope:
    """Which rows of a mart are compared, valid in both engines: those of `condition`, which may read FIRST_DAYS.

    `first_days` are the rows of that table: the days on which compared rows may begin.
    """

    condition: str
    first_days: tuple[date, ...] = ()


def scope_of(mart: Mart, window: Window | None, touched: Callable[[Window], Collection[date]]) -> Scope:
    """Return which rows of a mart a window compares; without a condition where everything is compared.

    A mart is rebuilt when a period of its cadence has ended: only whole periods inside the window count, as
    received time and as occurred time. Compared are their days and the earlier ones that what was received in
    them restates; never a row that is not over yet.

    Args:
        mart: what is compared.
        window: received time, aware, or None for everything.
        touched: the occurred days that what was received in a window touches.
    """
    if window is None:
        return Scope("")
    whole = whole_periods(window, mart.every)
    if whole is None:
        return Scope("where false")
    first, last = whole[0].date(), (whole[1] - HOUR).date()
    days = set(_days(first, last)) | set(touched(whole))
    restated = _restated({day for day in days if day <= last}, mart, last)
    return Scope(
        f"where {mart.last_day} <= cast('{last}' as date)"
        f" and {mart.day} in (select {FIRST_DAYS}.first_day from {FIRST_DAYS})",
        tuple(sorted({begun for day in restated for begun in _beginnings(day, mart.every)})),
    )


def not_before(condition: str, mart: Mart, first: date | None) -> str:
    """Add to a condition that rows of periods which ended before a day are not compared."""
    if first is None:
        return condition
    still = "false" if first == date.max else f"{mart.last_day} >= cast('{first}' as date)"
    return f"{condition} and {still}" if condition else f"where {still}"


def whole_periods(window: Window, every: Period) -> Window | None:
    """Return the part of a window that consists of whole hours, days, ISO weeks or months, or None."""
    start, end = (moment.astimezone(UTC) for moment in window)
    first = _floor(start, every)
    if first < start:
        first = _floor(first + {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 31 * DAY}[every], every)
    last = _floor(end, every)
    return (first, last) if first < last else None


def _floor(moment: datetime, every: Period) -> datetime:
    hour = moment.replace(minute=0, second=0, microsecond=0)
    if every == "hour":
        return hour
    midnight = hour.replace(hour=0)
    if every == "week":
        return midnight - DAY * midnight.weekday()
    return midnight.replace(day=1) if every == "month" else midnight


def _days(first: date, last: date) -> Iterator[date]:
    """Yield every day from one to another, both included."""
    return (first + n * DAY for n in range((last - first).days + 1))


def _restated(days: Collection[date], mart: Mart, last: date) -> set[date]:
    if mart.restates == "later":
        return set(_days(min(days), last))
    reach = mart.restates
    return {min(day + n * DAY, last) for day in days for n in range(reach + 1)}


def _beginnings(day: date, every: Period) -> Iterator[date]:
    """Yield the days that a row which holds this day may begin on."""
    if every == "month":
        return _days(day.replace(day=1), day)
    return _days(max(day - 6 * DAY, EARLIEST), day) if every == "week" else _days(day, day)


class TouchedDays:
    """The occurred days that received hours touch: their own events', and those that the warehouse noted."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, client: ClickHouse, source: str) -> None:
        """Read from `deliveries` and `raw.touched_dates`, once for every stretch of received time."""
        self.connection = connection
        self.client = client
        self.source = source
        self._found: dict[Window, set[date]] = {}

    def __call__(self, window: Window) -> set[date]:
        """Return the days that what was received in a window touches, as late events do."""
        if window not in self._found:
            self._found[window] = self._delivered(window) | self._noted(window)
        return self._found[window]

    def _delivered(self, window: Window) -> set[date]:
        start, end = (moment.replace(tzinfo=None) for moment in window)
        rows = self.connection.execute(
            "select distinct cast(occurred_at as date) from deliveries where received_at >= $1 and received_at < $2",
            [start, end],
        ).fetchall()
        return {row[0] for row in rows}

    def _noted(self, window: Window) -> set[date]:
        """Days tied by a session, an order or another key. What goes unnoticed here shows when all is verified."""
        if table_columns(self.client, "raw", "touched_dates") is None:
            return set()
        rows = self.client.query(
            "select distinct occurred_date from raw.touched_dates where source = {source:String}"
            " and received_hour >= {start:DateTime('UTC')} and received_hour < {end:DateTime('UTC')}",
            parameters={
                "source": self.source,
                "start": f"{window[0]:%Y-%m-%d %H:%M:%S}",
                "end": f"{window[1]:%Y-%m-%d %H:%M:%S}",
            },
        ).result_rows
        return {row[0] for row in rows}
