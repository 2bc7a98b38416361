"""Validates quarantined rows again, under today's contracts, and moves into raw/ what is valid now.

A replay rewrites the files of the hours it changes and then the manifest, in one put, with the next revision. Running it
again, or killing it before that put, changes nothing.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ingestion import quarantine
from ingestion.contract import Source
from ingestion.derive import versions
from ingestion.engine import REPLAY_SCHEMA, Engine
from ingestion.errors import LoadError
from ingestion.locks import held
from ingestion.output import LoadWriter
from ingestion.pseudonym import Secret
from lake.manifest import (
    Counts,
    FileEntry,
    HourEntry,
    Manifest,
    all_manifests,
    read_manifest,
    spread,
    write_manifest,
)
from lake.paths import hour_of
from lake.store import ObjectStore

JSON_FORMATS = frozenset({"ndjson", "json"})
"""Inputs whose original rows are wire texts themselves; rows of other inputs carry theirs in `wire`."""


@dataclass(frozen=True)
class ReplayResult:
    """What a replay did to one load."""

    manifest: Manifest
    """As it is now."""
    tried: int
    """Rows validated again."""
    accepted: int
    duplicate: int
    """Rows that are valid now but repeat an accepted one."""
    expired: int = 0
    """Rejected rows that retention took away: nobody can try them again."""

    @property
    def changed(self) -> bool:
        """Whether any row left the quarantine."""
        return self.accepted + self.duplicate > 0


def replay(
    store: ObjectStore,
    source: Source,
    *,
    key: bytes,
    load_id: str | None = None,
    codes: Collection[str] | None = None,
    memory_limit_mb: int = 512,
    temp_dir: Path | None = None,
) -> list[ReplayResult]:
    """Validate quarantined rows again.

    Args:
        store: the lake.
        source: the source, with today's contracts.
        key: the key the rows were encrypted with.
        load_id: only this load; otherwise all of the source.
        codes: only rows that carry one of these codes.
        memory_limit_mb: DuckDB's memory limit.
        temp_dir: where temporary files go; the system's folder by default.

    Returns:
        One result for every load that had rows to try.

    Raises:
        LoadError: there is no such load, retention took its rejected rows away, or the key is another one.
    """
    if load_id is not None:
        found = read_manifest(store, source.name, load_id)
        if found is None:
            raise LoadError(f"{source.name} has no load {load_id}")
        if found.unloaded is not None:
            raise LoadError(f"load {load_id} was {found.unloaded}; load its input again first")
        if found.counts.quarantined and expired_rows(found) == found.counts.quarantined:
            raise LoadError(
                f"the {found.counts.quarantined} rejected rows of load {load_id} are past retention and gone: "
                "load a mended input instead"
            )
        loads = [found]
    else:
        loads = list(all_manifests(store, source.name))
    results = []
    for manifest in loads:
        if not manifest.counts.quarantined or (codes and not set(codes) & set(manifest.codes)):
            continue
        with (
            held(f"{store.endpoint_url}/{store.bucket}/{manifest.load_id}"),
            tempfile.TemporaryDirectory(prefix="millrace-replay-", dir=temp_dir) as folder,
        ):
            current = read_manifest(store, source.name, manifest.load_id)
            if current is None or current.unloaded is not None:
                continue
            work = _Replay(store, source, Secret(key), current, codes, memory_limit_mb, Path(folder))
            results.append(work.run())
    return results


def expired_rows(manifest: Manifest) -> int:
    """Count the rejected rows of a load that retention took away."""
    return sum(file.rows for file in manifest.expired if file.kind == "quarantine")


@dataclass
class _Replay:
    """The replay of one load."""

    store: ObjectStore
    source: Source
    secret: Secret
    manifest: Manifest
    codes: Collection[str] | None
    memory_limit_mb: int
    folder: Path

    def run(self) -> ReplayResult:
        """Try the rows; commit when any is valid now."""
        engine = Engine(
            self.source,
            self.secret,
            self.manifest.load_id,
            memory_limit_mb=self.memory_limit_mb,
            temp_dir=self.folder,
        )
        writer = LoadWriter(
            self.store,
            self.source.name,
            self.manifest.load_id,
            self._tag(),
            self.manifest.received_at,
            self.secret,
            self.folder,
        )
        try:
            return self._run(engine, writer)
        finally:
            writer.close()
            engine.close()

    def _run(self, engine: Engine, writer: LoadWriter) -> ReplayResult:
        for file in self.manifest.files:
            if file.kind == "raw" and file.rows:
                data = io.BytesIO(self.store.get_bytes(file.key))
                engine.remember(pq.read_table(data, columns=["event_id", "idempotency_key"]))
        tried = accepted = duplicate = 0
        recovered: dict[str, list[int]] = {}
        for file in self.manifest.files:
            if file.kind != "quarantine":
                continue
            lines = self._lines(quarantine.read_table(self.store.get_bytes(file.key)))
            if not lines.num_rows:
                continue
            judged = engine.judge(lines.to_batches(), None, partial(_rows_of, lines))
            valid, repeated = engine.settle(judged)
            tried += lines.num_rows
            accepted += valid.num_rows
            duplicate += sum(repeated.values())
            writer.add(valid, repeated)
            rejected = judged.rejected["row_number"].to_numpy()
            recovered[file.key] = np.setdiff1d(lines["row_number"].to_numpy(), rejected).tolist()
        if not accepted + duplicate:
            return ReplayResult(self.manifest, tried, 0, 0, expired_rows(self.manifest))
        reduced = self._reduced(writer, recovered)
        written = write_manifest(
            self.store, reduced, committed_at=datetime.now(UTC), supersedes=self.manifest
        )
        return ReplayResult(written, tried, accepted, duplicate, expired_rows(written))

    def _lines(self, table: pa.Table) -> pa.Table:
        """Return the wire texts of the rows that may be tried, as `REPLAY_SCHEMA`."""
        rows = [(row, text) for row in table.to_pylist() for text in self._text(row)]
        return pa.table(
            [
                pa.array([row["row_number"] for row, _ in rows], pa.uint64()),
                pa.array([text for _, text in rows], pa.string()),
                pa.array([row["received_at"].replace(tzinfo=None) for row, _ in rows], pa.timestamp("ms")),
            ],
            schema=REPLAY_SCHEMA,
        )

    def _text(self, row: dict[str, Any]) -> Iterator[str]:
        """Yield the wire text of a row, if it has one that could be valid."""
        if self.codes and not set(self.codes) & set(row["codes"]):
            return
        sealed = row["wire"]
        if sealed is None and (
            self.manifest.input.format not in JSON_FORMATS or row["original_sha256"] is not None
        ):
            return
        number = row["row_number"]
        text = quarantine.opened(
            self.secret, self.manifest.load_id, number, row["original"] if sealed is None else sealed
        )
        if len(text) > self.source.max_event_bytes:
            return
        try:
            yield text.decode()
        except UnicodeDecodeError:
            return

    def _reduced(self, writer: LoadWriter, recovered: dict[str, list[int]]) -> Manifest:
        """Write what stays rejected, and return the manifest of the next revision."""
        codes: dict[str, int] = {}
        kept: dict[datetime, list[FileEntry]] = {}
        for hour in self.manifest.hours:
            kept[hour.received_hour] = [file for file in hour.files if file.kind == "raw"]
            for file in hour.files:
                if file.kind != "quarantine":
                    continue
                table = quarantine.read_table(self.store.get_bytes(file.key))
                gone = recovered.get(file.key, [])
                if gone:
                    is_gone = pc.is_in(table["row_number"], value_set=pa.array(gone, pa.uint64()))
                    table = table.filter(pc.invert(is_gone))
                    if table.num_rows:
                        writer.add_rejected(hour_of(hour.received_hour), table)
                else:
                    kept[hour.received_hour].append(file)
                for code, rows in quarantine.codes_of(table.select(["codes"]).to_pylist()).items():
                    codes[code] = codes.get(code, 0) + rows
        new_hours, _ = writer.finish()
        new = {entry.received_hour: entry for entry in new_hours}
        old = {entry.received_hour: entry for entry in self.manifest.hours}
        merged = [
            _merged(hour, old.get(hour), tuple(kept.get(hour, ())), new.get(hour))
            for hour in sorted(old | new)
        ]
        counts = spread(
            {entry.received_hour: entry.counts for entry in merged},
            hour_of(self.manifest.received_at),
            self.manifest.counts.unvalidated,
        )
        hours = tuple(replace(entry, counts=counts[entry.received_hour]) for entry in merged)
        return replace(
            self.manifest,
            revision=self.manifest.revision + 1,
            counts=sum((hour.counts for hour in hours), Counts()),
            codes=dict(sorted(codes.items())),
            hours=hours,
        )

    def _tag(self) -> str:
        parts = [
            self.manifest.tag,
            str(self.manifest.revision),
            self.source.fingerprint,
            self.secret.fingerprint,
        ]
        parts += [*sorted(self.codes or ()), *versions(self.source)]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def _rows_of(lines: pa.Table, numbers: list[int]) -> pa.Table:
    return lines.filter(pc.is_in(lines["row_number"], pa.array(numbers, pa.uint64()))).sort_by("row_number")


def _merged(
    hour: datetime, old: HourEntry | None, kept: tuple[FileEntry, ...], new: HourEntry | None
) -> HourEntry:
    """Return the validated rows of an hour after the replay, moved from quarantined to accepted or duplicate."""
    files = (*kept, *(new.files if new is not None else ()))
    before = old.counts if old is not None else Counts()
    moved = new.counts if new is not None else Counts()
    accepted, duplicate = before.accepted + moved.accepted, before.duplicate + moved.duplicate
    expired = old.expired if old is not None else ()
    quarantined = sum(file.rows for file in (*files, *expired) if file.kind == "quarantine")
    read = accepted + duplicate + quarantined + before.suppressed
    return HourEntry(hour, Counts(read, accepted, duplicate, quarantined, before.suppressed), files, expired)
