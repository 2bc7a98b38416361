"""What a person wants to know about a table: rows, bytes, a sample without personal data, a small plot."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from orchestration.plots import bar_plot, fitting_table, line_plot, markdown_image, sparklines

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SAMPLE_ROWS = 5
MAX_SAMPLE_COLUMNS = 14
PLOT_POINTS = 2000
BARS = 12

PERSONAL_COLUMNS = frozenset(
    {
        "user_key",
        "session_id",
        "device_id",
        "order_id",
        "cart_id",
        "payment_id",
        "refund_id",
        "search_id",
        "trace_id",
        "event_id",
        "idempotency_key",
        "payload",
        "query",
        "city",
    }
)
"""Never shown in a sample: a pseudonym is personal data, and these single out one person's act."""


@dataclass(frozen=True)
class Plot:
    """Which columns of a mart its plot shows; without a time column, bars over `by`."""

    value: str
    time: str | None = None
    by: str | None = None
    where: str | None = None


def sample_columns(columns: Mapping[str, str], personal: Collection[str] = ()) -> list[str]:
    """Columns that a sample may show, in order: no personal ones, no aggregate states, no hashes."""
    hidden = PERSONAL_COLUMNS | set(personal)
    return [
        name
        for name, kind in columns.items()
        if name not in hidden
        and not name.endswith(("_state", "_key", "_hash"))
        and not kind.startswith(("AggregateFunction", "JSON", "Tuple", "Array", "Map"))
    ][:MAX_SAMPLE_COLUMNS]


def looked_at(client: Client, database: str, table: str) -> tuple[tuple[int, int, int], dict[str, str]]:
    """Rows, bytes on disk and parts of a table, and name and ClickHouse type of every column, in order."""
    of_table = "database = {db:String} and table = {tb:String}"
    found = client.query(
        f"""
        select
            (select (sum(rows), sum(bytes_on_disk), count()) from system.parts where active and {of_table}),
            groupArray((name, type))
        from (select name, type from system.columns where {of_table} order by position)
        """,
        parameters={"db": database, "tb": table},
    ).result_rows[0]
    rows, size, parts = found[0]
    return (int(rows), int(size), int(parts)), {str(name): str(kind) for name, kind in found[1]}


def table_metadata(
    client: Client,
    database: str,
    table: str,
    *,
    columns: Sequence[str] | None = None,
    personal: Collection[str] = (),
    where: str | None = None,
    one_per: str | None = None,
    newest_by: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Rows and bytes of the whole table, and a few of its rows.

    Args:
        client: connection to the warehouse.
        database: the table's database.
        table: its name; a view has no rows or bytes of its own.
        columns: what the sample shows; without them, whatever is not personal.
        personal: further columns that the sample must not show.
        where: condition on the sample.
        newest_by: a column of time; the sample shows the newest rows.
        one_per: a column of which the sample shows every value once.
        parameters: bound into `where`.
    """
    (rows, size, parts), every_column = looked_at(client, database, table)
    metadata: dict[str, Any] = {}
    if parts:
        metadata["dagster/row_count"] = rows
        metadata["bytes_on_disk"] = size
    shown = list(columns) if columns else sample_columns(every_column, personal)
    if shown:
        sample = client.query(
            f"select {', '.join(f'`{name}`' for name in shown)} from `{database}`.`{table}`"
            + (f" where {where}" if where else "")
            + (f" order by {newest_by} desc" if newest_by else "")
            + (f" limit 1 by {one_per}" if one_per else "")
            + f" limit {SAMPLE_ROWS}",
            parameters=dict(parameters or {}),
        ).result_rows
        if sample:
            metadata["sample"] = dg.MetadataValue.md(fitting_table(shown, sample))
    return metadata


def plot_metadata(client: Client, database: str, table: str, plot: Plot) -> dict[str, Any]:
    """The mart's plot, or nothing while the mart is empty."""
    value = f"toFloat64(sum({plot.value}))"
    condition = f" where {plot.where}" if plot.where else ""
    title = f"{plot.value} by {plot.by}" if plot.by else plot.value
    if plot.time is None:
        rows = client.query(
            f"select toString({plot.by}) as name, {value} as value from `{database}`.`{table}`{condition} "
            f"group by {plot.by} order by {plot.by} limit {BARS}"
        ).result_rows
        if not rows:
            return {}
        png = bar_plot([(str(label), float(number)) for label, number in rows], title)
        return {"plot": dg.MetadataValue.md(markdown_image(png, f"{title} of {database}.{table}"))}
    by = f"toString({plot.by})" if plot.by else "''"
    rows = client.query(
        f"select {by} as name, {plot.time} as moment, {value} as value from `{database}`.`{table}`{condition} "
        f"group by name, moment order by moment desc limit {PLOT_POINTS}"
    ).result_rows
    series: dict[str, list[tuple[Any, float]]] = {}
    for label, moment, number in rows:
        series.setdefault(label, []).append((moment, number))
    if not series:
        return {}
    return {
        "trend": dg.MetadataValue.md(sparklines(series)),
        "plot": dg.MetadataValue.md(
            markdown_image(line_plot(series, title), f"{title} of {database}.{table}")
        ),
    }
