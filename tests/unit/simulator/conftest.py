"""Simulated worlds, made once for all tests."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.simulator import Faults, simulate

SCALE = 0.4


class World:
    """What a simulation wrote."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.truth: dict[str, Any] = json.loads((out / "truth.json").read_text())
        self.landing: list[dict[str, Any]] = json.loads((out / "landing.json").read_text())

    def rows(self, file: str) -> list[bytes]:
        """The rows of a file, as a loader counts them."""
        content = (self.out / file).read_bytes()
        if file.endswith(".gz"):
            content = gzip.decompress(content)
        if file.endswith(".json"):
            return [json.dumps(row).encode() for row in json.loads(content)]
        return content.splitlines()

    def events(self) -> list[dict[str, Any]]:
        """Every row that is JSON, whatever its wire form, as one shape; in the order of arrival."""
        return [normal(json.loads(row)) for entry in self.landing for row in self.rows(entry["file"])]


def normal(row: dict[str, Any]) -> dict[str, Any]:
    if "eventId" in row:
        metadata = row["metadata"]
        return {
            "form": "api",
            "event_id": row["eventId"],
            "type": row["type"],
            "occurred_at": row["timestamp"],
            "user_id": row.get("userId"),
            "session_id": metadata.get("sessionId"),
            "tenant_id": metadata["tenantId"],
            "idempotency_key": metadata.get("idempotencyKey"),
            "payload": row["data"],
        }
    payload = row["data_json"]
    return {
        "form": "ledger",
        **{name: row[name] for name in ("type", "occurred_at", "user_id", "session_id", "tenant_id")},
        "event_id": row["id"],
        "idempotency_key": row["idempotency_key"],
        "received_at": row["received_at"],
        "payload": json.loads(payload) if isinstance(payload, str) else payload,
    }


@pytest.fixture(scope="session")
def clean(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three days without any fault."""
    out = tmp_path_factory.mktemp("clean")
    simulate("pocm", 3, 11, out, scale=SCALE, faults=Faults.none())
    return World(out)


@pytest.fixture(scope="session")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The same three days with the usual faults."""
    out = tmp_path_factory.mktemp("faulty")
    simulate("pocm", 3, 11, out, scale=SCALE)
    return World(out)
