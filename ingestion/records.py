"""Cuts a stream of bytes into records without copying them one by one: lines, CSV records, elements of an array.

Everything here works on blocks with numpy; a record that spans blocks is put together once. What is no record of its
kind (bad UTF-8, too large, a broken document) becomes a `Fault`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from lake.manifest import Counts

KEPT_BYTES = 16 << 20
"""A record up to this size is kept whole in quarantine."""
HEAD_BYTES = 64 << 10
"""What is kept of a larger one, beside its size and sha256."""

NEWLINE, RETURN, QUOTE, BACKSLASH, COMMA = 10, 13, 34, 92, 44
WHITESPACE = b" \t\r\n"

_VISIBLE = np.ones(256, np.bool_)
_VISIBLE[list(WHITESPACE)] = False

Bytes = npt.NDArray[np.uint8]
Positions = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Fault:
    """A record that cannot be validated as a JSON text: why, and its bytes."""

    row_number: int
    code: str
    original: bytes = field(repr=False)
    field_name: str = ""
    size: int | None = None
    """True size in bytes, where `original` is only the beginning."""
    sha256: str | None = None


@dataclass(frozen=True)
class Batch:
    """Some records in order: JSON texts that are valid UTF-8 and not too large, and what is not that."""

    row_numbers: npt.NDArray[np.uint64]
    lines: pa.Array
    originals: pa.Array | None = None
    """The records as they came, where `lines` were made from them."""
    faults: tuple[Fault, ...] = ()
    unvalidated: Counts = field(default_factory=Counts)
    """What a mapping's query did to rows of the file, beside making these records of them."""

    @property
    def rows(self) -> int:
        """How many rows of the file were read."""
        return len(self.lines) + len(self.faults) + self.unvalidated.read

    @property
    def bytes(self) -> int:
        """How much memory the records take."""
        own = self.lines.nbytes + sum(len(fault.original) for fault in self.faults)
        return int(own + (self.originals.nbytes if self.originals is not None else 0))


@dataclass(frozen=True)
class Rows:
    """Some rows of a table, in the order of the file."""

    columns: pa.Table
    numbers: npt.NDArray[np.uint64]
    """Their places in the file, ascending."""
    originals: pa.Array
    """Their bytes in the file."""
    faults: tuple[Fault, ...] = ()
    """What stands between them and is no row of the table."""


@dataclass
class Oversize:
    """A record that grows beyond what is kept: its beginning, its size and its hash."""

    head: bytes = b""
    size: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> None:
        """Take in more of the record."""
        if len(self.head) < HEAD_BYTES:
            self.head += data[: HEAD_BYTES - len(self.head)]
        self.size += len(data)
        self.digest.update(data)

    def fault(self, row_number: int) -> Fault:
        """Return the record as a fault."""
        return Fault(row_number, "too_large", self.head, "", self.size, self.digest.hexdigest())


