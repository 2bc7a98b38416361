"""Cuts a CSV file into records and the records into columns of text."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ingestion.csv_cuts import CsvCut, CsvSyntax, cut_csv
from ingestion.errors import LoadError
from ingestion.inputs import Input
from ingestion.mapping import CsvFormat
from ingestion.records import (
    Batch,
    Cut,
    Fault,
    Positions,
    Rows,
    binary_array,
    checked,
    is_blank,
    without_returns,
)


def csv_rows(given: Input, options: CsvFormat, max_bytes: int) -> Iterator[Rows]:
    """Yield the records of a CSV file, every column as text, an empty field as NULL.

    A record with too few columns is `field_missing`, with too many or an open quote `field_format`.

    Raises:
        LoadError: when there is no usable header.
    """
    yield from _CsvRecords(given, options, max_bytes).rows()


class _CsvRecords:
    """Cuts a CSV file into records and the records into columns."""

    def __init__(self, given: Input, options: CsvFormat, max_bytes: int) -> None:
        self.given = given
        self.options = options
        self.max_bytes = max_bytes
        self.quote = ord(options.quote) if options.quote else None
        self.columns: list[str] = list(options.columns)
        self.row = 0

    def rows(self) -> Iterator[Rows]:
        """Yield the records, block by block."""
        header_due = self.options.header
        for cut in cut_csv(self.given, CsvSyntax(ord(self.options.delimiter), self.quote)):
            if header_due and cut.oversize:
                raise LoadError(f"{self.given.uri}: its first line is no CSV header: it never ends")
            starts, stops = cut.starts, without_returns(cut)
            blank = is_blank(Cut(cut.data, starts, stops))
            starts, stops = starts[~blank], stops[~blank]
            if header_due and len(starts):
                self._read_header(cut.data[starts[0] : stops[0]])
                starts, stops, header_due = starts[1:], stops[1:], False
            if not header_due:
                yield self._columns(cut, starts, stops)

    def _read_header(self, record: bytes) -> None:
        try:
            names = next(csv.reader([record.decode()], **self._dialect(), strict=True))
        except (UnicodeDecodeError, StopIteration, csv.Error) as error:
            raise LoadError(f"{self.given.uri}: its first line is no CSV header: {error}") from error
        names = [name.strip() for name in names]
        if not self.columns and (len(set(names)) != len(names) or "" in names):
            raise LoadError(f"{self.given.uri}: its header needs distinct, non-empty names, has {names}")
        if self.columns and len(self.columns) != len(names):
            raise LoadError(
                f"{self.given.uri}: has {len(names)} columns, the mapping names {len(self.columns)}"
            )
        self.columns = self.columns or names

    def _dialect(self) -> dict[str, Any]:
        quoting = csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL
        return {
            "delimiter": self.options.delimiter,
            "quotechar": self.options.quote or None,
            "quoting": quoting,
        }

    def _columns(self, cut: CsvCut, starts: Positions, stops: Positions) -> Rows:
        if not self.columns:
            raise LoadError(f"{self.given.uri} has no header: name its columns in the mapping's format")
        faults = [over.fault(self.row + 1 + n) for n, over in enumerate(cut.oversize)]
        self.row += len(cut.oversize)
        data = cut.data
        numbers = np.arange(len(starts), dtype=np.uint64) + np.uint64(self.row + 1)
        self.row += len(starts)
        large = stops - starts > self.max_bytes
        faults += [
            Fault(int(numbers[i]), "too_large", data[starts[i] : stops[i]]) for i in np.flatnonzero(large)
        ]
        sizes = _between(cut.delimiters, starts, stops) + 1
        is_open = _between(cut.unclosed, starts, stops) > 0
        wrong = ~large & (is_open | (sizes != len(self.columns)))
        faults += [
            Fault(
                int(numbers[i]),
                "field_missing" if sizes[i] < len(self.columns) and not is_open[i] else "field_format",
                data[starts[i] : stops[i]],
            )
            for i in np.flatnonzero(wrong)
        ]
        keep = ~(large | wrong)
        good = checked(binary_array(data, starts[keep], stops[keep]), numbers[keep], faults)
        return self._parsed(good)

    def _parsed(self, good: Batch) -> Rows:
        """Split the records of a batch into columns of text."""
        originals = good.lines.cast(pa.binary())
        if not len(originals):
            table = pa.table({name: pa.array([], pa.string()) for name in self.columns})
            return Rows(table, good.row_numbers, originals, good.faults)
        together = pa.ListArray.from_arrays(pa.array([0, len(originals)], pa.int32()), originals)
        text = pc.binary_join(together, b"\n")[0].as_buffer()
        try:
            table = pa_csv.read_csv(
                pa.BufferReader(text),
                pa_csv.ReadOptions(
                    column_names=self.columns, block_size=max(len(text) + 1, 1 << 20), use_threads=False
                ),
                pa_csv.ParseOptions(
                    delimiter=self.options.delimiter,
                    quote_char=self.options.quote or False,
                    double_quote=self.quote is not None,
                    newlines_in_values=self.quote is not None,
                    ignore_empty_lines=False,
                ),
                pa_csv.ConvertOptions(
                    column_types={name: pa.string() for name in self.columns},
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )
            if table.num_rows != len(originals):
                raise pa.ArrowInvalid("the records fall differently")
        except pa.ArrowInvalid:
            return self._parsed_one_by_one(good, originals)
        return Rows(table, good.row_numbers, originals, good.faults)

    def _parsed_one_by_one(self, good: Batch, originals: pa.Array) -> Rows:
        """Split the records of a batch in which a carriage return stands by itself, which ends none."""
        rows, faults, keep = [], list(good.faults), []
        for number, record in zip(good.row_numbers.tolist(), originals.to_pylist(), strict=True):
            try:
                fields = next(csv.reader([record.decode()], **self._dialect(), strict=False))
            except (csv.Error, StopIteration):
                fields = []
            keep.append(len(fields) == len(self.columns))
            if keep[-1]:
                rows.append([field or None for field in fields])
            else:
                faults.append(Fault(number, "field_format", record))
        columns = list(zip(*rows, strict=True)) or [()] * len(self.columns)
        table = pa.table(
            {name: pa.array(values, pa.string()) for name, values in zip(self.columns, columns, strict=True)}
        )
        mask = np.array(keep, np.bool_)
        return Rows(table, good.row_numbers[mask], originals.filter(pa.array(mask)), tuple(faults))


def _between(places: Positions, starts: Positions, stops: Positions) -> Positions:
    """Count the places that lie in each record."""
    return np.searchsorted(places, stops) - np.searchsorted(places, starts)
