"""Lake → ClickHouse: received hours of `raw.events`, each replaced as a whole.

A delivery is a duplicate when an earlier one of its source, by (received_at, load_id, row_number), shares its
event id or its idempotency key. That never depends on the order in which hours are loaded: a load looks its
own identities up in `raw.event_keys`, flags its rows, and flags the later deliveries of other hours that it
turns out to precede.

Every step before the replacement only appends what is missing, so a killed load is repaired by running it
again. Hours of one source are loaded by one process at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingestion.contract import load_source
from lake.manifest import Manifest
from lake.paths import hour_of
from lake.store import ObjectStore
from orchestration.warehouse import sql
from orchestration.warehouse.raw_load import Lake, RawLoad, RawLoadError, files_of
from orchestration.warehouse.retired import note_restored

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

__all__ = ["RawHourResult", "RawLoadError", "load_hour", "load_hours", "loaded_hours"]

ROWS_PER_BATCH = 500_000
"""Telling first deliveries from later ones groups the keys of a batch in memory, about 1 KB a row; a fuller hour is a
batch of its own."""
HOURS_PER_BATCH = 500
"""Each has partitions of its own in the staging tables, and what a batch flags in other hours is noted for all of its."""


@dataclass(frozen=True)
class RawHourResult:
    """What loading one received hour left behind.

    `rows` lie in its partition, `duplicates` of them are known from earlier deliveries, and `touched`
    occurred dates have to be rebuilt.
    """

    hour: datetime
    rows: int
    duplicates: int
    touched: int


def load_hour(
    client: Client,
    store: ObjectStore,
    source_name: str,
    hour: datetime,
    manifests: Sequence[Manifest],
    *,
    endpoint_url: str | None = None,
    log_comment: Mapping[str, str] | None = None,
) -> RawHourResult:
    """Make one received hour of `raw.events`, `ops.loads` and `ops.quarantine` what its manifests say.

    Args:
        client: connection to the warehouse.
        store: the lake.
        source_name: the source.
        hour: start of the received hour, aware.
        manifests: the loads with files in that hour; none empties it.
        endpoint_url: the store as ClickHouse reaches it, where that differs.
        log_comment: run, asset and partition, written into the query log with every statement.

    Raises:
        RawLoadError: when the files hold other rows than the manifests say; nothing is replaced.
    """
    return load_hours(
        client, store, source_name, {hour: manifests}, endpoint_url=endpoint_url, log_comment=log_comment
    )[0]


def load_hours(
    client: Client,
    store: ObjectStore,
    source_name: str,
    manifests: Mapping[datetime, Sequence[Manifest]],
    *,
    endpoint_url: str | None = None,
    log_comment: Mapping[str, str] | None = None,
) -> list[RawHourResult]:
    """Load several received hours, as `load_hour` does one; a batch costs little more than an hour."""
    ordered = {hour_of(hour): list(found) for hour, found in sorted(manifests.items())}
    source = load_source(source_name)
    results: list[RawHourResult] = []
    for batch in _batches(ordered):
        lake = Lake(store, source, batch, endpoint_url)
        with RawLoad(client, lake, log_comment) as load:
            load.run()
            counts = load.counts()
        note_restored(client, source_name, batch)
        results.extend(RawHourResult(hour, *counts.get(hour, (0, 0, 0))) for hour in batch)
    return results


def loaded_hours(client: Client, source_name: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the received hours in [start, end) that the warehouse holds anything of, in order."""
    held = """
        select received_hour from {table} where source = {source}
        and received_hour >= {start} and received_hour < {end} group by received_hour
    """
    values = {
        "source": sql.text(source_name),
        "start": sql.moments([start]),
        "end": sql.moments([end]),
    }
    rows = client.query(
        "select distinct toUnixTimestamp(received_hour) as hour from ("
        f"{held.format(table='raw.events', **values)} union all {held.format(table='ops.loads', **values)}"
        ") order by hour"
    ).result_rows
    return [datetime.fromtimestamp(row[0], UTC) for row in rows]


def _batches(manifests: Mapping[datetime, list[Manifest]]) -> Iterator[dict[datetime, list[Manifest]]]:
    batch: dict[datetime, list[Manifest]] = {}
    rows = 0
    for hour, found in manifests.items():
        expected = sum(file.rows for file in files_of(found, hour, "raw"))
        if batch and (rows + expected > ROWS_PER_BATCH or len(batch) == HOURS_PER_BATCH):
            yield batch
            batch, rows = {}, 0
        batch[hour] = found
        rows += expected
    if batch:
        yield batch
