"""The graph on the real stack: from a landing object to proven marts, and what a violation stops."""

from __future__ import annotations

import dataclasses
import json
import re
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from ingestion.contract import load_source
from ingestion.loader import load
from lake.manifest import read_manifest
from orchestration import sensors
from orchestration.assets.names import landing_key, proof_key
from orchestration.connections import object_store, warehouse
from orchestration.definitions import build_definitions
from orchestration.embedded.testing import running_stack
from orchestration.partitions import DAILY, MONTHLY, WEEKLY, Cadence
from orchestration.prepare import prepare
from orchestration.resources import Platform
from orchestration.run import Progress, RunReport, SelectionError, materialize_window, report_loads
from orchestration.settings import Settings
from tests.integration.warehouse.lake_writer import Event, write_load

# The tests of this file tell one story on one stack.
pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("dagster-run")]

COMMERCE = 'key:"raw/pocm"+'
"""Selects the assets of one source."""
DAY = datetime(2026, 3, 2, tzinfo=UTC)
KPI_DAILY = dg.AssetKey(["pocm", "kpi_daily"])


@dataclasses.dataclass(frozen=True)
class Platforms:
    """A running stack with its Dagster instance."""

    settings: Settings
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    client: Client

    def run(self, first_hour: int, last_hour: int, select: str = COMMERCE) -> RunReport:
        start, end = DAY + timedelta(hours=first_hour), DAY + timedelta(hours=last_hour + 1)
        return materialize_window(self.settings, start, end, select)

    def count(self, query: str) -> Any:
        return self.client.query(query).result_rows[0][0]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platforms]:
    with running_stack(tmp_path_factory.mktemp("dagster")) as settings, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare(settings)
        object_store(settings).ensure_bucket()
        definitions = build_definitions(Platform(settings))
        client = warehouse(settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(settings.dagster_home))
            with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
                yield Platforms(settings, definitions, instance, client)
        client.close()


def ledger(number: int, kind: str, hour: int, data: dict[str, Any], minute: int = 10) -> dict[str, Any]:
    """One event in the form of the producers' ledger, received a minute after it happened."""
    occurred = DAY + timedelta(hours=hour, minutes=minute)
    return {
        "id": f"event-{number}",
        "type": kind,
        "occurred_at": occurred.isoformat(),
        "received_at": (occurred + timedelta(minutes=1)).isoformat(),
        "source_service": "shop",
        "user_id": "user-1",
        "session_id": "session-1",
        "tenant_id": "acme",
        "data_json": json.dumps(data),
    }


def an_order(number: int, hour: int) -> list[dict[str, Any]]:
    item = {"product_id": "patch", "quantity": 2, "unit_price": 12.5, "unit_cost": 5}
    order = {
        "order_id": f"order-{number}",
        "amount": 25,
        "currency": "EUR",
        "channel": "web",
        "items": [item],
    }
    payment = {
        "payment_id": f"payment-{number}",
        "order_id": f"order-{number}",
        "amount": 25,
        "currency": "EUR",
        "gateway": "stripe",
        "method": "card",
        "latency_ms": 120,
        "risk_score": 0.1,
    }
    return [
        ledger(10 * number, "ORDER_PLACED", hour, order),
        ledger(10 * number + 1, "PAYMENT_CAPTURED", hour, payment, minute=12),
    ]


def land(platform: Platforms, name: str, events: list[dict[str, Any]]) -> str:
    key = f"landing/source=pocm/{name}.ndjson"
    body = "".join(json.dumps(event) + "\n" for event in events)
    object_store(platform.settings).put_bytes(key, body.encode())
    return key


def ticks(platform: Platforms, sensor: str, cursor: str | None) -> dg.SensorResult:
    found = platform.definitions.get_sensor_def(sensor)
    context = dg.build_sensor_context(
        instance=platform.instance, cursor=cursor, resources={"platform": Platform(platform.settings)}
    )
    result = found(context)
    assert isinstance(result, dg.SensorResult)
    return result


def metadata_of(platform: Platforms, key: dg.AssetKey) -> dict[str, Any]:
    event = platform.instance.get_latest_materialization_event(key)
    assert event is not None
    assert event.asset_materialization is not None
    return {name: value.value for name, value in event.asset_materialization.metadata.items()}


