"""What late events restate of cohorts, and what they leave alone: one shop, one increment after the other."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.dbt import prepare_manifest, run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MARTS = ["+pocm__cohort_retention", "+pocm__cohort_ltv"]
TABLES = {
    "retention": "pocm.cohort_retention",
    "ltv": "pocm.cohort_ltv",
    "summed": "intermediate.int_pocm__cohort_weeks_summed",
    "first": "intermediate.int_pocm__first_orders_found",
}
Rows = list[tuple[Any, ...]]


def order(user: str, day: str, number: str, *, event_id: str | None = None) -> Event:
    payload = {"order_id": number, "amount": 10, "currency": "EUR"}
    payload |= {"items": [{"product_id": "p", "quantity": 1, "unit_price": 10}]}
    return Event(
        event_id or f"e-{number}",
        f"2026-{day} 12:00",
        "ORDER_PLACED",
        payload,
        user_key=user,
        order_id=number,
    )


def refund(number: str, day: str) -> Event:
    payload = {"refund_id": f"r-{number}", "payment_id": f"pay-{number}", "order_id": number}
    payload |= {"amount": 4, "currency": "EUR", "reason": "late"}
    return Event(
        f"r-{number}", f"2026-{day} 12:00", "REFUND_ISSUED", payload, user_key="clerk", order_id=number
    )


@dataclass
class Shop:
    """A warehouse that receives increments, and what it held after each."""

    settings: Settings
    store: ObjectStore
    client: Client
    after: dict[str, dict[str, Rows]] = field(default_factory=dict)
    partitions: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)

    def receive(self, name: str, hour: int, events: list[Event]) -> None:
        """Load what was received in an hour of 31 December, and build what it touches."""
        manifest = write_load(self.store, f"2026-12-31 {hour:02d}:30", events)
        load_hours(self.client, self.store, "pocm", {manifest.hours[0].received_hour: [manifest]})
        window = {
            "window_from": f"2026-12-31 {hour:02d}:00:00",
            "window_to": f"2026-12-31 {hour + 1:02d}:00:00",
        }
        run_dbt(self.settings, ["run", "--select", *MARTS], window)
        self.look(name)

    def look(self, name: str) -> None:
        """Keep all rows, and the parts of every partition: another part has been written since."""
        self.after[name] = {
            key: [tuple(row) for row in self.client.query(f"select * from {table} order by all").result_rows]
            for key, table in TABLES.items()
        }
        self.partitions[name] = {}
        for key, table in TABLES.items():
            found = self.client.query(
                "select partition_id, min(modification_time)::String || any(name) from system.parts "
                f"where active and database || '.' || table = '{table}' group by partition_id"
            )
            self.partitions[name][key] = dict(found.result_rows)

    def retained(self, name: str, cohort: str) -> list[int]:
        """Users of a cohort of 2026 who came, week by week."""
        return [row[5] for row in self.after[name]["retention"] if f"{row[1]:%m-%d}" == cohort]

    def rewritten(self, key: str, before: str, after: str) -> set[str]:
        """Weeks (month and day of their Mondays) whose partition one of two increments wrote."""
        old, new = self.partitions[before][key], self.partitions[after][key]
        return {
            f"{week[4:6]}-{week[6:]}" for week in old.keys() | new.keys() if old.get(week) != new.get(week)
        }


@pytest.fixture(scope="module")
def shop(stack: Settings) -> Iterator[Shop]:
    client = warehouse(stack)
    empty_warehouse(client)
    prepare_manifest(stack)
    store = object_store(stack).for_bucket(f"test-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    shop = Shop(stack, store, client)
    shop.receive(
        "begun",
        10,
        [
            *(order("ann", "10-20", "a1"), order("ann", "11-25", "a2")),
            *(order("bob", "11-18", "b1"), order("bob", "12-02", "b2")),
            *(order("cid", "11-03", "c1"), order("cid", "11-25", "c2")),
        ],
    )
    shop.receive("late order", 11, [order("bob", "11-10", "b0")])
    shop.receive("late refund", 12, [refund("b2", "11-27")])
    # An earlier delivery of cid's first order says that it was placed in December; dan takes the empty place.
    shop.receive("lost order", 9, [order("cid", "12-03", "c1"), order("dan", "11-05", "d1")])
    shop.receive("gap", 13, [order("eve", "12-22", "e1")])
    run_dbt(stack, ["run", "--full-refresh", "--select", *MARTS])
    shop.look("whole")
    yield shop
    empty_warehouse(client)
    client.close()


def test_a_late_first_order_takes_its_buyer_and_all_purchases_into_the_earlier_cohort(shop: Shop) -> None:
    assert shop.retained("begun", "11-16") == [1, 0, 1]
    assert shop.retained("late order", "11-16") == []
    assert shop.retained("late order", "11-09") == [1, 1, 0, 1]


def test_weeks_before_a_late_order_are_left_alone(shop: Shop) -> None:
    later = {"11-09", "11-16", "11-23", "11-30"}
    assert shop.rewritten("retention", "begun", "late order") == later
    assert shop.rewritten("ltv", "begun", "late order") == later
    assert shop.rewritten("summed", "begun", "late order") == later
    assert shop.rewritten("first", "begun", "late order") == {"11-09", "11-16"}


def test_a_late_refund_lowers_the_value_from_its_week_on_and_sums_only_that_and_its_orders_week_again(
    shop: Shop,
) -> None:
    values = [
        (f"{row[3]:%m-%d}", row[9], row[11])
        for row in shop.after["late refund"]["ltv"]
        if f"{row[1]:%m-%d}" == "11-09"
    ]
    assert values == [("11-09", 10, 10), ("11-16", 10, 20), ("11-23", -4, 16), ("11-30", 10, 26)]
    assert shop.rewritten("summed", "late order", "late refund") == {"11-23", "11-30"}
    assert shop.rewritten("ltv", "late order", "late refund") == {"11-23", "11-30"}


def test_who_loses_the_first_order_begins_with_the_next_even_where_another_fills_the_cohort(
    shop: Shop,
) -> None:
    assert shop.retained("late refund", "11-02") == [1, 0, 0, 1, 0]
    assert shop.retained("lost order", "11-02") == [1, 0, 0, 0, 0]
    assert shop.retained("lost order", "11-23") == [1, 1]


def test_weeks_in_which_nobody_came_stand_there_once_a_newer_week_begins(shop: Shop) -> None:
    assert shop.retained("gap", "10-19") == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert shop.rewritten("summed", "lost order", "gap") == {"12-21"}
    assert shop.rewritten("retention", "lost order", "gap") == {"12-07", "12-14", "12-21"}


@pytest.mark.parametrize("table", TABLES)
def test_increments_leave_what_a_full_build_makes(shop: Shop, table: str) -> None:
    assert len(shop.after["whole"][table]) >= 5
    assert shop.after["gap"][table] == shop.after["whole"][table]
