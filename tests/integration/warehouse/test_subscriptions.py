"""Subscriptions over months on a real engine: what an event that comes late restates, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MODELS = ["run", "--select", "stg_pocm__subscriptions+"]
MONTHS = (
    "select toString(month), plan, active_at_start, started, cancelled, active_at_end, toString(mrr) "
    "from pocm.subscriptions_monthly order by month, plan"
)
PARTS = (
    "select concat(table, ' ', partition_id), name from system.parts "
    "where table in ('int_pocm__subscriptions_changed', 'subscriptions_monthly') and active order by all"
)


def moved(move: str, at: str, name: str, plan: str = "basic", **envelope: Any) -> Event:
    terms = {"plan": plan, "currency": "EUR", "period": "month", "amount": 10}
    payload = {"subscription_id": name} | terms
    return Event(f"{name} {move} {at}", f"{at} 10:00:00", f"SUBSCRIPTION_{move}", payload, **envelope)


@pytest.fixture
def receive(warehouse: Client, store: ObjectStore, stack: Settings) -> Any:
    """Load events under one hour of receipt and build the models of subscriptions for it."""

    def receive(day: str, events: Sequence[Event]) -> None:
        manifest = write_load(store, f"{day} 10:05", list(events))
        load_hours(warehouse, store, "pocm", {manifest.hours[0].received_hour: [manifest]})
        run_dbt(stack, MODELS, {"window_from": f"{day} 10:00:00", "window_to": f"{day} 11:00:00"})

    return receive


def rows(client: Client, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(query).result_rows]


def test_a_late_cancellation_restates_its_month_and_later_ones_of_its_plan_only(
    warehouse: Client, receive: Any
) -> None:
    receive(
        "2026-05-20",
        [
            moved("STARTED", "2026-01-10", "a"),
            moved("STARTED", "2026-01-10", "b"),
            moved("STARTED", "2026-01-10", "c", "plus"),
            moved("RENEWED", "2026-02-10", "a"),
            moved("RENEWED", "2026-04-10", "b"),
            moved("RENEWED", "2026-04-10", "c", "plus"),
        ],
    )
    before, parts = rows(warehouse, MONTHS), dict(rows(warehouse, PARTS))
    receive("2026-06-01", [moved("CANCELLED", "2026-03-05", "a")])
    after = rows(warehouse, MONTHS)
    assert [row for row in before if row not in after] == [
        ("2026-03-01", "basic", 2, 0, 0, 2, "20"),
        ("2026-04-01", "basic", 2, 0, 0, 2, "20"),
    ]
    assert [row for row in after if row not in before] == [
        ("2026-03-01", "basic", 2, 0, 1, 1, "10"),
        ("2026-04-01", "basic", 1, 0, 0, 1, "10"),
    ]
    rewritten = {table for table, name in rows(warehouse, PARTS) if parts.get(table) != name}
    assert rewritten == {
        "int_pocm__subscriptions_changed 202603",
        "subscriptions_monthly 202603",
        "subscriptions_monthly 202604",
    }


def test_an_event_that_turns_out_to_be_a_repetition_is_taken_back_from_every_later_month(
    warehouse: Client, receive: Any
) -> None:
    receive(
        "2026-05-20",
        [
            moved("STARTED", "2026-01-10", "a"),
            moved("CANCELLED", "2026-02-20", "a", idempotency_key="k"),
            moved("RENEWED", "2026-04-10", "a"),
        ],
    )
    assert [row[5] for row in rows(warehouse, MONTHS)] == [1, 0, 1]
    receive("2026-05-19", [moved("CANCELLED", "2026-03-20", "a", idempotency_key="k")])
    assert rows(warehouse, MONTHS) == [
        ("2026-01-01", "basic", 0, 1, 0, 1, "10"),
        ("2026-02-01", "basic", 1, 0, 0, 1, "10"),
        ("2026-03-01", "basic", 1, 0, 1, 0, "0"),
        ("2026-04-01", "basic", 0, 1, 0, 1, "10"),
    ]


def test_months_that_nothing_was_heard_of_are_filled_when_the_next_event_comes(
    warehouse: Client, receive: Any
) -> None:
    receive("2026-02-20", [moved("STARTED", "2026-01-10", "a")])
    receive("2026-05-20", [moved("STARTED", "2026-04-10", "b", "plus")])
    assert rows(warehouse, MONTHS) == [
        ("2026-01-01", "basic", 0, 1, 0, 1, "10"),
        ("2026-02-01", "basic", 1, 0, 0, 1, "10"),
        ("2026-03-01", "basic", 1, 0, 0, 1, "10"),
        ("2026-04-01", "basic", 1, 0, 0, 1, "10"),
        ("2026-04-01", "plus", 0, 1, 0, 1, "10"),
    ]
