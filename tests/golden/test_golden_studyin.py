"""Two simulated days of learning with every fault, in shuffled increments: the marts are true, twice over."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Iterator
from datetime import date

import pyarrow.parquet as pq
import pytest

from expectations.proof import verify
from expectations.proof.marts import load_proof
from ingestion.simulator import Delivery, simulate
from ingestion.simulator.studyin.tables import PEOPLE
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings
from tests.golden.learners import with_user_key
from tests.golden.pipeline import Landing, Pipeline, hours_of, in_order

pytestmark = pytest.mark.stack

MARTS = tuple(mart.name for mart in load_proof("studyin").marts)
TRUE_WHERE = {"hourly_analytics_summary": "events > 0"}
"""Which rows the simulator knows the truth of, where it does not know all."""
SEED = 20260228
INCREMENTS = 2


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    out = tmp_path_factory.mktemp("golden-studyin")
    # From a Saturday in February to a Sunday in March.
    simulate(
        "studyin", 2, SEED, out, start=date(2026, 2, 28), scale=0.4, delivery=Delivery(batch_minutes=360)
    )
    return Landing.read(out)


@pytest.fixture(scope="module")
def pipeline(stack: Settings, landing: Landing) -> Iterator[Pipeline]:
    """The files shuffled and loaded in several increments, each taken as far as the marts."""
    store = object_store(stack).for_bucket(f"test-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    pipeline = Pipeline(stack, store, warehouse(stack), "studyin")
    empty_warehouse(pipeline.client)
    shuffled = random.Random(SEED).sample(landing.files, len(landing.files))
    for part in range(INCREMENTS):
        pipeline.run(landing, shuffled[part::INCREMENTS])
    yield pipeline
    empty_warehouse(pipeline.client)


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_of_shuffled_increments_is_true(pipeline: Pipeline, landing: Landing, mart: str) -> None:
    true = [with_user_key(row) for row in landing.truth[mart]]
    assert pipeline.mart(mart, true, TRUE_WHERE.get(mart, "true")) == in_order(true)


def test_the_second_engine_agrees_with_every_mart(pipeline: Pipeline, landing: Landing) -> None:
    report = verify(pipeline.store, pipeline.client, "studyin")
    assert report.differences == ()
    assert {result.mart for result in report.marts if result.values} == set(MARTS)
    assert report.total.accepted == landing.truth["totals"]["accepted"]


def test_running_everything_again_changes_nothing(pipeline: Pipeline, landing: Landing) -> None:
    before = pipeline.snapshot()
    pipeline.build(hours_of(pipeline.load(landing, landing.files)))
    assert pipeline.snapshot() == before


def test_no_authentication_request_in_the_warehouse_names_anybody(pipeline: Pipeline) -> None:
    ((asked, named),) = pipeline.client.query(
        """
        select count(), countIf(coalesce(user_key, session_id, device_id, trace_id) is not null)
        from raw.events
        where source = 'studyin' and match(JSONExtractString(payload, 'path'), 'auth')
        """
    ).result_rows
    assert asked > 50
    assert named == 0


def test_nobody_whom_an_error_quotes_is_found_in_the_lake(pipeline: Pipeline) -> None:
    found = [info.key for info in pipeline.store.list("raw/") if info.key.endswith(".parquet")]
    read = repr([pq.read_table(io.BytesIO(pipeline.store.get_bytes(key))).to_pylist() for key in found])
    assert "TimeoutError" in read
    assert not [name for name in PEOPLE if name in read]
