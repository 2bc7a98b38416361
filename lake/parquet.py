"""Parquet files of the lake: their schemas, and one way to write them, the same bytes for the same rows."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

MOMENT = pa.timestamp("ms", tz="UTC")

RAW_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("event_type", pa.string()),
        ("contract_version", pa.string()),
        ("event_id", pa.string()),
        ("idempotency_key", pa.string()),
        ("tenant_id", pa.string()),
        ("occurred_at", MOMENT),
        ("received_at", MOMENT),
        ("user_key", pa.string()),
        ("session_id", pa.string()),
        ("device_id", pa.string()),
        ("order_id", pa.string()),
        ("trace_id", pa.string()),
        ("producer", pa.string()),
        ("load_id", pa.string()),
        ("row_number", pa.uint64()),
        ("payload", pa.string()),
    ]
)
"""Accepted events, sorted by event_type, occurred_at, event_id within a file."""

QUARANTINE_SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("load_id", pa.string()),
        ("row_number", pa.uint64()),
        ("received_at", MOMENT),
        ("input", pa.string()),
        ("event_type", pa.string()),
        ("tenant_id", pa.string()),
        ("contract_version", pa.string()),
        ("codes", pa.list_(pa.string())),
        ("violations", pa.list_(pa.struct([("code", pa.string()), ("field", pa.string())]))),
        ("original_size", pa.uint64()),
        ("original_sha256", pa.string()),
        ("original", pa.binary()),
        ("wire", pa.binary()),
    ]
)
"""Rejected rows, sorted by row_number; `original` and `wire` are encrypted.

`original_sha256` is set where a row was too large to keep whole: `original` then holds its beginning.
"""

ROW_GROUP_ROWS = 131_072
DICTIONARY_COLUMNS = frozenset(
    {"source", "event_type", "contract_version", "tenant_id", "producer", "load_id", "session_id", "input"}
)
"""Columns with few values; for the others a dictionary is work thrown away."""
STATISTICS_COLUMNS = frozenset(
    {
        "event_type",
        "tenant_id",
        "occurred_at",
        "received_at",
        "event_id",
        "session_id",
        "order_id",
        "row_number",
    }
)
"""Columns that readers filter on."""


@dataclass(frozen=True)
class WrittenFile:
    """A parquet file on disk: size in bytes, sha256 in hex, and the range of `occurred_at` where it has one."""

    path: Path
    rows: int
    bytes: int
    sha256: str
    min_occurred_at: datetime | None
    max_occurred_at: datetime | None


def write_parquet(table: pa.Table, path: Path) -> WrittenFile:
    """Write a table as a parquet file; the same rows in the same order give the same bytes."""
    names = table.schema.names
    pq.write_table(
        table,
        path,
        row_group_size=ROW_GROUP_ROWS,
        compression="zstd",
        compression_level=1,
        use_dictionary=[name for name in names if name in DICTIONARY_COLUMNS],
        write_statistics=[name for name in names if name in STATISTICS_COLUMNS],
        store_schema=False,
    )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    low, high = _range(table, "occurred_at")
    return WrittenFile(path, table.num_rows, path.stat().st_size, digest, low, high)


def _range(table: pa.Table, name: str) -> tuple[datetime | None, datetime | None]:
    if name not in table.schema.names or not table.num_rows:
        return None, None
    found: Any = pc.min_max(table[name]).as_py()
    return found["min"].astimezone(UTC), found["max"].astimezone(UTC)
