"""The second engine over simulated learning days, against what the simulator says is true: no warehouse between."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import duckdb
import pytest

from expectations.proof import lake_events
from expectations.proof.marts import load_proof
from ingestion.contract import load_source
from ingestion.loader import load
from ingestion.simulator import LANDING_FILE, TRUTH_FILE, Delivery, simulate
from lake.manifest import all_manifests
from lake.store import ObjectStore
from tests.golden.learners import with_user_key
from tests.golden.pipeline import KEY, in_order, plain

PROOF = load_proof("studyin")


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("landing")
    simulate("studyin", 3, 11, folder, scale=0.5, delivery=Delivery(batch_minutes=720))
    return folder


@pytest.fixture
def engine(landing: Path, store: ObjectStore, tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The second engine with the proof's relations over the simulation's lake."""
    for file in json.loads((landing / LANDING_FILE).read_text()):
        received = datetime.fromisoformat(file["received_at"])
        load(store, load_source("studyin"), landing / file["file"], key=KEY, received_at=received)
    connection = lake_events.open_engine(tmp_path)
    lake_events.create_deliveries(connection)
    files = lake_events.files_of(all_manifests(store, "studyin"), set())
    assert lake_events.fetch_files(connection, store, files, tmp_path) == []
    lake_events.count_once(connection)
    for statement in PROOF.relations:
        connection.execute(statement)
    yield connection
    connection.close()


def test_the_proof_of_every_mart_agrees_with_the_truth(
    engine: duckdb.DuckDBPyConnection, landing: Path
) -> None:
    truth = json.loads((landing / TRUTH_FILE).read_text())

    for mart in PROOF.marts:
        expected = [with_user_key(row) for row in truth[mart.name]]
        columns = list(expected[0])
        answer = engine.execute(f"select {', '.join(columns)} from ({mart.sql})").fetchall()
        found = [{c: plain(v) for c, v in zip(columns, row, strict=True)} for row in answer]
        if mart.name == "hourly_analytics_summary":
            found = [row for row in found if row["events"]]
        assert in_order(found) == in_order(expected), mart.name
