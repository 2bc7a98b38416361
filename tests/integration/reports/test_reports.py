"""Reports end to end: by Dagster and by the command line, from a mart to a file in the lake and a row in ops.reports."""

from __future__ import annotations

import json
import sys
import uuid
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest
from clickhouse_connect.driver.client import Client

from orchestration.cli import main
from orchestration.connections import object_store
from orchestration.connections import warehouse as connected
from orchestration.definitions import build_definitions
from orchestration.resources import Platform
from orchestration.settings import Settings
from orchestration.warehouse import schema
from orchestration.warehouse.dbt import prepare_manifest

pytestmark = pytest.mark.stack

REPORT = "insights_report_weekly_insights"
WEEK = ("2026-11-09T00:00:00+00:00", "2026-11-16T00:00:00+00:00")
CSV = "tenant_id,name,type,unit,strongest,best_rank\nshop,=cmd|x,gauge,,12.5,1\nshop,jobs,counter,,9,2\n"


@pytest.fixture
def mart(stack: Settings) -> Iterator[Client]:
    """The columns of the mart that the report reads, with a week of rows and one of the week after."""
    client = connected(stack)
    client.command("drop database if exists insights sync")
    client.command("drop table if exists ops.reports sync")
    schema.apply(client)
    client.command(
        "create table insights.insights (tenant_id LowCardinality(String), day Date, rank UInt8, name String,"
        " type String, unit String, score Decimal(38, 4)) engine = MergeTree order by day"
    )
    client.command(
        "insert into insights.insights values ('shop', '2026-11-09', 1, '=cmd|x', 'gauge', '', 12.5),"
        " ('shop', '2026-11-15', 2, 'jobs', 'counter', '', 9), ('shop', '2026-11-15', 2, '=cmd|x', 'gauge', '', 8),"
        " ('shop', '2026-11-16', 1, 'jobs', 'counter', '', 1000)"
    )
    yield client
    client.command("drop database insights sync")
    client.close()


@pytest.fixture
def platform(stack: Settings) -> Platform:
    """The platform on a bucket of its own."""
    prepare_manifest(stack)
    settings = stack.model_copy(update={"s3_bucket": f"test-{uuid.uuid4().hex[:12]}"})
    object_store(settings).ensure_bucket()
    return Platform(settings)


def definitions(platform: Platform) -> dg.Definitions:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_definitions(platform)


def test_a_schedule_makes_the_week_before_the_time_that_was_due(mart: Client, platform: Platform) -> None:
    graph = definitions(platform)
    schedule = graph.resolve_schedule_def(REPORT)
    with dg.DagsterInstance.ephemeral() as instance:
        due = datetime(2026, 11, 16, 3, tzinfo=UTC)
        tick = dg.build_schedule_context(instance, scheduled_execution_time=due)
        request = schedule(tick)
        assert isinstance(request, dg.RunRequest)
        done = graph.resolve_job_def(REPORT).execute_in_process(
            run_config=request.run_config, instance=instance
        )
        assert done.success
        (event,) = done.get_asset_materialization_events()

    shown = {name: value.value for name, value in event.materialization.metadata.items()}
    assert (shown["range"], shown["dagster/row_count"]) == ("2026-11-09 to 2026-11-16 UTC", 2)
    key, digest, run_id = mart.query("select key, sha256, run_id from ops.reports").first_row
    assert platform.store.get_bytes(key).decode() == CSV
    assert (shown["sha256"], run_id) == (digest, done.run_id)


def test_half_a_range_is_refused(mart: Client, platform: Platform) -> None:
    job = definitions(platform).resolve_job_def(REPORT)
    config = {"ops": {"reports__insights__weekly_insights": {"config": {"range_from": WEEK[0]}}}}
    done = job.execute_in_process(run_config=config, raise_on_error=False)
    assert not done.success
    assert "belong together" in str(done.all_events)
    assert mart.query("select count() from ops.reports").first_row == (0,)


def run(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str
) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["millrace", "report", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capfd.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.fixture
def on_stack(stack: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_STATE_DIR", str(stack.state_dir))


@pytest.mark.usefixtures("on_stack")
def test_the_command_line_makes_the_same_bytes_again(
    mart: Client, stack: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ("run", "insights/weekly_insights", "--from", WEEK[0][:10], "--to", WEEK[1][:10], "--json")
    first, second = (run(capfd, monkeypatch, *asked) for _ in range(2))
    assert (first[0], second[0]) == (0, 0), first[2]
    made, again = json.loads(first[1]), json.loads(second[1])
    assert (made["rows"], made["key"], made["sha256"]) == (2, again["key"], again["sha256"])
    assert object_store(stack).get_bytes(made["key"]).decode() == CSV
    assert mart.query("select count(), uniqExact(key) from ops.reports").first_row == (2, 1)


@pytest.mark.usefixtures("on_stack")
def test_the_command_line_lists_reports_and_names_them_where_one_is_unknown(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run(capfd, monkeypatch, "list", "--json")
    listed = {row["report"]: row["mart"] for row in json.loads(out)}
    assert code == 0
    assert listed["pocm/daily_sales"] == "pocm.kpi_daily"
    code, _, err = run(capfd, monkeypatch, "run", "pocm/nosuch")
    assert code == 2
    assert "there is no report 'pocm/nosuch'" in err
    assert "pocm/daily_sales" in err
