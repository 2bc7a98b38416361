"""The SQL of a check: the rows of a table that a window touches, and the count of those that break a rule."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date

from expectations.model import Check, GateWindow, Suite, Table
from expectations.payload_sql import literal
from expectations.redact import EMAIL_PATTERN, PHONE_PATTERN

SAMPLE_ROWS = 5
BATCH = "{batch}"

_PERIOD_OF_DAY = {"week": "toMonday", "month": "toStartOfMonth"}


def touched_days_sql(source: str, window: GateWindow) -> str:
    """Return the query for the occurred days that a window of received hours touches."""
    start, end = window.sql_bounds
    return (
        "select distinct occurred_date from raw.touched_dates "
        f"where source = {literal(source)} and received_hour >= {start} and received_hour < {end} order by 1"
    )


def condition(table: Table, source: str, window: GateWindow, days: Sequence[date]) -> str:
    """Return the condition that selects the rows of a table that a window touches.

    The days are written out: ClickHouse prunes partitions by them, and Data Docs show what was looked at.
    """
    if table.grain == "whole":
        return "true"
    if table.grain == "received_hour":
        start, end = window.sql_bounds
        return f"source = {literal(source)} and {table.column} >= {start} and {table.column} < {end}"
    if not days:
        return "false"
    listed = ", ".join(f"toDate('{day.isoformat()}')" for day in days)
    if table.grain in _PERIOD_OF_DAY:
        start_of = _PERIOD_OF_DAY[table.grain]
        return f"toDate({table.column}) in (select {start_of}(arrayJoin([{listed}])))"
    return f"toDate({table.column}) in ({listed})"


def batch_query(
    table: Table, source: str, window: GateWindow, days: Sequence[date], left_out: Sequence[str] = ()
) -> str:
    """Return the rows of a table that a window touches, without some columns.

    Aggregate states are left out where rows come to the client: no client reads them.
    """
    columns = f"* EXCEPT ({', '.join(left_out)})" if left_out else "*"
    return f"SELECT {columns} FROM {table.qualified} WHERE {condition(table, source, window, days)}"


def counting_query(
    check: Check, suite: Suite, window: GateWindow, days: Sequence[date], text_columns: Sequence[str]
) -> str:
    """Return the query that counts the rows that break a rule and samples them, in one row.

    `{batch}` in it stands for the touched rows of the check's own table; every other table of the suite that
    the rule reads is cut to its touched rows too.
    """
    broken = _broken_rows(check, text_columns)
    shared = [f"{check.table} as (select * from {BATCH})"]
    for key, table in suite.tables.items():
        if key != check.table and _mentions(broken, key):
            shared.append(f"{key} as ({escape(batch_query(table, suite.source, window, days))})")
    shared += [f"{key} as ({escape(sql)})" for key, sql in suite.relations.items() if _mentions(broken, key)]
    count = "sum(unexpected_rows)" if _mentions(broken, "unexpected_rows") else "count()"
    return (
        f"with {', '.join(shared)} select toInt64({count}) as unexpected_rows, "
        f"groupArray({SAMPLE_ROWS})(formatRowNoNewline('JSONEachRow', *)) as sample from ({escape(broken)})"
    )


def _broken_rows(check: Check, text_columns: Sequence[str]) -> str:
    if check.kind == "rows":
        return str(check.arguments["query"]).rstrip("; \n")
    if check.kind == "unique":
        columns = ", ".join(check.arguments["columns"])
        return f"select {columns}, count() as copies from {check.table} group by {columns} having copies > 1"
    if check.kind == "personal_data":
        return _personal_rows(check.table, text_columns)
    raise ValueError(f"{check.rule}: a check of kind {check.kind} has no query")


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
    """Return SQL as GX and SQLAlchemy want it: braces doubled, `:word` kept from being a parameter."""
    return re.sub(r"(?<![:\w\\]):(?=\w)", r"\\:", sql.replace("{", "{{").replace("}", "}}"))
