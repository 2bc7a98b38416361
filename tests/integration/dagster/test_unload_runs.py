"""A load that a gate stops its source for: unloaded, everything goes on as if it had never come."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from expectations.proof import verify
from ingestion.contract import load_source
from ingestion.loader import load
from lake.manifest import Manifest, read_manifest
from lake.paths import DataFile
from orchestration import sensors
from orchestration.assets.names import landing_key
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import running_stack
from orchestration.partitions import DAILY, Window
from orchestration.prepare import prepare
from orchestration.resources import Platform
from orchestration.run import RunReport, materialize_window, whole_periods
from orchestration.unloading import UnloadReport, unload
from tests.golden.pipeline import Pipeline, Snapshot, assert_same_tables

# The tests of this file tell one story on one stack.
pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("dagster-unload")]

DAY = datetime(2026, 3, 12, tzinfo=UTC)
LATER = DAY + timedelta(days=2)
DAILY_MART = "key:pocm/active_users"
RECORDS = (
    "raw.touched_dates",
    "raw.correlation_keys",
    "raw.linked_dates",
    "ops.builds",
    "ops.validation_results",
    "ops.verified_days",
)
"""What is only ever added to."""


@dataclass(frozen=True)
class Stopped:
    """The load that a gate stops, and what the runs said."""

    load: Manifest
    hours: list[RunReport]
    rolled_up: RunReport
    """Of the day, whose marts read what was stopped."""


def row(name: str, kind: str, occurred: datetime, received: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "type": kind,
        "occurred_at": occurred.isoformat(),
        "received_at": received.isoformat(),
        "source_service": "shop",
        "session_id": f"session-{name}",
        "tenant_id": "acme",
        "data_json": json.dumps(data),
    }


def parcel(name: str, received: datetime) -> list[dict[str, Any]]:
    """A parcel that arrives half a second before it was created, as two systems' clocks have it."""
    noon = DAY + timedelta(hours=12)
    created = {
        "shipment_id": name,
        "order_id": "o1",
        "warehouse_id": "w",
        "region": "R",
        "city": "C",
        "carrier": "c",
        "eta": (noon + timedelta(days=1)).isoformat(),
    }
    delivered = {"shipment_id": name, "delivered_at": noon.isoformat()}
    return [
        row(f"{name}-1", "SHIPMENT_CREATED", noon + timedelta(milliseconds=500), received, created),
        row(f"{name}-2", "SHIPMENT_DELIVERED", noon + timedelta(seconds=1), received, delivered),
    ]


