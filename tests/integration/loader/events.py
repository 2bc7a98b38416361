"""Events in both wire forms, and a look at what a load wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.loader import LoadResult
from lake.manifest import Manifest
from lake.store import ObjectStore

KEY = b"a key of the tests, thirty-two bytes."
RECEIVED = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)

Loader = Callable[..., LoadResult]


def viewed(number: int, **changes: Any) -> dict[str, Any]:
    """A PRODUCT_VIEWED in the API form; `changes` replace members, those of `data` and `metadata` one by one."""
    event = {
        "eventId": f"evt-{number}",
        "type": "PRODUCT_VIEWED",
        "userId": f"user-{number % 3}",
        "deviceId": "device-1",
        "timestamp": f"2026-11-20T10:{number % 30:02d}:00.000Z",
        "data": {"product_id": "p1", "price": 9.5, "currency": "EUR", "channel": "web"},
        "metadata": {"source": "shop-web", "version": "2.4.1", "sessionId": "s1", "tenantId": "t1"},
    }
    for name, value in changes.items():
        event[name] = (
            {**event[name], **value} if name in ("data", "metadata") and isinstance(value, dict) else value
        )
    return event


def ledger_row(number: int, **changes: Any) -> dict[str, Any]:
    """The same event as a row of the ledger."""
    row = {
        "id": f"evt-{number}",
        "type": "PRODUCT_VIEWED",
        "occurred_at": f"2026-11-20T10:{number % 30:02d}:00.000Z",
        "received_at": "2026-11-20T10:31:00Z",
        "producer": "shop-web",
        "user_id": f"user-{number % 3}",
        "session_id": "s1",
        "tenant_id": "t1",
        "data_json": json.dumps({"product_id": "p1", "price": 9.5, "currency": "EUR", "channel": "web"}),
    }
    return row | changes


def ndjson(path: Path, events: list[Any]) -> Path:
    """Write events one per line; a text is written as it is."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


def rows(store: ObjectStore, manifest: Manifest, kind: str = "raw") -> list[dict[str, Any]]:
    """Every row of a load's files."""
    return [row for table in tables(store, manifest, kind) for row in table.to_pylist()]


def tables(store: ObjectStore, manifest: Manifest, kind: str = "raw") -> list[pa.Table]:
    return [
        pq.read_table(io.BytesIO(store.get_bytes(file.key))) for file in manifest.files if file.kind == kind
    ]


def content(store: ObjectStore, prefix: str = "") -> dict[str, bytes]:
    """Every object's bytes, the time of commit blanked out."""
    found = {}
    for info in store.list(prefix):
        data = store.get_bytes(info.key)
        if info.key.startswith("manifests/"):
            data = json.dumps(json.loads(data) | {"committed_at": None}).encode()
        found[info.key] = data
    return found
