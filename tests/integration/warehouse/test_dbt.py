"""The dbt project on a real engine: its own tests, its materialization, and what a run costs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load
from random_shop import deliveries

import orchestration.warehouse.dbt as dbt_module
from ingestion.contract import source_names
from lake.store import ObjectStore
from orchestration.connections import object_store
from orchestration.connections import warehouse as connect
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.dbt import DbtError, DbtResult, prepare_manifest, project_fingerprint, run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

COMMERCE = ["run", "--select", "fqn:*.*.pocm.*"]
"""Builds the models of one source."""
FIRST_HOUR = {"window_from": "2026-11-16 10:00:00", "window_to": "2026-11-16 11:00:00"}
SECOND_HOUR = {"window_from": "2026-11-16 11:00:00", "window_to": "2026-11-16 12:00:00"}


def load(client: Client, store: ObjectStore, received: dict[str, list[Event]]) -> None:
    manifests = [write_load(store, moment, events) for moment, events in sorted(received.items())]
    load_hours(client, store, "pocm", {m.hours[0].received_hour: [m] for m in manifests})


def rows(client: Client, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(query).result_rows]


def search(event_id: str, occurred_at: str, results: int = 1) -> Event:
    """A search of its own: events of one search id would link their dates."""
    return Event(
        event_id, occurred_at, "SEARCH", {"search_id": event_id, "query": "x", "results_count": results}
    )


@pytest.fixture
def copied_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the dbt project that a test may break."""
    project = tmp_path / "dbt_project"
    shutil.copytree(dbt_module.PROJECT_DIR, project, ignore=shutil.ignore_patterns("target", "logs"))
    monkeypatch.setattr(dbt_module, "PROJECT_DIR", project)
    monkeypatch.setattr(dbt_module, "MANIFEST_PATH", project / "target" / "manifest.json")
    yield project


@pytest.fixture(scope="module")
def built_shop(stack: Settings) -> Iterator[tuple[Client, DbtResult]]:
    """A random shop with every model built and every data test run, for tests that only look at it."""
    client, store = connect(stack), object_store(stack).for_bucket("built-shop")
    store.ensure_bucket()
    empty_warehouse(client)
    load(client, store, deliveries(seed=5))
    yield client, run_dbt(stack, ["build"])
    client.close()


def test_every_model_builds_and_every_data_test_passes_on_a_random_shop(
    built_shop: tuple[Client, DbtResult],
) -> None:
    _, result = built_shop
    assert {node["status"] for node in result.results} == {"success", "pass"}
    assert sum(node["status"] == "pass" for node in result.results) > 50


def test_every_unit_test_of_a_formula_passes(built_shop: tuple[Client, DbtResult], stack: Settings) -> None:
    result = run_dbt(stack, ["test", "--select", "test_type:unit"], unit_tests=True)
    assert {node["status"] for node in result.results} == {"pass"}
    assert len(result.results) >= 20


def test_every_column_of_a_mart_says_in_clickhouse_what_it_means(
    built_shop: tuple[Client, DbtResult],
) -> None:
    client, _ = built_shop
    marts = ", ".join(f"'{name}'" for name in source_names())
    silent = "select database, table, name from system.columns where comment = '' and database in"
    assert rows(client, f"{silent} ({marts})") == []
    assert rows(client, f"select count() > 100 from system.columns where database in ({marts})") == [(True,)]


def test_weeks_and_months_merge_exactly_from_days(built_shop: tuple[Client, DbtResult]) -> None:
    warehouse, _ = built_shop
    merged = rows(
        warehouse,
        "select tenant_id, toStartOfWeek(day, 1), currency, uniqExactMerge(purchasers_state) "
        "from intermediate.int_pocm__purchasers_daily group by all order by all",
    )
    counted = rows(
        warehouse,
        "select tenant_id, toStartOfWeek(order_date, 1), currency, uniqExact(user_key) as purchasers "
        "from pocm.fact_orders group by all having purchasers > 0 order by all",
    )
    assert merged == counted
    trailing = rows(warehouse, "select tenant_id, day, mau from pocm.active_users where dau > 0 order by all")
    expected = rows(
        warehouse,
        "select day.tenant_id, day.occurred_date, uniqExact(event.user_key) "
        "from (select distinct tenant_id, occurred_date from staging.stg_pocm__events "
        "where user_key is not null) as day "
        "inner join staging.stg_pocm__events as event on day.tenant_id = event.tenant_id "
        "where event.occurred_date between day.occurred_date - 29 and day.occurred_date "
        "group by all order by all",
    )
    assert trailing == expected
    assert len(trailing) > 10