@pytest.fixture(scope="module")
def landed(platform: Platforms) -> list[dg.SensorResult]:
    """A file with orders of two hours and a broken line, loaded by the run that the sensor asked for."""
    broken = ledger(99, "ORDER_PLACED", 3, {"order_id": "order-9"})
    land(platform, "morning", [*an_order(1, hour=3), *an_order(2, hour=4), broken])
    tick = ticks(platform, "pocm_landing", None)
    assert tick.run_requests is not None
    job = platform.definitions.resolve_job_def("pocm_landing")
    job.execute_in_process(instance=platform.instance, run_config=tick.run_requests[0].run_config)
    return [tick, ticks(platform, "pocm_landing", tick.cursor)]


@pytest.fixture(scope="module")
def day_run(platform: Platforms, landed: list[dg.SensorResult]) -> tuple[RunReport, list[Progress]]:
    """The whole day materialised, as `millrace run` does it."""
    told: list[Progress] = []
    report = materialize_window(
        platform.settings, DAY, DAY + timedelta(days=1), COMMERCE, progress=told.append
    )
    return report, told


def test_the_landing_sensor_loads_a_new_object_once(landed: list[dg.SensorResult]) -> None:
    first, second = landed
    assert len(first.run_requests or []) == 1
    assert not second.run_requests


def test_the_landing_asset_shows_what_became_of_every_row(
    platform: Platforms, landed: list[dg.SensorResult]
) -> None:
    shown = metadata_of(platform, landing_key("pocm"))
    assert (shown["read"], shown["accepted"], shown["quarantined"]) == (5, 4, 1)
    assert "morning.ndjson | 5 | 4 | 0 | 1 | 0 | now" in shown["conservation"]
    assert "field_missing" in shown["quarantine_codes"]


def test_the_hours_that_a_load_touched_are_rebuilt_by_one_run(
    platform: Platforms, landed: list[dg.SensorResult]
) -> None:
    tick = ticks(platform, "pocm_touched_hours", None)
    (request,) = tick.run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-03-02-03:00"
    assert request.tags["dagster/asset_partition_range_end"] == "2026-03-02-04:00"
    assert not ticks(platform, "pocm_touched_hours", tick.cursor).run_requests


def test_a_load_from_the_command_line_is_rebuilt_too(
    platform: Platforms, landed: list[dg.SensorResult], tmp_path: Path
) -> None:
    before = ticks(platform, "pocm_touched_hours", None).cursor
    path = tmp_path / "evening.ndjson"
    path.write_text(
        json.dumps(ledger(50, "SEARCH", 20, {"search_id": "s", "query": "patch", "results_count": 0}))
    )
    store = object_store(platform.settings)
    result = load(store, load_source("pocm"), path, key=platform.settings.secret_key)
    report_loads(platform.settings, "pocm", [result])
    (request,) = ticks(platform, "pocm_touched_hours", before).run_requests or []
    assert request.tags["dagster/asset_partition_range_start"] == "2026-03-02-20:00"


def test_a_day_from_lake_to_proof_succeeds(day_run: tuple[RunReport, list[Progress]]) -> None:
    report, _ = day_run
    assert report.failures == []
    assert report.success
    assert [job.job for job in report.jobs] == ["pocm_hourly", "pocm_daily", "pocm_weekly", "pocm_monthly"]
    assert "quality/pocm_proof" in report.jobs[1].materialised


