"""Which rows of a mart a window compares: those that its received hours could have changed, and no others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from datetime import UTC, date, datetime, timedelta

import duckdb

from expectations.proof.marts import Mart, Period
from expectations.proof.warehouse import ClickHouse, table_columns

Window = tuple[datetime, datetime]
Days = tuple[date, date]
"""The first and the last of a stretch of days."""
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def clause(mart: Mart, window: Window | None, touched: Callable[[Window], Collection[date]]) -> str:
    """Return the condition on a mart's rows, valid in both engines; empty where everything is compared.

    A mart is rebuilt when a period of its cadence has ended: only whole periods inside the window count, as
    received time and as occurred time. Compared are their days and the earlier ones that what was received in
    them restates; never a row that is not over yet.

    Args:
        mart: what is compared.
        window: received time, aware, or None for everything.
        touched: the occurred days that what was received in a window touches.
    """
    if window is None:
        return ""
    whole = whole_periods(window, mart.every)
    if whole is None:
        return "where false"
    first, last = whole[0].date(), (whole[1] - HOUR).date()
    days = {first + n * DAY for n in range((last - first).days + 1)} | set(touched(whole))
    stretches = _restated({day for day in days if day <= last}, mart, last)
    overlaps = " or ".join(
        f"({mart.day} <= cast('{until}' as date) and {mart.last_day} >= cast('{since}' as date))"
        for since, until in stretches
    )
    return f"where {mart.last_day} <= cast('{last}' as date) and ({overlaps})"


def not_before(condition: str, mart: Mart, first: date | None) -> str:
    """Add to a clause that rows of periods which ended before a day are not compared."""
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


def _restated(days: Collection[date], mart: Mart, last: date) -> list[Days]:
    if mart.restates == "later":
        return [(min(days), last)]
    reach = mart.restates
    return _stretches(min(day + n * DAY, last) for day in days for n in range(reach + 1))


def _stretches(days: Iterable[date]) -> list[Days]:
    """Return days as stretches without a gap, in order."""
    found: list[Days] = []
    for day in sorted(set(days)):
        if found and day == found[-1][1] + DAY:
            found[-1] = (found[-1][0], day)
        else:
            found.append((day, day))
    return found


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
