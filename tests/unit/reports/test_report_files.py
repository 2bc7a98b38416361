"""Files of reports: escaped, exact, and the same bytes for the same rows."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lake.paths import ReportFile, parse_report_key
from orchestration.reports.definition import Format, Metric, Report
from orchestration.reports.periods import LastPeriods, Range
from orchestration.reports.render import render

SPAN = Range(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 17, tzinfo=UTC))
REPORT = Report(
    source="shop",
    name="sales",
    title="Sales & more",
    description="What was <sold>.",
    owner="",
    mart="sales",
    time="day",
    every="day",
    metrics=(Metric("revenue", "sum", ("gmv",)),),
    dimensions=(),
    filters=(),
    time_range=LastPeriods(1, "day"),
    format="csv",
    schedule=None,
    fingerprint="0" * 64,
)
ROWS = pa.table(
    {
        "period": pa.array([date(2026, 11, 16), date(2026, 11, 16), date(2026, 11, 17)]),
        "town": pa.array(["<script>alert(1)</script>", 'Say "hi", then go', None]),
        "at": pa.array([datetime(2026, 11, 16, 5, tzinfo=UTC)] * 3, pa.timestamp("ms", "UTC")),
        "revenue": pa.array([Decimal("10.5000"), Decimal("0.0000"), None], pa.decimal128(38, 4)),
        "orders": pa.array([9007199254740993, 1, None], pa.uint64()),
        "rate": pa.array([0.1, 1.0, None]),
    }
)


def file(form: Format) -> bytes:
    return render(replace(REPORT, format=form), SPAN, ROWS)


def test_csv_keeps_every_digit_and_shows_no_null_as_a_number() -> None:
    assert file("csv").decode().splitlines() == [
        "period,town,at,revenue,orders,rate",
        "2026-11-16,<script>alert(1)</script>,2026-11-16 05:00:00,10.5,9007199254740993,0.1",
        '2026-11-16,"Say ""hi"", then go",2026-11-16 05:00:00,0,1,1.0',
        "2026-11-17,,2026-11-16 05:00:00,,,",
    ]


def test_html_escapes_what_producers_and_authors_wrote() -> None:
    page = file("html").decode()
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "Sales &amp; more" in page
    assert "What was &lt;sold&gt;." in page
    assert '<td class="number">10.5</td>' in page


def test_html_of_nothing_says_so() -> None:
    page = render(replace(REPORT, format="html"), SPAN, ROWS.slice(0, 0)).decode()
    assert "Nothing happened in this time." in page


def test_parquet_holds_the_rows_and_what_they_are_of() -> None:
    table = pq.read_table(io.BytesIO(file("parquet")))
    assert table.replace_schema_metadata(None) == ROWS
    assert table.schema.metadata[b"report"] == b"shop/sales"


@pytest.mark.parametrize("form", ["csv", "parquet", "html"])
def test_the_same_rows_give_the_same_bytes(form: Format) -> None:
    assert file(form) == file(form)


def test_a_key_says_of_what_and_of_which_time() -> None:
    made = ReportFile("shop", "sales", SPAN.start, SPAN.end, "0123456789ab", "csv")
    assert made.key == "reports/source=shop/report=sales/20261116T000000Z-20261117T000000Z-0123456789ab.csv"
    assert parse_report_key(made.key) == made
    assert parse_report_key(made.key.replace("20261116", "20261316")) is None
    assert parse_report_key("reports/source=shop/other.csv") is None
    with pytest.raises(ValueError, match="no key of a report"):
        _ = replace(made, report="../x").key
