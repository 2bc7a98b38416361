"""Rows of the warehouse as Arrow, streamed into the second engine without loss of a digit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import duckdb
import pyarrow as pa

from expectations.proof.compare import quoted

FIRST_DAYS = "first_days"
"""A table of days, in one column first_day, that goes along with a statement which would grow if it named them."""

_SETTINGS = {"output_format_arrow_string_as_string": 1, "output_format_arrow_compression_method": "none"}


class ClickHouse(Protocol):
    """The part of clickhouse-connect's client that the proof uses."""

    def query(self, query: str, parameters: dict[str, Any] | None = None) -> Any:
        """Run a select and return its result."""

    def raw_stream(
        self, query: str, *, fmt: str, settings: dict[str, Any] | None = None, external_data: Any = None
    ) -> Any:
        """Run a select and return the answer's bytes as a file."""


@dataclass(frozen=True)
class Columns:
    """Columns of a warehouse table: `values` can be compared, `states` are aggregate states to merge."""

    values: dict[str, str]
    states: tuple[str, ...]


def table_columns(client: ClickHouse, database: str, table: str) -> Columns | None:
    """Return the columns of a table, or None when there is no such table."""
    rows = client.query(
        "select name, type from system.columns where database = {database:String} and table = {table:String}"
        " order by position",
        parameters={"database": database, "table": table},
    ).result_rows
    if not rows:
        return None
    states = tuple(name for name, kind in rows if "AggregateFunction(" in kind)
    return Columns({name: kind for name, kind in rows if name not in states}, states)


def fetch(
    connection: duckdb.DuckDBPyConnection,
    client: ClickHouse,
    into: str,
    select: str,
    columns: dict[str, str],
    first_days: Sequence[date] = (),
) -> int:
    """Stream a ClickHouse select into a DuckDB table and return its number of rows.

    Args:
        connection: the second engine.
        client: the warehouse.
        into: name of the DuckDB table to create.
        select: a ClickHouse relation, such as `pocm.kpi_daily where day = '2026-11-16'`.
        columns: names and ClickHouse types of the columns to fetch.
        first_days: rows of a table FIRST_DAYS that the select may read.
    """
    # The inner select keeps the conditions of `select` from meaning the converted columns.
    sent = ", ".join(f"{_sent(name, kind)} as {quoted(name)}" for name, kind in columns.items())
    received = ", ".join(f"{_received(name, kind)} as {quoted(name)}" for name, kind in columns.items())
    query = f"select {sent} from (select * from {select})"
    along = _sent_along(first_days) if first_days else None
    with (
        client.raw_stream(query, fmt="ArrowStream", settings=_SETTINGS, external_data=along) as body,
        pa.ipc.open_stream(body) as reader,
    ):
        answer = reader  # noqa: F841  DuckDB reads it by its name
        connection.execute(f"create or replace table {quoted(into)} as select {received} from answer")
    row = connection.execute(f"select count(*) from {quoted(into)}").fetchone()
    assert row is not None
    return int(row[0])


def _sent_along(first_days: Sequence[date]) -> Any:
    """Return the rows of FIRST_DAYS as the client sends them beside a statement."""
    from clickhouse_connect.driver.external import ExternalData  # noqa: PLC0415  half a second, as in the runner

    rows = "".join(f"{day}\n" for day in first_days).encode()
    return ExternalData(file_name=FIRST_DAYS, data=rows, fmt="CSV", structure=["first_day Date"])


def _bare(kind: str) -> str:
    while found := re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", kind):
        kind = found[1]
    return kind


def _sent(name: str, kind: str) -> str:
    """Return the ClickHouse expression that carries a column through Arrow unharmed."""
    bare = _bare(kind)
    if bare.startswith("DateTime"):
        return f"toUnixTimestamp64Milli(toDateTime64({quoted(name)}, 3, 'UTC'))"
    if bare.startswith(("Date", "Enum", "FixedString", "UUID", "IP")) or "LowCardinality" in kind:
        return f"toString({quoted(name)})"
    return quoted(name)


def _received(name: str, kind: str) -> str:
    bare = _bare(kind)
    if bare.startswith("DateTime"):
        return f"make_timestamp_ms({quoted(name)})"
    if bare.startswith("Date"):
        return f"cast({quoted(name)} as date)"
    return quoted(name)
