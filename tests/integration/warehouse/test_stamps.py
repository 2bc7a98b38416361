"""What follows the dbt project and not the hour: built once, and again as soon as something else stands there."""

from __future__ import annotations

import time

import pytest
from clickhouse_connect.driver.client import Client

from orchestration.embedded.testing import build_models
from orchestration.settings import Settings
from orchestration.warehouse import dbt
from orchestration.warehouse.stamps import contracts_hold, ensure_views, note_contracts, project_and_engine

pytestmark = pytest.mark.stack

WINDOW = {"window_from": "2026-11-16 10:00:00", "window_to": "2026-11-16 11:00:00"}


def views(client: Client, source: str) -> dict[str, str]:
    """Id by name: a view that is built again has another."""
    return dict(
        client.query(
            f"select name, toString(uuid) from system.tables where database = 'staging' and name like 'stg_{source}__%'"
        ).result_rows
    )


def end_the_second(client: Client) -> None:
    """ClickHouse dates a table's change by the second."""
    started = client.query("select now()").result_rows
    while client.query("select now()").result_rows == started:
        time.sleep(0.05)


def test_views_are_built_once_per_project(
    warehouse: Client, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    since = ensure_views(warehouse, stack, ["insights", "studyin"])
    built = views(warehouse, "insights")
    assert len(built) == 5

    assert ensure_views(warehouse, stack, ["insights", "studyin"]) == since
    assert views(warehouse, "insights") == built

    monkeypatch.setattr(dbt, "project_fingerprint", lambda: "another project")
    monkeypatch.setattr(dbt, "prepare_manifest", lambda *_: dbt.MANIFEST_PATH)
    assert ensure_views(warehouse, stack, ["insights"])["insights"] > since["insights"]
    assert not set(views(warehouse, "insights").values()) & set(built.values())


@pytest.mark.parametrize(
    "change", ["drop view staging.{} sync", "create or replace view staging.{} as select 1"]
)
def test_a_view_that_is_gone_or_was_changed_is_built_again(
    warehouse: Client, stack: Settings, change: str
) -> None:
    ensure_views(warehouse, stack, ["insights", "studyin"])
    others = views(warehouse, "studyin")
    definition = "select create_table_query from system.tables where name = 'stg_insights__events'"
    before = warehouse.query(definition).result_rows
    end_the_second(warehouse)
    warehouse.command(change.format("stg_insights__events"))

    ensure_views(warehouse, stack, ["insights", "studyin"])

    assert warehouse.query(definition).result_rows == before
    assert views(warehouse, "studyin") == others


def test_contracts_hold_for_the_project_that_was_built_and_no_other(
    warehouse: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    built_from = project_and_engine(warehouse)
    assert not contracts_hold(warehouse, "insights", "hourly", built_from)
    note_contracts(warehouse, "insights", "hourly", built_from)
    assert contracts_hold(warehouse, "insights", "hourly", built_from)
    assert not contracts_hold(warehouse, "insights", "daily", built_from)
    assert not contracts_hold(warehouse, "studyin", "hourly", built_from)
    monkeypatch.setattr(dbt, "project_fingerprint", lambda: "another project")
    assert not contracts_hold(warehouse, "insights", "hourly", project_and_engine(warehouse))


def test_a_project_that_is_edited_while_its_views_are_built_is_built_again(
    warehouse: Client, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_it_is = dbt.project_fingerprint

    def edited(*_: object, **__: object) -> None:
        monkeypatch.setattr(dbt, "project_fingerprint", lambda: "edited")

    built = dbt.run_dbt
    monkeypatch.setattr(dbt, "run_dbt", lambda *given, **named: (built(*given, **named), edited())[0])
    ensure_views(warehouse, stack, ["insights"])
    first = views(warehouse, "insights")
    monkeypatch.setattr(dbt, "run_dbt", built)
    monkeypatch.setattr(dbt, "prepare_manifest", lambda *_: dbt.MANIFEST_PATH)
    assert dbt.project_fingerprint is not as_it_is

    ensure_views(warehouse, stack, ["insights"])

    assert not set(views(warehouse, "insights").values()) & set(first.values())


def test_sql_whose_contract_is_known_to_hold_is_not_described_again(
    warehouse: Client, stack: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    build_models(warehouse, stack, "insights")

    def described() -> int:
        warehouse.command("system flush logs")
        return int(
            warehouse.query(
                "select countIf(position(query, 'describe table (') > 0) from system.query_log "
                "where type = 'QueryFinish' and query_kind = 'Describe'"
            ).result_rows[0][0]
        )

    first = described()
    build_models(warehouse, stack, "insights", WINDOW)
    again = described()
    monkeypatch.setenv("MILLRACE_CONTRACTS_HOLD", "true")
    build_models(warehouse, stack, "insights", WINDOW)

    assert again > first > 0
    assert described() == again
