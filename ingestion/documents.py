"""Reads a JSON document as records: the elements of an array one by one, or any other value as one record.

A document is cut where its own commas are, found with numpy block by block, so that an array of any size needs
memory for one block and one element.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ingestion.records import (
    BACKSLASH,
    COMMA,
    HEAD_BYTES,
    QUOTE,
    WHITESPACE,
    Batch,
    Bytes,
    Cut,
    Fault,
    Oversize,
    Pending,
    Positions,
    binary_array,
    checked,
    is_blank,
)

_STRUCTURE = np.zeros(256, np.bool_)
_STRUCTURE[[ord(character) for character in "[]{},"]] = True
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def read_document(blocks: Iterator[bytes], max_bytes: int) -> Iterator[Batch]:
    """Yield the records of one JSON document.

    An array that is broken in its structure (not closed, followed by something, an element missing) gives a
    last record `json_invalid` that holds the document, or the end of a large one; whole elements count all the same.

    Args:
        blocks: the document's bytes.
        max_bytes: size above which a record is too large.
    """
    start = b""
    for block in blocks:
        start += block
        if start.lstrip(WHITESPACE):
            break
        start = start if len(start) < HEAD_BYTES else start[-1:]
    if start.lstrip(WHITESPACE).startswith(b"["):
        yield from _Array(max_bytes).read(start, blocks)
        return
    pending = Pending()
    pending.add(start)
    for block in blocks:
        pending.add(block)
    yield _single(pending.take(), max_bytes)


def _single(document: bytes | Oversize, max_bytes: int) -> Batch:
    empty = np.empty(0, np.uint64)
    if isinstance(document, Oversize):
        return Batch(empty, _nothing(), faults=(document.fault(1),))
    if not document.strip(WHITESPACE):
        return Batch(empty, _nothing(), faults=(Fault(1, "json_invalid", document),))
    if len(document) > max_bytes:
        return Batch(empty, _nothing(), faults=(Fault(1, "too_large", document),))
    whole = binary_array(document, np.zeros(1, np.int64), np.array([len(document)]))
    return checked(whole, np.ones(1, np.uint64), ())


def _nothing() -> pa.Array:
    return pa.array([], pa.string())


@dataclass
class _Scan:
    """What a block says about the structure of an array."""

    commas: Positions
    """Commas between elements."""
    end: int | None
    """Where the array is closed."""


class _Scanner:
    """Follows strings and nesting through the blocks of a document."""

    def __init__(self) -> None:
        """Start before the array's opening bracket."""
        self.depth = 0
        self.inside_string = 0
        self.escaped = False
        self.closed_by = 0

    def scan(self, data: Bytes) -> _Scan:
        """Return the places of a block that matter."""
        quotes = self._quotes(data)
        places = np.flatnonzero(_STRUCTURE[data])
        if len(quotes) or self.inside_string:
            places = places[(np.searchsorted(quotes, places) + self.inside_string) % 2 == 0]
            self.inside_string = (self.inside_string + len(quotes)) % 2
        steps = _STEP[data[places]]
        depths = self.depth + np.cumsum(steps, dtype=np.int64)
        closed = np.flatnonzero((depths == 0) & (steps == -1))
        commas = places[(data[places] == COMMA) & (depths == 1)]
        if len(depths):
            self.depth = int(depths[-1])
        if not len(closed):
            return _Scan(commas, None)
        end = int(places[closed[0]])
        self.closed_by = int(data[end])
        return _Scan(commas[commas < end], end)

    def _quotes(self, data: Bytes) -> Positions:
        """Return the quotes that begin or end a string: those after an even number of backslashes."""
        quotes = np.flatnonzero(data == QUOTE)
        plain = np.flatnonzero(data != BACKSLASH)
        if len(plain) == len(data) and not self.escaped:
            return quotes
        # The backslashes right before a quote: its distance to the last other byte before it.
        order = np.searchsorted(plain, quotes)
        previous = np.where(order > 0, plain[np.maximum(order - 1, 0)], -1)
        run = quotes - previous - 1 + ((previous == -1) & self.escaped)
        last = int(plain[-1]) if len(plain) else -1
        tail = len(data) - 1 - last + (1 if last == -1 and self.escaped else 0)
        self.escaped = tail % 2 == 1
        unescaped: Positions = quotes[run % 2 == 0]
        return unescaped


class _Array:
    """Reads the elements of one array."""

    def __init__(self, max_bytes: int) -> None:
        """Start before the opening bracket."""
        self.max_bytes = max_bytes
        self.scanner = _Scanner()
        self.pending = Pending()
        self.rows = 0
        self.broken = False
        self.ended = False
        self.document: bytes | None = b""
        """The whole document while it is small."""
        self.tail = b""
        """The end of the document, where it is not small."""

    def read(self, start: bytes, blocks: Iterator[bytes]) -> Iterator[Batch]:
        """Yield the elements, and last what is wrong with the document itself."""
        bracket = start.index(b"[")
        self._remember(start)
        self.scanner.scan(np.frombuffer(start[: bracket + 1], np.uint8))
        yield from self._take(start[bracket + 1 :])
        for block in blocks:
            self._remember(block)
            yield from self._take(block)
        if not self.ended:
            self.broken = True
        if self.broken:
            original = self.tail if self.document is None else self.document
            fault = Fault(self.rows + 1, "json_invalid", original)
            yield Batch(np.empty(0, np.uint64), _nothing(), faults=(fault,))

    def _remember(self, block: bytes) -> None:
        if self.document is not None and len(self.document) + len(block) <= HEAD_BYTES:
            self.document += block
            return
        self.tail = (self.tail + (self.document or b"") + block)[-HEAD_BYTES:]
        self.document = None

    def _take(self, block: bytes) -> Iterator[Batch]:
        if self.ended:
            self.broken = self.broken or bool(block.strip(WHITESPACE))
            return
        scan = self.scanner.scan(np.frombuffer(block, np.uint8))
        ends = scan.commas
        if scan.end is not None:
            self.ended = True
            self.broken |= self.scanner.closed_by != ord("]") or bool(block[scan.end + 1 :].strip(WHITESPACE))
            ends = np.append(ends, scan.end)
        if not len(ends):
            self.pending.add(block)
            return
        first = int(ends[0])
        begun = self.pending.take(block[:first])
        last = int(ends[-1])
        if not self.ended:
            self.pending.add(block[last + 1 :])
        yield self._batch(begun, block, ends)

    def _batch(self, begun: bytes | Oversize, block: bytes, ends: Positions) -> Batch:
        faults: list[Fault] = []
        first_number = self.rows + 1
        if isinstance(begun, Oversize):
            faults.append(begun.fault(first_number))
            first_number += 1
            data, starts, stops = block, ends[:-1] + 1, ends[1:]
        else:
            shift = len(begun) - int(ends[0])
            data = begun + block[int(ends[0]) :]
            stops = ends + shift
            starts = np.concatenate([np.zeros(1, np.int64), stops[:-1] + 1])
        empty = is_blank(Cut(data, starts, stops))
        if empty.any():
            only = self.ended and not self.rows and len(ends) == 1
            self.broken |= not only
            starts, stops = starts[~empty], stops[~empty]
        numbers = np.arange(len(starts), dtype=np.uint64) + np.uint64(first_number)
        self.rows += len(starts) + len(faults)
        large = stops - starts > self.max_bytes
        for index in np.flatnonzero(large):
            faults.append(Fault(int(numbers[index]), "too_large", data[starts[index] : stops[index]]))
        keep = ~large
        return checked(binary_array(data, starts[keep], stops[keep]), numbers[keep], faults)