def test_recent_events_are_the_newest_thousand_of_a_type(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    old = [search(f"old{n:04d}", f"2026-11-14 {n // 60:02d}:{n % 60:02d}:00") for n in range(900)]
    new = [search(f"new{n:04d}", f"2026-11-16 {n // 60:02d}:{n % 60:02d}:00") for n in range(600)]
    load(warehouse, store, {"2026-11-16 10:05": [*old, *new]})
    run_dbt(stack, ["run", "--select", "+pocm__recent_events"])
    counted = rows(
        warehouse,
        "select countIf(startsWith(event_id, 'new')), countIf(startsWith(event_id, 'old')), min(occurred_at) "
        "from pocm.recent_events",
    )
    assert [(new_events, old_events) for new_events, old_events, _ in counted] == [(600, 400)]
    assert f"{counted[0][2]:%d %H:%M}" == "14 08:20"


def test_a_run_leaves_dates_alone_that_its_hours_do_not_touch(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(
        warehouse,
        store,
        {"2026-11-16 10:05": [search("e1", "2026-11-14 09:00"), search("e2", "2026-11-16 09:00")]},
    )
    run_dbt(stack, COMMERCE)
    load(warehouse, store, {"2026-11-16 11:05": [search("e3", "2026-11-16 11:00")]})
    partitions = (
        "select partition_id, name from system.parts where table = 'fact_searches' and active order by all"
    )
    before = dict(rows(warehouse, partitions))
    run_dbt(stack, COMMERCE, SECOND_HOUR)
    after = dict(rows(warehouse, partitions))
    assert after["20261114"] == before["20261114"]
    assert after["20261116"] != before["20261116"]
    assert rows(warehouse, "select day, searches from pocm.kpi_daily order by day") == [
        (warehouse.query("select toDate('2026-11-14')").first_row[0], 1),
        (warehouse.query("select toDate('2026-11-16')").first_row[0], 2),
    ]


def test_running_again_changes_no_row(warehouse: Client, store: ObjectStore, stack: Settings) -> None:
    load(
        warehouse,
        store,
        {"2026-11-16 10:05": [search("e1", "2026-11-14 09:00"), search("e2", "2026-11-16 09:00")]},
    )
    run_dbt(stack, COMMERCE)
    before = rows(warehouse, "select * from pocm.kpi_hourly order by all")
    run_dbt(stack, COMMERCE, FIRST_HOUR)
    run_dbt(stack, COMMERCE, FIRST_HOUR)
    assert rows(warehouse, "select * from pocm.kpi_hourly order by all") == before
    working = (
        "select name from system.tables "
        "where database = 'intermediate' and match(name, '__(staged|touched)$')"
    )
    assert rows(warehouse, working) == []


def test_what_a_killed_run_left_does_not_disturb_the_next(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, {"2026-11-16 10:05": [search("e1", "2026-11-16 09:00")]})
    run_dbt(stack, ["run", "--select", "+pocm__fact_searches"])
    for leftover in ("staged", "touched"):
        warehouse.command(
            f"create table intermediate.pocm__fact_searches__{leftover} (nonsense String) "
            "engine = MergeTree order by ()"
        )
    load(warehouse, store, {"2026-11-16 11:05": [search("e2", "2026-11-16 11:00")]})
    run_dbt(stack, ["run", "--select", "+pocm__fact_searches"], SECOND_HOUR)
    assert rows(warehouse, "select event_id from pocm.fact_searches order by all") == [("e1",), ("e2",)]


def order(day: int, event_type: str, occurred_at: str, **fields: Any) -> Event:
    """An event of the one order of a day."""
    order_id = f"order-of-{day}"
    payload = {"order_id": order_id, "amount": 1, "currency": "EUR", **fields}
    return Event(f"{order_id}-{event_type}", occurred_at, event_type, payload, order_id=order_id)


def test_a_run_does_not_read_the_history(warehouse: Client, store: ObjectStore, stack: Settings) -> None:
    """Not even that of the orders which the touched day refunds: what spans dates is kept by its date."""
    history = {
        f"2026-11-{day:02d} {hour:02d}:30": [
            *(search(f"h{day}-{hour}-{n}", f"2026-11-{day:02d} {hour:02d}:{n % 30:02d}") for n in range(40)),
            *([order(day, "ORDER_PLACED", f"2026-11-{day:02d} 08:00", items=[])] if hour == 8 else []),
        ]
        for day in range(1, 15)
        for hour in (8, 16)
    }
    refunded = [
        order(day, "REFUND_ISSUED", "2026-11-16 07:00", refund_id="r", payment_id="p", reason="damaged")
        for day in range(1, 15)
    ]
    load(warehouse, store, history | {"2026-11-16 07:30": refunded})
    run_dbt(stack, COMMERCE)
    load(warehouse, store, {"2026-11-16 10:05": [search("new", "2026-11-16 10:00")]})
    comment = {"run_id": "cost"}
    run_dbt(stack, [*COMMERCE[:-1], f"{COMMERCE[-1]},tag:hourly"], FIRST_HOUR, log_comment=comment)
    warehouse.command("system flush logs")
    (statements, read) = warehouse.query(
        "select count(), max(arrayMax(mapValues(mapFilter((k, v) -> k = 'SelectedRows', ProfileEvents)))) "
        "from system.query_log where type = 'QueryFinish' and log_comment = {comment:String} "
        "and query not like '%recent_events%'",
        parameters={"comment": json.dumps(comment, sort_keys=True)},
    ).first_row
    assert statements > 5
    assert read < 400


def test_sql_that_breaks_its_contract_is_refused(
    warehouse: Client, stack: Settings, copied_project: Path
) -> None:
    model = copied_project / "models/marts/pocm/pocm__fact_searches.sql"
    model.write_text(model.read_text().replace("searches.query,", "searches.query as search_words,"))
    with pytest.raises(
        DbtError, match=r"(?s)Only in the SQL: search_words String.*Only in the contract: query String"
    ):
        run_dbt(stack, ["run", "--select", "+pocm__fact_searches"])


def test_a_table_of_an_older_contract_asks_for_a_full_refresh(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, {"2026-11-16 10:05": [search("e1", "2026-11-16 09:00")]})
    run_dbt(stack, ["run", "--select", "+pocm__fact_searches"])
    warehouse.command("alter table pocm.fact_searches rename column query to old_name")
    with pytest.raises(
        DbtError, match=r"(?s)fact_searches.*was built under another contract.*--full-refresh"
    ):
        run_dbt(stack, ["run", "--select", "pocm__fact_searches"], FIRST_HOUR)
    run_dbt(stack, ["run", "--select", "pocm__fact_searches", "--full-refresh"], FIRST_HOUR)
    assert rows(warehouse, "select query from pocm.fact_searches") == [("x",)]


def test_a_failing_node_is_named_with_its_reason(
    warehouse: Client, stack: Settings, copied_project: Path
) -> None:
    model = copied_project / "models/marts/pocm/pocm__fact_payments.sql"
    model.write_text(model.read_text().replace("latency_ms,", "no_such_column as latency_ms,", 1))
    with pytest.raises(DbtError, match=r"(?s)model\.millrace\.pocm__fact_payments.*no_such_column"):
        run_dbt(stack, ["run", "--select", "+pocm__fact_payments"])


def test_a_correlation_that_no_contract_declares_is_refused(
    warehouse: Client, stack: Settings, copied_project: Path
) -> None:
    model = copied_project / "models/intermediate/pocm/int_pocm__products_changed.sql"
    model.write_text(model.read_text().replace("partition='month',", "touched_by=['prodct'],"))
    with pytest.raises(DbtError, match=r"names the correlation 'prodct'; pocm has: self, session, order, "):
        run_dbt(stack, ["run", "--select", "stg_pocm__products int_pocm__products_changed"])


def test_reading_over_a_correlation_that_the_model_does_not_follow_is_refused(
    warehouse: Client, stack: Settings, copied_project: Path
) -> None:
    model = copied_project / "models/intermediate/pocm/int_pocm__events_counted.sql"
    model.write_text(model.read_text().replace("is_touched_event()", "is_linked_event(['order'])"))
    built = ["run", "--select", "stg_pocm__events int_pocm__events_counted"]
    run_dbt(stack, built)
    with pytest.raises(DbtError, match="reads over the correlation 'order', which is not in its linked_by"):
        run_dbt(stack, built, FIRST_HOUR)


def test_half_a_window_is_refused(warehouse: Client, stack: Settings) -> None:
    with pytest.raises(DbtError, match="window_from and window_to belong together"):
        run_dbt(
            stack,
            ["run", "--select", "stg_pocm__payments pocm__fact_payments"],
            {"window_from": "2026-11-16 10:00:00"},
        )


def test_the_manifest_is_parsed_once_for_one_state_of_the_project(
    stack: Settings, copied_project: Path
) -> None:
    path = prepare_manifest(stack, dbt_module.MANIFEST_PATH)
    parsed_at = path.stat().st_mtime_ns
    assert prepare_manifest(stack, path).stat().st_mtime_ns == parsed_at
    before = project_fingerprint(copied_project)
    with (copied_project / "models/marts/pocm/pocm__kpi_daily.sql").open("a") as file:
        file.write("\n-- changed\n")
    assert project_fingerprint(copied_project) != before
    assert prepare_manifest(stack, path).stat().st_mtime_ns > parsed_at


def test_a_project_that_does_not_parse_is_an_error(stack: Settings, copied_project: Path) -> None:
    (copied_project / "models/marts/pocm/pocm__kpi_daily.sql").write_text("{{ ref('no_such_model') }}")
    with pytest.raises(DbtError, match="no_such_model"):
        prepare_manifest(stack, dbt_module.MANIFEST_PATH)
