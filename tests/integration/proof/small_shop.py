"""A small lake and a warehouse that agrees with it, so that a test can break one value and see it named."""

import hashlib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from clickhouse_connect.driver.client import Client

from lake.manifest import Counts, FileEntry, HourEntry, InputEntry, Manifest, write_manifest
from lake.paths import DataFile, Kind, hour_of
from lake.store import ObjectStore
from tests.unit.proof.shop import Shop, recomputed

REJECTED = pa.schema(
    [
        ("source", pa.string()),
        ("load_id", pa.string()),
        ("row_number", pa.uint64()),
        ("received_at", pa.timestamp("ms", "UTC")),
        ("input", pa.string()),
        ("event_type", pa.string()),
        ("tenant_id", pa.string()),
        ("contract_version", pa.string()),
        ("codes", pa.list_(pa.string())),
        ("violations", pa.list_(pa.struct([("code", pa.string()), ("field", pa.string())]))),
        ("original_size", pa.uint64()),
        ("original", pa.binary()),
        ("wire", pa.binary()),
    ]
)
MARTS = ("kpi_hourly", "kpi_daily", "funnel_step", "payments_daily")
FIRST, SECOND = "a" * 32, "b" * 32


def shop() -> Shop:
    """Two loads, one received each day, of which the second repeats an order of the first."""
    first: dict[str, Any] = {"load_id": FIRST, "received_at": "12:30", "session_id": "s1", "user_key": "u1"}
    second: dict[str, Any] = first | {"load_id": SECOND, "received_at": "2026-11-17T08:10:00"}
    return (
        Shop()
        .sends("PRODUCT_VIEWED", "10:00", product_id="p", price=5, currency="EUR", **first)
        .orders("10:10", "o1", 19.99, event_id="order-1", **first)
        .pays("10:11", "p1", 19.99, risk_score=0.5, **first)
        .orders("10:10", "o1", 19.99, event_id="order-1", **second)
        .orders("2026-11-17T07:00:00", "o2", 5.01, **second)
        .refunds("2026-11-17T07:30:00", "p1", 4.99, **second)
    )


def write_lake(store: ObjectStore, deliveries: Shop, folder: Path) -> dict[str, Manifest]:
    """Put the deliveries into the lake as the loader does; each load also has a duplicate and a bad row."""
    manifests = {}
    for load_id in sorted({row["load_id"] for row in deliveries.rows}):
        rows = [row for row in deliveries.rows if row["load_id"] == load_id]
        received = rows[0]["received_at"]
        rejected = {"source": "pocm", "load_id": load_id, "row_number": 1000, "received_at": received}
        rejected |= {"input": "x", "codes": ["json_invalid"], "violations": [], "original_size": 1}
        files = (
            _put(store, "raw", load_id, received, Shop(rows).parquet(folder / "raw.parquet")),
            _put(store, "quarantine", load_id, received, _rejected(rejected, folder / "bad.parquet")),
        )
        counts = Counts(read=len(rows) + 2, accepted=len(rows), duplicate=1, quarantined=1)
        manifest = Manifest(
            load_id=load_id,
            source="pocm",
            input=InputEntry(f"file:///{load_id[:1]}.ndjson", "0" * 64, 1, "ndjson", counts.read),
            received_at=received,
            contracts_fingerprint="0" * 64,
            tag="0" * 8,
            counts=counts,
            hours=(HourEntry(hour_of(received), counts, files),),
        )
        manifests[load_id] = write_manifest(store, manifest, committed_at=datetime(2026, 11, 18, tzinfo=UTC))
    return manifests


def _rejected(row: dict[str, Any], path: Path) -> Path:
    pq.write_table(pa.Table.from_pylist([row], REJECTED), path)
    return path


def _put(store: ObjectStore, kind: Kind, load_id: str, received: datetime, path: Path) -> FileEntry:
    key = DataFile(kind, "pocm", hour_of(received), load_id, "0" * 8, 0).key
    store.put_file(key, path)
    content = path.read_bytes()
    return FileEntry(
        key, kind, pq.read_metadata(path).num_rows, len(content), hashlib.sha256(content).hexdigest()
    )


def write_marts(client: Client, deliveries: Shop, folder: Path) -> None:
    """Create the proven marts with the values that belong in them."""
    client.command("create database if not exists pocm")
    for mart in MARTS:
        rows = recomputed(deliveries, mart, folder)
        columns = {name: _type(name, [row[name] for row in rows]) for name in rows[0]}
        declared = ", ".join(f"{name} {kind}" for name, kind in columns.items())
        client.command(
            f"create or replace table pocm.{mart} ({declared}) engine = MergeTree order by tuple()"
        )
        client.insert(f"pocm.{mart}", [list(row.values()) for row in rows], column_names=list(columns))


def _type(name: str, values: list[Any]) -> str:
    if name == "hour":
        return "DateTime('UTC')"
    kinds = {
        str: "LowCardinality(String)",
        int: "UInt64",
        float: "Nullable(Float64)",
        Decimal: "Decimal(38, 4)",
    }
    known = next((value for value in values if value is not None), None)
    if known is None:
        return "Nullable(UInt64)" if name.startswith(("latency", "patch_days")) else "Nullable(Float64)"
    kind = kinds.get(type(known), "Date")
    return f"Nullable({kind})" if None in values and "(" not in kind[:9] else kind
