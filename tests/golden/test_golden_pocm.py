"""Three simulated days with every fault: however they are loaded, repeated or killed, the marts are true."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pipeline import Landing, Pipeline, Row, hours_of, in_order, window

from ingestion.loader import LoadResult
from ingestion.simulator import Delivery, simulate
from lake.manifest import all_manifests
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.dbt import PROJECT_DIR, environment

pytestmark = pytest.mark.stack

MARTS = (
    *("kpi_hourly", "kpi_daily", "funnel_step", "payments_daily", "active_users"),
    *("compliance_daily", "recent_events"),
    *("search_daily", "marketing_daily", "fact_subscriptions", "subscriptions_monthly"),
    *("cohort_retention", "cohort_ltv", "active_weekly", "active_monthly"),
    *("fact_shipments", "fact_returns", "delivery_daily"),
    *("device_metrics", "fact_device_readings", "fact_adverse_events", "dim_devices"),
    *("inventory_daily", "batch_performance"),
)
TRUE_WHERE = {"compliance_daily": "audit_accesses + exports_requested + exports_completed > 0"}
"""Which rows the simulator knows the truth of, where it does not know all."""
SEED = 20260302
INCREMENTS = 3
TOUCHED = "raw.touched_dates"
"""Says which runs touched which dates: the only table that may know about the order of loads."""

Snapshot = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Outcome:
    """What a way of loading led to."""

    results: list[LoadResult]
    files: dict[str, str]
    """Key to sha256 of every file in the lake."""
    snapshot: Snapshot
    marts: dict[str, list[Row]]


@pytest.fixture(scope="module", autouse=True)
def emptied_afterwards(stack: Settings) -> Iterator[None]:
    """Leave no table to other tests."""
    yield
    empty_warehouse(fresh(stack).client)


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    out = tmp_path_factory.mktemp("golden")
    # From a Saturday in February to a Monday in March: two weeks and two months.
    start = date(2026, 2, 28)
    simulate("pocm", 3, SEED, out, start=start, scale=0.15, delivery=Delivery(batch_minutes=360))
    return Landing.read(out)


@pytest.fixture(scope="module")
def whole(stack: Settings, landing: Landing) -> Outcome:
    """Everything loaded at once, in order."""
    pipeline = fresh(stack)
    results = pipeline.load(landing, landing.files)
    pipeline.take_in(hours_of(results))
    pipeline.build(hours_of(results))
    return outcome(pipeline, results, landing)


@pytest.fixture(scope="module")
def increments(stack: Settings, landing: Landing) -> Iterator[tuple[Pipeline, Outcome]]:
    """The files shuffled and loaded in several increments, each taken as far as the marts."""
    pipeline = fresh(stack)
    shuffled = random.Random(SEED).sample(landing.files, len(landing.files))
    results = []
    for part in range(INCREMENTS):
        loaded = pipeline.load(landing, shuffled[part::INCREMENTS])
        pipeline.take_in(hours_of(loaded))
        pipeline.build(hours_of(loaded))
        results += loaded
    yield pipeline, outcome(pipeline, results, landing)


def test_every_file_balances_as_the_simulator_counted(whole: Outcome, landing: Landing) -> None:
    for result, true in zip(whole.results, landing.truth["files"], strict=True):
        counts = result.manifest.counts
        found = {name: getattr(counts, name) for name in ("read", "accepted", "duplicate", "quarantined")}
        assert {**found, "codes": dict(sorted(result.manifest.codes.items())), "file": true["file"]} == true


def test_the_warehouse_counts_every_event_once(whole: Outcome, landing: Landing) -> None:
    totals = landing.truth["totals"]
    columns_of_events = whole.snapshot["raw.events"]
    duplicates = sum(row[-1] is True or row[-1] == 1 for row in columns_of_events)
    assert len(columns_of_events) == totals["accepted"]
    assert duplicates == totals["duplicate_across_files"]


def test_compliance_counts_what_the_simulator_delivered_and_broke(
    increments: tuple[Pipeline, Outcome], landing: Landing
) -> None:
    totals = landing.truth["totals"]
    counted = (
        increments[0]
        .client.query("select sum(received_rows), sum(received_rejected_rows) from pocm.compliance_daily")
        .first_row
    )
    assert tuple(counted) == (totals["accepted"] + totals["quarantined"], totals["quarantined"])


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_of_one_full_load_is_true(whole: Outcome, landing: Landing, mart: str) -> None:
    assert_same(whole.marts[mart], landing.truth[mart])


@pytest.mark.parametrize("mart", MARTS)
def test_a_mart_of_shuffled_increments_is_true(
    increments: tuple[Pipeline, Outcome], landing: Landing, mart: str
) -> None:
    assert_same(increments[1].marts[mart], landing.truth[mart])


def test_shuffled_increments_leave_the_same_warehouse_as_one_full_load(
    whole: Outcome, increments: tuple[Pipeline, Outcome]
) -> None:
    assert_same_tables(increments[1].snapshot, whole.snapshot, without=(TOUCHED,))


def test_the_same_inputs_give_the_same_bytes_in_the_lake(
    whole: Outcome, increments: tuple[Pipeline, Outcome]
) -> None:
    assert increments[1].files == whole.files


def test_running_everything_again_changes_nothing(
    increments: tuple[Pipeline, Outcome], landing: Landing
) -> None:
    pipeline, before = increments
    again = pipeline.load(landing, landing.files)
    assert all(result.already_loaded for result in again)
    pipeline.take_in(hours_of(again))
    pipeline.build(hours_of(again))
    assert_same_tables(pipeline.snapshot(), before.snapshot, without=(TOUCHED,))


def test_a_load_killed_at_any_upload_is_repaired_by_running_it_again(
    whole: Outcome, stack: Settings, landing: Landing
) -> None:
    pipeline = fresh(stack)
    files = list(landing.files[:4])
    orders = {"stage": "load", "landing": str(landing.folder), "files": files}
    at = 1
    while die(pipeline, at=at, **orders):
        at += 1
    assert at > len(files), "it died too seldom to tell anything"
    expected = {result.manifest.key for result in whole.results[: len(files)]}
    assert {manifest.key for manifest in all_manifests(pipeline.store, "pocm")} == expected
    found = files_in_lake(pipeline.store)
    assert found == {key: whole.files[key] for key in found}


def test_a_killed_take_in_is_repaired_by_running_it_again(
    whole: Outcome, stack: Settings, landing: Landing
) -> None:
    pipeline = fresh(stack)
    hours = hours_of(pipeline.load(landing, landing.files))
    at = 1
    while die(pipeline, at=at, stage="take_in", hours=[hour.isoformat() for hour in hours]):
        at += 1 + at // 3
    assert at > 10, "it died too seldom to tell anything"
    snapshot = pipeline.snapshot()
    assert_same_tables(
        {table: rows for table, rows in snapshot.items() if table.split(".")[0] in ("raw", "ops")},
        {table: rows for table, rows in whole.snapshot.items() if table.split(".")[0] in ("raw", "ops")},
    )


def test_a_killed_build_is_repaired_by_running_it_again(
    whole: Outcome, stack: Settings, landing: Landing
) -> None:
    pipeline = fresh(stack)
    pipeline.run(landing, landing.files[::2])
    hours = hours_of(pipeline.load(landing, landing.files[1::2]))
    pipeline.take_in(hours)
    for models_done in (1, 12):
        kill_build(stack, hours, models_done)
    pipeline.build(hours)
    assert_same_tables(pipeline.snapshot(), whole.snapshot, without=(TOUCHED,))


def fresh(stack: Settings) -> Pipeline:
    """An empty warehouse and a bucket of its own."""
    store = object_store(stack).for_bucket(f"golden-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    pipeline = Pipeline(stack, store, warehouse(stack))
    empty_warehouse(pipeline.client)
    return pipeline


def outcome(pipeline: Pipeline, results: list[LoadResult], landing: Landing) -> Outcome:
    marts = {name: pipeline.mart(name, landing.truth[name], TRUE_WHERE.get(name, "true")) for name in MARTS}
    return Outcome(results, files_in_lake(pipeline.store), pipeline.snapshot(), marts)


def files_in_lake(store: ObjectStore) -> dict[str, str]:
    return {file.key: file.sha256 for manifest in all_manifests(store, "pocm") for file in manifest.files}


def die(pipeline: Pipeline, **orders: Any) -> bool:
    """Work in a process that is killed on the way; False when it got through before."""
    orders |= {"state_dir": str(pipeline.settings.state_dir), "bucket": pipeline.store.bucket}
    script = Path(__file__).with_name("dying.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(orders)],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def kill_build(settings: Settings, hours: Sequence[datetime], models_done: int) -> None:
    """Kill dbt as soon as it has reported some models as done."""
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    target = settings.state_dir / "killed" / uuid.uuid4().hex
    env = environment(settings, window(hours))
    env |= {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target), "DBT_USE_COLORS": "false"}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "dbt.cli.main", "run", *folders],
        env=env, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        done = 0
        for line in process.stdout:
            done += " OK created " in line
            if done == models_done:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL


def assert_same(found: list[Row], true: list[Row]) -> None:
    """Compare row by row, so that a failure names the grain and both values."""
    expected = in_order(true)
    assert len(expected) > 0
    differences = [(row, other) for row, other in zip(found, expected, strict=False) if row != other]
    assert differences[:3] == []
    assert len(found) == len(expected)


def assert_same_tables(found: Snapshot, expected: Snapshot, without: tuple[str, ...] = ()) -> None:
    assert found.keys() == expected.keys()
    for table in sorted(found.keys() - set(without)):
        assert found[table] == expected[table], table
