"""Rows of a report as the bytes of a file: the same rows give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestration.reports.definition import Format, Report
from orchestration.reports.periods import Range

if TYPE_CHECKING:
    import pyarrow as pa

TEMPLATES = Path(__file__).resolve().parent
CONTENT_TYPES: dict[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "html": "text/html; charset=utf-8",
}


def render(report: Report, span: Range, rows: pa.Table) -> bytes:
    """Return a report's file. It names no time but its range, and no machine."""
    renderers: dict[Format, Callable[[Report, Range, pa.Table], bytes]] = {
        "csv": _csv,
        "parquet": _parquet,
        "html": _html,
    }
    return renderers[report.format](report, span, rows)


def _csv(report: Report, span: Range, rows: pa.Table) -> bytes:
    return bytes(_frame(rows).to_csv(index=False, lineterminator="\n").encode())


def _parquet(report: Report, span: Range, rows: pa.Table) -> bytes:
    import pyarrow.parquet as pq  # noqa: PLC0415  the other formats need it not

    described = rows.replace_schema_metadata(
        {"report": report.id, "from": span.start.isoformat(), "to": span.end.isoformat()}
    )
    buffer = io.BytesIO()
    pq.write_table(described, buffer, compression="zstd")
    return buffer.getvalue()


def _html(report: Report, span: Range, rows: pa.Table) -> bytes:
    import jinja2  # noqa: PLC0415  the other formats need it not

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    numbers = {metric.name for metric in report.metrics}
    frame = _frame(rows)
    page = environment.get_template("report.html.j2").render(
        report=report,
        span=str(span),
        columns=[(name, name in numbers) for name in frame.columns],
        rows=frame.itertuples(index=False, name=None),
    )
    return page.encode()


def _frame(rows: pa.Table) -> Any:
    """The rows as a frame of what a person reads: no null shows as a number, no number loses a digit."""
    import pandas as pd  # noqa: PLC0415  half a second that most commands need not pay

    columns = {name: [_shown(value) for value in rows.column(name).to_pylist()] for name in rows.column_names}
    return pd.DataFrame(columns, columns=rows.column_names, dtype=object)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        plain = f"{value:f}"
        return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain
    if hasattr(value, "tzinfo"):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else str(value)
