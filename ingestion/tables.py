"""Reads CSV, parquet and plain text: brings each row into the source's wire form, with or without a mapping."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from ingestion.contract import Source
from ingestion.engine import connect
from ingestion.errors import LoadError
from ingestion.inputs import Input
from ingestion.mapping import INPUT_NAME, ROW, CsvFormat, SourceMapping, column_names, rendered
from ingestion.records import (
    Batch,
    Cut,
    Fault,
    Oversize,
    QuotedLineEnds,
    binary_array,
    checked,
    cut_lines,
    is_blank,
    line_ends,
    without_returns,
)
from ingestion.sql import identifier, literal
from ingestion.text_lines import text_lines

ROWS_AT_ONCE = 20_000
READER_MEMORY_MB = 128

Mapper = Callable[[pa.Table], Batch]


def read_csv(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield the records of a CSV file in wire form; every column is text, an empty field is NULL.

    A record with too few columns is `field_missing`, with too many or an open quote `field_format`.

    Raises:
        LoadError: when there is no usable header, or the mapping does not fit.
    """
    options = mapping.csv if mapping is not None else CsvFormat()
    if mapping is None and given.name.lower().removesuffix(".gz").removesuffix(".zst").endswith(".tsv"):
        options = CsvFormat(delimiter="\t")
    records = _CsvRecords(given, options, source.max_event_bytes)
    with connect(memory_limit_mb, temp_dir) as connection:
        yield from _Rows(connection, source, mapping, given).read(records.batches())


