"""Definitions of reports: what is accepted, and that whatever does not exist is refused with the names there are."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestration.reports import ReportError, load_reports
from orchestration.reports.definition import OPERATORS
from orchestration.reports.periods import LastPeriods, Range
from orchestration.reports.query import report_query

COLUMNS = {
    "tenant_id": "LowCardinality(String)",
    "hour": "DateTime('UTC')",
    "currency": "String",
    "gmv": "Decimal(18, 4)",
    "orders": "UInt64",
    "conversion_rate": "Nullable(Float64)",
    "dimensions": "Map(String, String)",
    "user_key": "Nullable(String)",
    "users_state": "AggregateFunction(uniqExact, String)",
}
SOUND: dict[str, Any] = {
    "title": "Sales",
    "description": "What was sold.",
    "mart": "sales",
    "every": "day",
    "dimensions": ["tenant_id", "currency"],
    "metrics": {"revenue": {"sum": "gmv"}, "value": {"ratio": ["gmv", "orders"]}},
    "filters": [{"field": "tenant_id", "operator": "in", "value": ["a", "b"]}],
    "time_range": {"last": 2, "unit": "day"},
    "format": "csv",
    "schedule": "15 6 * * *",
}


def manifest() -> dict[str, Any]:
    """What dbt's manifest says of one mart."""
    columns = {
        name: {"data_type": kind, "config": {"meta": {"pii": "pseudonymised"} if name == "user_key" else {}}}
        for name, kind in COLUMNS.items()
    }
    node = {
        "resource_type": "model",
        "alias": "sales",
        "fqn": ["millrace", "marts", "shop", "shop__sales"],
        "columns": columns,
        "config": {"date_column": "hour"},
    }
    return {"nodes": {"model.millrace.shop__sales": node}}


def defined(folder: Path, **changes: Any) -> Any:
    """Load one report of `shop`, the sound one with changes; a change to None leaves a word out."""
    content = {word: value for word, value in {**SOUND, **changes}.items() if value is not None}
    (folder / "shop").mkdir(exist_ok=True)
    (folder / "shop" / "sales.yaml").write_text(yaml.safe_dump(content))
    return load_reports(manifest(), folder)["shop/sales"]


def test_a_sound_definition_takes_the_marts_own_time(tmp_path: Path) -> None:
    report = defined(tmp_path)
    assert (report.id, report.time, report.owner) == ("shop/sales", "hour", "")
    assert [metric.columns for metric in report.metrics] == [("gmv",), ("gmv", "orders")]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mart": "sale"}, "mart: shop has no mart 'sale'; there are sales"),
        ({"metrics": {"x": {"sum": "gmw"}}}, "metrics.x: sales has no column 'gmw'; there are gmv, orders"),
        (
            {"metrics": {"x": {"mean": "gmv"}}},
            "metrics.x: 'mean' is no aggregate; there are sum, min, max, ratio",
        ),
        (
            {"metrics": {"x": {"sum": "conversion_rate"}}},
            "conversion_rate is Nullable(Float64), which does not add up; there are gmv, orders",
        ),
        (
            {"metrics": {"x": {"max": "users_state"}}},
            "which is no number; there are gmv, orders, conversion_rate",
        ),
        ({"metrics": {"x": {"ratio": ["gmv"]}}}, "metrics.x: ratio takes [numerator, denominator]"),
        ({"metrics": {"X y": {"sum": "gmv"}}}, "metrics.X y: the name has other than lower-case letters"),
        (
            {"dimensions": ["currency", "town"]},
            "dimensions: town is no dimension of sales; there are tenant_id, hour",
        ),
        (
            {"dimensions": ["currency", "dimensions"]},
            "dimensions: dimensions is no dimension of sales; there are",
        ),
        ({"dimensions": ["currency", "currency.x"]}, "dimensions: currency.x is no dimension of sales"),
        (
            {"dimensions": ["currency", "user_key"]},
            "dimensions: user_key is personal and leaves the warehouse",
        ),
        ({"dimensions": ["currency", "currency"]}, "currency: two columns of the report have this name"),
        ({"dimensions": ["tenant_id"]}, "currency: values of different ones do not add up"),
        (
            {"filters": [{"field": "tenant_id", "operator": "like", "value": "a"}]},
            "'like' is no operator; there are =",
        ),
        (
            {"filters": [{"field": "tenant_id", "operator": "in", "value": "a"}]},
            "filters[1]: in takes a list",
        ),
        (
            {"filters": [{"field": "tenant_id", "operator": "=", "value": ["a"]}]},
            "filters[1]: = takes one value",
        ),
        (
            {"filters": [{"field": "town", "operator": "=", "value": "a"}]},
            "filters[1]: town is no dimension of sales",
        ),
        ({"filters": [{"field": "tenant_id"}]}, "filters[1]: has exactly `field`, `operator` and `value`"),
        ({"format": "xlsx"}, "format: 'xlsx' is none; there are csv, parquet, html"),
        ({"schedule": "61 6 * * *"}, "schedule: '61 6 * * *' is no cron of five fields"),
        ({"schedule": "@daily"}, "schedule: '@daily' is no cron of five fields"),
        ({"every": "decade"}, "every: 'decade' is no period; there are hour, day, week, month"),
        ({"time": "currency"}, "time: 'currency' is no column with a time; there are hour"),
        ({"time_range": {"last": 2, "unit": "year"}}, "time_range: 'year' is no unit; there are hour, day"),
        ({"time_range": {"last": 0, "unit": "day"}}, "time_range: last is 0, not a number of days"),
        ({"time_range": {"from": "x"}}, "time_range: has exactly `last`, a number, and `unit`"),
        ({"title": None}, "has no title"),
        ({"delivery": "mail"}, "unknown delivery; valid: description"),
    ],
)
def test_what_does_not_exist_is_refused_with_what_there_is(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ReportError) as refused:
        defined(tmp_path, **changes)
    assert f"shop/sales.yaml: {message}" in str(refused.value) or message in str(refused.value)


