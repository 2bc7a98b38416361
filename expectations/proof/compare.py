"""The one comparer: a relation of the second engine against a relation fetched from the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from expectations.proof.report import Difference

KEPT = 200

_KINDS = {
    "DECIMAL": "exact",
    "HUGEINT": "exact",
    "FLOAT": "float",
    "DOUBLE": "float",
    "VARCHAR": "text",
    "DATE": "date",
    "TIMESTAMP": "moment",
    "BOOLEAN": "truth",
}


@dataclass(frozen=True)
class Comparison:
    """Outcome of comparing two relations: all differences are counted, the first are kept."""

    rows: int
    values: int
    different: int
    differences: tuple[Difference, ...]


def quoted(name: str) -> str:
    """Return an SQL identifier for DuckDB and ClickHouse."""
    return '"' + name.replace('"', '""') + '"'


def columns_of(connection: duckdb.DuckDBPyConnection, relation: str) -> dict[str, str]:
    """Return column names and DuckDB types of a relation."""
    found = connection.execute(f"describe select * from {relation}").fetchall()
    return {row[0]: row[1] for row in found}


def compare(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    *,
    expected: str,
    actual: str,
    grain: Sequence[str],
    uncompared: Iterable[str] = (),
    keep: int = KEPT,
) -> Comparison:
    """Compare two relations of one DuckDB connection to the last digit.

    Rows are matched by `grain`, null equal to null. Missing rows, additional rows, repeated rows, a column
    that only one side has, and a column of another kind (a float for an exact number) are differences like
    unequal values. Nothing is rounded or cast before comparing.

    Args:
        connection: where both relations live.
        name: the mart's name in the differences.
        expected: relation computed by the second engine.
        actual: relation fetched from the warehouse.
        grain: columns that identify a row on both sides.
        uncompared: columns of `actual` without a counterpart that are no difference.
        keep: how many differences to return; all are counted.
    """
    left, right = columns_of(connection, expected), columns_of(connection, actual)
    schema = list(_schema_differences(name, left, right, grain, uncompared))
    if any(difference.column in grain for difference in schema):
        return Comparison(0, 0, len(schema), tuple(schema))
    unequal_kind = {difference.column for difference in schema}
    columns = [c for c in left if c in right and c not in grain and c not in unequal_kind]
    keys = [quoted(column) for column in grain]
    joined = (
        f"from (select *, true as _here from {expected}) as e"
        f" full join (select *, true as _here from {actual}) as a"
        f" on {' and '.join(f'e.{key} is not distinct from a.{key}' for key in keys)}"
    )
    repeated = [
        Difference(name, _place(grain, row), "(rows)", "1", str(row[-1]))
        for row in _repeated(connection, actual, keys, keep)
    ]
    row = connection.execute(
        f"select count(*) filter (e._here and a._here), count(*) filter (e._here is null or a._here is null)"
        f"{''.join(f', count(*) filter (e._here and a._here and {_unequal(c)})' for c in columns)} {joined}"
    ).fetchone()
    assert row is not None
    matched, alone, unequal = int(row[0]), int(row[1]), sum(int(count) for count in row[2:])
    kept: list[Difference] = [*schema, *repeated]
    if alone or unequal:
        kept += [
            Difference(name, _place(grain, row), *row[len(grain) :])
            for row in _unequal_cells(connection, joined, keys, columns, limit=keep)
        ]
    different = len(schema) + len(repeated) + alone + unequal
    return Comparison(matched, matched * len(columns), different, tuple(kept[:keep]))


def _schema_differences(
    name: str, left: dict[str, str], right: dict[str, str], grain: Sequence[str], uncompared: Iterable[str]
) -> Iterable[Difference]:
    excused = set(uncompared)
    for column in [*left, *(c for c in right if c not in left)]:
        if column not in right:
            yield Difference(name, {}, column, f"a column of type {left[column]}", "no such column")
        elif column not in left and column not in excused:
            yield Difference(name, {}, column, "not recomputed", f"a column of type {right[column]}")
        elif column in left and _kind(left[column]) != _kind(right[column]):
            yield Difference(name, {}, column, f"type {left[column]}", f"type {right[column]}")
    for column in grain:
        if column not in left and column not in right:
            yield Difference(name, {}, column, "grain column", "no such column")


def _kind(duckdb_type: str) -> str:
    base = duckdb_type.partition("(")[0].removesuffix(" WITH TIME ZONE")
    if base.endswith("INT") or base in {"INTEGER", "UINTEGER"}:
        return "exact"
    if base.startswith("TIMESTAMP"):
        return "moment"
    return _KINDS.get(base, base)


def _unequal(column: str) -> str:
    return f"e.{quoted(column)} is distinct from a.{quoted(column)}"


def _place(grain: Sequence[str], row: Sequence[Any]) -> dict[str, str | None]:
    return dict(zip(grain, row[: len(grain)], strict=True))


def _repeated(
    connection: duckdb.DuckDBPyConnection, actual: str, keys: Sequence[str], limit: int
) -> list[tuple[Any, ...]]:
    """Return the grains that more than one row carries, each with its number of rows."""
    names = ", ".join(f"cast({key} as varchar)" for key in keys)
    return connection.execute(
        f"select {names}, count(*) from {actual} group by {', '.join(keys)} having count(*) > 1 limit {limit}"
    ).fetchall()


def _unequal_cells(
    connection: duckdb.DuckDBPyConnection,
    joined: str,
    keys: Sequence[str],
    columns: Sequence[str],
    *,
    limit: int,
) -> list[tuple[Any, ...]]:
    """Return (grain…, column, expected, actual) of every unequal cell and every row on one side only."""
    places = ", ".join(
        f"cast(case when e._here then e.{key} else a.{key} end as varchar) as g{i}"
        for i, key in enumerate(keys)
    )
    cells = [
        "{'c': '(row)', 'e': case when e._here then 'present' else 'no such row' end,"
        " 'a': case when a._here then 'present' else 'no such row' end,"
        " 'differs': e._here is null or a._here is null}"
    ] + [
        f"{{'c': {_literal(column)}, 'e': cast(e.{quoted(column)} as varchar),"
        f" 'a': cast(a.{quoted(column)} as varchar),"
        f" 'differs': e._here and a._here and {_unequal(column)}}}"
        for column in columns
    ]
    any_difference = " or ".join(["e._here is null", "a._here is null", *(_unequal(c) for c in columns)])
    return connection.execute(
        f"with cells as (select {places}, unnest([{', '.join(cells)}]) as cell {joined}"
        f" where {any_difference})"
        f" select {', '.join(f'g{i}' for i in range(len(keys)))}, cell.c, cell.e, cell.a"
        f" from cells where cell.differs order by all limit {limit}"
    ).fetchall()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
