"""Cuts CSV into records and tells its delimiters from text, block by block and with numpy.

A quote opens a field at the field's start only (RFC 4180); elsewhere in an unquoted field it is a character, as in
`pipe 5" steel`. A field that a quote opens is closed by the next quotes that are odd in number, for a pair of them is
one quote of the text. Where these stand on a later line and the field does not end behind them, or where none come, the
first quote opens nothing: broken is its record up to the end of that line, and the lines behind are records again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import numpy.typing as npt

from ingestion.inputs import Input
from ingestion.records import KEPT_BYTES, NEWLINE, RETURN, Bytes, Cut, Oversize, Positions, line_ends

_NOWHERE: Positions = np.empty(0, np.int64)


@dataclass(frozen=True)
class CsvCut(Cut):
    """Records of a CSV file, in one buffer, and what stands in them."""

    delimiters: Positions = field(default_factory=lambda: _NOWHERE)
    """Those between fields."""
    unclosed: Positions = field(default_factory=lambda: _NOWHERE)
    """Quotes at the start of a field that nothing closes."""


@dataclass(frozen=True)
class _Structure:
    """What some bytes mean that begin where a record does."""

    ends: Positions
    """Line feeds that end a record."""
    delimiters: Positions
    unclosed: Positions
    told: int
    """From here on only bytes to come tell what the last quotes are."""
    open_at: int | None = None
    """A quote of which only bytes to come tell whether it opens a field. What lies behind it is not told."""


class CsvSyntax:
    """What the bytes of a CSV file mean."""

    def __init__(self, delimiter: int, quote: int | None) -> None:
        """Take the two bytes; without a quote there are no quoted fields."""
        self.delimiter = delimiter
        self.quote = quote
        self.begins_field = _bytes(delimiter, NEWLINE)
        self.ends_field = _bytes(delimiter, NEWLINE, RETURN)
        self.blank = _bytes(*b" \t")
        self.blank[delimiter] = False

    def structure(self, data: Bytes, is_all: bool, never: int) -> _Structure:
        """Return what bytes mean.

        Args:
            data: the bytes, from the start of a record on.
            is_all: whether the file ends with them.
            never: a quote that is known to open nothing; -1 for none.
        """
        ends, delimiters = line_ends(data), np.flatnonzero(data == self.delimiter)
        first, last, told = self.odd_quotes(data, is_all)
        if not len(first):
            return _Structure(ends, delimiters, _NOWHERE, told)
        opens = self.begins_field[data[first - 1]] | (first == 0)
        closed = self._closed(data, ends, first, last, opens)
        toggles = opens & closed & (first != never)
        # Quotes that cannot open a field leave it closed, whatever was before.
        places, count = np.arange(len(first)), np.cumsum(toggles)
        closing = np.maximum.accumulate(np.where(toggles, -1, places))
        inside = np.append(False, (count - np.where(closing >= 0, count[closing], 0)) % 2 == 1)
        unclosed = first[opens & ~toggles & ~inside[:-1]]
        ends = ends[~inside[np.searchsorted(first, ends)]]
        delimiters = delimiters[~inside[np.searchsorted(first, delimiters)]]
        if is_all or not len(unclosed) or unclosed[-1] != first[-1] or unclosed[-1] == never:
            return _Structure(ends, delimiters, unclosed, told)
        open_at = int(unclosed[-1])
        return _Structure(ends[ends < open_at], delimiters, unclosed[:-1], told, open_at)

    def odd_quotes(self, data: Bytes, is_all: bool) -> tuple[Positions, Positions, int]:
        """Return where quotes side by side that are odd in number begin and end, and from where on bytes are not told.

        Quotes at the end of the bytes, with blanks at most behind them, are told only by what comes next.
        """
        quotes = np.flatnonzero(data == self.quote) if self.quote is not None else _NOWHERE
        if not len(quotes):
            return quotes, quotes, len(data)
        gaps = np.flatnonzero(np.diff(quotes) > 1)
        first = quotes[np.append(0, gaps + 1)]
        last = quotes[np.append(gaps, len(quotes) - 1)]
        told = len(data)
        if not is_all and bool(self.blank[data[last[-1] + 1 :]].all()):
            told = int(first[-1])
            first, last = first[:-1], last[:-1]
        odd = (last - first) % 2 == 0
        return first[odd], last[odd], told

    def ends_behind(self, data: Bytes, places: Positions) -> npt.NDArray[np.bool_]:
        """Tell behind which quotes a field ends, blanks between them allowed."""
        solid = np.append(np.flatnonzero(~self.blank[data]), len(data))
        found = solid[np.searchsorted(solid, places + 1)]
        ended: npt.NDArray[np.bool_] = (found == len(data)) | self.ends_field[
            data[np.minimum(found, len(data) - 1)]
        ]
        return ended

    def _closed(
        self, data: Bytes, ends: Positions, first: Positions, last: Positions, opens: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.bool_]:
        """Tell which quotes the next ones close: those before the end of a field, or on the same line."""
        next_byte = data[np.minimum(last + 1, len(data) - 1)]
        closed = np.append((self.ends_field[next_byte] | (last + 1 == len(data)))[1:], False)
        doubtful = np.flatnonzero(opens[:-1] & ~closed[:-1])
        if len(doubtful):
            same_line = np.searchsorted(ends, first[doubtful]) == np.searchsorted(ends, first[doubtful + 1])
            closed[doubtful] = same_line | self.ends_behind(data, last[doubtful + 1])
        return closed


def cut_csv(given: Input, syntax: CsvSyntax) -> Iterator[CsvCut]:
    """Cut a file into records; the last one needs no line feed.

    Of a record beyond what is kept no more than a block stays in memory. Whether its quotes are closed is read ahead.
    """
    rest, position = b"", 0
    long: Oversize | None = None
    hashed, closes_at, never = 0, 0, -1
    for block in chain(given.blocks(), (None,)):
        is_all = block is None
        data = rest + (block or b"")
        if long is not None and closes_at > position:
            long.add(data[: closes_at - position])
            data, position = data[closes_at - position :], min(closes_at, position + len(data))
        found = syntax.structure(np.frombuffer(data, np.uint8), is_all, never - position)
        if found.open_at is not None and len(data) - _taken(found.ends) > KEPT_BYTES:
            closes_at = _closing(given, syntax, position + found.open_at)
            if not closes_at:
                never = position + found.open_at
                found = syntax.structure(np.frombuffer(data, np.uint8), is_all, found.open_at)
        ends = found.ends
        if is_all and (_taken(ends) < len(data) or (long is not None and not len(ends))):
            ends = np.append(ends, len(data))
        if len(ends):
            starts = np.append(0, ends[:-1] + 1)
            if long is None:
                yield CsvCut(data, starts, ends, (), found.delimiters, found.unclosed)
            else:
                long.add(data[hashed : int(ends[0])])
                yield CsvCut(data, starts[1:], ends[1:], (long,), found.delimiters, found.unclosed)
            long, hashed = None, 0
        taken = _taken(ends)
        rest = data[taken:]
        if len(rest) > KEPT_BYTES:
            long = long or Oversize()
            # What follows is read as what it is by the last byte that is told.
            told = found.told - taken
            end, again = (told, 1) if 0 < told >= len(rest) - KEPT_BYTES else (len(rest), 0)
            if closes_at > position + taken:
                end, again = min(closes_at - position - taken, len(rest)), 0
            long.add(rest[hashed:end])
            rest, taken, hashed = rest[end - again :], taken + end - again, again
        position += taken


def _taken(ends: Positions) -> int:
    """Return where the bytes behind the last record begin."""
    return int(ends[-1]) + 1 if len(ends) else 0


def _closing(given: Input, syntax: CsvSyntax, at: int) -> int:
    """Read ahead: return the place behind the quotes that close what a quote opens, or 0 where nothing does."""
    position, rest = 0, b""
    is_open, same_line = False, True
    for block in chain(given.blocks(), (None,)):
        if block is not None and position + len(block) <= at:
            position += len(block)
            continue
        data = (rest + (block or b""))[max(at - position, 0) :]
        position = max(at, position)
        view = np.frombuffer(data, np.uint8)
        first, last, told = syntax.odd_quotes(view, block is None)
        text = 0
        if not is_open and len(first):
            is_open, text = True, int(last[0]) + 1
            first, last = first[1:], last[1:]
        same_line = same_line and data.find(b"\n", text, int(first[0]) if len(first) else told) < 0
        if len(first):
            closes = same_line or syntax.ends_behind(view, last[:1])[0]
            return position + int(last[0]) + 1 if closes else 0
        rest, position = data[told:], position + told
    return 0


def _bytes(*which: int) -> npt.NDArray[np.bool_]:
    """Return a table of all bytes that tells which are of these."""
    table = np.zeros(256, np.bool_)
    table[list(which)] = True
    return table
