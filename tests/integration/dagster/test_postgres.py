"""Production's instance file against a real PostgreSQL."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
import yaml

from tests.integration.dagster.production import INSTANCE_FILE, POSTGRES, write_instance_file

pytestmark = pytest.mark.xdist_group("postgres")
HOURS = dg.HourlyPartitionsDefinition("2026-01-01-00:00", timezone="UTC")
RANGE = {
    "dagster/asset_partition_range_start": "2026-01-01-00:00",
    "dagster/asset_partition_range_end": "2026-01-01-05:00",
}


@pytest.fixture
def home(postgres: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME with production's instance file, connected as the compose file connects."""
    write_instance_file(tmp_path, postgres)
    for name, value in POSTGRES.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def hourly_job() -> dg.JobDefinition:
    @dg.asset(key=["raw", "pocm"], partitions_def=HOURS, backfill_policy=dg.BackfillPolicy.single_run())
    def raw() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"rows": 3})

    @dg.asset_check(asset=raw, blocking=True)
    def gate() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    job = dg.define_asset_job("pocm_hourly", selection="*")
    return dg.Definitions(assets=[raw], asset_checks=[gate], jobs=[job]).resolve_job_def("pocm_hourly")


def test_runs_events_and_storages_are_kept_in_postgresql(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert type(instance.run_storage).__name__ == "PostgresRunStorage"
        assert type(instance.event_log_storage).__name__ == "PostgresEventLogStorage"
        assert type(instance.schedule_storage).__name__ == "PostgresScheduleStorage"


def test_a_range_of_hours_materialised_before_a_restart_is_there_after_it(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        run = hourly_job().execute_in_process(instance=instance, tags=RANGE)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        found = instance.get_run_by_id(run.run_id)
        assert found is not None
        assert found.status is dg.DagsterRunStatus.SUCCESS
        there = instance.get_materialized_partitions(dg.AssetKey(["raw", "pocm"]))
        assert there == {f"2026-01-01-0{hour}:00" for hour in range(6)}
        event = instance.get_latest_materialization_event(dg.AssetKey(["raw", "pocm"]))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["rows"].value == 3


def test_two_steps_never_hold_the_pool_of_a_source_at_once(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default("pocm_warehouse")
        first = storage.claim_concurrency_slot("pocm_warehouse", "run-1", "rebuild")
        second = storage.claim_concurrency_slot("pocm_warehouse", "run-2", "rebuild")
        assert (first.is_claimed, second.is_claimed) == (True, False)
        storage.free_concurrency_slot_for_step("run-1", "rebuild")
        assert storage.claim_concurrency_slot("pocm_warehouse", "run-2", "rebuild").is_claimed


def test_the_instance_file_holds_no_address_and_no_secret() -> None:
    connection = yaml.safe_load(INSTANCE_FILE.read_text())["storage"]["postgres"]["postgres_db"]
    assert connection.pop("scheme") == "postgresql+psycopg2"
    assert {name for value in connection.values() for name in value} == {"env"}
