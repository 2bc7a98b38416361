"""Simulated days of every source, with every fault: however they are loaded, the marts are true, twice over."""

from __future__ import annotations

import io
import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow.parquet as pq
import pytest
from pipeline import (
    TOUCHED,
    Days,
    Landing,
    Outcome,
    Pipeline,
    Row,
    assert_same_tables,
    in_order,
    with_user_key,
)

from expectations.proof import verify
from expectations.proof.marts import load_proof
from ingestion.contract import source_names
from ingestion.simulator.insights.metrics import ANOMALY_FROM_DAY, planted
from ingestion.simulator.studyin.tables import PEOPLE
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings

pytestmark = pytest.mark.stack

# Over the end of a week and of a month, where a source has such marts.
START = date(2026, 2, 28)
CASES = {
    days.source: days
    for days in (
        Days("bilten", 4, 0.4, 11, date(2026, 2, 27)),
        # 144 customers, more than a dimension keeps by name.
        Days("insights", 4, 0.9, 3, date(2026, 3, 2), decimals=9),
        Days(
            "pocm",
            3,
            0.15,
            20260302,
            START,
            true_where={
                "compliance_daily": "audit_accesses + exports_requested + exports_completed > 0",
            },
        ),
        Days("studyin", 2, 0.4, 20260228, START, true_where={"hourly_analytics_summary": "events > 0"}),
    )
}
VIEWS = {"metric_values"}
"""Marts that only show others together, of which the simulator knows the truth."""
INCREMENTS = 3


@pytest.fixture(scope="module", params=sorted(CASES))
def days(request: pytest.FixtureRequest) -> Days:
    return CASES[request.param]


@pytest.fixture(scope="module")
def landing(days: Days, tmp_path_factory: pytest.TempPathFactory) -> Landing:
    return days.simulate(tmp_path_factory.mktemp(days.source))


@pytest.fixture(scope="module")
def whole(stack: Settings, days: Days, landing: Landing) -> Outcome:
    """Everything loaded at once, in order."""
    pipeline = Pipeline.fresh(stack, days.source)
    return pipeline.outcome(pipeline.run(landing, landing.files))


@pytest.fixture(scope="module")
def increments(
    stack: Settings, days: Days, landing: Landing, whole: Outcome
) -> Iterator[tuple[Pipeline, Outcome]]:
    """The files shuffled and loaded in several increments, each taken as far as the marts."""
    pipeline = Pipeline.fresh(stack, days.source)
    shuffled = random.Random(days.seed).sample(landing.files, len(landing.files))
    results = [
        result for part in range(INCREMENTS) for result in pipeline.run(landing, shuffled[part::INCREMENTS])
    ]
    yield pipeline, pipeline.outcome(results)
    empty_warehouse(pipeline.client)


@pytest.fixture(scope="module")
def pipeline(increments: tuple[Pipeline, Outcome]) -> Pipeline:
    """The warehouse as the increments left it."""
    return increments[0]


