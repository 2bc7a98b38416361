"""Reads CSV, parquet and plain text: brings each row into the source's wire form, with or without a mapping."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contract import Source
from ingestion.csv_records import csv_rows
from ingestion.engine import connect, no_room
from ingestion.errors import LoadError
from ingestion.inputs import Input
from ingestion.mapping import INPUT_NAME, ROW, CsvFormat, SourceMapping, column_names, rendered
from ingestion.mapping_query import RESULT, check_columns, run_query
from ingestion.records import Batch, Fault, Rows, faults_only
from ingestion.sql import identifier, literal
from ingestion.text_lines import text_lines

ROWS_AT_ONCE = 20_000


def read_csv(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield the records of a CSV file in wire form; every column is text, an empty field is NULL.

    A record with too few columns is `field_missing`, with too many or an open quote `field_format`.

    Raises:
        LoadError: when there is no usable header, or the mapping does not fit.
    """
    options = mapping.csv if mapping is not None else CsvFormat(delimiter=given.delimiter)
    with connect(memory_limit_mb, temp_dir) as connection:
        rows = csv_rows(given, options, source.max_event_bytes)
        yield from _Wire(connection, source, mapping, given).read(rows)


def read_lines(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield the lines of a plain text in wire form: the column `line`, and one for each named group of the pattern.

    A line that the mapping's pattern does not match is `field_format`.

    Raises:
        LoadError: when the mapping does not fit.
    """
    assert mapping is not None and mapping.lines is not None
    with connect(memory_limit_mb, temp_dir) as connection:
        rows = text_lines(given.blocks(), mapping.lines, source.max_event_bytes)
        yield from _Wire(connection, source, mapping, given).read(rows)


def read_parquet(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield the rows of a parquet file in wire form, in the order of the file.

    Raises:
        LoadError: when it is no readable parquet, or the mapping does not fit.
    """
    with connect(memory_limit_mb, temp_dir) as connection:
        try:
            yield from _Wire(connection, source, mapping, given).read_file(
                f"read_parquet({literal(str(given.path))})"
            )
        except duckdb.Error as error:
            reason = str(error).splitlines()[0]
            raise no_room(error) or LoadError(f"{given.uri} cannot be read as parquet: {reason}") from error


class _Wire:
    """Turns the rows of a file into wire texts."""

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
        self.given = given

    @property
    def _query(self) -> SourceMapping | None:
        """The mapping, where it groups or filters the rows first."""
        return self.mapping if self.mapping is not None and self.mapping.input is not None else None

    def read(self, parts: Iterator[Rows]) -> Iterator[Batch]:
        """Yield wire records for rows that are read part by part."""
        if self._query is not None:
            yield from self._through_query(parts, self._query)
            return
        wire: str | None = None
        for part in parts:
            number = _free_name(part.columns.column_names)
            self.connection.register("part", part.columns.append_column(number, pa.array(part.numbers)))
            if wire is None:
                wire = self._wire(f"(select * exclude ({number}) from part) as input")
            reader = self._run(f"select {number}, {wire} from part as input")
            found = pa.Table.from_batches(list(self._batches(reader)), reader.schema)
            batch = _batch(found, self.source.max_event_bytes, part.originals)
            yield replace(batch, faults=(*part.faults, *batch.faults))
            self.connection.unregister("part")

    def read_file(self, relation: str) -> Iterator[Batch]:
        """Yield wire records for the rows of a file that DuckDB reads, each row's JSON as its original.

        Args:
            relation: the SQL of its rows, in the order of the file.
        """
        columns = column_names(self.connection, relation)
        number = ROW if self._query is not None else _free_name(columns)
        if self._query is not None:
            check_columns(self.given, columns)
        self.connection.execute(
            f"create view input as select *, row_number() over () as {number} from {relation}"
        )
        if self._query is None:
            yield from self._records("input", number, columns)
            return
        (rows,) = self.connection.execute("select count(*) from input").fetchall()[0]
        yield from self._result(self._query, int(rows))

    def _through_query(self, parts: Iterator[Rows], mapping: SourceMapping) -> Iterator[Batch]:
        """Collect the rows, then yield those of the query's result; what is broken in the file keeps its place in it."""
        last_row = 0
        created = False
        for part in parts:
            if part.faults:
                yield faults_only(*part.faults)
            last_row = max(
                last_row, *part.numbers[-1:].tolist(), *(fault.row_number for fault in part.faults)
            )
            if not created:
                check_columns(self.given, part.columns.column_names)
            self.connection.register("incoming", part.columns.append_column(ROW, pa.array(part.numbers)))
            self.connection.execute(
                "insert into input select * from incoming"
                if created
                else "create table input as from incoming"
            )
            self.connection.unregister("incoming")
            created = True
        if created:
            yield from self._result(mapping, last_row)

    def _result(self, mapping: SourceMapping, last_row: int) -> Iterator[Batch]:
        """Yield wire records for the rows of the query's result, and then what became of the rows of the file."""
        result = run_query(self.connection, mapping)
        columns = column_names(self.connection, RESULT)
        number = _free_name(columns)
        shown = [name for name in columns if not (result.has_own_rows and name.lower() == ROW)]
        yield from self._records(result.numbered(number, last_row), number, shown)
        yield replace(faults_only(), unvalidated=result.unvalidated)

    def _records(self, relation: str, number: str, columns: list[str]) -> Iterator[Batch]:
        """Yield wire records for the rows of a relation, each row's JSON as its original.

        Args:
            relation: SQL.
            number: its column of the rows' numbers, ascending.
            columns: what an original shows.
        """
        wire = self._wire(f"(select * exclude ({number}) from {relation}) as input")
        members = ", ".join(f"{identifier(name)} := {identifier(name)}" for name in columns)
        original = f"encode(to_json(struct_pack({members}))::varchar)"
        for batch in self._batches(
            self._run(f"select {number}, {wire}, {original} from {relation} as input")
        ):
            yield _batch(pa.Table.from_batches([batch]), self.source.max_event_bytes, batch.column(2))

    def _wire(self, relation: str) -> str:
        if self.mapping is not None:
            return self.mapping.wire(self.connection, relation, self.source)
        described = self.connection.sql(f"select * from {relation} limit 0")
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

    def _batches(self, reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        while True:
            try:
                batch = reader.read_next_batch()
            except StopIteration:
                return
            except Exception as error:
                raise self._mapping_error(error) from error
            yield batch

    def _mapping_error(self, error: Exception) -> Exception:
        lack = no_room(error)
        if lack is not None or self.mapping is None:
            return lack or error
        reason = str(error).splitlines()[0]
        return LoadError(
            f"{self.mapping.path.name}: an expression failed on a row: {reason}; try_cast and try() give NULL instead"
        )


def _free_name(columns: list[str]) -> str:
    """Return a name for a further column that none of these has, in any case."""
    taken = {name.lower() for name in columns}
    return next(name for name in (ROW + "_" * more for more in count(1)) if name not in taken)


def _batch(found: pa.Table, max_bytes: int, originals: pa.Array) -> Batch:
    """Return mapped rows (number, wire text) as a batch; one that no rule took is `type_unknown`."""
    numbered = found.column(0).to_numpy().astype(np.uint64)
    lines = found.column(1).combine_chunks()
    unmatched = np.asarray(lines.is_null())
    large = np.asarray(_lengths(lines) > max_bytes)
    faults = tuple(
        Fault(
            int(numbered[i]),
            "type_unknown" if unmatched[i] else "too_large",
            originals[int(i)].as_py(),
            "event_type" if unmatched[i] else "",
        )
        for i in np.flatnonzero(unmatched | large)
    )
    keep = ~(unmatched | large)
    mask = pa.array(keep)
    return Batch(numbered[keep], lines.filter(mask), originals.filter(mask), faults)


def _lengths(lines: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(pc.fill_null(pc.binary_length(lines), 0))
