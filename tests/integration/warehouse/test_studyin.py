"""Studyin's marts of random learners, against the same questions asked of the events themselves."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import write_load
from random_learners import deliveries

from expectations.lineage import run_lineage
from expectations.marts_out import load_suite
from expectations.model import GateWindow
from expectations.runner import run_suite
from ingestion.contract import Source, load_source
from orchestration.connections import gate_warehouse, object_store
from orchestration.connections import warehouse as connected
from orchestration.embedded.testing import emptied
from orchestration.settings import Settings
from orchestration.warehouse.builds import note_builds
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

FROM, TO = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt leaves its manifest."""
    return tmp_path_factory.mktemp("dbt")


@pytest.fixture(scope="module")
def learnt(stack: Settings, target: Path) -> Iterator[Client]:
    """Marts of random learners, built once; no test of this module changes them."""
    client = connected(stack)
    with emptied(client):
        store = object_store(stack).for_bucket("learners")
        store.ensure_bucket()
        received = sorted(deliveries(seed=5).items())
        manifests = [write_load(store, moment, events, source="studyin") for moment, events in received]
        load_hours(client, store, "studyin", {m.hours[0].received_hour: [m] for m in manifests})
        run_dbt(stack, ["build", "--select", "stg_studyin__*+"], target_dir=target)
        note_builds(client, "studyin", "hourly", FROM, TO, TO)
        yield client
    client.close()


@pytest.fixture(scope="module")
def studyin() -> Source:
    return load_source("studyin")


def rows(client: Client, query: str) -> list[tuple[Any, ...]]:
    found = [tuple(row) for row in client.query(query).result_rows]
    assert found
    return found


def test_percentiles_of_a_day_are_those_of_all_its_requests(learnt: Client) -> None:
    merged = rows(
        learnt,
        "select tenant_id, path, day, requests, latency_p50_ms, latency_p95_ms, latency_p99_ms "
        "from studyin.system_metrics_daily order by all",
    )
    counted = rows(
        learnt,
        "select tenant_id, path, occurred_date, count(), l[1], l[2], l[3] from (select tenant_id, path, occurred_date, "
        "latency_ms, quantilesExact(0.5, 0.95, 0.99)(latency_ms) over (partition by tenant_id, path, occurred_date) as l "
        "from staging.stg_studyin__api_requests) group by all order by all",
    )
    assert merged == counted
    assert max(row[3] for row in merged) > 5


def test_percentiles_of_the_coach_are_those_of_all_answers_of_the_day(learnt: Client) -> None:
    merged = rows(
        learnt,
        "select tenant_id, day, conversations, latency_p50_ms, latency_p95_ms, latency_p99_ms "
        "from studyin.ai_coach_metrics where coach_interactions > 0 order by all",
    )
    counted = rows(
        learnt,
        "select tenant_id, occurred_date, uniqExact(conversation_id), l[1], l[2], l[3] from (select *, "
        "quantilesExact(0.5, 0.95, 0.99)(assumeNotNull(latency_ms)) over (partition by tenant_id, occurred_date) as l "
        "from staging.stg_studyin__ai_coach_events where event_type = 'ai_coach_interaction') group by all order by all",
    )
    assert merged == counted


def test_weeks_of_active_users_merge_exactly_from_days(learnt: Client) -> None:
    merged = rows(
        learnt,
        "select tenant_id, toMonday(day) as week, uniqExactMerge(users_state) as users "
        "from intermediate.int_studyin__actives_daily group by all having users > 0 order by all",
    )
    counted = rows(
        learnt,
        "select tenant_id, toMonday(occurred_date), uniqExact(user_key) from staging.stg_studyin__events "
        "where user_key is not null and event_type not in ('api_request', 'system_error') group by all order by all",
    )
    assert merged == counted


def test_users_that_a_producer_names_in_requests_are_nobody(learnt: Client) -> None:
    asked = "select count() from staging.stg_studyin__events where user_key = 'u9'"
    assert rows(learnt, asked)[0][0] > 0
    for mart in ("learning_overview", "activity_heatmap", "gamification_stats", "gamification_progress"):
        assert rows(learnt, f"select countIf(user_key = 'u9') from studyin.{mart}") == [(0,)]
    active = "select max(active_users) from studyin.daily_activity_summary"
    assert rows(learnt, active)[0][0] <= 4


def test_the_heatmap_is_the_events_by_weekday_and_hour(learnt: Client) -> None:
    drawn = rows(learnt, "select * from studyin.activity_heatmap order by all")
    counted = rows(
        learnt,
        "select tenant_id, user_key, toDayOfWeek(occurred_at), toHour(occurred_at), count(), "
        "uniqExact(toStartOfHour(occurred_at)), max(occurred_date) from staging.stg_studyin__events "
        "where user_key is not null and event_type not in ('api_request', 'system_error') group by all order by all",
    )
    assert drawn == counted


def test_stats_are_the_latest_of_all_events_in_whatever_order_they_came(learnt: Client) -> None:
    kept = rows(
        learnt,
        "select tenant_id, user_key, xp, level, streak_days, achievements from studyin.gamification_stats order by all",
    )
    latest = rows(
        learnt,
        "select tenant_id, user_key, sumIf(assumeNotNull(xp), event_type = 'xp_earned'), "
        "argMaxIf(level, (occurred_at, event_id), event_type = 'level_up'), "
        "argMaxIf(days, (occurred_at, event_id), event_type = 'streak_updated'), "
        "uniqExactIf(achievement, event_type = 'achievement_unlocked') "
        "from staging.stg_studyin__gamification_events where user_key is not null group by all order by all",
    )
    assert kept == latest


def test_the_lag_is_from_receiving_to_the_build_that_was_noted(learnt: Client) -> None:
    shown = rows(
        learnt,
        "select tenant_id, hour, received_rows, round(received_to_mart_p50_seconds * 1000), "
        "round(received_to_mart_max_seconds * 1000) "
        "from studyin.hourly_analytics_summary where received_rows > 0 order by all",
    )
    measured = rows(
        learnt,
        "select tenant_id, received_hour, count(), quantileExact(0.5)(lag), max(lag) from ("
        "select tenant_id, received_hour, dateDiff('millisecond', received_at, built_at) as lag from raw.events "
        "inner join staging.stg_studyin__builds as builds using (received_hour)) group by all order by all",
    )
    assert shown == measured


def test_marts_of_valid_events_pass_their_gate(learnt: Client, stack: Settings, studyin: Source) -> None:
    server = gate_warehouse(stack)
    result = run_suite(server, load_suite(studyin), GateWindow(FROM, TO), partition="all", run_id="run")
    assert result.success, result.message


def test_no_personal_field_reaches_a_mart_undeclared(learnt: Client, target: Path, studyin: Source) -> None:
    result = run_lineage(studyin, target / "manifest.json")
    assert result.success, result.message
    assert {found.table for found in result.results} >= {
        "studyin.learning_sessions",
        "studyin.gamification_stats",
    }
