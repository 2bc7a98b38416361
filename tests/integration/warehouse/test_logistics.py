"""Late events of parcels and products restate what they change, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MODELS = ["run", "--select", "+pocm__delivery_daily", "+pocm__fact_order_items"]
SECOND_HOUR = {"window_from": "2026-03-20 11:00:00", "window_to": "2026-03-20 12:00:00"}


def load(client: Client, store: ObjectStore, received_at: str, *events: Event) -> None:
    manifest = write_load(store, received_at, list(events))
    load_hours(client, store, "pocm", {manifest.hours[0].received_hour: [manifest]})


def rows(client: Client, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(query).result_rows]


def order(order_id: str, at: str, product: str) -> Event:
    line = {"product_id": product, "quantity": 1, "unit_price": 5}
    payload = {"order_id": order_id, "amount": 5, "currency": "EUR", "items": [line]}
    return Event(f"placed {order_id}", at, "ORDER_PLACED", payload, order_id=order_id)


def product(event_id: str, at: str, category: str) -> Event:
    state = {
        "product_id": "p1",
        "name": "n",
        "category": category,
        "brand": "b",
        "is_patch": False,
        "unit_cost": 1,
    }
    return Event(event_id, at, "PRODUCT_UPSERTED", state, user_key=None)


def parcel(name: str, created_at: str, eta: str, delivered_at: str) -> list[Event]:
    place = {"warehouse_id": "w", "region": "r", "city": "c", "carrier": "x", "order_id": f"o {name}"}
    return [
        Event(f"created {name}", created_at, "SHIPMENT_CREATED", {"shipment_id": name, "eta": eta} | place),
        Event(
            f"delivered {name}",
            delivered_at,
            "SHIPMENT_DELIVERED",
            {"shipment_id": name, "delivered_at": f"{delivered_at.replace(' ', 'T')}:00Z"},
        ),
    ]


def test_a_late_promise_restates_the_day_of_the_delivery_and_leaves_other_days_alone(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    first = parcel("first", "2026-03-02 10:00", "2026-03-03T12:00:00Z", "2026-03-04 12:00")
    other = parcel("other", "2026-03-08 10:00", "2026-03-09T12:00:00Z", "2026-03-10 12:00")
    # Each shares one day with the first, which is rebuilt; their other day is not.
    neighbour = parcel("neighbour", "2026-03-02 11:00", "2026-03-09T12:00:00Z", "2026-03-07 12:00")
    elder = parcel("elder", "2026-03-01 11:00", "2026-03-02T12:00:00Z", "2026-03-04 18:00")
    load(warehouse, store, "2026-03-20 10:05", *first, *other, *neighbour, *elder)
    run_dbt(stack, MODELS)
    parts = (
        "select partition_id, name from system.parts where active and table = 'fact_shipments' order by all"
    )
    before = dict(rows(warehouse, parts))
    late = {"shipment_id": "first", "eta": "2026-03-05T00:00:00Z"}
    load(warehouse, store, "2026-03-20 11:05", Event("revised", "2026-03-03 09:00", "ETA_REVISED", late))
    run_dbt(stack, MODELS, SECOND_HOUR)
    after = dict(rows(warehouse, parts))
    assert rows(
        warehouse,
        "select toString(day), on_time_rate, on_time_latest_eta from pocm.delivery_daily "
        "where delivered > 0 order by day",
    ) == [("2026-03-04", 0.0, 0.5), ("2026-03-07", 1.0, 1.0), ("2026-03-10", 0.0, 0.0)]
    shipped = "select sum(shipped), sum(delivered) from pocm.delivery_daily"
    assert rows(warehouse, shipped) == [(4, 4)]
    assert rows(warehouse, "select countIf(is_delivered) from pocm.fact_shipments") == [(4,)]
    assert after["20260302"] != before["20260302"]
    assert after["20260308"] == before["20260308"]


def test_a_product_that_is_announced_late_heals_the_lines_that_did_not_know_it(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    lines = "select order_id, category, brand from pocm.fact_order_items order by order_id"
    in_february, in_march = order("1", "2026-02-27 10:00", "p1"), order("2", "2026-03-03 10:00", "p1")
    load(warehouse, store, "2026-03-20 10:05", in_february, in_march)
    run_dbt(stack, MODELS)
    assert rows(warehouse, lines) == [("1", "unknown", "unknown"), ("2", "unknown", "unknown")]
    versions = [product("old", "2026-02-01 00:00", "old"), product("new", "2026-03-01 00:00", "new")]
    load(warehouse, store, "2026-03-20 11:05", *versions)
    run_dbt(stack, MODELS, SECOND_HOUR)
    assert rows(warehouse, lines) == [("1", "old", "b"), ("2", "new", "b")]
