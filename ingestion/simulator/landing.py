"""Writing rows into the files of a landing folder, with what a loader must count in each."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator.breaking import CODES
from ingestion.simulator.faults import LINE, Rows
from ingestion.simulator.layout import Layout
from ingestion.simulator.model import Ints, SimulatorError

LANDING_FILE = "landing.json"
TRUTH_FILE = "truth.json"
EVENT_FILE = re.compile(r"[a-z]+-[a-z]+-\d{8}T\d{6}Z\.(json|ndjson(\.gz)?)$")


class _HashedFile(io.RawIOBase):
    """A file that hashes what it writes."""

    def __init__(self, path: Path) -> None:
        """Create the file."""
        super().__init__()
        self.file = path.open("wb")
        self.digest = hashlib.sha256()

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, data: Any) -> int:
        """Write and hash the bytes."""
        self.digest.update(data)
        return self.file.write(data)

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        super().close()


@dataclass
class _OpenFile:
    """A file being written and what has gone into it."""

    path: Path
    received_at: int
    hashed: _HashedFile
    stream: BinaryIO
    is_document: bool
    rows: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    events: list[Ints] = field(default_factory=list)

    def append(self, rows: Rows) -> None:
        """Write rows in their order."""
        separator = b",\n" if self.is_document else b"\n"
        if self.is_document:
            self.stream.write(b"[\n" if self.rows == 0 else b",\n")
        lists = pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows.lines)
        joined = pc.binary_join(lists, pa.scalar(separator, LINE))
        self.stream.write(joined[0].as_buffer())
        if not self.is_document:
            self.stream.write(b"\n")
        self.rows += len(rows)
        self.codes.update(CODES[code] for code in rows.code[rows.code >= 0])
        self.events.append(rows.event[rows.event >= 0])

    def close(self) -> tuple[dict[str, Any], dict[str, Any], Ints]:
        """Finish the file; return its landing entry, its true counts and the events in it."""
        if self.is_document:
            self.stream.write(b"\n]\n")
        if self.stream is not cast(BinaryIO, self.hashed):
            self.stream.close()
        self.hashed.close()
        delivered = np.concatenate(self.events)
        distinct = np.unique(delivered)
        received_at = datetime.fromtimestamp(self.received_at / 1000, UTC)
        landing = {
            "file": self.path.name,
            "received_at": received_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "sha256": self.hashed.digest.hexdigest(),
            "rows": self.rows,
            "bytes": self.path.stat().st_size,
        }
        truth = {
            "file": self.path.name,
            "read": self.rows,
            "accepted": len(distinct),
            "duplicate": len(delivered) - len(distinct),
            "quarantined": self.codes.total(),
            "codes": dict(sorted(self.codes.items())),
        }
        return landing, truth, distinct


class LandingWriter:
    """Writes rows into their files; a file stays open until its period has ended."""

    def __init__(self, out: Path, layout: Layout, rng: np.random.Generator, shuffled_files: float) -> None:
        """Write below `out`; `shuffled_files` is the share of files whose rows are out of order."""
        self._out = out
        self._layout = layout
        self._rng = rng
        self._shuffled_files = shuffled_files
        self._open: dict[tuple[int, int], _OpenFile] = {}
        self._delivered: list[Ints] = []
        self.landing: list[dict[str, Any]] = []
        self.truth: list[dict[str, Any]] = []

    def write(self, rows: Rows, until: int) -> None:
        """Write rows, then close the files of the periods that have ended by `until`."""
        batch = self._layout.batch(rows.arrival)
        key = batch * len(self._layout.forms) + rows.form
        for number in np.unique(key):
            place, form = divmod(int(number), len(self._layout.forms))
            shuffled = self._rng.random() < self._shuffled_files
            mine = np.flatnonzero(key == number)
            order = np.argsort((rows.shuffle if shuffled else rows.arrival)[mine], kind="stable")
            self._file(form, place).append(rows.chosen(mine[order]))
        for form, place in sorted(self._open):
            if self._layout.closes(place) <= until:
                self._close(form, place)

    def distinct_events(self) -> int:
        """Return how many different events the closed files deliver intact."""
        return len(np.unique(np.concatenate(self._delivered))) if self._delivered else 0

    def _file(self, form: int, batch: int) -> _OpenFile:
        if (form, batch) not in self._open:
            path = self._out / self._layout.file_name(form, batch)
            hashed = _HashedFile(path)
            raw = cast(BinaryIO, hashed)
            # No name and no time in the gzip header: the same rows are the same bytes.
            stream = (
                cast(BinaryIO, gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=6, mtime=0))
                if path.suffix == ".gz"
                else raw
            )
            received_at = self._layout.received_at(form, batch)
            self._open[form, batch] = _OpenFile(path, received_at, hashed, stream, path.suffix == ".json")
        return self._open[form, batch]

    def _close(self, form: int, batch: int) -> None:
        landing, truth, distinct = self._open.pop((form, batch)).close()
        self.landing.append(landing)
        self.truth.append(truth)
        self._delivered.append(distinct)


def empty_folder(out: Path) -> None:
    """Make the folder ready: create it, or remove what an earlier simulation wrote there.

    Raises:
        SimulatorError: the folder holds files that no simulation wrote.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = sorted(path.name for path in out.iterdir())
    foreign = [
        name for name in names if name not in (LANDING_FILE, TRUTH_FILE) and not EVENT_FILE.match(name)
    ]
    if foreign:
        raise SimulatorError(f"{out} holds {foreign[0]}, which no simulation wrote; choose another folder")
    for name in names:
        (out / name).unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file that people can read and compare."""
    path.write_text(json.dumps(value, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
