"""Reads plain text as a table: a row per line, the whole of it and the parts that a regular expression names."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.mapping import LINE, LineFormat
from ingestion.records import (
    Cut,
    Fault,
    Rows,
    binary_array,
    checked,
    cut_lines,
    is_blank,
    line_ends,
    without_returns,
)


def text_lines(blocks: Iterator[bytes], options: LineFormat, max_bytes: int) -> Iterator[Rows]:
    """Yield the lines of a text as rows, batch by batch.

    The columns are `line` and the pattern's named groups, in its order; a group that is empty or took no part is NULL.
    A blank line is no row but counts as a place. A line is `field_format` where the pattern does not match,
    `encoding_invalid` where it is no UTF-8, `too_large` above the limit.

    Args:
        blocks: the text's bytes.
        options: how lines are read.
        max_bytes: size above which a line is too large.
    """
    row = 0
    for cut in cut_lines(blocks, line_ends):
        faults = [over.fault(row + 1 + n) for n, over in enumerate(cut.oversize)]
        starts, stops = cut.starts, without_returns(cut)
        numbers = np.arange(len(starts), dtype=np.uint64) + np.uint64(row + 1 + len(cut.oversize))
        row += len(cut.oversize) + len(starts)
        blank = is_blank(Cut(cut.data, starts, stops))
        large = ~blank & (stops - starts > max_bytes)
        faults += [
            Fault(int(numbers[i]), "too_large", cut.data[starts[i] : stops[i]]) for i in np.flatnonzero(large)
        ]
        keep = ~(blank | large)
        good = checked(binary_array(cut.data, starts[keep], stops[keep]), numbers[keep], faults)
        columns, matched = _columns(good.lines, options)
        wrong = [
            Fault(int(good.row_numbers[i]), "field_format", good.lines[int(i)].as_py().encode())
            for i in np.flatnonzero(~np.asarray(matched))
        ]
        yield Rows(
            pa.table(columns).filter(matched),
            good.row_numbers[np.asarray(matched)],
            good.lines.filter(matched).cast(pa.binary()),
            (*good.faults, *wrong),
        )


def _columns(lines: pa.Array, options: LineFormat) -> tuple[dict[str, pa.Array], pa.Array]:
    """Return the columns that lines have, and which of the lines match."""
    columns = {LINE: lines}
    if options.pattern is None:
        return columns, pa.array(np.ones(len(lines), np.bool_))
    found = pc.extract_regex(lines, options.pattern)
    for place, column in enumerate(found.type):
        group = found.field(place)
        columns[column.name] = pc.if_else(pc.equal(group, ""), pa.scalar(None, pa.string()), group)
    return columns, found.is_valid()
