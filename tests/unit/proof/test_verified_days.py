"""Which rows of a mart a window compares."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import duckdb
import pytest
import yaml

from expectations.proof.marts import Mart, Period, load_proof
from expectations.proof.scope import Window, scope_of, whole_periods

MONDAY = date(2026, 3, 2)


def window(start: str, end: str) -> Window:
    return datetime.fromisoformat(start).replace(tzinfo=UTC), datetime.fromisoformat(end).replace(tzinfo=UTC)


def compared(
    period: Window | None,
    touched: Collection[str] = (),
    *,
    every: Period = "day",
    restates: int | Literal["later"] = 0,
    day: str = "day",
) -> list[str]:
    """The days of March 2026, as DuckDB picks them; of weeks and months their first."""
    mart = Mart("mart", "select 1", (), day, every, restates)
    days = [MONDAY + timedelta(days=n) for n in range(30)]
    scope = scope_of(mart, period, lambda asked: {date.fromisoformat(text) for text in touched})
    engine = duckdb.connect()
    engine.execute(
        "create table first_days as select unnest($1::date[]) as first_day", [list(scope.first_days)]
    )
    rows = engine.execute(
        f"select distinct {day} from (select unnest($1::date[]) as day) {scope.condition} order by all",
        [days],
    )
    return [f"{row[0]:%m-%d}" for row in rows.fetchall()]


def test_without_a_window_every_row_is_compared() -> None:
    assert len(compared(None)) == 30


def test_a_window_compares_its_own_days() -> None:
    assert compared(window("2026-03-10", "2026-03-12")) == ["03-10", "03-11"]


def test_a_late_event_has_its_own_day_compared_and_no_day_between() -> None:
    assert compared(window("2026-03-10", "2026-03-11"), ["2026-03-04"]) == ["03-04", "03-10"]


def test_where_events_restate_what_follows_every_day_from_the_late_event_on_is_compared() -> None:
    late = compared(window("2026-03-10", "2026-03-11"), ["2026-03-07"], restates="later")
    assert late == ["03-07", "03-08", "03-09", "03-10"]


def test_where_events_restate_some_days_those_are_compared_and_none_that_is_not_over() -> None:
    late = compared(window("2026-03-10", "2026-03-11"), ["2026-03-04", "2026-03-09"], restates=2)
    assert late == ["03-04", "03-05", "03-06", "03-09", "03-10"]


def test_a_day_that_is_not_over_is_not_compared() -> None:
    assert compared(window("2026-03-10T06:00", "2026-03-11T05:00")) == []


def test_an_event_ahead_of_its_receipt_brings_no_later_day_into_the_window() -> None:
    assert compared(window("2026-03-10", "2026-03-11"), ["2026-03-11"]) == ["03-10"]


def test_hours_are_compared_by_the_days_they_lie_in() -> None:
    assert compared(window("2026-03-10T06:00", "2026-03-10T08:00"), every="hour") == ["03-10"]


def test_a_week_is_compared_when_all_of_it_lies_in_the_window() -> None:
    week = "date_trunc('week', day)::date"
    assert compared(window("2026-03-08", "2026-03-17"), every="week", day=week) == ["03-09"]
    assert compared(window("2026-03-09", "2026-03-15"), every="week", day=week) == []


def test_a_late_event_has_the_week_compared_that_it_belongs_to() -> None:
    week = "date_trunc('week', day)::date"
    late = compared(window("2026-03-16", "2026-03-23"), ["2026-03-04"], every="week", day=week)
    assert late == ["03-02", "03-16"]


def test_a_condition_is_as_long_for_many_touched_days_as_for_one() -> None:
    mart = Mart("mart", "select 1", (), "day")
    day = window("2026-03-10", "2026-03-11")
    few, many = (
        scope_of(mart, day, lambda _, n=number: {MONDAY - timedelta(days=2 * place) for place in range(n)})
        for number in (1, 4_000)
    )
    assert len(many.first_days) > 4_000
    assert many.condition == few.condition


@pytest.mark.parametrize(
    ("every", "whole"),
    [
        ("hour", ("2026-03-03T07:00", "2026-04-01T01:00")),
        ("day", ("2026-03-04", "2026-04-01")),
        ("week", ("2026-03-09", "2026-03-30")),
        ("month", None),
    ],
)
def test_a_window_is_as_long_as_the_periods_that_lie_in_it(
    every: Period, whole: tuple[str, str] | None
) -> None:
    found = whole_periods(window("2026-03-03T06:30", "2026-04-01T01:59"), every)
    assert found == (window(*whole) if whole else None)


def test_a_month_that_touches_both_ends_of_the_window_is_whole() -> None:
    assert whole_periods(window("2026-03-01", "2026-04-01"), "month") == window("2026-03-01", "2026-04-01")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"last_day": "day"}, "unknown last_day; valid: day, every, grain"),
        ({"every": "year"}, "every is 'year'; valid: hour, day, week, month"),
        ({"restates": "earlier"}, "restates is 'earlier'; valid: a number of days, later"),
    ],
)
def test_a_mart_that_is_declared_wrongly_is_refused(
    tmp_path: Path, words: dict[str, Any], message: str
) -> None:
    folder = tmp_path / "pocm"
    folder.mkdir()
    mart = {"grain": ["day"], "day": "day"} | words
    (folder / "proof.yaml").write_text(
        yaml.safe_dump({"measured": "events", "relations": [], "marts": {"kpi": mart}})
    )
    (folder / "kpi.sql").write_text("select 1")
    with pytest.raises(ValueError, match=message):
        load_proof("pocm", tmp_path)