def test_every_broken_definition_is_named_at_once(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "a.yaml").write_text("[")
    (tmp_path / "shop" / "b.yaml").write_text("just text")
    with pytest.raises(
        ReportError, match=r"(?s)shop/a.yaml: is no readable YAML.*shop/b.yaml: is no mapping"
    ):
        load_reports(manifest(), tmp_path)


def test_a_filter_keeps_currencies_apart_as_well_as_a_dimension(tmp_path: Path) -> None:
    kept = [{"field": "currency", "operator": "=", "value": "EUR"}]
    assert defined(tmp_path, dimensions=["tenant_id"], filters=kept).dimensions[0].name == "tenant_id"


def test_values_travel_as_parameters_and_never_as_sql(tmp_path: Path) -> None:
    hostile = "x' or 1 = 1 --"
    report = defined(
        tmp_path,
        dimensions=["currency", f"dimensions.{hostile}"],
        filters=[
            {"field": f"dimensions.{hostile}", "operator": operator, "value": hostile}
            for operator in OPERATORS[:6]
        ],
    )
    query, parameters = report_query(
        report, Range(datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 17, tzinfo=UTC))
    )
    assert query.count(hostile) == 1, "as the quoted name of its column only"
    assert f"`dimensions.{hostile}`" in query
    assert set(parameters.values()) == {hostile}


@pytest.mark.parametrize(
    ("number", "unit", "start", "end"),
    [
        (1, "hour", "2026-11-18 13:00", "2026-11-18 14:00"),
        (7, "day", "2026-11-11 00:00", "2026-11-18 00:00"),
        (2, "week", "2026-11-02 00:00", "2026-11-16 00:00"),
        (1, "month", "2026-10-01 00:00", "2026-11-01 00:00"),
    ],
)
def test_a_range_is_the_newest_whole_periods(number: int, unit: str, start: str, end: str) -> None:
    span = LastPeriods(number, unit).before(datetime(2026, 11, 18, 14, 30, tzinfo=UTC))
    assert (f"{span.start:%Y-%m-%d %H:%M}", f"{span.end:%Y-%m-%d %H:%M}") == (start, end)


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    later, earlier = datetime(2026, 11, 17, tzinfo=UTC), datetime(2026, 11, 16, tzinfo=UTC)
    with pytest.raises(ValueError, match="before it starts"):
        Range(later, earlier)