def read_lines(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield the lines of a plain text in wire form: the column `line`, and one for each named group of the pattern.

    A line that the mapping's pattern does not match is `field_format`.

    Raises:
        LoadError: when the mapping does not fit.
    """
    assert mapping is not None and mapping.lines is not None
    batches = text_lines(given.blocks(), mapping.lines, source.max_event_bytes)
    with connect(memory_limit_mb, temp_dir) as connection:
        yield from _Rows(connection, source, mapping, given).read(batches)


def read_parquet(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield the rows of a parquet file in wire form, in the order of the file.

    Raises:
        LoadError: when it is no readable parquet, or the mapping does not fit.
    """
    with connect(memory_limit_mb, temp_dir) as connection:
        file = literal(str(given.path))
        try:
            # The file's own row number makes the order independent of threads.
            connection.execute(
                f"create view parquet_rows as select *, file_row_number + 1 as {ROW} "
                f"from read_parquet({file}, file_row_number = true)"
            )
            columns = [name for name in column_names(connection, "parquet_rows") if name != "file_row_number"]
            picked = ", ".join(identifier(name) for name in columns)
            connection.execute(f"create view input as select {picked}, {ROW} from parquet_rows")
            yield from _Rows(connection, source, mapping, given).from_view()
        except duckdb.Error as error:
            raise LoadError(f"{given.uri} cannot be read as parquet: {str(error).splitlines()[0]}") from error


class _Rows:
    """Turns rows of a relation called `input` into wire texts."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        source: Source,
        mapping: SourceMapping | None,
        given: Input,
    ) -> None:
        connection.execute("set preserve_insertion_order = true")
        connection.execute(f"create macro {INPUT_NAME}() as {literal(given.file_name)}")
        self.connection = connection
        self.source = source
        self.mapping = mapping

    def read(self, batches: Iterator[tuple[pa.Table, pa.Array, tuple[Fault, ...]]]) -> Iterator[Batch]:
        """Yield wire records for batches of (columns with ROW, original records, faults)."""
        if self.mapping is not None and self.mapping.input is not None:
            yield from self._through_query(batches, self.mapping.input)
            return
        wire: str | None = None
        for table, originals, faults in batches:
            self.connection.register("input", table)
            if wire is None:
                wire = self._wire("input")
            found = self._run(f"select {ROW} as row_number, {wire} as line from input")
            yield _batch(found.read_all(), self.source.max_event_bytes, originals, faults)
            self.connection.unregister("input")

    def _through_query(
        self, batches: Iterator[tuple[pa.Table, pa.Array, tuple[Fault, ...]]], query: str
    ) -> Iterator[Batch]:
        """Collect the rows first; a row of the query's result is a row of the load."""
        broken: list[Fault] = []
        created = False
        for table, _, faults in batches:
            broken.extend(faults)
            self.connection.register("incoming", table)
            statement = "insert into" if created else "create table"
            tail = "" if created else " as"
            self.connection.execute(f"{statement} input{tail} select * from incoming")
            self.connection.unregister("incoming")
            created = True
        if not created:
            return
        rows = 0
        for batch in self.from_view():
            rows += batch.rows
            yield batch
        numbered = tuple(
            Fault(rows + n, f.code, f.original, f.field_name, f.size, f.sha256)
            for n, f in enumerate(broken, start=1)
        )
        if numbered:
            yield Batch(
                np.empty(0, np.uint64),
                pa.array([], pa.string()),
                originals=pa.array([], pa.binary()),
                faults=numbered,
            )

    def from_view(self) -> Iterator[Batch]:
        """Yield wire records for the rows of the relation `input`, each row's JSON as its original."""
        relation = "input"
        if self.mapping is not None and self.mapping.input is not None:
            relation = "mapping_rows"
            columns = column_names(self.connection, "input")
            self._look_up(self.mapping)
            try:
                # One thread and a total order: the same file gives the same rows in the same places.
                self.connection.execute("set threads = 1")
                self.connection.execute(
                    f"create table {relation} as select *, row_number() over () as {ROW} "
                    f"from (select * from ({self.mapping.input}) order by all)"
                )
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                raise LoadError(
                    f"{self.mapping.path.name}: input is wrong: {reason} (columns: {', '.join(columns)})"
                ) from error
        wire = self._wire(relation)
        names = column_names(self.connection, relation)
        whole = f"to_json(struct_pack({', '.join(f'{identifier(n)} := {identifier(n)}' for n in names)}))::varchar"
        reader = self._run(
            f"select {ROW} as row_number, {wire} as line, encode({whole}) as original from {relation}"
        )
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except Exception as error:
                raise self._mapping_error(error) from error
            table = pa.Table.from_batches([batch])
            originals = table["original"].combine_chunks()
            yield _batch(table.drop_columns(["original"]), self.source.max_event_bytes, originals, ())

    def _look_up(self, mapping: SourceMapping) -> None:
        """Take in the mapping's lookups; in CSV every column is text, an empty field is NULL."""
        for name, given in mapping.tables.items():
            file = literal(str(given.path))
            reads = {
                "csv": f"read_csv({file}, header = true, all_varchar = true, nullstr = '', "
                f"compression = {literal(given.compression or 'none')})",
                "parquet": f"read_parquet({file})",
            }
            if given.format not in reads:
                raise LoadError(f"{given.uri} is {given.format}: a lookup is csv or parquet")
            try:
                self.connection.execute(f"create table {name} as select * from {reads[given.format]}")
            except duckdb.Error as error:
                raise LoadError(f"{given.uri} cannot be read: {str(error).splitlines()[0]}") from error

    def _wire(self, relation: str) -> str:
        if self.mapping is not None:
            return self.mapping.wire(self.connection, relation, self.source)
        described = self.connection.sql(f"select * exclude ({ROW}) from {relation} limit 0")
        members = ", ".join(
            f"{literal(name)}, {rendered(identifier(name), str(kind))}"
            for name, kind in zip(described.columns, described.types, strict=True)
        )
        return f"json_strip_nulls(json_object({members}))::varchar"

    def _run(self, query: str) -> pa.RecordBatchReader:
        try:
            return self.connection.sql(query).to_arrow_reader(ROWS_AT_ONCE)
        except duckdb.Error as error:
            raise self._mapping_error(error) from error

    def _mapping_error(self, error: Exception) -> Exception:
        if self.mapping is None:
            return error
        reason = str(error).splitlines()[0]
        return LoadError(
            f"{self.mapping.path.name}: an expression failed on a row: {reason}; try_cast and try() give NULL instead"
        )


def _batch(found: pa.Table, max_bytes: int, originals: pa.Array, faults: tuple[Fault, ...]) -> Batch:
    """Return mapped rows as a batch; one that no rule took is `type_unknown`."""
    numbers = found["row_number"].to_numpy().astype(np.uint64)
    lines = found["line"].combine_chunks()
    unmatched = np.asarray(lines.is_null())
    large = np.asarray(_lengths(lines) > max_bytes)
    more = [
        Fault(
            int(numbers[i]),
            "type_unknown" if unmatched[i] else "too_large",
            originals[int(i)].as_py(),
            "event_type" if unmatched[i] else "",
        )
        for i in np.flatnonzero(unmatched | large)
    ]
    keep = ~(unmatched | large)
    mask = pa.array(keep)
    return Batch(numbers[keep], lines.filter(mask), originals.filter(mask), (*faults, *more))


def _lengths(lines: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.binary_length(lines), 0))


