"""The proof over simulated days: late, repeated, shuffled and broken events, taken hour by hour."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from expectations.proof import verify
from ingestion.contract import load_source
from ingestion.loader import load
from ingestion.simulator import LANDING_FILE, simulate
from tests.integration.real_data.pipeline import KEY, Platform, running_platform

pytestmark = pytest.mark.stack
START = date(2026, 3, 2)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate("pocm", 2, 11, folder, start=START, scale=0.3)
    return folder


@pytest.fixture(scope="module")
def platform(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("simulated")) as platform:
        files: list[dict[str, Any]] = json.loads((landing / LANDING_FILE).read_text())
        for file in files:
            received = datetime.fromisoformat(file["received_at"])
            load(
                platform.store,
                load_source("pocm"),
                str(landing / file["file"]),
                key=KEY,
                received_at=received,
            )
        platform.materialise()
        yield platform


def test_every_value_of_every_proven_mart_agrees(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "pocm")
    assert report.differences == ()
    assert all(result.values > 0 for result in report.marts)
    assert report.ok


def test_the_total_is_what_the_simulator_says_it_sent(platform: Platform, landing: Path) -> None:
    sent = json.loads((landing / "truth.json").read_text())["totals"]
    total = verify(platform.store, platform.client, "pocm").total
    assert (total.read, total.accepted, total.duplicate, total.quarantined) == (
        sent["read"],
        sent["accepted"],
        sent["duplicate"],
        sent["quarantined"],
    )
    assert total.repeated == sent["duplicate_across_files"] > 0


def test_each_day_by_itself_agrees(platform: Platform) -> None:
    for offset in range(2):
        day = datetime.combine(START, datetime.min.time(), UTC) + timedelta(days=offset)
        report = verify(platform.store, platform.client, "pocm", (day, day + timedelta(days=1)))
        assert report.differences == ()
        assert report.values > 0