def test_a_day_rebuilds_and_proves_its_week_and_its_month(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    partitions = {
        name: platform.instance.get_materialized_partitions(dg.AssetKey(["pocm", name]))
        for name in ("cohort_retention", "cohort_ltv", "active_weekly", "active_monthly")
    }
    week, month = {"2026-W10-1"}, {"2026-03"}
    assert partitions == {
        "cohort_retention": week, "cohort_ltv": week, "active_weekly": week, "active_monthly": month
    }  # fmt: skip
    told = {event.subject: event.message for event in day_run[1] if event.kind == "check_passed"}
    for proof in ("pocm_proof_weekly", "pocm_proof_monthly"):
        verdict = told[f"quality/{proof}: reconciliation"]
        assert re.fullmatch(r"[1-9]\d* values of [1-9]\d* marts agree", verdict)
    assert platform.count("select ltv from pocm.cohort_ltv where currency = 'EUR'") == 50


def test_the_marts_hold_the_orders(platform: Platforms, day_run: tuple[RunReport, list[Progress]]) -> None:
    found = platform.client.query("select gmv, orders, items_sold from pocm.kpi_daily where currency = 'EUR'")
    (row,) = found.result_rows
    assert [float(value) for value in row] == [50.0, 2.0, 4.0]


def test_compliance_tells_how_long_what_was_received_took_to_the_marts(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    told = "select received_to_mart_p50_seconds from pocm.compliance_daily where tenant_id = 'acme'"
    hour = "select dateDiff('second', received_hour, built_at) from ops.builds where cadence = 'hourly'"
    assert 0 < platform.count(f"{told} and day = '2026-03-02'") <= platform.count(f"{hour} limit 1")


def test_progress_names_every_asset_once_and_no_check_twice(
    day_run: tuple[RunReport, list[Progress]],
) -> None:
    _, told = day_run
    assets = [event.subject for event in told if event.kind == "materialised"]
    checks = [event.subject for event in told if event.kind == "check_passed"]
    assert len(assets) == len(set(assets)) > 30
    assert len(checks) == len(set(checks)) > 30


def test_gates_and_proof_are_among_the_checks(day_run: tuple[RunReport, list[Progress]]) -> None:
    _, told = day_run
    passed = {event.subject for event in told if event.kind == "check_passed"}
    assert {
        "raw/pocm: raw_in_gate",
        "pocm/kpi_daily: marts_out_gate",
        "quality/pocm_proof: conservation",
        "quality/pocm_proof: reconciliation",
        "quality/pocm_proof: compliance_lineage",
    } <= passed


def test_a_kpi_asset_shows_rows_bytes_duration_a_sample_and_a_plot(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    shown = metadata_of(platform, KPI_DAILY)
    assert shown["dagster/row_count"] > 0
    assert shown["bytes_on_disk"] > 0
    assert shown["duration_seconds"] > 0
    assert "acme" in shown["sample"]
    assert shown["plot"].startswith("![") and "data:image/png;base64," in shown["plot"]


def test_no_sample_shows_a_pseudonym_or_an_id_of_a_person(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    users = [row[0] for row in platform.client.query("select distinct user_key from raw.events").result_rows]
    assets = platform.definitions.resolve_asset_graph().materializable_asset_keys
    samples = {
        key: str(metadata_of(platform, key).get("sample", ""))
        for key in assets
        if platform.instance.get_latest_materialization_event(key)
    }
    assert users and sum(bool(sample) for sample in samples.values()) > 10
    hidden = [*users, "user-1", "session-1"]
    assert [key for key, sample in samples.items() if any(value in sample for value in hidden)] == []


def test_runs_show_in_the_instance_of_the_ui(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    runs = {run.job_name: run for run in platform.instance.get_runs()}
    assert runs["pocm_daily"].status is dg.DagsterRunStatus.SUCCESS
    assert "2026-03-02" in platform.instance.get_materialized_partitions(KPI_DAILY)


def test_every_query_of_a_run_says_run_asset_and_partition(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    platform.client.command("system flush logs")
    comments = platform.client.query(
        "select distinct log_comment from system.query_log where log_comment like '%run_id%'"
    ).result_rows
    found = [json.loads(row[0]) for row in comments]
    run_ids = {job.run_id for job in day_run[0].jobs}
    assert run_ids <= {comment["run_id"] for comment in found}
    assert all(
        comment.get("asset") and comment.get("partition") for comment in found if comment["run_id"] in run_ids
    )


def test_a_selection_rebuilds_only_what_it_names(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    report = platform.run(3, 4, select="key:pocm/fact_orders")
    assert [job.materialised for job in report.jobs] == [("pocm/fact_orders",)]
    assert report.success


def test_a_rebuild_does_not_move_the_time_at_which_marts_first_held_an_hour(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]]
) -> None:
    before = platform.client.query("select * from ops.builds order by all").result_rows
    assert platform.run(3, 4).success
    assert platform.client.query("select * from ops.builds order by all").result_rows == before


@pytest.mark.parametrize("select", ["key:pocm/kpi_weekly", "group:", "key:landing/pocm"])
def test_a_selection_of_nothing_says_what_there_is(platform: Platforms, select: str) -> None:
    with pytest.raises(SelectionError, match=r"pocm/kpi_daily|Invalid"):
        platform.run(3, 4, select=select)


@pytest.mark.parametrize("cadence", [DAILY, WEEKLY, MONTHLY], ids=lambda cadence: cadence.name)
def test_a_closed_period_is_rolled_up_again_when_one_of_its_hours_was_rebuilt(
    platform: Platforms, day_run: tuple[RunReport, list[Progress]], cadence: Cadence
) -> None:
    rolled_up = platform.instance.get_materialized_partitions(proof_key("pocm", cadence))
    hour = sensors.Window(DAY + timedelta(hours=3), DAY + timedelta(hours=4))
    restated = sensors.closed_periods(hour, cadence, datetime.now(UTC), rolled_up)
    assert restated == [hour.widened(cadence)]


@pytest.fixture(scope="module")
def violated(platform: Platforms, day_run: tuple[RunReport, list[Progress]]) -> tuple[RunReport, str]:
    """A row that breaks its contract, written into the lake past the loader, and the run of its hour."""
    event = Event(
        event_id="planted",
        occurred_at="2026-03-02 05:30",
        event_type="ORDER_PLACED",
        payload={"order_id": "planted", "amount": -1, "currency": "EUR", "items": []},
        tenant_id="acme",
    )
    manifest = write_load(object_store(platform.settings), "2026-03-02 05:31", [event])
    return platform.run(5, 5), manifest.load_id


def test_a_planted_violation_is_named_by_rule_rows_and_partition(violated: tuple[RunReport, str]) -> None:
    report, _ = violated
    assert not report.success
    (check,) = [check for job in report.jobs for check in job.failed_checks]
    assert (check.asset, check.check) == ("raw/pocm", "raw_in_gate")
    assert "ORDER_PLACED" in check.message
    assert "1 row" in check.message
    assert "2026-03-02-05:00" in check.message


def test_a_planted_violation_stops_what_is_downstream(
    platform: Platforms, violated: tuple[RunReport, str]
) -> None:
    report, _ = violated
    assert [job.job for job in report.jobs] == ["pocm_hourly"]
    assert report.jobs[0].materialised == ("raw/pocm",)
    assert platform.count("select count() from pocm.fact_orders where order_id = 'planted'") == 0


def test_an_open_violation_stops_the_next_hour_too(
    platform: Platforms, violated: tuple[RunReport, str]
) -> None:
    land(platform, "noon", an_order(3, hour=6))
    job = platform.definitions.resolve_job_def("pocm_landing")
    job.execute_in_process(instance=platform.instance)
    report = platform.run(6, 6)
    assert not report.success
    assert "partition 2026-03-02-05:00 broke" in "; ".join(report.failures)
    assert (
        platform.count("select count() from pocm.fact_orders where order_id in ('planted', 'order-3')") == 0
    )


def test_once_the_partition_is_mended_everything_goes_on(
    platform: Platforms, violated: tuple[RunReport, str]
) -> None:
    store = object_store(platform.settings)
    manifest = read_manifest(store, "pocm", violated[1])
    assert manifest is not None
    store.delete_many([manifest.key, *(file.key for file in manifest.files)])
    report = platform.run(5, 6)
    assert report.failures == []
    assert platform.count("select count() from pocm.fact_orders where order_id = 'planted'") == 0
    assert platform.count("select count() from pocm.fact_orders where order_id = 'order-3'") == 1


def test_a_day_whose_hours_are_not_all_in_the_warehouse_waits(platform: Platforms) -> None:
    events = [
        ledger(70 + hour, "SEARCH", hour, {"search_id": f"s{hour}", "query": "x", "results_count": 1})
        for hour in (25, 26)
    ]
    land(platform, "tomorrow", events)
    platform.definitions.resolve_job_def("pocm_landing").execute_in_process(instance=platform.instance)
    report = platform.run(25, 25)
    assert [job.job for job in report.jobs] == ["pocm_hourly"]
    assert report.success
    periods = [("daily", "2026-03-03"), ("weekly", "2026-W10-1"), ("monthly", "2026-03")]
    for note, (cadence, period) in zip(report.notes, periods, strict=True):
        assert f"the {cadence} marts of pocm for {period} wait for 1 received hours" in note
        assert "2026-03-03T02:00" in note


def test_an_unreadable_landing_object_fails_the_run_and_the_others_are_loaded(
    platform: Platforms,
) -> None:
    store = object_store(platform.settings)
    store.put_bytes("landing/source=pocm/broken.parquet", b"PAR1 this is no parquet")
    land(platform, "zebra", [ledger(90, "SEARCH", 30, {"search_id": "z", "query": "x", "results_count": 1})])
    run = platform.definitions.resolve_job_def("pocm_landing").execute_in_process(
        instance=platform.instance, raise_on_error=False
    )
    assert not run.success
    assert metadata_of(platform, landing_key("pocm"))["accepted"] == 1
    evaluations = {check.check_name: check for check in run.get_asset_check_evaluations()}
    assert "broken.parquet" in (evaluations["every_object_loaded"].description or "")
    store.delete_many(["landing/source=pocm/broken.parquet"])