def an_order(received: int) -> list[dict[str, Any]]:
    item = {"product_id": "patch", "quantity": 2, "unit_price": 12.5}
    order = {"order_id": "o1", "amount": 25, "currency": "EUR", "items": [item]}
    return [row("order", "ORDER_PLACED", DAY + timedelta(hours=1), DAY + timedelta(hours=received), order)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_stack(tmp_path_factory.mktemp("unload")) as settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare(settings)
        client = warehouse(settings)
        yield Pipeline(settings, object_store(settings), client, "pocm")
        client.close()


@pytest.fixture(scope="module")
def before(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    """What one order left."""
    take_in(pipeline, tmp_path_factory.mktemp("events") / "good.ndjson", an_order(received=3))
    assert run(pipeline, DAY + timedelta(hours=3), hours=1).failures == []
    return pipeline.snapshot()


@pytest.fixture(scope="module")
def stopped(pipeline: Pipeline, before: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Stopped:
    events = [
        *parcel("s1", DAY + timedelta(hours=13)),
        *parcel("s2", LATER + timedelta(hours=10)),
        # The order, delivered before the delivery that counted.
        *an_order(received=2),
        "{torn",
    ]
    bad = take_in(pipeline, tmp_path_factory.mktemp("events") / "bad.ndjson", events)
    hours = [
        run(pipeline, DAY + timedelta(hours=2), hours=13),
        run(pipeline, LATER + timedelta(hours=10), hours=1),
    ]
    return Stopped(bad, hours, run(pipeline, DAY, hours=24, select=DAILY_MART))


@pytest.fixture(scope="module")
def unloaded(pipeline: Pipeline, stopped: Stopped) -> UnloadReport:
    return unload(pipeline.settings, "pocm", stopped.load.load_id, "two clocks")


def take_in(pipeline: Pipeline, path: Path, events: list[Any]) -> Manifest:
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    path.write_text("".join(f"{line}\n" for line in lines))
    received = DAY + timedelta(hours=13)
    key = pipeline.settings.secret_key
    return load(pipeline.store, load_source("pocm"), path, key=key, received_at=received).manifest


def run(pipeline: Pipeline, start: datetime, hours: int, select: str = 'key:"raw/pocm"+') -> RunReport:
    return materialize_window(pipeline.settings, start, start + timedelta(hours=hours), select)


def test_before_everything_is_well(before: Snapshot) -> None:
    assert len(before["pocm.fact_orders"]) == 1


def test_the_gate_names_the_rule_the_load_and_the_way_out(stopped: Stopped) -> None:
    for report, rows in zip(stopped.hours, (1, 2), strict=True):
        failure = next(text for text in report.failures if "delivered_after_created" in text)
        assert failure.startswith("pocm/fact_shipments: marts_out_gate: ")
        assert f"delivered_after_created: {rows} row" in failure
        assert f"received in these hours by load {stopped.load.load_id} (bad.ndjson)" in failure
        assert "`millrace unload LOAD_ID` takes a load back" in failure


def test_it_stops_what_reads_any_of_its_source_and_says_so_there_too(stopped: Stopped) -> None:
    failure = "; ".join(stopped.rolled_up.failures)
    assert "stopped by 2 open gate violations: partition 2026-03-12-02:00...2026-03-12-14:00 broke" in failure
    assert f"by load {stopped.load.load_id} (bad.ndjson)" in failure
    assert "`millrace unload LOAD_ID` takes a load back" in failure


def test_unloading_builds_its_hours_and_what_the_gate_rejected_again(unloaded: UnloadReport) -> None:
    assert unloaded.failures == []
    assert unloaded.success
    assert [str(window.start)[:13] for window in unloaded.windows] == ["2026-03-12 02", "2026-03-14 10"]
    assert [job.job for run in unloaded.runs for job in run.jobs] == [
        *["pocm_hourly"] * 4, *["pocm_daily"] * 2, "pocm_weekly", "pocm_monthly"
    ]  # fmt: skip


def test_everything_stands_as_if_the_load_had_never_come(
    pipeline: Pipeline, before: Snapshot, unloaded: UnloadReport
) -> None:
    after = pipeline.snapshot()
    assert_same_tables(after, before, without=RECORDS)
    assert all(set(after[table]) >= set(before[table]) for table in RECORDS)


def test_the_second_engine_agrees(pipeline: Pipeline, unloaded: UnloadReport) -> None:
    report = verify(pipeline.store, pipeline.client, "pocm")
    assert report.differences == ()
    assert report.ok
    assert report.total.read == 1


def test_everything_goes_on_without_another_command(pipeline: Pipeline, unloaded: UnloadReport) -> None:
    assert run(pipeline, DAY, hours=24, select=DAILY_MART).failures == []


def test_files_that_no_load_stands_for_hold_no_day_back(pipeline: Pipeline, unloaded: UnloadReport) -> None:
    broken_off = DataFile("raw", "pocm", DAY + timedelta(hours=20), "0" * 32, "0" * 8, 0)
    pipeline.store.put_bytes(broken_off.key, b"a load that was killed")
    day = Window(DAY, DAY + timedelta(days=1))
    assert whole_periods(Platform(pipeline.settings), "pocm", [day], DAILY) == [(day, [])]


def test_the_sensor_hears_of_the_hours(pipeline: Pipeline, stopped: Stopped, unloaded: UnloadReport) -> None:
    with dg.DagsterInstance.from_config(str(pipeline.settings.dagster_home)) as instance:
        records = instance.fetch_materializations(landing_key("pocm"), limit=1).records
    materialization = records[0].asset_materialization
    assert materialization is not None
    found = materialization.metadata
    assert found["unloaded"].value == stopped.load.load_id
    hours = found["received_hours"].value
    assert isinstance(hours, list)
    windows = sensors.windows_of([hours], DAY.date())
    assert [window.start for window in windows] == [hour.received_hour for hour in stopped.load.hours]


def test_the_manifest_says_that_nothing_stands_on_it(pipeline: Pipeline, unloaded: UnloadReport) -> None:
    manifest = read_manifest(pipeline.store, "pocm", unloaded.manifest.load_id)
    assert manifest == unloaded.manifest
    assert manifest.unloaded is not None
    assert manifest.unloaded.reason == "two clocks"
    assert manifest.unloaded.restated_at is not None


def test_unloading_again_finds_nothing_left_to_do(pipeline: Pipeline, unloaded: UnloadReport) -> None:
    again = unload(pipeline.settings, "pocm", unloaded.manifest.load_id)
    assert (again.was_unloaded, again.success, again.runs) == (True, True, ())
