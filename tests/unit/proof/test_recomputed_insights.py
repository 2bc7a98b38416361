"""The second engine's figures of metrics over hand-made samples, against figures worked out by hand."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.proof.shop import Shop, recomputed

MONDAY = datetime(2026, 11, 16)


def measured(shop: Shop, at: str, value: Any = None, kind: str = "gauge", **fields: Any) -> Shop:
    """A sample of the metric `load` of the service `north`."""
    more = {"value": value} if value is not None else {}
    tenant = fields.pop("tenant", "north")
    attributes = {"name": fields.pop("name", "load"), "type": kind, **more, **fields}
    return shop.sends("SYSTEM_METRIC", at, tenant=tenant, attributes=attributes)


def days(shop: Shop, folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    rows = recomputed(shop, "metric_values_day", folder)
    return [tuple(row[column] for column in columns) for row in rows]


def insights(shop: Shop, folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    rows = recomputed(shop, "insights", folder)
    return [tuple(row[column] for column in columns) for row in rows]


def hourly(shop: Shop, since: datetime, values: list[float], **fields: Any) -> Shop:
    for place, value in enumerate(values):
        measured(shop, (since + timedelta(hours=place)).isoformat(), value, **fields)
    return shop


def test_a_counter_grows_by_what_it_gained_and_after_a_reset_by_what_it_has_reached(tmp_path: Path) -> None:
    shop = Shop(source="insights")
    for at, value in (("10:00", 100), ("10:01", 130), ("10:02", 20), ("10:03", 25)):
        measured(shop, at, value, kind="counter")
    assert days(shop, tmp_path, "samples", "count", "sum", "last", "resets", "min", "max") == [
        (4, 3, 55, 25, 1, 5, 30)
    ]


def test_a_counter_goes_on_over_midnight_and_over_seven_days_but_no_more(tmp_path: Path) -> None:
    shop = measured(Shop(source="insights"), "23:59", 10, kind="counter")
    measured(shop, "2026-11-23T00:00", 14, kind="counter")
    measured(shop, "2026-12-01T00:00", 20, kind="counter")
    assert days(shop, tmp_path, "count", "sum") == [(0, None), (1, 4), (0, None)]


def test_counters_of_other_dimensions_or_units_have_nothing_to_do_with_each_other(tmp_path: Path) -> None:
    shop = measured(Shop(source="insights"), "10:00", 100, kind="counter", dimensions={"host": "a"})
    measured(shop, "10:01", 5, kind="counter", dimensions={"host": "b"})
    measured(shop, "10:02", 7, kind="counter", dimensions={"host": "a"}, unit="items")
    measured(shop, "10:03", 103, kind="COUNTER", dimensions={"host": "a"})
    assert days(shop, tmp_path, "unit", "dimensions_text", "sum", "resets") == [
        ("", "host=a", 3, 0),
        ("", "host=b", None, 0),
        ("items", "host=a", None, 0),
    ]


def test_a_gauge_is_averaged_over_the_samples_that_have_a_value(tmp_path: Path) -> None:
    shop = measured(measured(measured(Shop(source="insights"), "10:00", -1.5), "10:01", 2), "10:02")
    measured(shop, "10:03", 0.000000001)
    assert days(shop, tmp_path, "samples", "count", "sum", "min", "max", "mean", "last") == [
        (4, 3, *map(Decimal, ("0.500000001", "-1.5", "2", "0.166666667", "0.000000001")))
    ]


def test_means_are_cut_towards_zero(tmp_path: Path) -> None:
    shop = measured(measured(measured(Shop(source="insights"), "10:00", -1), "10:01", 0), "10:02", 0)
    assert days(shop, tmp_path, "mean") == [(Decimal("-0.333333333"),)]


def test_histograms_merge_by_bound_and_what_lies_above_the_last_has_no_quantile(tmp_path: Path) -> None:
    buckets = [{"le": 1, "count": 2}, {"le": 5, "count": 6}]
    shop = measured(Shop(source="insights"), "10:00", kind="histogram", count=8, sum=40, buckets=buckets)
    measured(shop, "10:30", kind="histogram", count=2, sum=1, buckets=[{"le": 1, "count": 2}])
    columns = ("count", "sum", "bucket_bounds", "bucket_counts", "p50", "p95", "min")
    assert days(shop, tmp_path, *columns) == [(10, 41, [1, 5, float("inf")], [4, 4, 2], 5, None, None)]


def test_a_bucket_below_its_neighbour_holds_nothing(tmp_path: Path) -> None:
    buckets = [{"le": 1, "count": 4}, {"le": 5, "count": 3}, {"le": 9, "count": 6}]
    shop = measured(Shop(source="insights"), "10:00", kind="histogram", count=5, sum=9, buckets=buckets)
    assert days(shop, tmp_path, "count", "bucket_bounds", "bucket_counts") == [(6, [1, 9], [4, 2])]


def test_without_one_sum_there_is_no_sum_of_all(tmp_path: Path) -> None:
    shop = measured(Shop(source="insights"), "10:00", kind="histogram", count=2, sum=4, buckets=[])
    measured(shop, "10:01", kind="histogram", count=0, buckets=[])
    assert days(shop, tmp_path, "sum", "mean") == [(4, 2)]
    measured(shop, "10:02", kind="histogram", count=1, buckets=[])
    assert days(shop, tmp_path, "sum", "mean") == [(None, None)]


def test_quantiles_of_summaries_are_bounded_not_added(tmp_path: Path) -> None:
    shop = measured(
        Shop(source="insights"),
        "10:00",
        kind="summary",
        count=3,
        sum=6,
        quantiles=[{"quantile": 0.5, "value": 2}],
    )
    measured(shop, "10:01", kind="summary", count=1, sum=9, quantiles=[{"quantile": 0.5, "value": 9}])
    columns = ("count", "sum", "summary_levels", "summary_lows", "summary_highs", "p50")
    assert days(shop, tmp_path, *columns) == [(4, 15, [0.5], [2], [9], None)]


def test_quantiles_are_those_of_values_cut_to_three_digits(tmp_path: Path) -> None:
    shop = Shop(source="insights")
    for minute, value in enumerate((1234.9, -1234.9, 7, 0.0001239)):
        measured(shop, f"10:0{minute}", value)
    assert days(shop, tmp_path, "p50", "p90") == [(Decimal("0.000123"), 1230)]
    measured(shop, "10:05", -1240)
    assert days(shop, tmp_path, "p50", "min") == [(Decimal("0.000123"), -1240)]


def test_the_hundred_commonest_values_of_a_dimension_keep_their_name_on_a_day(tmp_path: Path) -> None:
    shop = Shop(source="insights")
    for number in range(101):
        measured(shop, "10:00", 1, dimensions={"customer": f"c{number:03}"})
    measured(shop, "10:01", 1, dimensions={"customer": "c100"})
    measured(shop, "2026-11-17T10:00", 1, dimensions={"customer": "c099"})
    told = days(shop, tmp_path, "day", "dimensions_text", "samples")
    assert len(told) == 102
    assert [row for row in told if row[1] in ("customer=__other__", "customer=c099", "customer=c100")] == [
        (date(2026, 11, 16), "customer=__other__", 1),
        (date(2026, 11, 16), "customer=c100", 2),
        (date(2026, 11, 17), "customer=c099", 1),
    ]
    (row,) = recomputed(shop, "metric_catalog", tmp_path)
    assert (row["series"], row["points"], row["days"]) == (102, 103, 2)
    assert (row["dimension_cardinality"], row["folded_dimensions"]) == ({"customer": 101}, ["customer"])


def test_dimensions_make_one_text_whatever_their_order_and_their_signs(tmp_path: Path) -> None:
    shop = measured(Shop(source="insights"), "10:00", 1, dimensions={"b": "x,y", "a": "1=\\"})
    measured(shop, "10:01", 1, dimensions={"a": "1=\\", "b": "x,y"})
    assert days(shop, tmp_path, "dimensions_text", "samples") == [("a=1\\=\\\\,b=x\\,y", 2)]


def test_events_count_by_name_and_one_without_a_text_for_a_name_has_none(tmp_path: Path) -> None:
    shop = Shop(source="insights")
    for name, user in (("login", "u1"), ("login", "u1"), (7, None), (None, "u2")):
        shop.sends("USER_ACTION", "10:00", user_key=user, attributes={"name": name})
    rows = recomputed(shop, "event_counts", tmp_path)
    assert [(row["name"], row["events"], row["users"]) for row in rows] == [("", 2, 1), ("login", 2, 1)]


def test_an_hour_is_judged_by_the_week_before_its_day_where_there_are_no_weeks(tmp_path: Path) -> None:
    shop = hourly(Shop(source="insights"), MONDAY, [10, 12] * 12)
    measured(shop, "2026-11-17T05:00", 40)
    columns = (
        "day",
        "hour",
        "aspect",
        "observed",
        "expected",
        "spread",
        "score",
        "baseline",
        "baseline_points",
    )
    expected = (12, Decimal("2.9652"), Decimal("9.4428"), "recent", 24)
    assert insights(shop, tmp_path, *columns) == [
        (date(2026, 11, 17), datetime(2026, 11, 17, 5), "mean", 40, *expected)
    ]


def test_with_less_than_a_day_of_values_nothing_is_judged(tmp_path: Path) -> None:
    shop = hourly(Shop(source="insights"), MONDAY, [10, 12] * 11)
    measured(shop, "2026-11-17T05:00", 400)
    assert insights(shop, tmp_path, "hour") == []


def test_what_is_usual_on_the_weekday_is_no_deviation(tmp_path: Path) -> None:
    shop = Shop(source="insights")
    for week in range(4):
        since = MONDAY + timedelta(days=7 * week)
        hourly(shop, since, [10] * 9 + [90, 90, 90] + [10] * 12)
    measured(shop, (MONDAY + timedelta(days=28, hours=10)).isoformat(), 95)
    found = insights(shop, tmp_path, "hour", "baseline")
    assert [row for row in found if row[0] >= MONDAY + timedelta(days=21)] == []


def test_a_spread_of_nothing_is_one_percent_of_what_was_expected(tmp_path: Path) -> None:
    shop = hourly(Shop(source="insights"), MONDAY, [100] * 24)
    measured(measured(shop, "2026-11-17T05:00", 107.9), "2026-11-18T05:00", 108)
    assert insights(shop, tmp_path, "observed", "spread", "score") == [(108, 1, 8)]


def test_the_strongest_of_mean_peak_and_low_speaks_for_its_day(tmp_path: Path) -> None:
    shop = hourly(Shop(source="insights"), MONDAY, [100] * 24)
    for minute, value in ((0, 100), (10, 100), (20, 160)):
        measured(shop, f"2026-11-17T05:{minute:02}", value)
    assert insights(shop, tmp_path, "aspect", "observed") == [("max", 160)]


@pytest.mark.parametrize(("spread", "score"), [(0, 1000), (1e-9, 1000)])
def test_a_score_ends_at_a_thousand(tmp_path: Path, spread: float, score: int) -> None:
    shop = hourly(Shop(source="insights"), MONDAY, [0, spread] * 12)
    measured(shop, "2026-11-17T05:00", 50)
    assert insights(shop, tmp_path, "score") == [(score,)]


def test_a_day_of_a_service_has_its_ten_strongest(tmp_path: Path) -> None:
    shop = Shop(source="insights")
    for host in range(12):
        hourly(shop, MONDAY, [100] * 24, dimensions={"host": f"h{host:02}"})
        measured(shop, "2026-11-17T05:00", 120 + host, dimensions={"host": f"h{host:02}"})
    found = insights(shop, tmp_path, "rank", "dimensions_text")
    assert found == [(rank, f"host=h{12 - rank:02}") for rank in range(1, 11)]
