"""The marts-out gate on marts that dbt built: valid marts pass, each planted violation is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from gate_shop import WINDOW, Shop, broken

from expectations.marts_out import load_suite
from expectations.model import GateWindow, SuiteResult
from expectations.runner import run_suite
from ingestion.contract import Source
from tests.integration.warehouse.statements import grown, longest

pytestmark = pytest.mark.stack


def gate(shop: Shop, source: Source, *tables: str, window: GateWindow = WINDOW) -> SuiteResult:
    suite = load_suite(source)
    if tables:
        suite = suite.only(tables)
    return run_suite(shop.warehouse, suite, window, partition="2026-11-16", run_id="run-1")


def test_marts_of_valid_events_pass(marts: Shop, source: Source) -> None:
    result = gate(marts, source)

    assert result.success, result.message


@pytest.mark.parametrize(
    ("table", "statement", "rules"),
    [
        (
            "fact_orders",
            "insert into pocm.fact_orders select * from pocm.fact_orders",
            {"fact_orders.grain", "kpi_hourly.equal_orders"},
        ),
        (
            "fact_orders",
            "alter table pocm.fact_orders update amount = -1 where 1",
            {"fact_orders.money", "kpi_hourly.equal_orders"},
        ),
        (
            "kpi_daily",
            "alter table pocm.kpi_daily update refund_rate = 1.5 where 1",
            {"kpi_daily.rates.refund_rate"},
        ),
        (
            "kpi_hourly",
            "alter table pocm.kpi_hourly update sessions = sessions + 1 where 1",
            {"kpi_daily.equal_hours"},
        ),
        (
            "funnel_step",
            "alter table pocm.funnel_step update sessions = 9 where step_number = 4",
            {"funnel_step.monotone"},
        ),
        (
            "fact_payments",
            "alter table pocm.fact_payments delete where is_captured",
            {"payments_daily.equal_attempts"},
        ),
        (
            "fact_sessions",
            "alter table pocm.fact_sessions update channel = 'eve@example.com' where 1",
            {"fact_sessions.personal"},
        ),
        (
            "compliance_daily",
            "alter table pocm.compliance_daily update audit_denied = audit_accesses + 1 where 1",
            {"compliance_daily.denied"},
        ),
        (
            "compliance_daily",
            "alter table pocm.compliance_daily update received_rejected_rows = received_rejected_rows + 1 where 1",
            {"compliance_daily.quarantine_agrees"},
        ),
    ],
    ids=lambda value: "+".join(sorted(value)) if isinstance(value, set) else "",
)
def test_planted_violation_is_named(
    marts: Shop, source: Source, table: str, statement: str, rules: set[str]
) -> None:
    with marts.changed(f"pocm.{table}", statement):
        result = gate(marts, source)

    assert set(broken(result)) == rules
    assert "eve@example.com" not in result.message


def test_days_that_the_window_does_not_touch_are_not_looked_at(marts: Shop, source: Source) -> None:
    day = "toDate('2026-11-10') as order_date"
    other_day = f"insert into pocm.fact_orders select * replace ({day}) from pocm.fact_orders"
    with marts.changed("pocm.fact_orders", other_day, other_day):
        result = gate(marts, source)

    assert result.success, result.message


def test_mart_that_does_not_exist_fails(marts: Shop, source: Source) -> None:
    marts.client.command("rename table pocm.active_users to pocm.active_users_away")
    try:
        result = gate(marts, source, "active_users", "kpi_daily")
    finally:
        marts.client.command("rename table pocm.active_users_away to pocm.active_users")

    assert set(broken(result)) == {"active_users.grain", "active_users.windows_grow"}
    assert "pocm.active_users does not exist" in result.message


def test_mart_that_cannot_be_read_fails_and_hides_no_other(marts: Shop, source: Source) -> None:
    client = marts.client
    client.command("rename table pocm.active_users to pocm.active_users_away")
    client.command("create view pocm.active_users as select * from pocm.active_users_away")
    client.command("rename table pocm.active_users_away to pocm.active_users_gone")
    try:
        result = gate(marts, source, "active_users", "kpi_daily")
    finally:
        client.command("drop view pocm.active_users")
        client.command("rename table pocm.active_users_gone to pocm.active_users")

    assert set(broken(result)) == {"active_users.grain", "active_users.windows_grow"}
    assert "could not run" in result.message


def test_column_that_does_not_exist_fails(marts: Shop, source: Source, tmp_path: Path) -> None:
    path = tmp_path / "shop.yml"
    path.write_text(
        "database: pocm\n"
        "tables:\n"
        "    kpi_daily:\n"
        "        period: day\n"
        "        expectations:\n"
        "            - {id: nosuch, between: [nosuch], min: 0, owner: a, reason: b}\n"
        "            - {id: grain, unique: [nosuch], owner: a, reason: b}\n"
        "            - {id: money, between: [gmv], min: 0, owner: a, reason: b}\n"
    )
    suite = load_suite(source, tmp_path)

    result = run_suite(marts.warehouse, suite, WINDOW, partition="p", run_id="r")

    assert broken(result) == {"kpi_daily.nosuch": None, "kpi_daily.grain": None}
    assert "nosuch" in result.message


def test_only_the_chosen_tables_are_checked(marts: Shop, source: Source) -> None:
    result = gate(marts, source, "fact_orders")

    assert {found.table for found in result.results} == {"pocm.fact_orders"}


def test_no_statement_grows_with_the_days_that_a_window_touches(marts: Shop, source: Source) -> None:
    lengths = []
    for days in (20, 2_000):
        touched = (
            "insert into raw.touched_dates select 'pocm', toDateTime('2026-11-16 10:00:00', 'UTC'), 'self',"
            f" toDate('2010-01-01') + number from numbers({days})"
        )
        with marts.changed("raw.touched_dates", touched):
            lengths.append(longest(marts.client, lambda: gate(marts, source, "kpi_daily", "active_weekly")))
    assert grown(*lengths) == {}