class Pending:
    """The beginning of a record whose end has not been read yet."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._parts: list[bytes] = []
        self._size = 0
        self._oversize: Oversize | None = None

    def add(self, data: bytes) -> None:
        """Take in more of the record; beyond `KEPT_BYTES` only its beginning is kept."""
        if self._oversize is None and self._size + len(data) > KEPT_BYTES:
            self._oversize = Oversize()
            for part in self._parts:
                self._oversize.add(part)
            self._parts = []
        if self._oversize is not None:
            self._oversize.add(data)
        else:
            self._parts.append(data)
            self._size += len(data)

    def take(self, data: bytes = b"") -> bytes | Oversize:
        """Return the record, with `data` as its last part, and start anew."""
        if data:
            self.add(data)
        found = self._oversize if self._oversize is not None else b"".join(self._parts)
        self._parts, self._size, self._oversize = [], 0, None
        return found

    def outgrown_by(self, size: int) -> bool:
        """Tell whether the record is too large to be kept with so many bytes more."""
        return self._oversize is not None or self._size + size > KEPT_BYTES

    def __bool__(self) -> bool:
        """Whether anything was taken in."""
        return self._oversize is not None or self._size > 0


def line_ends(data: Bytes) -> Positions:
    """Return the positions of the line feeds."""
    return np.flatnonzero(data == NEWLINE)


@dataclass(frozen=True)
class Cut:
    """Records of a stream, in one buffer: record i lies from `starts[i]` to `ends[i]`."""

    data: bytes
    starts: Positions
    ends: Positions
    oversize: tuple[Oversize, ...] = ()
    """Records beyond what is kept; they come before the others."""


def cut_lines(blocks: Iterable[bytes], find_ends: Callable[[Bytes], Positions]) -> Iterator[Cut]:
    """Cut a stream at the line feeds that `find_ends` gives; the feeds belong to no record.

    The last record needs no line feed. Every block yields at most one buffer of whole records.
    """
    pending = Pending()
    for block in blocks:
        ends = find_ends(np.frombuffer(block, np.uint8))
        if not len(ends):
            pending.add(block)
            continue
        yield _cut(pending, block, ends)
        if int(ends[-1]) + 1 < len(block):
            pending.add(block[int(ends[-1]) + 1 :])
    if pending:
        rest = pending.take()
        if isinstance(rest, Oversize):
            yield Cut(b"", np.empty(0, np.int64), np.empty(0, np.int64), (rest,))
        else:
            yield Cut(rest, np.zeros(1, np.int64), np.array([len(rest)]))


def _cut(pending: Pending, block: bytes, ends: Positions) -> Cut:
    """Join what is pending with a block; the rest of the block after its last line feed belongs to nobody yet."""
    first = int(ends[0])
    if pending.outgrown_by(first):
        begun = pending.take(block[:first])
        assert isinstance(begun, Oversize)
        return Cut(block, ends[:-1] + 1, ends[1:], (begun,))
    before = pending.take()
    assert isinstance(before, bytes)
    if before:
        # The only copy of the block.
        block, ends = before + block, ends + len(before)
    return Cut(block, np.concatenate([np.zeros(1, np.int64), ends[:-1] + 1]), ends)


def without_returns(cut: Cut) -> Positions:
    """Return where the records of a cut end, the carriage return of a CRLF left out."""
    data = np.frombuffer(cut.data, np.uint8)
    if not len(data):
        return cut.ends
    returns = (cut.ends > cut.starts) & (data[np.maximum(cut.ends - 1, 0)] == RETURN)
    ends: Positions = cut.ends - returns
    return ends


def is_blank(cut: Cut) -> npt.NDArray[np.bool_]:
    """Tell which records hold nothing but blanks."""
    data = np.frombuffer(cut.data, np.uint8)
    lengths = cut.ends - cut.starts
    blank: npt.NDArray[np.bool_] = lengths == 0
    # A JSON text starts at its first byte, except in files written for people.
    indented = np.flatnonzero(~blank)
    indented = indented[data[cut.starts[indented]] <= 32]
    if len(indented):
        visible = np.concatenate([np.zeros(1, np.int64), np.cumsum(_VISIBLE[data])])
        blank[indented] = visible[cut.ends[indented]] == visible[cut.starts[indented]]
    return blank


def binary_array(data: bytes, starts: Positions, ends: Positions) -> pa.Array:
    """Return records that lie in one buffer as an array of bytes; contiguous ones are not copied."""
    count = len(starts)
    if not count:
        return pa.array([], pa.binary())
    if count == 1 or bool((starts[1:] == ends[:-1]).all()):
        offsets = np.append(starts, ends[-1]).astype(np.int32)
        return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    # Records and the gaps between them alternate; taking every other one copies once, without a loop.
    offsets = np.empty(2 * count, np.int32)
    offsets[0::2], offsets[1::2] = starts, ends
    both = pa.Array.from_buffers(
        pa.binary(), 2 * count - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)]
    )
    return both.take(pa.array(np.arange(0, 2 * count - 1, 2)))


def faults_only(*faults: Fault) -> Batch:
    """Return a batch of what is no record."""
    return Batch(np.empty(0, np.uint64), pa.array([], pa.string()), faults=faults)


def batch_of(cut: Cut, first_number: int, max_bytes: int) -> Batch:
    """Return the records of a cut as a batch; a blank one is no row but counts as a place.

    Args:
        cut: the records.
        first_number: row number of the first.
        max_bytes: size above which a record is too large.
    """
    faults = [over.fault(first_number + index) for index, over in enumerate(cut.oversize)]
    numbers = np.arange(len(cut.starts), dtype=np.uint64) + np.uint64(first_number + len(cut.oversize))
    blank = is_blank(cut)
    large = (cut.ends - cut.starts) > max_bytes
    for index in np.flatnonzero(large & ~blank):
        faults.append(Fault(int(numbers[index]), "too_large", cut.data[cut.starts[index] : cut.ends[index]]))
    good = ~(blank | large)
    if good.all():
        # The line feed at the end of each record is white space to JSON: the records lie side by side.
        starts, ends = cut.starts, np.append(cut.starts[1:], cut.ends[-1:])
    else:
        starts, ends, numbers = cut.starts[good], cut.ends[good], numbers[good]
    return checked(binary_array(cut.data, starts, ends), numbers, faults)


def checked(records: pa.Array, numbers: npt.NDArray[np.uint64], faults: Iterable[Fault]) -> Batch:
    """Return records as a batch, those that are no UTF-8 as faults."""
    texts = pa.Array.from_buffers(pa.string(), len(records), records.buffers(), offset=records.offset)
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        wrong = _invalid_utf8(records)
        more = [
            Fault(int(numbers[index]), "encoding_invalid", records[int(index)].as_py().rstrip(b"\r\n"))
            for index in np.flatnonzero(wrong)
        ]
        keep = pa.array(~wrong)
        return Batch(numbers[~wrong], records.filter(keep).cast(pa.string()), faults=(*faults, *more))
    return Batch(numbers, texts, faults=tuple(faults))


def _invalid_utf8(records: pa.Array) -> npt.NDArray[np.bool_]:
    """Tell which records are no UTF-8."""
    with duckdb.connect() as connection:
        connection.register("records", pa.table({"record": records}))
        found = connection.execute("select try(decode(record)) is null from records").fetchnumpy()
    return np.asarray(next(iter(found.values())), dtype=np.bool_)
