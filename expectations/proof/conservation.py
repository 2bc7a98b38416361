"""Nothing is lost: every row read is accounted for, in the manifests, in the lake and in the warehouse."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import duckdb
import pyarrow as pa

from expectations.proof.compare import Comparison, compare
from expectations.proof.report import ConservationLine
from expectations.proof.retired import Retired
from expectations.proof.warehouse import ClickHouse, fetch
from lake.manifest import Counts, Manifest

_COUNTS = tuple(Counts.__dataclass_fields__)


def declare_loads(
    connection: duckdb.DuckDBPyConnection, manifests: Iterable[Manifest], left_out: set[tuple[str, datetime]]
) -> None:
    """Create `declared`: what the manifests say of every load and received hour that is verified."""
    rows = [
        {
            "load_id": manifest.load_id,
            "input": manifest.input.uri,
            "received_hour": hour.received_hour.astimezone(UTC).replace(tzinfo=None),
            **{name: getattr(hour.counts, name) for name in _COUNTS},
        }
        for manifest in manifests
        for hour in manifest.hours
        if (manifest.load_id, hour.received_hour) not in left_out
    ]
    schema = pa.schema(
        [
            ("load_id", pa.string()),
            ("input", pa.string()),
            ("received_hour", pa.timestamp("us")),
            *((name, pa.int64()) for name in _COUNTS),
        ]
    )
    found = pa.Table.from_pylist(rows, schema)  # noqa: F841  DuckDB reads it by its name
    connection.execute("create table declared as select * from found")


def declare_expired(connection: duckdb.DuckDBPyConnection, manifests: Iterable[Manifest]) -> None:
    """Create `expired_rows`: rows of files that retention took out of the lake, by the record of the manifests."""
    rows = [
        {
            "load_id": manifest.load_id,
            "received_hour": hour.received_hour.astimezone(UTC).replace(tzinfo=None),
            "kind": file.kind,
            "rows": file.rows,
        }
        for manifest in manifests
        for hour in manifest.hours
        for file in hour.expired
    ]
    found = pa.Table.from_pylist(  # noqa: F841  DuckDB reads it by its name
        rows,
        pa.schema(
            [
                ("load_id", pa.string()),
                ("received_hour", pa.timestamp("us")),
                ("kind", pa.string()),
                ("rows", pa.int64()),
            ]
        ),
    )
    connection.execute("create table expired_rows as select * from found")


def lines(
    connection: duckdb.DuckDBPyConnection, window: tuple[datetime, datetime] | None
) -> list[ConservationLine]:
    """Return the conservation line of every load received in the window, in the order of their ids."""
    sums = ", ".join(f"cast(sum({name}) as bigint) as {name}" for name in _COUNTS)
    rows = connection.execute(
        f"""
        with
        loads as (
            select load_id, any_value(input) as input, {sums}
            from declared {_where(window)}
            group by load_id
        ),
        again as (
            select load_id, count(*) as repeated
            from repeated {_where(window, "date_trunc('hour', received_at)")}
            group by load_id
        )
        select load_id, input, {", ".join(_COUNTS)}, coalesce(repeated, 0)
        from loads left join again using (load_id)
        order by load_id
        """
    ).fetchall()
    return [ConservationLine(*row) for row in rows]


def total_of(parts: Iterable[ConservationLine]) -> ConservationLine:
    """Return the sum of the loads' lines."""
    lines = list(parts)
    return ConservationLine(
        None, None, *(sum(getattr(line, name) for line in lines) for name in (*_COUNTS, "repeated"))
    )


def against_lake(
    connection: duckdb.DuckDBPyConnection, window: tuple[datetime, datetime] | None
) -> Comparison:
    """Compare what the manifests say with the rows the files of the lake hold, per load."""
    connection.execute(
        f"""
        create or replace table expected_lake as
        select
            load_id,
            cast(sum(
                accepted + duplicate + quarantined + suppressed + skipped + folded - expanded
            ) as bigint) as read,
            cast(sum(accepted) as bigint) as raw_rows,
            cast(sum(quarantined) as bigint) as quarantine_rows
        from declared {_where(window)}
        group by load_id
        """
    )
    connection.execute(
        f"""
        create or replace table actual_lake as
        with
        held as (
            select
                load_id,
                sum(rows) filter (kind = 'raw') as raw_rows,
                sum(rows) filter (kind = 'quarantine') as quarantine_rows
            from (from lake_rows union all from expired_rows) {_where(window)}
            group by load_id
        )
        select
            load_id,
            cast(sum(read) as bigint) as read,
            cast(coalesce(any_value(raw_rows), 0) as bigint) as raw_rows,
            cast(coalesce(any_value(quarantine_rows), 0) as bigint) as quarantine_rows
        from (from declared {_where(window)}) left join held using (load_id)
        group by load_id
        """
    )
    return compare(connection, "manifest", expected="expected_lake", actual="actual_lake", grain=["load_id"])


