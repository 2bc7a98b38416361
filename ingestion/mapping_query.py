"""Runs the query of a mapping over the rows of a file, and accounts for every one of them.

The query reads the relation `input`: the columns of the file and ROW, the number of the row in the file. Where its
result has a column of that name, that says which row of the file each row of the result comes from: a number, or a
list of numbers where rows are grouped. Without it only the sums are known.
"""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

from ingestion.engine import no_room
from ingestion.errors import LoadError
from ingestion.inputs import Input
from ingestion.mapping import ROW, SourceMapping, column_names
from ingestion.sql import identifier, literal
from lake.manifest import Counts

FILE, RESULT = "input", "mapping_rows"
"""The relations of the file's rows and of the query's."""
_MENTIONS = {
    "number": f"select {ROW}::hugeint as file_row from {RESULT} where {ROW} is not null",
    "list": f"select unnest(list_distinct({ROW}))::hugeint as file_row from {RESULT}",
}
_FROM_NOTHING = {"number": f"{ROW} is null", "list": f"coalesce(len(list_distinct({ROW})), 0) = 0"}
_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")


@dataclass(frozen=True)
class QueryResult:
    """What a query made of the rows of a file."""

    unvalidated: Counts
    """Rows of the file that no row of the result comes from (skipped), those beyond the first of each row of the result
    (folded), and rows of the result beyond the first of each row of the file or out of none (expanded)."""
    has_own_rows: bool
    """Whether each row of the result comes from one row of the file, and no two from the same."""

    def numbered(self, number: str, last_row: int) -> str:
        """Return the SQL of the result with a column `number`, unique and ascending.

        Where a row of the result has a row of the file to itself, it has that row's number; elsewhere the result is
        numbered in the order of its values, behind `last_row`, so that no number means two things.
        """
        if self.has_own_rows:
            return f"(select *, {ROW}::ubigint as {number} from {RESULT} order by {ROW})"
        ordered = f"select * from {RESULT} order by all"
        return f"(select *, ({last_row} + row_number() over ())::ubigint as {number} from ({ordered}))"


def check_columns(given: Input, names: list[str]) -> None:
    """Refuse a file with a column of the name that `input` has for the number of a row.

    Raises:
        LoadError: naming the column.
    """
    for name in names:
        if name.lower() == ROW:
            raise LoadError(
                f"{given.uri} has a column {name}: a mapping's input calls the number of a row so; rename the column"
            )


def run_query(connection: duckdb.DuckDBPyConnection, mapping: SourceMapping) -> QueryResult:
    """Put the result of a mapping's query over FILE into the table RESULT.

    Raises:
        LoadError: the query is wrong, or says of a row that it comes from what is no row of the file.
    """
    columns = column_names(connection, FILE)
    _look_up(connection, mapping)
    try:
        # One thread: the same file gives the same rows.
        connection.execute("set threads = 1")
        connection.execute(f"create table {RESULT} as select * from ({mapping.input})")
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise no_room(error) or LoadError(
            f"{mapping.path.name}: input is wrong: {reason} (columns: {', '.join(columns)})"
        ) from error
    return _account(connection, mapping)


def _account(connection: duckdb.DuckDBPyConnection, mapping: SourceMapping) -> QueryResult:
    kind = _kind_of_row(connection, mapping)
    file_rows, rows = _numbers(
        connection, f"select (select count(*) from {FILE}), (select count(*) from {RESULT})"
    )
    if kind == "none":
        more = rows - file_rows
        return QueryResult(Counts(folded=max(-more, 0), expanded=max(more, 0)).unvalidated, False)
    connection.execute(f"create table mentions as {_MENTIONS[kind]}")
    strange = connection.execute(
        f"select file_row from mentions anti join {FILE} on {FILE}.{ROW} = mentions.file_row limit 1"
    ).fetchone()
    if strange is not None:
        raise LoadError(
            f"{mapping.path.name}: input is wrong: its {ROW} says {strange[0]}, and the file has no such row"
        )
    mentions, named = _numbers(connection, "select count(*), count(distinct file_row) from mentions")
    connection.execute("drop table mentions")
    (from_nothing,) = _numbers(connection, f"select count(*) from {RESULT} where {_FROM_NOTHING[kind]}")
    counts = Counts(
        skipped=file_rows - named,
        folded=mentions - (rows - from_nothing),
        expanded=mentions - named + from_nothing,
    )
    return QueryResult(counts.unvalidated, has_own_rows=kind == "number" and named == rows)


def _kind_of_row(connection: duckdb.DuckDBPyConnection, mapping: SourceMapping) -> str:
    """Return what the result's ROW is: `number`, `list` or `none`."""
    found = connection.sql(f"select * from {RESULT} limit 0")
    types = {name.lower(): str(kind) for name, kind in zip(found.columns, found.types, strict=True)}
    if ROW not in types:
        return "none"
    of = types[ROW].removesuffix("[]").removeprefix("U")
    if of not in _INTEGERS:
        raise LoadError(
            f"{mapping.path.name}: input is wrong: its {ROW} is {types[ROW]}, not the number of a row of the file "
            "or a list of them"
        )
    return "list" if types[ROW].endswith("[]") else "number"


def _numbers(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    return tuple(int(value) for value in connection.execute(query).fetchall()[0])


def _look_up(connection: duckdb.DuckDBPyConnection, mapping: SourceMapping) -> None:
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
            connection.execute(f"create table {identifier(name)} as select * from {reads[given.format]}")
        except duckdb.Error as error:
            raise LoadError(f"{given.uri} cannot be read: {str(error).splitlines()[0]}") from error
