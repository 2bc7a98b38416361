"""The second engine's own reading of the lake: files that manifests name, and which deliveries count."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from expectations.proof.report import Difference
from lake.manifest import FileEntry, Manifest
from lake.store import ObjectMissingError, ObjectStore

BATCH_BYTES = 256 << 20

# `received_at`, `load_id` and `row_number` order the deliveries; `payload` carries what the marts measure.
_COLUMNS = """
    event_type, event_id, idempotency_key, tenant_id, session_id, device_id, order_id, trace_id, user_key,
    load_id, row_number,
    make_timestamp_ms(epoch_ms(occurred_at)) as occurred_at,
    make_timestamp_ms(epoch_ms(received_at)) as received_at,
    payload
"""


@dataclass(frozen=True)
class LakeFile:
    """One file of a load that belongs to the verification."""

    load_id: str
    received_hour: datetime
    entry: FileEntry


def open_engine(folder: Path, memory_limit_mb: int = 1024) -> duckdb.DuckDBPyConnection:
    """Return a DuckDB database in `folder` that spills there instead of exceeding its memory limit."""
    connection = duckdb.connect(str(folder / "proof.duckdb"))
    connection.execute(f"set memory_limit = '{memory_limit_mb}MB'")
    connection.execute("set temp_directory = $1", [str(folder / "spill")])
    connection.execute("set preserve_insertion_order = false")
    connection.execute("set timezone = 'UTC'")
    return connection


def create_deliveries(connection: duckdb.DuckDBPyConnection) -> None:
    """Create the empty tables of every accepted row of every load, as delivered, and of every rejected one."""
    connection.execute(
        "create table deliveries (event_type varchar, event_id varchar, idempotency_key varchar,"
        " tenant_id varchar, session_id varchar, device_id varchar, order_id varchar, trace_id varchar,"
        " user_key varchar, load_id varchar, row_number ubigint, occurred_at timestamp_ms,"
        " received_at timestamp_ms, payload varchar)"
    )
    connection.execute(
        "create table rejections (load_id varchar, row_number ubigint, received_at timestamp_ms,"
        " tenant_id varchar, original_size ubigint)"
    )
    connection.execute(
        "create table lake_rows (load_id varchar, received_hour timestamp, kind varchar, rows bigint)"
    )


def read_parquet_files(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """Append raw parquet files to the deliveries."""
    names = [str(path) for path in files]
    if names:
        connection.execute(f"insert into deliveries select {_COLUMNS} from read_parquet($1)", [names])


def read_quarantine_files(connection: duckdb.DuckDBPyConnection, files: Iterable[Path]) -> None:
    """Append quarantine files to the rejections; the rejected bytes are encrypted and stay unread."""
    names = [str(path) for path in files]
    if names:
        connection.execute(
            "insert into rejections select load_id, row_number,"
            " make_timestamp_ms(epoch_ms(received_at)), tenant_id, original_size from read_parquet($1)",
            [names],
        )


def count_once(connection: duckdb.DuckDBPyConnection) -> None:
    """Tell the deliveries that count (`events`) from those that an earlier one of the source repeats.

    A delivery is dropped when an earlier one, by (received_at, load_id, row_number), shares its event id or
    its idempotency key, whether that one was itself dropped or not.
    """
    connection.execute(
        """
        create table repeated as
        with
        ids as (
            select event_id, min(row(received_at, load_id, row_number)) as first_delivery
            from deliveries
            group by event_id
            having count(*) > 1
        ),
        keys as (
            select idempotency_key, min(row(received_at, load_id, row_number)) as first_delivery
            from deliveries
            where idempotency_key is not null
            group by idempotency_key
            having count(*) > 1
        )
        select d.load_id, d.row_number, d.received_at
        from deliveries as d inner join ids using (event_id)
        where row(d.received_at, d.load_id, d.row_number) > ids.first_delivery
        union
        select d.load_id, d.row_number, d.received_at
        from deliveries as d inner join keys using (idempotency_key)
        where row(d.received_at, d.load_id, d.row_number) > keys.first_delivery
        """
    )
    connection.execute(
        "create view events as select * from deliveries anti join repeated using (load_id, row_number)"
    )


def fetch_files(
    connection: duckdb.DuckDBPyConnection, store: ObjectStore, files: list[LakeFile], folder: Path
) -> list[Difference]:
    """Read every file from the lake, batch by batch, and check it against its manifest entry.

    Raw files are appended to the deliveries, quarantine files to the rejections. A file that is missing, holds
    other bytes than its manifest says, or cannot be read is a difference.
    """
    differences: list[Difference] = []
    for batch in _batches(files):
        readable: dict[str, list[Path]] = {"raw": [], "quarantine": []}
        counted: list[tuple[LakeFile, int]] = []
        for number, file in enumerate(batch):
            path = folder / f"{number}.parquet"
            found = _fetch(store, file, path)
            if isinstance(found, Difference):
                differences.append(found)
                continue
            counted.append((file, found))
            if found:
                readable[file.entry.kind].append(path)
        read_parquet_files(connection, readable["raw"])
        read_quarantine_files(connection, readable["quarantine"])
        _count(connection, counted)
        for path in folder.glob("*.parquet"):
            path.unlink()
    return differences


def _fetch(store: ObjectStore, file: LakeFile, path: Path) -> int | Difference:
    """Download one file; return its rows, or what is wrong with it."""
    grain: dict[str, str | None] = {"load_id": file.load_id, "file": file.entry.key}
    try:
        store.download(file.entry.key, path)
    except ObjectMissingError:
        return Difference("lake", grain, "(file)", "named by the manifest", "no such object")
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    if digest != file.entry.sha256:
        path.unlink()
        return Difference("lake", grain, "sha256", file.entry.sha256, digest)
    try:
        return int(pq.read_metadata(path).num_rows)
    except pa.ArrowInvalid as error:
        path.unlink()
        return Difference("lake", grain, "(file)", "a parquet file", str(error))


def _count(connection: duckdb.DuckDBPyConnection, counted: list[tuple[LakeFile, int]]) -> None:
    found = pa.table(  # noqa: F841  DuckDB reads it by its name
        {
            "load_id": [file.load_id for file, _ in counted],
            "received_hour": pa.array(
                [file.received_hour.astimezone(UTC).replace(tzinfo=None) for file, _ in counted],
                pa.timestamp("us"),
            ),
            "kind": [file.entry.kind for file, _ in counted],
            "rows": pa.array([rows for _, rows in counted], pa.int64()),
        }
    )
    if counted:
        connection.execute("insert into lake_rows select * from found")


def _batches(files: list[LakeFile]) -> Iterator[list[LakeFile]]:
    batch: list[LakeFile] = []
    size = 0
    for file in files:
        if batch and size + file.entry.bytes > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(file)
        size += file.entry.bytes
    if batch:
        yield batch


def files_of(manifests: Iterable[Manifest], left_out: set[tuple[str, datetime]]) -> list[LakeFile]:
    """Return the files of the given loads, without the (load, received hour) pairs that are left out."""
    return [
        LakeFile(manifest.load_id, hour.received_hour, entry)
        for manifest in manifests
        for hour in manifest.hours
        if (manifest.load_id, hour.received_hour) not in left_out
        for entry in hour.files
    ]