def against_warehouse(
    connection: duckdb.DuckDBPyConnection,
    client: ClickHouse,
    source: str,
    window: tuple[datetime, datetime] | None,
    retired: Retired,
) -> Comparison:
    """Compare the lake with `ops.loads`, `raw.events` and `ops.quarantine`, per load.

    `raw_duplicates` is the warehouse's own `is_duplicate`, counted again by the second engine. Hours that retention
    took out of a table, by its own record, are not counted of it on either side.
    """
    _declare_gone(connection, retired)
    no_events, no_quarantine = (
        f"received_hour not in (select gone.received_hour from gone where store = '{store}')"
        for store in ("raw.events", "ops.quarantine")
    )
    connection.execute(
        f"""
        create or replace table expected_loads as
        with
        held as (
            select
                load_id,
                sum(rows) filter (kind = 'raw' and {no_events}) as raw_rows,
                sum(rows) filter (kind = 'quarantine' and {no_quarantine}) as quarantine_rows
            from lake_rows {_where(window)}
            group by load_id
        ),
        again as (
            select load_id, count(*) as rows
            from (select *, date_trunc('hour', received_at) as received_hour from repeated)
            {_where(window) or "where true"} and {no_events}
            group by load_id
        ),
        declared_loads as (
            select load_id, {", ".join(f"cast(sum({n}) as bigint) as {n}" for n in _COUNTS)}
            from declared {_where(window)}
            group by load_id
        )
        select
            load_id,
            {", ".join(_COUNTS)},
            cast(coalesce(held.raw_rows, 0) as bigint) as raw_rows,
            cast(coalesce(again.rows, 0) as bigint) as raw_duplicates,
            cast(coalesce(held.quarantine_rows, 0) as bigint) as quarantine_rows
        from declared_loads
        left join held using (load_id)
        left join again using (load_id)
        """
    )
    counts: dict[str, Any] = dict.fromkeys(
        (*_COUNTS, "raw_rows", "raw_duplicates", "quarantine_rows"), "Int64"
    )
    fetch(
        connection,
        client,
        "actual_loads",
        _warehouse_loads(source, window, retired),
        {"load_id": "String", **counts},
    )
    return compare(connection, "loads", expected="expected_loads", actual="actual_loads", grain=["load_id"])


def taken_hours(client: ClickHouse, source: str) -> set[tuple[str, datetime]]:
    """Return the (load, received hour) pairs that the warehouse has taken."""
    rows = client.query(
        "select distinct load_id, toUnixTimestamp(received_hour) from ops.loads"
        " where source = {source:String}",
        parameters={"source": source},
    ).result_rows
    return {(str(load), datetime.fromtimestamp(hour, UTC)) for load, hour in rows}


def _declare_gone(connection: duckdb.DuckDBPyConnection, retired: Retired) -> None:
    """Create `gone`: the received hours that are out of the tables of raw and rejected rows."""
    rows = [
        {"store": store, "received_hour": hour.astimezone(UTC).replace(tzinfo=None)}
        for store in ("raw.events", "ops.quarantine")
        for hour in retired.hours(store)
    ]
    schema = pa.schema([("store", pa.string()), ("received_hour", pa.timestamp("us"))])
    found = pa.Table.from_pylist(rows, schema)  # noqa: F841  DuckDB reads it by its name
    connection.execute("create or replace table gone as select * from found")


def _warehouse_loads(source: str, window: tuple[datetime, datetime] | None, retired: Retired) -> str:
    """Return the ClickHouse relation of what the warehouse holds per load."""
    part = f"where source = '{source}'"
    if window:
        bounds = [f"toDateTime({int(moment.timestamp())}, 'UTC')" for moment in window]
        part += f" and received_hour >= {bounds[0]} and received_hour < {bounds[1]}"
    sums = ", ".join(f"toInt64(sum({name})) as {name}" for name in _COUNTS)
    none = ", ".join(f"0 as {name}" for name in _COUNTS)
    each = ", ".join(f"toInt64({name}) as {name}" for name in _COUNTS)
    return f"""(
        select load_id, {sums}, toInt64(sum(raw_rows)) as raw_rows,
            toInt64(sum(raw_duplicates)) as raw_duplicates, toInt64(sum(quarantine_rows)) as quarantine_rows
        from (
            select load_id, {each}, 0 as raw_rows, 0 as raw_duplicates, 0 as quarantine_rows
            from ops.loads {part} {retired.condition("ops.loads")}
            union all
            select load_id, {none}, count() as raw_rows, countIf(is_duplicate) as raw_duplicates,
                0 as quarantine_rows
            from raw.events {part} {retired.condition("raw.events")} group by load_id
            union all
            select load_id, {none}, 0 as raw_rows, 0 as raw_duplicates, count() as quarantine_rows
            from ops.quarantine {part} {retired.condition("ops.quarantine")} group by load_id
        )
        group by load_id
    )"""


def _where(window: tuple[datetime, datetime] | None, column: str = "received_hour") -> str:
    if window is None:
        return ""
    first, last = (f"timestamp '{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}'" for moment in window)
    return f"where {column} >= {first} and {column} < {last}"
