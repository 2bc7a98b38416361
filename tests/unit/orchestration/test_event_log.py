import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from orchestration.event_log import BATCH_VARIABLE, BatchingSqliteEventLogStorage

HOURS = dg.HourlyPartitionsDefinition("2026-01-01-00:00", timezone="UTC")
KEYS = [f"2026-01-01-{hour:02d}:00" for hour in range(24)]
RANGE = {"dagster/asset_partition_range_start": KEYS[0], "dagster/asset_partition_range_end": KEYS[-1]}
INSTANCE_FILE = """
telemetry: {enabled: false}
event_log_storage:
  module: orchestration.event_log
  class: BatchingSqliteEventLogStorage
  config: {home: {env: DAGSTER_HOME}}
"""


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text(INSTANCE_FILE)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv(BATCH_VARIABLE, "1000")
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@dg.asset(partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.single_run())
def events(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    for number, key in enumerate(context.partition_keys):
        context.add_asset_metadata({"rows": number}, partition_key=key)
    return dg.MaterializeResult()


def run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = dg.Definitions(assets=[events], jobs=[dg.define_asset_job("hourly", "*")]).resolve_job_def("hourly")
    return job.execute_in_process(instance=instance, tags=RANGE)


def test_the_instance_uses_the_batching_storage(instance: dg.DagsterInstance) -> None:
    assert isinstance(instance.event_log_storage, BatchingSqliteEventLogStorage)


def test_every_partition_of_a_range_is_there_with_its_own_metadata(instance: dg.DagsterInstance) -> None:
    run(instance)
    assert instance.get_materialized_partitions(dg.AssetKey("events")) == set(KEYS)
    records = instance.fetch_materializations(dg.AssetKey("events"), limit=100).records
    found = {record.partition_key: record.asset_materialization for record in records}
    rows = {key: event.metadata["rows"].value for key, event in found.items() if key and event}
    assert rows == {key: number for number, key in enumerate(KEYS)}


def test_the_log_of_a_run_holds_every_event_once(instance: dg.DagsterInstance) -> None:
    run_id = run(instance).run_id
    logged = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    assert len(logged) == len(KEYS)


def test_a_batch_that_fails_leaves_nothing_of_itself(instance: dg.DagsterInstance) -> None:
    run_id = run(instance).run_id
    before = len(instance.all_logs(run_id))
    entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)[:3]
    broken = entries[-1]._replace(timestamp="no time")  # type: ignore[arg-type]
    with pytest.raises((TypeError, ValueError)):
        instance.event_log_storage.store_event_batch([*entries, broken])
    assert len(instance.all_logs(run_id)) == before


def test_a_second_process_reads_what_was_written(instance: dg.DagsterInstance) -> None:
    run(instance)
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"]) as other:
        assert len(other.get_materialized_partitions(dg.AssetKey("events"))) == len(KEYS)
