"""What retention took out of the warehouse, what of it was brought back, and what was verified before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from orchestration.warehouse import sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

EVENTS, LOADS, QUARANTINE = "raw.events", "ops.loads", "ops.quarantine"
_SETTINGS = {"insert_deduplicate": 0}


def note_retired(client: Client, source: str, store: str, rows: Mapping[datetime, int]) -> None:
    """Note that periods of a store are taken out, before they are; with the rows of each."""
    _note(client, source, store, rows, is_retired=True)


def note_restored(client: Client, source: str, hours: Iterable[datetime]) -> None:
    """Note of received hours that the warehouse holds their events again, if they had been taken out."""
    among = set(hours)
    if not among:
        return
    found = _moments(
        client,
        f"""
        select toUnixTimestamp(period) as moment from ops.retired_periods
        where source = {sql.text(source)} and store = {sql.text(EVENTS)} and {_between("period", among)}
        """,
    )
    _note(client, source, EVENTS, {period: 0 for period in found if period in among}, is_retired=False)


def retired_periods(client: Client, source: str, store: str) -> list[datetime]:
    """Return the periods of a store that were taken out and not brought back, in order."""
    return _moments(
        client,
        f"""
        select toUnixTimestamp(period) as moment from ops.retired_periods
        where source = {sql.text(source)} and store = {sql.text(store)} order by moment
        """,
    )


def note_verified(client: Client, source: str, days: Iterable[date], since: datetime, values: int) -> None:
    """Note that everything received on some days and committed before `since` was verified."""
    rows = [[source, day, since, values] for day in sorted(set(days))]
    if rows:
        columns = ["source", "received_date", "verified_at", "compared_values"]
        client.insert("verified_days", rows, columns, database="ops", settings=_SETTINGS)


def loaded_days(client: Client, source: str) -> list[date]:
    """Return the received days of which the warehouse has taken a load."""
    query = f"select distinct toDate(received_hour) as day from ops.loads where source = {sql.text(source)} order by day"
    return [row[0] for row in client.query(query).result_rows]


def verified_hours(client: Client, source: str, hours: Iterable[datetime]) -> set[datetime]:
    """Return the received hours of which everything was committed before their day was verified."""
    among = set(hours)
    if not among:
        return set()
    found = _moments(
        client,
        f"""
        select toUnixTimestamp(received_hour) as moment
        from (
            select received_hour, toDate(received_hour) as received_date,
                max(coalesce(committed_at, received_at)) as committed
            from ops.loads
            where source = {sql.text(source)} and {_between("received_hour", among)}
            group by received_hour
        ) as taken
        inner join (
            select received_date, max(verified_at) as verified
            from ops.verified_days where source = {sql.text(source)} group by received_date
        ) as days using (received_date)
        where verified > committed
        """,
    )
    return among.intersection(found)


def missing_hours(client: Client, source: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the received hours that what was received in [start, end) restates, and that were taken out.

    That is every hour with an event of a date that is touched in any way, or tied to such a date by a correlation
    key; and those that a model asked for. An hour that the lake no longer has either is left out.
    """
    bounds = f"received_hour >= {sql.moments([start])} and received_hour < {sql.moments([end])}"
    return _moments(
        client,
        f"""
        with
        touched as (
            select distinct occurred_date from raw.touched_dates where source = {sql.text(source)} and {bounds}
        ),
        dates as (
            select occurred_date from touched
            union distinct
            select linked_date from raw.linked_dates
            where source = {sql.text(source)} and occurred_date in (select occurred_date from touched)
        ),
        needed as (
            select received_hour from raw.touched_dates
            where source = {sql.text(source)} and via = 'self'
            and occurred_date in (select occurred_date from dates)
            union distinct
            select received_hour from ops.wanted_hours where source = {sql.text(source)}
        )
        select toUnixTimestamp(received_hour) as moment from needed
        where received_hour in ({_periods(source, EVENTS)}) and received_hour not in ({_periods(source, LOADS)})
        order by moment
        """,
    )


def forget_wanted(client: Client, source: str) -> None:
    """Forget which hours models asked for."""
    client.command(f"alter table ops.wanted_hours drop partition {sql.text(source)}")


def _note(client: Client, source: str, store: str, rows: Mapping[datetime, int], *, is_retired: bool) -> None:
    now = datetime.now(UTC)
    values = [[source, store, period, is_retired, count, now] for period, count in rows.items()]
    if values:
        columns = ["source", "store", "period", "is_retired", "rows", "noted_at"]
        client.insert("retired", values, columns, database="ops", settings=_SETTINGS)


def _between(column: str, hours: Collection[datetime]) -> str:
    """Return the condition for the stretch that hours lie in: one that lists them would grow with their number."""
    return f"{column} between {sql.moments([min(hours)])} and {sql.moments([max(hours)])}"


def _periods(source: str, store: str) -> str:
    return f"select period from ops.retired_periods where source = {sql.text(source)} and store = {sql.text(store)}"


def _moments(client: Client, query: str) -> list[datetime]:
    return [datetime.fromtimestamp(row[0], UTC) for row in client.query(query).result_rows]
