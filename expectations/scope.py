"""The SQL of a check: the rows of a table that a window touches, and the count of those that break a rule."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from expectations.model import Check, GateWindow, Suite, Table
from expectations.payload_sql import literal
from expectations.redact import EMAIL_PATTERN, PHONE_PATTERN

SAMPLE_ROWS = 5

_PERIOD_OF_DAY = {"week": "toMonday", "month": "toStartOfMonth"}


def condition(table: Table, source: str, window: GateWindow) -> str:
    """Return the condition that selects the rows of a table that a window touches; ClickHouse prunes partitions by it."""
    if table.grain == "whole":
        return "true"
    start, end = window.sql_bounds
    if table.grain == "received_hour":
        return f"source = {literal(source)} and {table.column} >= {start} and {table.column} < {end}"
    start_of = _PERIOD_OF_DAY.get(table.grain)
    period = f"{start_of}(occurred_date)" if start_of else "occurred_date"
    return (
        f"toDate({table.column}) in (select {period} from raw.touched_dates "
        f"where source = {literal(source)} and received_hour >= {start} and received_hour < {end})"
    )


def batch_query(table: Table, source: str, window: GateWindow, left_out: Sequence[str] = ()) -> str:
    """Return the rows of a table that a window touches, without some columns.

    Aggregate states are left out where rows come to the client: no client reads them.
    """
    columns = f"* EXCEPT ({', '.join(left_out)})" if left_out else "*"
    return f"SELECT {columns} FROM {table.qualified} WHERE {condition(table, source, window)}"


def broken_rows_query(
    checks: Sequence[Check],
    suite: Suite,
    window: GateWindow,
    columns: Mapping[str, str],
) -> str:
    """Return the query that finds for every check of a table how many rows break it, and samples them.

    A rule reads tables by their suite keys: each stands for its touched rows, that of the checks and every other.

    Args:
        checks: of one table.
        suite: which tables and relations there are.
        window: received hours.
        columns: column types of the table by name.

    Returns:
        A query of one row a check: rule, unexpected_rows, sample (JSON objects as text).
    """
    broken = {check.rule: _broken_rows(check, columns) for check in checks}
    (own,) = {check.table for check in checks}
    left_out = {own: state_columns(columns)}
    shared = [
        f"{key} as ({batch_query(table, suite.source, window, left_out.get(key, ()))})"
        for key, table in suite.tables.items()
        if key == own or any(_mentions(sql, key) for sql in broken.values())
    ]
    shared += [
        f"{key} as ({sql})"
        for key, sql in suite.relations.items()
        if any(_mentions(other, key) for other in broken.values())
    ]
    return f"with {', '.join(shared)} " + " union all ".join(
        f"select {literal(rule)} as rule, toInt64({_count_of(sql)}) as unexpected_rows, "
        f"groupArray({SAMPLE_ROWS})(formatRowNoNewline('JSONEachRow', *)) as sample from ({sql})"
        for rule, sql in broken.items()
    )


def text_columns(columns: Mapping[str, str]) -> list[str]:
    """Return the columns that hold text, given column types by name."""
    return [name for name, kind in columns.items() if "String" in kind and "AggregateFunction" not in kind]


def state_columns(columns: Mapping[str, str]) -> list[str]:
    """Return the columns that hold aggregate states, given column types by name."""
    return [name for name, kind in columns.items() if "AggregateFunction(" in kind]


def _count_of(sql: str) -> str:
    return "sum(unexpected_rows)" if _mentions(sql, "unexpected_rows") else "count()"


def _broken_rows(check: Check, columns: Mapping[str, str]) -> str:
    """The rows that break a check; an unknown value breaks `not_null` only."""
    match check.kind:
        case "rows":
            return str(check.arguments["query"]).rstrip("; \n")
        case "unique":
            names = ", ".join(check.arguments["columns"])
            return f"select {names}, count() as copies from {check.table} group by {names} having copies > 1"
        case "personal_data":
            return _personal_rows(check.table, text_columns(columns))
        case "columns":
            wanted = ", ".join(map(literal, check.arguments["columns"]))
            held = ", ".join(map(literal, columns))
            return f"select arrayJoin([{wanted}]) as missing where missing not in ({held})"
        case "not_null":
            broken = f"{check.column} is null"
        case "in_set":
            broken = f"{check.column} not in ({', '.join(map(_value, check.arguments['values']))})"
        case "between":
            bounds = [
                f"{check.column} {sign} {_value(check.arguments[name])}"
                for name, sign in (("min", ">="), ("max", "<="))
                if check.arguments.get(name) is not None
            ]
            broken = f"not ({' and '.join(bounds)})"
    return f"select {check.column} from {check.table} where {broken}"


def _value(value: Any) -> str:
    return literal(value) if isinstance(value, str) else str(value)


def _personal_rows(table: str, text_columns: Sequence[str]) -> str:
    if not text_columns:
        return f"select '' as column, toUInt64(0) as unexpected_rows from {table} where false"
    pairs = ", ".join(f"({literal(name)}, ifNull(toString(`{name}`), ''))" for name in text_columns)
    email = f"(position(c.2, '@') > 0 and match(c.2, {literal(EMAIL_PATTERN)}))"
    phone = f"match(c.2, {literal(PHONE_PATTERN)})"
    return (
        "select column, count() as unexpected_rows from (select arrayJoin(arrayMap(c -> c.1, "
        f"arrayFilter(c -> {email} or {phone}, [{pairs}]))) as column from {table}) group by column"
    )


def _mentions(sql: str, word: str) -> bool:
    return re.search(rf"(?<![\w.'])({re.escape(word)})(?!\w)", sql) is not None


def escape(sql: str) -> str:
    """Return SQL as SQLAlchemy wants it: `:word` kept from being a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql)
