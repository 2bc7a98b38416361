"""Retention in ClickHouse: received hours as whole partitions, marts by the periods their rows stand for.

What goes is noted in `ops.retired` before it goes: killed in between, it is found and dropped by the next run, and
nobody ever takes it for a loss. An applied run also leaves every mart a TTL, `GRACE_DAYS` behind the policy: what a run
that fails or is forgotten would keep, the engine removes. Raw events have none, for a TTL cannot know what was verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lake.policy import Kept, Policy
from lake.retention import Held
from orchestration.warehouse import sql
from orchestration.warehouse.alter import alter_partitions
from orchestration.warehouse.lifetimes import Lifetime
from orchestration.warehouse.retired import EVENTS, LOADS, QUARANTINE, note_retired, verified_hours

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

BUILDS = "ops.builds"
UNVERIFIED = "their days are not verified yet: run `millrace verify`"
HOURS: Mapping[str, Kept] = {EVENTS: "raw_events", QUARANTINE: "quarantine", LOADS: "raw_lake"}
"""Tables with a partition for every source and received hour."""
GRACE_DAYS = 7
_SETTINGS = {"mutations_sync": 1}
_TTL_SETTINGS = {"materialize_ttl_after_modify": 0}


@dataclass(frozen=True)
class Rows:
    """Rows of one mart whose periods are too old, by partition id: how many of how many."""

    lifetime: Lifetime
    limit: datetime
    partitions: Mapping[str, tuple[int, int]]


@dataclass(frozen=True)
class WarehousePlan:
    """What of one source expired in the warehouse."""

    source: str
    hours: Mapping[str, Mapping[datetime, int]] = field(default_factory=dict)
    """Rows by received hour, of every table of hours."""
    builds: int = 0
    marts: tuple[Rows, ...] = ()
    held: tuple[Held, ...] = ()


def plan(client: Client, policy: Policy, tables: Sequence[Lifetime]) -> WarehousePlan:
    """Find what expired; nothing is changed."""
    held: list[Held] = []
    hours: dict[str, dict[datetime, int]] = {}
    for table, kept in HOURS.items():
        found = _hours(client, policy, table, kept)
        going = _verified(client, policy.source, found) if table == EVENTS else found
        staying = {hour: rows for hour, rows in found.items() if hour not in going}
        hours[table] = going
        each = _bytes_per_row(client, table)
        held += _held_hours(table, going, each) + _held_hours(table, staying, each, UNVERIFIED)
    builds = _hours(client, policy, BUILDS, "raw_lake")
    held += _held_hours(BUILDS, builds, _bytes_per_row(client, BUILDS))
    marts = []
    for lifetime in tables:
        limit = policy.limit(lifetime.kept)
        if limit is not None and _exists(client, lifetime):
            rows, what = _expired_rows(client, lifetime, limit)
            marts += [rows] if what else []
            held += what
    return WarehousePlan(policy.source, hours, len(builds), tuple(marts), tuple(held))


def apply(
    client: Client,
    policy: Policy,
    planned: WarehousePlan,
    tables: Sequence[Lifetime],
    followers: Sequence[str] = (),
) -> None:
    """Remove what a plan found, and leave the marts to their TTL where no later run removes anything.

    Args:
        client: connection to the warehouse.
        policy: of the source.
        planned: what goes.
        tables: the marts of the source that lose rows by age.
        followers: marts that hold what others hold: that these lost rows is noted of them too.
    """
    source = planned.source
    for table in (LOADS, QUARANTINE, EVENTS):
        rows = planned.hours.get(table, {})
        note_retired(client, source, table, rows)
        drops = [f"drop partition ({sql.text(source)}, {sql.moments([hour])})" for hour in sorted(rows)]
        alter_partitions(client, table, drops)
    if planned.builds and (limit := policy.limit("raw_lake")):
        old = f"source = {sql.text(source)} and received_hour + interval 1 hour <= {sql.moments([limit])}"
        client.command(f"alter table {BUILDS} delete where {old}", settings=_SETTINGS)
    for mart in planned.marts:
        count = sum(old for old, _ in mart.partitions.values())
        note_retired(client, source, mart.lifetime.store, {mart.limit: count})
    days = [mart.limit for mart in planned.marts if mart.lifetime.kept == "day_rollups"]
    for store in followers if days else ():
        note_retired(client, source, store, {max(days): 0})
    for mart in planned.marts:
        _cut(client, mart)
    for lifetime in tables:
        _expire_by_itself(client, policy, lifetime)


def _expire_by_itself(client: Client, policy: Policy, lifetime: Lifetime) -> None:
    """Give a mart its TTL; a table that dbt built anew has lost it until the next applied run."""
    limit = policy.limit(lifetime.kept)
    if limit is None or lifetime.kept == "raw_events" or not _exists(client, lifetime):
        return
    # Counted from now: as of an earlier moment nothing goes that the policy of that moment keeps.
    days = (datetime.now(UTC) - limit).days + GRACE_DAYS
    client.command(
        f"alter table `{lifetime.database}`.`{lifetime.table}` modify ttl {lifetime.ended} + toIntervalDay({days})",
        settings=_TTL_SETTINGS,
    )


def _cut(client: Client, rows: Rows) -> None:
    """Drop the partitions that are too old in whole, and rewrite those that are in part."""
    table = f"`{rows.lifetime.database}`.`{rows.lifetime.table}`"
    whole = [name for name, (old, every) in rows.partitions.items() if old == every]
    alter_partitions(client, table, [f"drop partition id {sql.text(name)}" for name in whole])
    for name in rows.partitions.keys() - set(whole):
        client.command(
            f"alter table {table} delete in partition id {sql.text(name)} where {_old(rows.lifetime, rows.limit)}",
            settings=_SETTINGS,
        )


def _old(lifetime: Lifetime, limit: datetime) -> str:
    return f"{lifetime.ended} <= {sql.moments([limit])}"


def _expired_rows(client: Client, lifetime: Lifetime, limit: datetime) -> tuple[Rows, list[Held]]:
    found = client.query(
        f"""
        select _partition_id, countIf(old) as expired, count(),
            toUnixTimestamp(minIf(ended, old)), toUnixTimestamp(maxIf(ended, old))
        from (
            select _partition_id, {lifetime.ended} as ended, {_old(lifetime, limit)} as old
            from `{lifetime.database}`.`{lifetime.table}`
        )
        group by _partition_id having expired > 0
        """
    ).result_rows
    rows = Rows(lifetime, limit, {row[0]: (row[1], row[2]) for row in found})
    if not found:
        return rows, []
    number = sum(row[1] for row in found)
    oldest, newest = (
        datetime.fromtimestamp(moment, UTC)
        for moment in (min(row[3] for row in found), max(row[4] for row in found))
    )
    size = round(number * _bytes_per_row(client, lifetime.store))
    return rows, [Held(lifetime.store, "rows", number, size, oldest, newest)]


def _hours(client: Client, policy: Policy, table: str, kept: Kept) -> dict[datetime, int]:
    limit = policy.limit(kept)
    if limit is None:
        return {}
    found = client.query(
        f"""
        select toUnixTimestamp(received_hour) as hour, count() from {table}
        where source = {sql.text(policy.source)}
        and received_hour + interval 1 hour <= {sql.moments([limit])}
        group by hour order by hour
        """
    ).result_rows
    return {datetime.fromtimestamp(hour, UTC): rows for hour, rows in found}


def _verified(client: Client, source: str, hours: Mapping[datetime, int]) -> dict[datetime, int]:
    verified = verified_hours(client, source, hours)
    return {hour: rows for hour, rows in hours.items() if hour in verified}


def _held_hours(
    table: str, rows: Mapping[datetime, int], bytes_per_row: float, stays: str | None = None
) -> list[Held]:
    if not rows:
        return []
    size = round(sum(rows.values()) * bytes_per_row)
    newest = max(rows) + timedelta(hours=1)
    return [Held(table, "received hours", len(rows), size, min(rows), newest, stays)]


def _bytes_per_row(client: Client, table: str) -> float:
    """Return the mean size on disk: partitions of one table are alike enough to say what goes."""
    database, _, name = table.partition(".")
    rows = client.query(
        "select sum(bytes_on_disk) / greatest(sum(rows), 1) from system.parts"
        " where active and database = {db:String} and table = {tb:String}",
        parameters={"db": database, "tb": name},
    ).result_rows
    return float(rows[0][0] or 0)


def _exists(client: Client, lifetime: Lifetime) -> bool:
    return bool(
        client.query(
            "select count() from system.tables where database = {db:String} and name = {tb:String}"
            " and engine like '%MergeTree'",
            parameters={"db": lifetime.database, "tb": lifetime.table},
        ).result_rows[0][0]
    )
