"""Writes what a load accepted and rejected: parquet files by received hour, and the counts that must balance."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ingestion.chunks import RejectedRows
from ingestion.pseudonym import Secret
from ingestion.records import WHITESPACE, Fault
from lake.manifest import Counts, FileEntry, HourEntry, read_manifest, spread
from lake.parquet import QUARANTINE_SCHEMA, RAW_SCHEMA, write_parquet
from lake.paths import DataFile, Kind, hour_of
from lake.store import ObjectStore, StoreError

UNWRITTEN_FILES = 2
"""How many tables may wait for the writing thread."""
QUARANTINE_FLUSH_BYTES = 32 << 20
MILLISECONDS_PER_HOUR = 3_600_000


class LoadWriter:
    """Collects the chunks of one load into files; nothing it writes is visible before the manifest is."""

    def __init__(
        self,
        store: ObjectStore,
        source: str,
        load_id: str,
        tag: str,
        received_at: datetime,
        secret: Secret,
        folder: Path,
    ) -> None:
        """Start with no files; `received_at` is the hour of rows that name none."""
        self.store = store
        self.source = source
        self.load_id = load_id
        self.tag = tag
        self.received_at = received_at
        self.secret = secret
        self.folder = folder
        self.counts: dict[datetime, Counts] = defaultdict(Counts)
        self.codes: Counter[str] = Counter()
        self._numbers: Counter[tuple[Kind, datetime]] = Counter()
        self._keys: list[str] = []
        self._files: dict[datetime, list[Future[FileEntry]]] = defaultdict(list)
        self._rejected: dict[datetime, list[pa.Table]] = defaultdict(list)
        self._rejected_bytes = 0
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="lake-writer")
        self._waiting: list[Future[FileEntry]] = []
        self._failure: BaseException | None = None

    def add(self, accepted: pa.Table, duplicates: Mapping[datetime, int]) -> None:
        """Write a chunk's accepted rows, sorted by received hour; count its duplicates (naive UTC hours)."""
        for hour, rows in by_hour(accepted):
            self.counts[hour] += Counts(read=rows.num_rows, accepted=rows.num_rows)
            self._submit("raw", hour, rows.select(RAW_SCHEMA.names).cast(RAW_SCHEMA))
        for moment, number in duplicates.items():
            hour = moment.replace(tzinfo=UTC)
            self.counts[hour] += Counts(read=number, duplicate=number)

    def reject(self, name: str, explained: pa.Table, rejected: RejectedRows, faults: Sequence[Fault]) -> None:
        """Seal a chunk's rejected rows and faults.

        Args:
            name: what the rows came from.
            explained: `EXPLAINED_SCHEMA`, in the order of the row numbers.
            rejected: the same rows, in the same order.
            faults: records that were no texts to validate.
        """
        rows = [*self._explained_rows(explained, rejected), *self._fault_rows(faults)]
        if not rows:
            return
        rows.sort(key=lambda row: int(row["row_number"]))
        shared = {"source": self.source, "load_id": self.load_id, "input": name}
        hours: dict[datetime, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            row["codes"] = sorted({violation["code"] for violation in row["violations"]})
            self.codes.update(row["codes"])
            hours[hour_of(row["received_at"])].append(row | shared)
        for hour, members in hours.items():
            self.add_rejected(hour, pa.Table.from_pylist(members, QUARANTINE_SCHEMA))

    def add_rejected(self, hour: datetime, table: pa.Table) -> None:
        """Keep sealed rows (`QUARANTINE_SCHEMA`) until there are enough for a file."""
        self.counts[hour] += Counts(read=table.num_rows, quarantined=table.num_rows)
        self._rejected[hour].append(table)
        self._rejected_bytes += table.nbytes
        if self._rejected_bytes >= QUARANTINE_FLUSH_BYTES:
            self._flush_rejected()

    def finish(self, unvalidated: Counts | None = None) -> tuple[tuple[HourEntry, ...], dict[str, int]]:
        """Wait for the files; return hours and codes of the load.

        Args:
            unvalidated: rows that were skipped, folded and expanded before they were validated.
        """
        self._flush_rejected()
        own = hour_of(self.received_at)
        counts = spread(self.counts, own, unvalidated or Counts()) or {own: Counts()}
        for hour in counts:
            if not self._files[hour]:
                # A load is found through its files: an hour of duplicates only has an empty one.
                self._submit("raw", hour, RAW_SCHEMA.empty_table())
        hours = tuple(
            HourEntry(hour, counts[hour], tuple(f.result() for f in self._files[hour]))
            for hour in sorted(counts)
        )
        return hours, dict(sorted(self.codes.items()))

    def close(self) -> None:
        """Stop the writing thread; what waits is not written."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def discard(self) -> None:
        """Delete what was written, unless somebody committed the load; as far as the store lets us."""
        with suppress(StoreError):
            if read_manifest(self.store, self.source, self.load_id) is None:
                self.store.delete_many(self._keys)

    def _explained_rows(self, explained: pa.Table, rejected: RejectedRows) -> Iterator[dict[str, Any]]:
        lines = rejected.lines["line"].to_pylist()
        originals = rejected.originals.to_pylist() if rejected.originals is not None else None
        expected = rejected.lines["row_number"].to_pylist()
        found = explained.to_pylist()
        if [row["row_number"] for row in found] != expected or not all(row["violations"] for row in found):
            raise AssertionError(f"load {self.load_id}: rejected rows without a violated rule")
        for index, row in enumerate(found):
            line = lines[index].encode()
            original = originals[index] if originals is not None else line.rstrip(b"\r\n")
            wire = line if originals is not None else None
            row["received_at"] = row["received_at"].replace(tzinfo=UTC)
            yield row | self._sealed(row["row_number"], original, wire)

    def _fault_rows(self, faults: Iterable[Fault]) -> Iterator[dict[str, Any]]:
        for fault in faults:
            yield {
                "row_number": fault.row_number,
                "received_at": self.received_at,
                "violations": [{"code": fault.code, "field": fault.field_name}],
                **self._sealed(fault.row_number, fault.original, None),
                "original_size": len(fault.original) if fault.size is None else fault.size,
                "original_sha256": fault.sha256,
            }

    def _sealed(self, row_number: int, original: bytes, wire: bytes | None) -> dict[str, Any]:
        place = f"{self.load_id}:{row_number}"
        return {
            "original_size": len(original),
            "original": seal(self.secret, original, place),
            "wire": None if wire is None else seal(self.secret, wire.strip(WHITESPACE), place),
        }

    def _flush_rejected(self) -> None:
        for hour in sorted(self._rejected):
            self._submit("quarantine", hour, pa.concat_tables(self._rejected[hour]))
        self._rejected.clear()
        self._rejected_bytes = 0

    def _submit(self, kind: Kind, hour: datetime, table: pa.Table) -> None:
        """Hand a table to the writing thread, and wait while too many wait."""
        number = self._numbers[kind, hour]
        self._numbers[kind, hour] += 1
        key = DataFile(kind, self.source, hour, self.load_id, self.tag, number).key
        while len(self._waiting) >= UNWRITTEN_FILES:
            self._waiting.pop(0).result()
        self._keys.append(key)
        future = self._pool.submit(self._write, kind, key, table)
        self._waiting.append(future)
        self._files[hour].append(future)

    def _write(self, kind: Kind, key: str, table: pa.Table) -> FileEntry:
        if self._failure is not None:
            raise self._failure
        path = self.folder / "table.parquet"
        try:
            written = write_parquet(table, path)
            self.store.put_file(key, path)
            path.unlink()
        except BaseException as error:
            self._failure = error
            raise
        return FileEntry(
            key,
            kind,
            written.rows,
            written.bytes,
            written.sha256,
            written.min_occurred_at,
            written.max_occurred_at,
        )


def by_hour(accepted: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    """Split rows sorted by received hour into hours, without copying them."""
    if not accepted.num_rows:
        return
    hours = accepted["received_at"].cast(pa.int64()).to_numpy() // MILLISECONDS_PER_HOUR
    starts = np.concatenate([[0], np.flatnonzero(np.diff(hours)) + 1, [len(hours)]])
    for start, end in zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True):
        yield datetime.fromtimestamp(int(hours[start]) * 3600, UTC), accepted.slice(start, end - start)


def seal(secret: Secret, data: bytes, place: str) -> bytes:
    """Encrypt a row; nothing at all stays nothing, which the cipher does not take."""
    return secret.seal(data, place) if data else b""
