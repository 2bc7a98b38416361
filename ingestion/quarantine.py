"""Looks into the quarantine: how many rows of which kind, and samples of them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq

from ingestion.pseudonym import Secret
from lake.manifest import Manifest, all_manifests
from lake.parquet import QUARANTINE_SCHEMA
from lake.store import ObjectStore

SHOWN_BYTES = 2_000
"""A sample shows this much of the original."""


@dataclass(frozen=True)
class CodeCount:
    """Rejected rows of one load that carry one code; a row with two codes counts under both."""

    load_id: str
    input_uri: str
    received_at: datetime
    code: str
    rows: int


@dataclass(frozen=True)
class Sample:
    """One rejected row."""

    load_id: str
    input: str
    row_number: int
    received_at: datetime
    event_type: str | None
    tenant_id: str | None
    contract_version: str | None
    violations: tuple[tuple[str, str], ...]
    """(code, field) of every violated rule."""
    original_size: int
    """In bytes."""
    original: bytes | None
    """Decrypted, at most `SHOWN_BYTES` of it; None without the key."""


def summary(store: ObjectStore, source: str, *, load_id: str | None = None) -> list[CodeCount]:
    """Return how many rejected rows carry each code, per load, newest load first; read from the manifests only."""
    counts = [
        CodeCount(manifest.load_id, manifest.input.uri, manifest.received_at, code, rows)
        for manifest in all_manifests(store, source)
        if load_id in (None, manifest.load_id)
        for code, rows in manifest.codes.items()
    ]
    return sorted(counts, key=lambda c: (-c.received_at.timestamp(), c.load_id, -c.rows, c.code))


def samples(
    store: ObjectStore,
    source: str,
    *,
    key: bytes | None = None,
    load_id: str | None = None,
    code: str | None = None,
    limit: int = 10,
) -> list[Sample]:
    """Return some rejected rows, of the newest loads first.

    Args:
        store: the lake.
        source: the source.
        key: shows the originals; they hold personal data in clear.
        load_id: only rows of this load.
        code: only rows with this code.
        limit: at most so many.
    """
    manifests = [m for m in all_manifests(store, source) if load_id in (None, m.load_id)]
    manifests.sort(key=lambda manifest: manifest.received_at, reverse=True)
    secret = Secret(key) if key is not None else None
    found: list[Sample] = []
    for manifest in manifests:
        if code is not None and code not in manifest.codes:
            continue
        for table in tables(store, manifest):
            for row in table.to_pylist():
                if code is None or code in row["codes"]:
                    found.append(_sample(row, secret))
                    if len(found) == limit:
                        return found
    return found


def tables(
    store: ObjectStore, manifest: Manifest, wanted: Callable[[str], bool] = lambda key: True
) -> Iterator[pa.Table]:
    """Yield the quarantine files of a load as tables (`QUARANTINE_SCHEMA`)."""
    for file in manifest.files:
        if file.kind == "quarantine" and wanted(file.key):
            yield read_table(store.get_bytes(file.key))


def read_table(data: bytes) -> pa.Table:
    """Read a quarantine file."""
    return pq.read_table(io.BytesIO(data)).cast(QUARANTINE_SCHEMA)


def opened(secret: Secret, load_id: str, row_number: int, sealed: bytes) -> bytes:
    """Decrypt a rejected row.

    Raises:
        LoadError: when it was encrypted with another key.
    """
    return secret.open(sealed, f"{load_id}:{row_number}") if sealed else b""


def codes_of(rows: Iterable[dict[str, list[str]]]) -> dict[str, int]:
    """Count the codes of rejected rows."""
    counts: dict[str, int] = {}
    for row in rows:
        for code in row["codes"]:
            counts[code] = counts.get(code, 0) + 1
    return dict(sorted(counts.items()))


def _sample(row: dict[str, object], secret: Secret | None) -> Sample:
    values = dict(row)
    load_id, number = str(values["load_id"]), int(str(values["row_number"]))
    sealed = values["original"]
    assert isinstance(sealed, bytes)
    original = opened(secret, load_id, number, sealed)[:SHOWN_BYTES] if secret is not None else None
    violations = values["violations"]
    assert isinstance(violations, list)
    received_at = values["received_at"]
    assert isinstance(received_at, datetime)
    return Sample(
        load_id=load_id,
        input=str(values["input"]),
        row_number=number,
        received_at=received_at,
        event_type=_optional(values["event_type"]),
        tenant_id=_optional(values["tenant_id"]),
        contract_version=_optional(values["contract_version"]),
        violations=tuple((violation["code"], violation["field"]) for violation in violations),
        original_size=int(str(values["original_size"])),
        original=original,
    )


def _optional(value: object) -> str | None:
    return None if value is None else str(value)
