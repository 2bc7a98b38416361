"""Making a report: ask the mart, write the file into the lake, note it in the warehouse."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lake import paths
from lake.store import ObjectStore
from orchestration.reports.definition import Report
from orchestration.reports.periods import Range
from orchestration.reports.query import report_query
from orchestration.reports.render import CONTENT_TYPES, render

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

_ARROW = {"output_format_arrow_string_as_string": 1, "output_format_arrow_compression_method": "none"}


@dataclass(frozen=True)
class Made:
    """A report that was made: a row of ops.reports."""

    source: str
    report: str
    mart: str
    format: str
    range_from: datetime
    range_to: datetime
    rows: int
    bytes: int
    sha256: str
    key: str
    definition_sha256: str
    run_id: str
    made_at: datetime


def make_report(client: Client, store: ObjectStore, report: Report, span: Range, *, run_id: str = "") -> Made:
    """Make a report of a range of time.

    The object's key follows from its bytes: the same rows again are the same object, other rows another one
    beside it, so that what ops.reports names stays as it was.

    Args:
        client: connection to the warehouse.
        store: the lake.
        report: what to make.
        span: of which time.
        run_id: the run that makes it, if any.

    Returns:
        What was made, after it was noted in ops.reports.
    """
    rows = _ask(client, *report_query(report, span))
    content = render(report, span, rows)
    digest = hashlib.sha256(content).hexdigest()
    key = paths.ReportFile(report.source, report.name, span.start, span.end, digest[:12], report.format).key
    store.put_bytes(key, content, content_type=CONTENT_TYPES[report.format])
    made = Made(
        source=report.source,
        report=report.name,
        mart=report.mart,
        format=report.format,
        range_from=span.start,
        range_to=span.end,
        rows=rows.num_rows,
        bytes=len(content),
        sha256=digest,
        key=key,
        definition_sha256=report.fingerprint,
        run_id=run_id,
        made_at=datetime.now(UTC),
    )
    values = asdict(made)
    client.insert("ops.reports", [list(values.values())], column_names=list(values))
    return made


def _ask(client: Client, query: str, parameters: dict[str, Any]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415  the other commands need it not

    with (
        client.raw_stream(query, parameters=parameters, fmt="ArrowStream", settings=_ARROW) as body,
        pa.ipc.open_stream(body) as reader,
    ):
        return reader.read_all()
