"""Stock that carries on from day to day: late movements restate what they must, and nothing else."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load
from random_shop import deliveries

from expectations.proof import verify
from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

FIRST_DAY = date(2026, 8, 1)
Rows = dict[tuple[str, str, str, date], tuple[Any, ...]]


def movement(number: int, day: int, hour: int, event_type: str, **payload: Any) -> Event:
    moment = datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(days=day, hours=hour)
    return Event(f"m{number}", f"{moment:%Y-%m-%d %H:%M:%S}", event_type, payload)


def stock_in(number: int, day: int, product: str, warehouse: str, quantity: int, **more: Any) -> Event:
    values = {"batch_id": f"B-{product}", "unit_cost": 2.5} | more
    return movement(
        number,
        day,
        6,
        "STOCK_RECEIVED",
        product_id=product,
        warehouse_id=warehouse,
        quantity=quantity,
        **values,
    )


def stock_out(number: int, day: int, product: str, warehouse: str, quantity: int, **more: Any) -> Event:
    values = {"batch_id": f"B-{product}", "unit_cost": 2.25, "order_id": f"o{number}"} | more
    return movement(
        number,
        day,
        12,
        "STOCK_SHIPPED",
        product_id=product,
        warehouse_id=warehouse,
        quantity=quantity,
        **values,
    )


def take_in(client: Client, store: ObjectStore, stack: Settings, deliveries: dict[str, list[Event]]) -> None:
    """Load deliveries by the hour of their receipt and build what they touch, in one run."""
    manifests = [write_load(store, moment, events) for moment, events in deliveries.items()]
    hours = {manifest.hours[0].received_hour: [manifest] for manifest in manifests}
    load_hours(client, store, "pocm", hours)
    build(
        stack,
        window_from=f"{min(hours):%Y-%m-%d %H:%M:%S}",
        window_to=f"{max(hours) + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    )


def build(stack: Settings, **window: str) -> None:
    run_dbt(stack, ["run", "--select", "+pocm__inventory_daily"], window or None)


def inventory(client: Client) -> Rows:
    found = client.query(
        "select tenant_id, product_id, warehouse_id, day, * except (tenant_id, product_id, warehouse_id, day) "
        "from pocm.inventory_daily"
    ).result_rows
    rows = {(row[0], row[1], row[2], row[3]): tuple(row[4:]) for row in found}
    assert len(rows) == len(found)
    return rows


def rebuilt(client: Client, stack: Settings) -> Rows:
    """The mart as one build of everything makes it."""
    run_dbt(stack, ["run", "--select", "+pocm__inventory_daily", "--full-refresh"])
    return inventory(client)


def parts(client: Client) -> dict[str, list[str]]:
    """Names of the mart's parts by partition; a partition that is replaced has new ones."""
    found = client.query(
        "select partition_id, arraySort(groupArray(name)) from system.parts "
        "where database = 'pocm' and table = 'inventory_daily' and active group by 1"
    ).result_rows
    return {partition: list(names) for partition, names in found}


def shop(days: int) -> list[Event]:
    """Three products in two warehouses that move every other day."""
    events = []
    for day in range(days):
        for place, product in enumerate(("p1", "p2", "p3")):
            for other, warehouse in enumerate(("w1", "w2")):
                number = day * 100 + place * 10 + other
                if day % 20 == place:
                    events.append(stock_in(number + 5, day, product, warehouse, 60))
                if (day + place + other) % 2:
                    events.append(stock_out(number, day, product, warehouse, 1 + place))
    return events


def changed(before: Rows, after: Rows) -> set[tuple[str, str, str, date]]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def test_a_movement_of_ten_days_ago_changes_the_later_days_of_its_product_and_warehouse_and_nothing_else(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    take_in(warehouse, store, stack, {"2026-11-09 10:00": shop(100)})
    before = inventory(warehouse)
    late = stock_out(99_001, 89, "p2", "w1", 7)
    take_in(warehouse, store, stack, {"2026-11-09 11:00": [late]})
    after = inventory(warehouse)
    restated = {("t1", "p2", "w1", FIRST_DAY + timedelta(days=day)) for day in range(89, 100)}
    assert changed(before, after) == restated
    assert rebuilt(warehouse, stack) == after


def test_a_late_movement_leaves_earlier_months_alone_and_a_repeated_run_everything(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    take_in(warehouse, store, stack, {"2026-11-09 10:00": shop(100)})
    before = parts(warehouse)
    late = {"2026-11-09 11:00": [stock_out(99_001, 89, "p2", "w1", 7)]}
    take_in(warehouse, store, stack, late)
    after = parts(warehouse)
    replaced = {partition for partition, names in after.items() if names != before[partition]}
    assert replaced == {"202610", "202611"}
    take_in(warehouse, store, stack, late)
    assert parts(warehouse) == after


def test_a_day_without_movement_of_any_kind_has_its_row_as_soon_as_a_later_day_is_known(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    take_in(
        warehouse,
        store,
        stack,
        {"2026-08-01 10:00": [stock_in(1, 0, "p1", "w1", 5), stock_in(2, 0, "p2", "w1", 5)]},
    )
    take_in(warehouse, store, stack, {"2026-08-05 10:00": [stock_out(3, 4, "p2", "w1", 1)]})
    after = inventory(warehouse)
    assert sorted(day.day for _, product, _, day in after if product == "p1") == [1, 2, 3, 4, 5]
    assert rebuilt(warehouse, stack) == after


def test_a_hundred_days_of_a_random_stock_are_what_the_second_engine_makes_of_them(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    manifests = [write_load(store, moment, events) for moment, events in sorted(deliveries(3).items())]
    load_hours(warehouse, store, "pocm", {m.hours[0].received_hour: [m] for m in manifests})
    run_dbt(stack, ["run", "--select", "+pocm__inventory_daily +pocm__batch_performance"])
    report = verify(store, warehouse, "pocm", marts=("inventory_daily", "batch_performance"))
    assert report.differences == ()
    assert report.marts[0].rows > 1000
