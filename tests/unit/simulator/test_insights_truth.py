"""The simulated services and the true values of their metrics: each test is one rule on a handful of samples."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from ingestion.simulator import Faults, simulate
from ingestion.simulator.insights.truth import true_values
from ingestion.simulator.insights.world import UNITS

NUMBERS = count()
START = date(2026, 3, 2)


def sample(at: str, value: float | None = None, kind: str = "gauge", **fields: Any) -> dict[str, Any]:
    """A sample of `load` at `at`, day and time in March 2026."""
    moment = datetime.fromisoformat(f"2026-03-{at}").replace(tzinfo=UTC)
    return {
        "event_id": f"e{next(NUMBERS):04d}",
        "tenant_id": "t",
        "occurred_at": int(moment.timestamp() * 1000),
        "name": "load",
        "type": kind,
        "unit": "u",
        "dimensions_text": "",
        "value": None if value is None else round(value * UNITS),
        "observation_count": None,
        "observation_sum": None,
        **fields,
    }


def marts(*samples: dict[str, Any]) -> dict[str, Any]:
    numbers = dict.fromkeys(("value", "observation_count", "observation_sum"), "Int64")
    return true_values({"SYSTEM_METRIC": pd.DataFrame(samples).astype(numbers)})


def days(*samples: dict[str, Any], columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in columns) for row in marts(*samples)["metric_values_day"]]


def test_a_counter_counts_what_it_gained_and_starts_anew_after_a_reset() -> None:
    told = [sample(f"02T10:0{m}", v, "counter") for m, v in enumerate((100, 130, 20, 25))]
    assert days(*told, columns=("samples", "count", "sum", "last", "resets")) == [
        (4, 3, "55.000000000", "25.000000000", 1)
    ]


def test_a_counter_does_not_know_what_it_was_more_than_seven_days_ago() -> None:
    told = [sample(at, v, "counter") for at, v in (("02T23:59", 1), ("09T00:00", 3), ("17T00:00", 9))]
    assert days(*told, columns=("count", "sum")) == [(0, None), (1, "2.000000000"), (0, None)]


def test_a_mean_is_cut_towards_zero() -> None:
    told = [sample("02T10:00", -1), sample("02T10:01", 0), sample("02T10:02", 0)]
    assert days(*told, columns=("mean",)) == [("-0.333333333",)]


def test_what_a_histogram_did_not_observe_has_no_sum() -> None:
    empty = sample("02T10:00", kind="histogram", observation_count=0, observation_sum=0)
    assert days(empty, columns=("samples", "count", "sum", "mean")) == [(1, 0, None, None)]


def test_the_hundred_first_value_of_a_dimension_reads_other() -> None:
    told = [sample("02T10:00", 1, dimensions_text=f"c=v{number:03}") for number in range(101)]
    texts = [row[0] for row in days(*told, columns=("dimensions_text",))]
    assert len(texts) == 101
    assert "c=__other__" in texts
    assert "c=v100" not in texts


def test_a_series_keeps_each_of_its_dimensions_once() -> None:
    told = [
        sample("02T10:00", 1, dimensions_text="a=1,b=2"),
        sample("02T10:01", 1, dimensions_text="a=1,b=3"),
    ]
    assert days(*told, columns=("dimensions_text",)) == [("a=1,b=2",), ("a=1,b=3",)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("services")
    simulate("insights", 2, 7, out, start=START, scale=0.5, faults=Faults.none())
    return out


def events(world: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in world.glob("*.ndjson") for line in path.read_text().splitlines()]


def test_the_same_seed_gives_the_same_bytes_and_another_one_another_world(
    world: Path, tmp_path: Path
) -> None:
    for seed, equal in ((7, True), (8, False)):
        simulate("insights", 2, seed, tmp_path / str(seed), start=START, scale=0.5, faults=Faults.none())
        same = (tmp_path / str(seed) / "truth.json").read_bytes() == (world / "truth.json").read_bytes()
        assert same is equal


def test_every_kind_of_metric_and_of_event_occurs(world: Path) -> None:
    sent = events(world)
    assert {event["type"] for event in sent} == {
        "SYSTEM_METRIC",
        "USER_ACTION",
        "BUSINESS_EVENT",
        "CUSTOM_EVENT",
    }
    metrics = [event["data"]["attributes"] for event in sent if event["type"] == "SYSTEM_METRIC"]
    assert {metric["type"] for metric in metrics} == {"counter", "gauge", "histogram", "summary"}


def test_a_counter_goes_on_where_the_day_before_ended(world: Path) -> None:
    days_of_truth = json.loads((world / "truth.json").read_text())["metric_values_day"]
    counters = [row for row in days_of_truth if row["type"] == "counter"]
    first = {row["dimensions_text"] for row in counters if row["day"] == "2026-03-02"}
    second = [row for row in counters if row["day"] == "2026-03-03"]
    assert {row["dimensions_text"] for row in second} == first
    assert all(row["count"] == row["samples"] == 144 for row in second)
    assert any(row["resets"] for row in counters)
    assert not all(row["resets"] for row in second)


def hourly(day: str, values: dict[int, float], dimensions: str = "") -> list[dict[str, Any]]:
    """One sample an hour of a day in March 2026."""
    return [sample(f"{day}T{h:02d}:30", value, dimensions_text=dimensions) for h, value in values.items()]


def test_an_hour_is_judged_by_the_same_hours_of_the_weeks_before() -> None:
    weeks = [hourly(day, {9: 10, 10: 12, 11: 11}) for day in ("02", "09", "16")]
    (found,) = marts(*weeks[0], *weeks[1], *weeks[2], *hourly("23", {10: 30}))["insights"]
    assert (found["baseline"], found["baseline_points"], found["rank"]) == ("weekly", 9, 1)
    assert (found["observed"], found["expected"]) == ("30.000000000", "11.000000000")
    # The deviations from 11 are 1 six times and 0 three times.
    assert (found["spread"], found["score"]) == ("1.482600000", "12.815300000")
    assert (found["aspect"], found["hour"]) == ("mean", "2026-03-23 10:00:00")


def test_without_three_weeks_an_hour_is_judged_by_the_week_before_its_day() -> None:
    usual = hourly("02", {h: 10 + h % 2 for h in range(24)})
    (found,) = marts(*usual, *hourly("03", {0: 10, 1: -40}))["insights"]
    assert (found["baseline"], found["baseline_points"], found["deviation"]) == (
        "recent",
        24,
        "-51.000000000",
    )
    assert marts(*usual[1:], *hourly("03", {1: -40}))["insights"] == []


def test_at_most_ten_series_of_a_day_are_insights_the_strongest_first() -> None:
    told = [
        row
        for number in range(11)
        for row in (
            *hourly("02", {h: 10 + h % 2 for h in range(24)}, f"host={number:02d}"),
            *hourly("03", {5: 100 + number}, f"host={number:02d}"),
        )
    ]
    found = marts(*told)["insights"]
    assert [row["rank"] for row in found] == list(range(1, 11))
    assert [row["dimensions_text"] for row in found] == [f"host={number:02d}" for number in range(10, 0, -1)]
