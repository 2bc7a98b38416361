"""Simulated days of ticketing: the second engine finds what the simulator knows, and the marts agree with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from expectations.proof import verify
from expectations.proof.lake_events import count_once, create_deliveries, fetch_files, files_of, open_engine
from expectations.proof.marts import load_proof
from ingestion.simulator import LANDING_FILE, simulate
from lake.manifest import all_manifests
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = pytest.mark.stack
# Over the end of a month and of a week.
START = date(2026, 2, 27)
MARTS = (
    *("kpi_hourly", "kpi_daily", "active_users", "geography_daily", "campaign_daily", "funnel_daily"),
    *("event_performance", "cohort_retention", "experiment_results"),
)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate("bilten", 4, 11, folder, start=START, scale=0.4)
    return folder


@pytest.fixture(scope="module")
def truth(landing: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((landing / "truth.json").read_text())
    return content


@pytest.fixture(scope="module")
def platform(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("simulated"), "bilten") as platform:
        for file in json.loads((landing / LANDING_FILE).read_text()):
            platform.load(landing / file["file"], received_at=datetime.fromisoformat(file["received_at"]))
        yield platform


@pytest.fixture(scope="module")
def recomputed(
    platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Every mart as the second engine computes it from the lake, without a warehouse."""
    folder = tmp_path_factory.mktemp("engine")
    with open_engine(folder) as connection:
        create_deliveries(connection)
        manifests = list(all_manifests(platform.store, "bilten"))
        assert fetch_files(connection, platform.store, files_of(manifests, set()), folder) == []
        count_once(connection)
        proof = load_proof("bilten")
        for statement in proof.relations:
            connection.execute(statement)
        found = {}
        for mart in proof.marts:
            answer = connection.execute(mart.sql)
            names = [column[0] for column in answer.description or []]
            found[mart.name] = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
        yield found


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.4f}"
    return str(value) if isinstance(value, date) else value


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def test_every_file_balances_as_the_simulator_counted(platform: Platform, truth: dict[str, Any]) -> None:
    found = {
        Path(manifest.input.uri).name: (
            manifest.counts.read,
            manifest.counts.accepted,
            manifest.counts.duplicate,
            manifest.counts.quarantined,
            manifest.codes,
        )
        for manifest in platform.manifests
    }
    assert found == {
        file["file"]: (file["read"], file["accepted"], file["duplicate"], file["quarantined"], file["codes"])
        for file in truth["files"]
    }


@pytest.mark.parametrize("mart", MARTS)
def test_the_second_engine_finds_what_the_simulator_knows(
    recomputed: dict[str, list[dict[str, Any]]], truth: dict[str, Any], mart: str
) -> None:
    columns = list(truth[mart][0])
    found = in_order([{name: plain(row[name]) for name in columns} for row in recomputed[mart]])
    assert found == in_order(truth[mart])


def test_the_better_variant_of_the_experiment_wins(truth: dict[str, Any]) -> None:
    rates = {
        (row["tenant_id"], row["variant"]): row["conversion_rate"] for row in truth["experiment_results"]
    }
    for tenant in ("northlight", "harbour"):
        assert rates[tenant, "one_click"] > rates[tenant, "control"]


def test_every_value_of_every_proven_mart_agrees(platform: Platform) -> None:
    platform.materialise()
    report = verify(platform.store, platform.client, "bilten")
    assert report.differences == ()
    assert all(result.values > 0 for result in report.marts)
    assert report.ok
