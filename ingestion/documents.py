"""Reads JSON value by value, however it is laid out: the elements of arrays, and what stands beside arrays.

The values are cut where their own brackets and commas are, found with numpy block by block, so that an array of any size
needs memory for one block and one element. A text in JSON never spans lines: a quote that is missing ends with its line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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
    batch_of,
    binary_array,
    checked,
    cut_lines,
    faults_only,
    is_blank,
    line_ends,
)

_OPEN_ARRAY, _CLOSE_ARRAY = ord("["), ord("]")
_STRUCTURE = np.zeros(256, np.bool_)
_STRUCTURE[[ord(character) for character in "[]{},"]] = True
_STEP = np.zeros(256, np.int8)
_STEP[[ord("["), ord("{")]] = 1
_STEP[[ord("]"), ord("}")]] = -1


def read_document(blocks: Iterator[bytes], max_bytes: int) -> Iterator[Batch]:
    """Yield the records of a file of JSON values.

    The elements of an array on the highest level are records, and so is every other value; what is no value is one by
    its line. An array that is broken in its structure (not closed, an element missing) gives a last record
    `json_invalid` that holds the document, or the end of a large one; whole elements count all the same. An object that
    is not closed is read line by line.

    Args:
        blocks: the file's bytes.
        max_bytes: size above which a record is too large.
    """
    yield from _Values(max_bytes).read(blocks)


@dataclass
class _Cuts:
    """Where a block is cut into segments: what lies between two cuts is a record, or blank."""

    ends: Positions
    """Where the segment before the cut ends."""
    nexts: Positions
    """Where the segment behind it begins."""
    marks: Bytes
    """The byte that cuts: a comma of an array or its brackets, the end of an object, a line feed between values."""


class _Scanner:
    """Follows strings and nesting through the blocks of a file."""

    def __init__(self) -> None:
        """Start before the first value."""
        self.depth = 0
        self.container = 0
        """The bracket that opened the value on the highest level."""
        self.inside_string = 0
        self.escaped = False
        self.mismatched = False
        """Whether an array was closed by a brace."""

    def scan(self, data: Bytes) -> _Cuts:
        """Return where a block is cut."""
        feeds = line_ends(data)
        places = np.flatnonzero(_STRUCTURE[data])
        places = places[~self._in_strings(data, places, feeds)]
        marks = data[places]
        steps = _STEP[marks]
        depths = self.depth + np.cumsum(steps, dtype=np.int64)
        if self.depth and (not len(depths) or int(depths.min()) > 0):
            return self._within_value(places, marks, depths)
        # A bracket too many closes nothing.
        depths -= np.minimum(np.minimum.accumulate(depths), 0)
        before = np.append(self.depth, depths[:-1])
        opening = (before == 0) & (depths == 1)
        opened = np.maximum.accumulate(np.where(opening, np.arange(len(places)), -1))
        containers = np.where(opened >= 0, marks[opened], self.container)
        in_array = containers == _OPEN_ARRAY
        closing = (before == 1) & (depths == 0)
        self.mismatched |= bool((closing & in_array & (marks != _CLOSE_ARRAY)).any())
        cutting = in_array & (opening | closing | ((marks == COMMA) & (depths == 1))) | closing
        between = feeds[np.append(self.depth, depths)[np.searchsorted(places, feeds)] == 0]
        if len(places):
            self.depth, self.container = int(depths[-1]), int(containers[-1])
        # The closing brace belongs to its object.
        ends = np.append(places[cutting] + (closing & ~in_array)[cutting], between)
        nexts = np.append(places[cutting] + 1, between + 1)
        found = np.append(np.where(in_array, marks, 0)[cutting], data[between]).astype(np.uint8)
        if len(between):
            order = np.argsort(nexts, kind="stable")
            ends, nexts, found = ends[order], nexts[order], found[order]
        return _Cuts(ends, nexts, found)

    def _within_value(self, places: Positions, marks: Bytes, depths: Positions) -> _Cuts:
        """Return where a block is cut that is all inside of one value."""
        found = places[(marks == COMMA) & (depths == 1)] if self.container == _OPEN_ARRAY else places[:0]
        self.depth = int(depths[-1]) if len(depths) else self.depth
        return _Cuts(found, found + 1, np.full(len(found), COMMA, np.uint8))

    def _in_strings(self, data: Bytes, places: Positions, feeds: Positions) -> npt.NDArray[np.bool_]:
        """Tell which places lie inside a string: behind an odd number of quotes on their line."""
        quotes = self._quotes(data)
        parity = np.searchsorted(quotes, places) + self.inside_string
        at_feeds = (np.searchsorted(quotes, feeds) + self.inside_string) % 2
        self.inside_string = (self.inside_string + len(quotes)) % 2
        if at_feeds.any():
            parity += np.append(0, at_feeds)[np.searchsorted(feeds, places)]
            self.inside_string = (self.inside_string + int(at_feeds[-1])) % 2
        inside: npt.NDArray[np.bool_] = parity % 2 == 1
        return inside

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


class _Values:
    """Reads the values of one file."""

    def __init__(self, max_bytes: int) -> None:
        """Start before the first value."""
        self.max_bytes = max_bytes
        self.scanner = _Scanner()
        self.pending = Pending()
        self.rows = 0
        self.mark = 0
        """The byte of the last cut."""
        self.arrays = 0
        self.broken = False
        self.document: bytes | None = b""
        """The whole file while it is small."""
        self.tail = b""
        """The end of the file, where it is not small."""

    def read(self, blocks: Iterator[bytes]) -> Iterator[Batch]:
        """Yield the values, and last what is wrong with an array itself."""
        for block in blocks:
            self._remember(block)
            cuts = self.scanner.scan(np.frombuffer(block, np.uint8))
            if not len(cuts.ends):
                self.pending.add(block)
                continue
            begun = self.pending.take(block[: int(cuts.ends[0])])
            self.pending.add(block[int(cuts.nexts[-1]) :])
            yield self._batch(begun, block, cuts)
        if self.scanner.depth and self.scanner.container == _OPEN_ARRAY:
            self.broken = True
        else:
            yield from self._rest(self.pending.take())
        if self.broken or self.scanner.mismatched or not (self.rows or self.arrays == 1):
            original = self.tail if self.document is None else self.document
            yield faults_only(Fault(self.rows + 1, "json_invalid", original))

    def _remember(self, block: bytes) -> None:
        if self.document is not None and len(self.document) + len(block) <= HEAD_BYTES:
            self.document += block
            return
        self.tail = (self.tail + (self.document or b"") + block)[-HEAD_BYTES:]
        self.document = None

    def _batch(self, begun: bytes | Oversize, block: bytes, cuts: _Cuts) -> Batch:
        faults: list[Fault] = []
        marks = np.append(self.mark, cuts.marks)
        self.mark = int(marks[-1])
        self.arrays += int((cuts.marks == _OPEN_ARRAY).sum())
        if isinstance(begun, Oversize):
            faults.append(begun.fault(self.rows + 1))
            data, starts, stops = block, cuts.nexts[:-1], cuts.ends[1:]
            marks = marks[1:]
        else:
            shift = len(begun) - int(cuts.ends[0])
            data = begun + block[int(cuts.ends[0]) :]
            starts, stops = np.append(0, cuts.nexts[:-1] + shift), cuts.ends + shift
        empty = is_blank(Cut(data, starts, stops))
        left, right = marks[:-1], marks[1:]
        missing = empty & ((right == COMMA) | ((right == _CLOSE_ARRAY) & (left == COMMA)))
        self.broken |= bool(missing.any())
        starts, stops = starts[~empty], stops[~empty]
        numbers = np.arange(len(starts), dtype=np.uint64) + np.uint64(self.rows + len(faults) + 1)
        self.rows += len(starts) + len(faults)
        large = stops - starts > self.max_bytes
        for index in np.flatnonzero(large):
            faults.append(Fault(int(numbers[index]), "too_large", data[starts[index] : stops[index]]))
        keep = ~large
        return checked(binary_array(data, starts[keep], stops[keep]), numbers[keep], faults)

    def _rest(self, rest: bytes | Oversize) -> Iterator[Batch]:
        """Yield what comes behind the last cut, by its lines."""
        if isinstance(rest, Oversize):
            self.rows += 1
            yield faults_only(rest.fault(self.rows))
            return
        for cut in cut_lines([rest] if rest.strip(WHITESPACE) else [], line_ends):
            blank = is_blank(cut)
            lines = Cut(cut.data, cut.starts[~blank], cut.ends[~blank])
            yield batch_of(lines, self.rows + 1, self.max_bytes)
            self.rows += len(lines.starts)
