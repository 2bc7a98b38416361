"""Writes a small lake as the loader would: raw parquet files, and manifests that name them."""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lake.manifest import Counts, FileEntry, HourEntry, InputEntry, Manifest, write_manifest
from lake.paths import DataFile, hour_of
from lake.store import ObjectStore

TEXT = pa.string()
MOMENT = pa.timestamp("ms", tz="UTC")
RAW_SCHEMA = pa.schema(
    [
        ("source", TEXT),
        ("event_type", TEXT),
        ("contract_version", TEXT),
        ("event_id", TEXT),
        ("idempotency_key", TEXT),
        ("tenant_id", TEXT),
        ("occurred_at", MOMENT),
        ("received_at", MOMENT),
        ("user_key", TEXT),
        ("session_id", TEXT),
        ("device_id", TEXT),
        ("order_id", TEXT),
        ("trace_id", TEXT),
        ("producer", TEXT),
        ("load_id", TEXT),
        ("row_number", pa.uint64()),
        ("payload", TEXT),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        ("source", TEXT),
        ("load_id", TEXT),
        ("row_number", pa.uint64()),
        ("received_at", MOMENT),
        ("input", TEXT),
        ("event_type", TEXT),
        ("tenant_id", TEXT),
        ("contract_version", TEXT),
        ("codes", pa.list_(TEXT)),
        ("violations", pa.list_(pa.struct([("code", TEXT), ("field", TEXT)]))),
        ("original_size", pa.uint64()),
        ("original", pa.binary()),
        ("wire", pa.binary()),
    ]
)


def at(text: str) -> datetime:
    """Read `2026-11-16 10:00` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Event:
    """One delivery of an event; times as text, UTC."""

    event_id: str
    occurred_at: str
    event_type: str = "SEARCH"
    payload: dict[str, Any] = field(default_factory=dict)
    tenant_id: str = "t1"
    idempotency_key: str | None = None
    user_key: str | None = "u1"
    session_id: str | None = None
    device_id: str | None = None
    order_id: str | None = None


def write_load(
    store: ObjectStore,
    received_at: str,
    events: list[Event],
    *,
    name: str = "",
    rejected: int = 0,
    source: str = "pocm",
) -> Manifest:
    """Put one load of a source into the lake: all its events were received at one time."""
    received = at(received_at)
    load_id = hashlib.sha256(f"{name}{received_at}{events!r}{rejected}".encode()).hexdigest()[:32]
    rows = [
        _raw_row(source, event, received, load_id, number) for number, event in enumerate(events, start=1)
    ]
    files = [_put(store, source, "raw", received, load_id, pa.Table.from_pylist(rows, RAW_SCHEMA))]
    if rejected:
        bad = [_rejected_row(source, received, load_id, len(rows) + 1 + number) for number in range(rejected)]
        files.append(
            _put(store, source, "quarantine", received, load_id, pa.Table.from_pylist(bad, QUARANTINE_SCHEMA))
        )
    counts = Counts(read=len(rows) + rejected, accepted=len(rows), quarantined=rejected)
    manifest = Manifest(
        load_id=load_id,
        source=source,
        input=InputEntry(f"file:///{load_id}.ndjson", "0" * 64, 1, "ndjson", counts.read),
        received_at=received,
        contracts_fingerprint="0" * 64,
        tag="0" * 8,
        counts=counts,
        hours=(HourEntry(hour_of(received), counts, tuple(files)),),
    )
    return write_manifest(store, manifest, committed_at=received)


def _put(
    store: ObjectStore, source: str, kind: Any, received: datetime, load_id: str, table: pa.Table
) -> FileEntry:
    key = DataFile(kind, source, hour_of(received), load_id, "0" * 8, 0).key
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    data = buffer.getvalue()
    store.put_bytes(key, data)
    return FileEntry(key, kind, table.num_rows, len(data), hashlib.sha256(data).hexdigest())


def _raw_row(source: str, event: Event, received: datetime, load_id: str, number: int) -> dict[str, Any]:
    return {
        "source": source,
        "event_type": event.event_type,
        "contract_version": "1.0",
        "event_id": event.event_id,
        "idempotency_key": event.idempotency_key,
        "tenant_id": event.tenant_id,
        "occurred_at": at(event.occurred_at),
        "received_at": received,
        "user_key": event.user_key,
        "session_id": event.session_id,
        "device_id": event.device_id,
        "order_id": event.order_id,
        "trace_id": None,
        "producer": "test/1",
        "load_id": load_id,
        "row_number": number,
        "payload": json.dumps(event.payload),
    }


def _rejected_row(source: str, received: datetime, load_id: str, number: int) -> dict[str, Any]:
    return {
        "source": source,
        "load_id": load_id,
        "row_number": number,
        "received_at": received,
        "input": "file",
        "event_type": None,
        "tenant_id": None,
        "contract_version": None,
        "codes": ["json_invalid"],
        "violations": [{"code": "json_invalid", "field": None}],
        "original_size": 3,
        "original": b"bad",
        "wire": None,
    }