def of_source(source: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("days", [source], indirect=True)


def days_of(days: Days) -> list[datetime]:
    midnight = datetime.combine(days.start, datetime.min.time(), UTC)
    return [midnight + timedelta(days=number) for number in range(days.days)]


def test_every_source_has_its_days_here() -> None:
    assert list(source_names()) == sorted(CASES)


def test_every_file_balances_as_the_simulator_counted(whole: Outcome, landing: Landing) -> None:
    for result, true in zip(whole.results, landing.truth["files"], strict=True):
        counts = result.manifest.counts
        found = {name: getattr(counts, name) for name in ("read", "accepted", "duplicate", "quarantined")}
        assert {**found, "codes": dict(sorted(result.manifest.codes.items())), "file": true["file"]} == true


def test_the_warehouse_counts_every_event_once(whole: Outcome, landing: Landing) -> None:
    totals = landing.truth["totals"]
    events = whole.snapshot["raw.events"]
    assert len(events) == totals["accepted"]
    assert sum(bool(event[-1]) for event in events) == totals["duplicate_across_files"] > 0


def test_every_mart_of_shuffled_increments_is_true(pipeline: Pipeline, days: Days, landing: Landing) -> None:
    marts = {name: rows for name, rows in landing.truth.items() if isinstance(rows, list) and name != "files"}
    assert {mart.name for mart in load_proof(days.source).marts} - VIEWS <= marts.keys()
    for name, rows in marts.items():
        true = in_order(with_user_key(row, days.source) for row in rows)
        assert_same(name, pipeline.mart(name, true, days), true)


def test_shuffled_increments_leave_the_same_warehouse_as_one_full_load(
    whole: Outcome, increments: tuple[Pipeline, Outcome]
) -> None:
    assert_same_tables(increments[1].snapshot, whole.snapshot, without=(TOUCHED,))


def test_the_same_inputs_give_the_same_bytes_in_the_lake(
    whole: Outcome, increments: tuple[Pipeline, Outcome]
) -> None:
    assert increments[1].files == whole.files


def test_the_second_engine_agrees_on_every_value_of_every_mart(pipeline: Pipeline, landing: Landing) -> None:
    report = verify(pipeline.store, pipeline.client, pipeline.source)
    assert report.differences == ()
    assert all(result.values > 0 for result in report.marts)
    assert report.ok
    totals = landing.truth["totals"]
    found = {name: getattr(report.total, name) for name in ("read", "accepted", "duplicate", "quarantined")}
    assert found == {name: totals[name] for name in found}
    assert report.total.repeated == totals["duplicate_across_files"]


def test_the_second_engine_agrees_on_each_day_by_itself(pipeline: Pipeline, days: Days) -> None:
    for day in days_of(days):
        report = verify(pipeline.store, pipeline.client, pipeline.source, (day, day + timedelta(days=1)))
        assert report.differences == ()
        assert report.values > 0


def test_running_everything_again_changes_nothing(
    increments: tuple[Pipeline, Outcome], landing: Landing
) -> None:
    pipeline, before = increments
    again = pipeline.run(landing, landing.files)
    assert all(result.already_loaded for result in again)
    assert_same_tables(pipeline.snapshot(), before.snapshot, without=(TOUCHED,))


@of_source("pocm")
def test_compliance_counts_what_the_simulator_delivered_and_broke(
    pipeline: Pipeline, landing: Landing
) -> None:
    totals = landing.truth["totals"]
    counted = one(
        pipeline, "select sum(received_rows), sum(received_rejected_rows) from pocm.compliance_daily"
    )
    assert counted == (totals["accepted"] + totals["quarantined"], totals["quarantined"])


@of_source("bilten")
def test_the_better_variant_of_the_experiment_wins(landing: Landing) -> None:
    rates = {
        (row["tenant_id"], row["variant"]): row["conversion_rate"]
        for row in landing.truth["experiment_results"]
    }
    for tenant in ("northlight", "harbour"):
        assert rates[tenant, "one_click"] > rates[tenant, "control"]


@of_source("studyin")
def test_no_authentication_request_in_the_warehouse_names_anybody(pipeline: Pipeline) -> None:
    asked, named = one(
        pipeline,
        "select count(), countIf(coalesce(user_key, session_id, device_id, trace_id) is not null) "
        "from raw.events where source = 'studyin' and match(JSONExtractString(payload, 'path'), 'auth')",
    )
    assert asked > 50
    assert named == 0


@of_source("studyin")
def test_nobody_whom_an_error_quotes_is_found_in_the_lake(pipeline: Pipeline) -> None:
    found = [info.key for info in pipeline.store.list("raw/") if info.key.endswith(".parquet")]
    read = repr([pq.read_table(io.BytesIO(pipeline.store.get_bytes(key))).to_pylist() for key in found])
    assert "TimeoutError" in read
    assert not [name for name in PEOPLE if name in read]


@of_source("insights")
def test_rare_customers_are_one_series(pipeline: Pipeline) -> None:
    assert one(
        pipeline,
        "select folded_dimensions, dimension_cardinality['customer'] > 100 from insights.metric_catalog "
        "where name = 'storage_used'",
    ) == (["customer"], True)


@of_source("insights")
def test_the_planted_anomalies_are_the_insights_of_their_days(pipeline: Pipeline, days: Days) -> None:
    found = pipeline.client.query(
        "select distinct tenant_id, day, name from insights.insights order by day"
    ).result_rows
    plants = [
        (planted(number, days.start, days.seed), days.start + timedelta(days=number))
        for number in range(ANOMALY_FROM_DAY, days.days)
    ]
    assert found == [(plant[0], day, "cpu_utilization") for plant, day in plants if plant]


def one(pipeline: Pipeline, query: str) -> tuple[Any, ...]:
    (row,) = pipeline.client.query(query).result_rows
    return tuple(row)


def assert_same(mart: str, found: list[Row], true: list[Row]) -> None:
    """Compare row by row, so that a failure names the grain and both values."""
    assert len(true) > 0, mart
    differences = [(row, other) for row, other in zip(found, true, strict=False) if row != other]
    assert differences[:3] == [], mart
    assert len(found) == len(true), mart
