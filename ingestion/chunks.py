"""Puts batches of records together into chunks: what the engine takes at once and one file is written from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ingestion.engine import LINE_SCHEMA
from ingestion.records import Batch, Fault
from lake.manifest import Counts

CHUNK_BYTES = 64 << 20
CHUNK_ROWS = 500_000
"""A chunk ends at either. Both shape the files: changing them changes `loader.FORMAT_VERSION`."""
ROWS_PER_STEP = 8_192
"""What one thread of DuckDB takes at a time."""


@dataclass(frozen=True)
class Progress:
    """How far a load has come."""

    rows_read: int
    bytes_read: int
    """Decompressed."""
    bytes_total: int | None
    """None where only the compressed size is known."""


@dataclass(frozen=True)
class RejectedRows:
    """Rejected records: what was validated, and what came where that is something else."""

    lines: pa.Table
    originals: pa.ChunkedArray | None


class ChunkReader:
    """Deals out the batches of an input, chunk by chunk."""

    def __init__(
        self,
        batches: Iterator[Batch],
        bytes_total: int | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Start at the first batch."""
        self.batches = batches
        self.bytes_total = bytes_total
        self.progress = progress
        self.rows = 0
        self.bytes = 0
        self.unvalidated = Counts()

    def chunks(self) -> Iterator[Chunk]:
        """Yield chunks until the input ends; each must be read to its end before the next."""
        while (first := self._next()) is not None:
            yield Chunk(self, first)

    def _next(self) -> Batch | None:
        batch = next(self.batches, None)
        if batch is not None:
            self.rows += batch.rows
            self.bytes += batch.bytes
            self.unvalidated += batch.unvalidated
            if self.progress is not None:
                self.progress(Progress(self.rows, self.bytes, self.bytes_total))
        return batch


@dataclass
class Chunk:
    """Some batches, read as they are asked for and kept until the chunk is done."""

    reader: ChunkReader
    first: Batch
    batches: list[Batch] = field(default_factory=list)

    def record_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the records as `LINE_SCHEMA`."""
        size = rows = 0
        batch: Batch | None = self.first
        while batch is not None:
            self.batches.append(batch)
            size, rows = size + batch.bytes, rows + batch.rows
            numbers = pa.array(batch.row_numbers)
            for start in range(0, len(batch.lines), ROWS_PER_STEP):
                columns = [numbers[start : start + ROWS_PER_STEP], batch.lines[start : start + ROWS_PER_STEP]]
                yield pa.RecordBatch.from_arrays(columns, schema=LINE_SCHEMA)
            if size >= CHUNK_BYTES or rows >= CHUNK_ROWS:
                return
            batch = self.reader._next()

    def faults(self) -> list[Fault]:
        """Return the records that were no texts to validate, in order."""
        return sorted((f for batch in self.batches for f in batch.faults), key=lambda fault: fault.row_number)

    def rows_by_number(self, numbers: list[int]) -> RejectedRows:
        """Return some of the chunk's records."""
        wanted = np.array(numbers, np.uint64)
        lines, originals = [], []
        has_originals = False
        for batch in self.batches:
            picked = np.flatnonzero(np.isin(batch.row_numbers, wanted))
            if not len(picked):
                continue
            index = pa.array(picked)
            lines.append(
                pa.RecordBatch.from_arrays(
                    [pa.array(batch.row_numbers[picked]), batch.lines.take(index)], schema=LINE_SCHEMA
                )
            )
            if batch.originals is not None:
                has_originals = True
                originals.append(batch.originals.take(index))
        table = pa.Table.from_batches(lines, LINE_SCHEMA)
        return RejectedRows(table, pa.chunked_array(originals, pa.binary()) if has_originals else None)
