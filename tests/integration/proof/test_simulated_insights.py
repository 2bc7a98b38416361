"""Simulated days of services: the marts equal the simulator's truth, and the second engine agrees with both."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.proof import verify
from ingestion.contract import load_source
from ingestion.loader import load
from ingestion.simulator import LANDING_FILE, Delivery, simulate
from ingestion.simulator.insights.metrics import ANOMALY_FROM_DAY, planted
from tests.integration.real_data.pipeline import KEY, Platform, running_platform

pytestmark = pytest.mark.stack
START, DAYS, SEED = date(2026, 3, 2), 4, 3
MARTS = ("metric_values_minute", "metric_values_hour", "metric_values_day", "metric_catalog", "event_counts")


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    # 144 customers, more than a dimension keeps by name.
    simulate("insights", DAYS, SEED, folder, start=START, scale=0.9, delivery=Delivery(batch_minutes=480))
    return folder


@pytest.fixture(scope="module")
def truth(landing: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((landing / "truth.json").read_text())
    return content


@pytest.fixture(scope="module")
def platform(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("simulated"), "insights") as platform:
        for file in json.loads((landing / LANDING_FILE).read_text()):
            received = datetime.fromisoformat(file["received_at"])
            path = str(landing / file["file"])
            load(platform.store, load_source("insights"), path, key=KEY, received_at=received)
        platform.materialise()
        yield platform


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.9f}"
    return str(value) if isinstance(value, date) else value


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_holds_what_the_simulator_knows_to_be_true(
    platform: Platform, truth: dict[str, Any], mart: str
) -> None:
    columns = list(truth[mart][0])
    rows = platform.rows(f"select {', '.join(columns)} from insights.{mart}")
    found = [{c: plain(v) for c, v in zip(columns, row, strict=True)} for row in rows]
    assert in_order(found) == in_order(truth[mart])


def test_rare_customers_are_one_series(platform: Platform) -> None:
    assert platform.rows(
        "select folded_dimensions, dimension_cardinality['customer'] > 100 from insights.metric_catalog"
        " where name = 'storage_used'"
    ) == [(["customer"], True)]


def test_the_planted_anomalies_are_the_insights_of_their_days(platform: Platform) -> None:
    found = platform.rows("select distinct tenant_id, day, name from insights.insights order by day")
    plants = [planted(day, START, SEED) for day in range(ANOMALY_FROM_DAY, DAYS)]
    days = [date.fromordinal(START.toordinal() + day) for day in range(ANOMALY_FROM_DAY, DAYS)]
    assert found == [
        (plant[0], day, "cpu_utilization") for plant, day in zip(plants, days, strict=True) if plant
    ]


def test_the_second_engine_agrees_on_every_value(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "insights")
    assert report.differences == ()
    assert all(mart.values > 0 for mart in report.marts)
    assert report.ok


def test_each_day_by_itself_agrees(platform: Platform) -> None:
    for offset in range(DAYS):
        day = datetime.combine(START, datetime.min.time(), UTC) + timedelta(days=offset)
        report = verify(platform.store, platform.client, "insights", (day, day + timedelta(days=1)))
        assert report.differences == ()
        assert report.values > 0
