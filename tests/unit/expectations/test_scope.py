"""A check reads the rows that its window touches and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from expectations.model import Check, GateWindow, Suite, Table
from expectations.scope import batch_query, broken_rows_query, condition, escape

WINDOW = GateWindow(datetime(2026, 11, 16, 10, tzinfo=UTC), datetime(2026, 11, 16, 12, tzinfo=UTC))
HOURS = (
    "received_hour >= toDateTime('2026-11-16 10:00:00', 'UTC')"
    " and received_hour < toDateTime('2026-11-16 12:00:00', 'UTC')"
)
SUITE = Suite(
    "s",
    "pocm",
    "marts_out",
    {"orders": Table("pocm", "orders", "day", "order_date"), "items": Table("pocm", "items", "day", "day")},
    (),
    relations={"lake": "select 1 as one"},
)


def query(sql: str) -> str:
    check = Check("s.orders.rule", "orders", "rows", "owner", "reason", arguments={"query": sql})
    return asked(check)


def asked(*checks: Check) -> str:
    return broken_rows_query(
        checks, SUITE, WINDOW, {"id": "String", "seen": "AggregateFunction(uniq, String)"}
    )


@pytest.mark.parametrize(
    ("grain", "expected"),
    [
        (
            "day",
            f"toDate(p) in (select occurred_date from raw.touched_dates where source = 'pocm' and {HOURS})",
        ),
        (
            "month",
            "toDate(p) in (select toStartOfMonth(occurred_date) from raw.touched_dates"
            f" where source = 'pocm' and {HOURS})",
        ),
        ("whole", "true"),
        (
            "received_hour",
            "source = 'pocm' and p >= toDateTime('2026-11-16 10:00:00', 'UTC')"
            " and p < toDateTime('2026-11-16 12:00:00', 'UTC')",
        ),
    ],
)
def test_condition_selects_the_touched_periods(grain: str, expected: str) -> None:
    table = Table("pocm", "t", grain, "p")  # type: ignore[arg-type]

    assert condition(table, "pocm", WINDOW) == expected


def test_other_tables_of_the_suite_are_cut_to_the_touched_days_too() -> None:
    sql = query("select 1 from orders where id not in (select id from items)")

    assert "items as (SELECT * FROM pocm.items WHERE toDate(day) in" in sql
    assert "with orders as (SELECT * EXCEPT (seen) FROM pocm.orders WHERE toDate(order_date) in" in sql


def test_tables_and_relations_that_a_rule_does_not_read_stay_out_of_its_query() -> None:
    sql = query("select 1 from orders where name = 'items'")

    assert "pocm.items" not in sql
    assert "lake as" not in sql
    assert "lake as (select 1 as one)" in query("select 1 from orders, lake")


def test_rows_that_carry_a_count_are_summed() -> None:
    assert "sum(unexpected_rows)" in query("select rule, 3 as unexpected_rows from orders")
    assert "toInt64(count())" in query("select id from orders")


def test_the_rules_of_a_table_are_one_query_that_selects_its_rows_once() -> None:
    checks = [
        Check(f"s.orders.{kind}", "orders", kind, "owner", "reason", "id", arguments)  # type: ignore[arg-type]
        for kind, arguments in {
            "not_null": {},
            "in_set": {"values": ["a'b", 1]},
            "between": {"min": 0},
            "unique": {"columns": ("id",)},
            "columns": {"columns": ["id", "gone"]},
            "personal_data": {},
        }.items()
    ]
    sql = asked(*checks)

    assert sql.count("pocm.orders") == 1
    assert sql.count("union all") == len(checks) - 1
    assert "select id from orders where id is null" in sql
    assert "select id from orders where id not in ('a\\'b', 1)" in sql
    assert "select id from orders where not (id >= 0)" in sql
    assert "select arrayJoin(['id', 'gone']) as missing where missing not in ('id', 'seen')" in sql


def test_colons_survive_the_library_on_the_way() -> None:
    assert escape("match(x, '^(?:a{2})') and t > '10:00:00'") == "match(x, '^(?\\:a{2})') and t > '10:00:00'"


@pytest.mark.parametrize(
    ("start", "end", "why"),
    [
        (datetime(2026, 11, 16, 10, tzinfo=UTC), datetime(2026, 11, 16, 10, tzinfo=UTC), "before it starts"),
        (datetime(2026, 11, 16, 10), datetime(2026, 11, 16, 12, tzinfo=UTC), "no time zone"),
        (
            datetime(2026, 11, 16, 10, 5, tzinfo=UTC),
            datetime(2026, 11, 16, 12, tzinfo=UTC),
            "not on the hour",
        ),
    ],
)
def test_window_that_is_none_is_refused(start: datetime, end: datetime, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        GateWindow(start, end)


def test_states_that_no_client_reads_stay_in_the_warehouse() -> None:
    table = Table("pocm", "orders", "day", "order_date")
    assert batch_query(table, "pocm", WINDOW, ["users_state"]).startswith(
        "SELECT * EXCEPT (users_state) FROM pocm.orders WHERE "
    )
    assert batch_query(table, "pocm", WINDOW).startswith("SELECT * FROM pocm.orders WHERE ")
