"""The ClickHouse query of a report. Names come out of the contract of the mart; values travel as parameters."""

from __future__ import annotations

from typing import Any

from orchestration.reports.definition import Dimension, Filter, Metric, Report
from orchestration.reports.periods import CLICKHOUSE_START, Range
from orchestration.warehouse import sql

PERIOD = "period"


def report_query(report: Report, span: Range) -> tuple[str, dict[str, Any]]:
    """Return the query of a report over a range, and its parameters.

    One row per period (where the report has any) and dimensions, in their order, so that the same mart gives
    the same rows in the same order.
    """
    selected: list[str] = []
    if report.every:
        start = CLICKHOUSE_START[report.every].format(f"mart.{_name(report.time)}")
        kind = "DateTime" if report.every == "hour" else "Date"
        selected.append(f"{_sent(start, kind)} as {_name(PERIOD)}")
    parameters: dict[str, Any] = {}
    for number, dimension in enumerate(report.dimensions):
        field = _field(dimension, f"key_{number}", parameters)
        selected.append(f"{_sent(field, dimension.type)} as {_name(dimension.name)}")
    keys = len(selected)
    selected += [f"{_aggregate(metric)} as {_name(metric.name)}" for metric in report.metrics]
    conditions = [
        f"{_moment(report.time)} >= {sql.moments([span.start])}",
        f"{_moment(report.time)} < {sql.moments([span.end])}",
        *(_condition(item, number, parameters) for number, item in enumerate(report.filters)),
    ]
    places = ", ".join(str(place) for place in range(1, keys + 1))
    grouped = f" group by {places} order by {places}" if keys else " having count() > 0"
    return (
        f"select {', '.join(selected)} from {_name(report.source)}.{_name(report.mart)} as mart"
        f" where {' and '.join(conditions)}{grouped}",
        parameters,
    )


def _name(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _moment(column: str) -> str:
    return f"toDateTime(mart.{_name(column)}, 'UTC')"


def _sent(expression: str, kind: str) -> str:
    """Return an expression that Arrow carries as what it is, and not as the number that stands for it."""
    if kind.startswith("DateTime"):
        return f"toDateTime64({expression}, 3, 'UTC')"
    if kind.startswith("Date"):
        return f"toDate32({expression})"
    return f"toString({expression})" if kind.startswith("Enum") else expression


def _field(dimension: Dimension, parameter: str, parameters: dict[str, Any]) -> str:
    column = f"mart.{_name(dimension.column)}"
    if dimension.key is None:
        return column
    parameters[parameter] = dimension.key
    return f"{column}[{{{parameter}:String}}]"


def _aggregate(metric: Metric) -> str:
    columns = [f"mart.{_name(column)}" for column in metric.columns]
    if metric.aggregate != "ratio":
        return f"{metric.aggregate}({columns[0]})"
    numerator, denominator = (f"toFloat64(sum({column}))" for column in columns)
    return f"if({denominator} = 0, null, {numerator} / {denominator})"


def _condition(item: Filter, number: int, parameters: dict[str, Any]) -> str:
    field = _field(item.field, f"filter_key_{number}", parameters)
    several = item.operator in ("in", "not in")
    parameters[f"filter_{number}"] = item.value
    kind = f"Array({item.field.type})" if several else item.field.type
    return f"{field} {item.operator} {{filter_{number}:{kind}}}"
