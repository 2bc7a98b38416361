"""Check conservation and recompute every proven mart of a source, for a window or for everything."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa

from expectations.proof import conservation, lake_events, warehouse
from expectations.proof.compare import Comparison, compare
from expectations.proof.marts import Mart, Proof, load_proof
from expectations.proof.report import Difference, MartResult, VerifyReport
from expectations.proof.retired import LOADS, Retired, read_retired
from expectations.proof.scope import TouchedDays, Window, not_before, scope_of
from lake.errors import MillraceError
from lake.manifest import Manifest, all_manifests
from lake.store import ObjectStore


class ProofError(MillraceError):
    """A verification that cannot run as asked; the message says why."""


def verify(
    store: ObjectStore,
    client: warehouse.ClickHouse,
    source: str,
    window: Window | None = None,
    *,
    memory_limit_mb: int = 1024,
    temp_dir: Path | None = None,
    proof: Proof | None = None,
    marts: Collection[str] | None = None,
) -> VerifyReport:
    """Verify a source against its raw lake.

    With a window [from, to), timezone-aware: the loads received in it; and of every mart the rows of the whole
    hours, days, weeks or months in it, and the earlier rows that what was received in them restates. They are
    computed from all data there is, whenever received. Loads of later hours that the warehouse has not taken
    yet are left out and named. Without a window: everything.

    Args:
        store: the lake.
        client: a clickhouse-connect client of the warehouse.
        source: name of the source; its marts are in the database of the same name.
        window: the period, or None for everything.
        memory_limit_mb: DuckDB's limit in MiB; beyond it, it spills into `temp_dir`.
        temp_dir: where the second engine works; a temporary folder when None.
        proof: which marts to recompute; what `proof.yaml` of the source says when None.
        marts: names of the marts to recompute, of those that the proof knows; None means all.

    Raises:
        ProofError: when the window ends before it starts or has no time zone.
        ValueError: when the source's proof says of a mart what cannot be.
    """
    if window is not None:
        _check(window)
    started = time.monotonic()
    proof = proof or load_proof(source)
    if marts is not None:
        proof = proof.only(marts)
    with tempfile.TemporaryDirectory(prefix="millrace-proof-", dir=temp_dir) as name:
        folder = Path(name)
        connection = lake_events.open_engine(folder, memory_limit_mb)
        try:
            checked = _Verification(connection, store, client, proof, window)
            return replace(checked.run(folder), seconds=time.monotonic() - started)
        finally:
            connection.close()


def _check(window: Window) -> None:
    start, end = window
    if start.tzinfo is None or end.tzinfo is None:
        raise ProofError(f"the window {start.isoformat()} to {end.isoformat()} has no time zone")
    if end <= start:
        raise ProofError(f"the window ends ({end.isoformat()}) before it starts ({start.isoformat()})")


@dataclass(frozen=True)
class _Verification:
    connection: duckdb.DuckDBPyConnection
    store: ObjectStore
    client: warehouse.ClickHouse
    proof: Proof
    window: Window | None

    def run(self, folder: Path) -> VerifyReport:
        """Read the lake into the second engine, using `folder` for the files, and compare everything."""
        source, connection = self.proof.source, self.connection
        missing = _missing_tables(self.client)
        manifests = list(all_manifests(self.store, source))
        left_out = (
            _not_taken(self.client, source, manifests, self.window) if self.window and not missing else set()
        )
        retired = read_retired(self.client, source)
        forgotten = _of_hours(manifests, retired.periods.get(LOADS, set()))
        lake_events.create_deliveries(connection)
        files = lake_events.files_of(manifests, left_out | forgotten)
        differences = lake_events.fetch_files(connection, self.store, files, folder) + missing
        lake_events.count_once(connection)
        conservation.declare_loads(connection, manifests, left_out | forgotten)
        conservation.declare_expired(connection, manifests)
        checks = [conservation.against_lake(connection, self.window)]
        if not missing:
            checks.append(
                conservation.against_warehouse(connection, self.client, source, self.window, retired)
            )
        for statement in self.proof.relations:
            connection.execute(statement)
        touched = TouchedDays(connection, self.client, source)
        marts = {mart.name: self._compare(mart, touched, retired) for mart in self.proof.marts}
        checks += marts.values()
        parts = conservation.lines(connection, self.window)
        days = _days("cast(occurred_at as date)", self.window)
        events = connection.execute(f"select count(*) from {self.proof.measured} {days}").fetchone()
        return VerifyReport(
            source=source,
            window=self.window,
            conservation=tuple(parts),
            total=conservation.total_of(parts),
            marts=tuple(MartResult(name, c.rows, c.values, c.different) for name, c in marts.items()),
            differences=(*differences, *(d for check in checks for d in check.differences)),
            different=len(differences) + sum(check.different for check in checks),
            events=int(events[0]) if events else 0,
            pending=tuple(sorted({load for load, _ in left_out})),
            retired=(*retired.describe(), *_shortened(self.proof, retired)),
        )

    def _compare(self, mart: Mart, touched: TouchedDays, retired: Retired) -> Comparison:
        """Recompute one mart and compare it, row by row and value by value."""
        connection, database = self.connection, self.proof.source
        scope = scope_of(mart, self.window, touched)
        days = not_before(scope.condition, mart, retired.first_day(mart))
        expected, actual = f"expected_{mart.name}", f"actual_{mart.name}"
        days_of_scope = pa.table({"first_day": pa.array(scope.first_days, pa.date32())})  # noqa: F841  read by its name
        connection.execute(f"create or replace table {warehouse.FIRST_DAYS} as select * from days_of_scope")
        connection.execute(f"create table {expected} as select * from ({mart.sql}) {days}")
        columns = warehouse.table_columns(self.client, database, mart.name)
        if columns is None:
            rows = connection.execute(f"select count(*) from {expected}").fetchone()
            wanted = f"a table of {rows[0] if rows else 0} rows"
            return Comparison(0, 0, 1, (Difference(mart.name, {}, "(table)", wanted, "no such table"),))
        warehouse.fetch(
            connection,
            self.client,
            actual,
            f"{database}.{mart.name} {days}",
            columns.values,
            scope.first_days,
        )
        return compare(
            connection,
            mart.name,
            expected=expected,
            actual=actual,
            grain=mart.grain,
            uncompared=mart.uncompared,
        )


def _missing_tables(client: warehouse.ClickHouse) -> list[Difference]:
    return [
        Difference(f"{database}.{table}", {}, "(table)", "a table", "no such table")
        for database, table in (("ops", "loads"), ("raw", "events"), ("ops", "quarantine"))
        if warehouse.table_columns(client, database, table) is None
    ]


def _not_taken(
    client: warehouse.ClickHouse, source: str, manifests: list[Manifest], window: Window
) -> set[tuple[str, datetime]]:
    """Return the (load, hour) pairs behind the window whose hour the warehouse has yet to materialise."""
    taken = conservation.taken_hours(client, source)
    later = {
        (manifest.load_id, hour.received_hour)
        for manifest in manifests
        for hour in manifest.hours
        if hour.received_hour >= window[1]
    }
    return later - taken


def _of_hours(manifests: list[Manifest], hours: set[datetime]) -> set[tuple[str, datetime]]:
    """Return the (load, hour) pairs of some hours: retention forgets them in the warehouse first, then in the lake."""
    return {
        (manifest.load_id, hour.received_hour)
        for manifest in manifests
        for hour in manifest.hours
        if hour.received_hour in hours
    }


def _shortened(proof: Proof, retired: Retired) -> list[str]:
    """Say of which marts rows are no longer compared."""
    firsts = {mart.name: retired.first_day(mart) for mart in proof.marts}
    return [
        f"{name}: not compared, what its rows carry on from is past retention"
        if first == date.max
        else f"{name}: compared from {first} on"
        for name, first in firsts.items()
        if first is not None
    ]


def _days(day: str, window: Window | None) -> str:
    """Return the clause that keeps what lies in the occurred days of a window."""
    if window is None:
        return ""
    first = window[0].astimezone(UTC).date()
    last = (window[1].astimezone(UTC) - timedelta(microseconds=1)).date()
    return f"where {day} >= cast('{first}' as date) and {day} <= cast('{last}' as date)"