class _CsvRecords:
    """Cuts a CSV file into records and the records into columns."""

    def __init__(self, given: Input, options: CsvFormat, max_bytes: int) -> None:
        self.given = given
        self.options = options
        self.max_bytes = max_bytes
        self.quote = ord(options.quote) if options.quote else None
        self.columns: list[str] = list(options.columns)
        self.row = 0

    def batches(self) -> Iterator[tuple[pa.Table, pa.Array, tuple[Fault, ...]]]:
        """Yield (columns with ROW, original records, faults)."""
        ends = QuotedLineEnds(self.quote) if self.quote is not None else line_ends
        header_due = self.options.header
        for cut in cut_lines(self.given.blocks(), ends):
            starts, stops = cut.starts, without_returns(cut)
            blank = is_blank(Cut(cut.data, starts, stops))
            starts, stops = starts[~blank], stops[~blank]
            if header_due and len(starts):
                self._read_header(cut.data[starts[0] : stops[0]])
                starts, stops, header_due = starts[1:], stops[1:], False
            if header_due:
                continue
            yield self._columns(cut.data, starts, stops, cut.oversize)

    def _read_header(self, record: bytes) -> None:
        try:
            names = next(csv.reader([record.decode()], **self._dialect()))
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
            "strict": True,
        }

    def _columns(
        self,
        data: bytes,
        starts: npt.NDArray[np.int64],
        stops: npt.NDArray[np.int64],
        oversize: tuple[Oversize, ...],
    ) -> tuple[pa.Table, pa.Array, tuple[Fault, ...]]:
        if not self.columns:
            raise LoadError(f"{self.given.uri} has no header: name its columns in the mapping's format")
        faults = [over.fault(self.row + 1 + n) for n, over in enumerate(oversize)]
        self.row += len(oversize)
        numbers = np.arange(len(starts), dtype=np.uint64) + np.uint64(self.row + 1)
        self.row += len(starts)
        large = stops - starts > self.max_bytes
        faults += [
            Fault(int(numbers[i]), "too_large", data[starts[i] : stops[i]]) for i in np.flatnonzero(large)
        ]
        sizes, odd = self._widths(data, starts, stops)
        wrong = ~large & (odd | (sizes != len(self.columns)))
        faults += [
            Fault(
                int(numbers[i]),
                "field_missing" if sizes[i] < len(self.columns) and not odd[i] else "field_format",
                data[starts[i] : stops[i]],
            )
            for i in np.flatnonzero(wrong)
        ]
        keep = ~(large | wrong)
        good = checked(binary_array(data, starts[keep], stops[keep]), numbers[keep], faults)
        return self._parsed(good)

    def _widths(
        self, data: bytes, starts: npt.NDArray[np.int64], stops: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Return how many fields each record has, and whether its quotes do not pair up."""
        view = np.frombuffer(data, np.uint8)
        delimiters = np.flatnonzero(view == ord(self.options.delimiter))
        odd = np.zeros(len(starts), np.bool_)
        if self.quote is not None:
            quotes = np.flatnonzero(view == self.quote)
            if len(quotes):
                odd = (np.searchsorted(quotes, stops) - np.searchsorted(quotes, starts)) % 2 == 1
                before = np.searchsorted(quotes, delimiters)
                # Quotes are counted from the record's own start.
                record = np.clip(np.searchsorted(starts, delimiters, side="right") - 1, 0, None)
                base = np.searchsorted(quotes, starts)[record] if len(starts) else before
                delimiters = delimiters[(before - base) % 2 == 0]
        sizes = np.searchsorted(delimiters, stops) - np.searchsorted(delimiters, starts) + 1
        return sizes, odd

    def _parsed(self, good: Batch) -> tuple[pa.Table, pa.Array, tuple[Fault, ...]]:
        """Split the records of a batch into columns of text."""
        originals = good.lines.cast(pa.binary())
        if not len(originals):
            table = pa.table({name: pa.array([], pa.string()) for name in self.columns})
            return table.append_column(ROW, pa.array([], pa.uint64())), originals, good.faults
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
        return table.append_column(ROW, pa.array(good.row_numbers)), originals, good.faults

    def _parsed_one_by_one(
        self, good: Batch, originals: pa.Array
    ) -> tuple[pa.Table, pa.Array, tuple[Fault, ...]]:
        """Split the records of a batch in which quotes stand where they have no meaning."""
        rows, faults, keep = [], list(good.faults), []
        for number, record in zip(good.row_numbers.tolist(), originals.to_pylist(), strict=True):
            try:
                fields = next(csv.reader(io.StringIO(record.decode(), newline=""), **self._dialect()))
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
        return (
            table.append_column(ROW, pa.array(good.row_numbers[mask])),
            originals.filter(pa.array(mask)),
            tuple(faults),
        )
