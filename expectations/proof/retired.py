"""What retention took away on purpose, by its own record: only that is no loss, and only that is not compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from expectations.proof.marts import Mart
from expectations.proof.warehouse import ClickHouse, table_columns

EVENTS, LOADS, QUARANTINE = "raw.events", "ops.loads", "ops.quarantine"
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Retired:
    """Periods that are out of the warehouse, by table, and the newest occurred date among them.

    Of a table of received hours a period is an hour; of a mart, the moment up to which rows were taken.
    """

    source: str
    periods: dict[str, set[datetime]] = field(default_factory=dict)
    newest: dict[str, date] = field(default_factory=dict)
    """By table of hours: the newest occurred date, or received one for quarantine, of which something is out."""

    def hours(self, table: str) -> set[datetime]:
        """Return the received hours that are out of a table; those of a forgotten load are out of every table."""
        return self.periods.get(table, set()) | self.periods.get(LOADS, set())

    def condition(self, table: str) -> str:
        """Return the ClickHouse condition, to follow another, that leaves these hours out."""
        if not self.hours(table):
            return ""
        return (
            "and received_hour not in (select period from ops.retired_periods"
            f" where source = '{self.source}' and store in ('{table}', '{LOADS}'))"
        )

    def first_day(self, mart: Mart) -> date | None:
        """Return the first day of which the rows of a mart can still be compared; None where every row can.

        Rows are out that retention took from the mart; that the second engine would recompute from a lake that
        has forgotten events of their days, or of days before that their rows carry on from; and, of a mart that
        lasts as long as other data, that stand on what is out of it.
        """
        taken = self.periods.get(f"{self.source}.{mart.name}")
        firsts = [max(taken).date()] if taken else []
        if LOADS in self.newest:
            reach = 0 if mart.restates == "later" else mart.restates
            firsts.append(date.max if mart.restates == "later" else self.newest[LOADS] + DAY * (reach + 1))
        table = {"raw_events": EVENTS, "quarantine": QUARANTINE}.get(mart.lasts or "")
        if table in self.newest:
            firsts.append(self.newest[table] + DAY)
        return max(firsts, default=None)

    def describe(self) -> list[str]:
        """Return what is out, one sentence per table."""
        return [
            f"{table}: {len(hours):,} received hours are past retention, the newest {max(hours):%Y-%m-%d %H:%M}"
            for table in (EVENTS, QUARANTINE, LOADS)
            if (hours := self.periods.get(table))
        ]


def _expiring(client: ClickHouse, source: str) -> list[tuple[str, datetime]]:
    """Return the marts with a TTL, each with the moment before which it may have removed rows by now."""
    rows = client.query(
        "select concat(database, '.', name), toUnixTimestamp(now() - toIntervalDay(toUInt32(days))) from ("
        r" select database, name, extract(create_table_query, ' TTL .* \+ toIntervalDay\((\d+)\)') as days"
        " from system.tables where database = {source:String}"
        ") where days != ''",
        parameters={"source": source},
    ).result_rows
    return [(str(mart), datetime.fromtimestamp(moment, UTC)) for mart, moment in rows]


def read_retired(client: ClickHouse, source: str) -> Retired:
    """Read the record of retention; a warehouse without one has lost nothing on purpose."""
    if table_columns(client, "ops", "retired_periods") is None:
        return Retired(source)
    rows = client.query(
        "select store, toUnixTimestamp(period) from ops.retired_periods where source = {source:String}",
        parameters={"source": source},
    ).result_rows
    periods: dict[str, set[datetime]] = {}
    for store, moment in rows:
        periods.setdefault(str(store), set()).add(datetime.fromtimestamp(moment, UTC))
    for mart, moment in _expiring(client, source):
        periods.setdefault(mart, set()).add(moment)
    newest = client.query(
        "select store, max(occurred_date) from raw.touched_dates as dates inner join ("
        " select store, period from ops.retired_periods where source = {source:String}"
        ") as periods on dates.received_hour = periods.period"
        " where dates.source = {source:String} and via = 'self' group by store",
        parameters={"source": source},
    ).result_rows
    dates = {str(store): day for store, day in newest}
    if QUARANTINE in periods:
        dates[QUARANTINE] = max(periods[QUARANTINE]).date()
    return Retired(source, periods, dates)
