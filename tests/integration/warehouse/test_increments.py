"""Marts built in increments, in any order, equal marts built at once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
import random_shop
import random_ticketing
from clickhouse_connect.driver.client import Client
from lake_writer import write_load

from lake.manifest import Manifest
from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse import schema
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

LAYERS = ("staging", "intermediate", "marts")


def models_of(source: str) -> list[str]:
    """dbt's arguments for the models of a source."""
    return ["run", "--select", *(f"path:models/{layer}/{source}" for layer in LAYERS)]


def tables_of(client: Client) -> list[tuple[str, str]]:
    """Every table and view that dbt built outside staging."""
    rows = client.query(
        "select database, name from system.tables where database in ('intermediate', 'pocm', 'bilten') order by all"
    ).result_rows
    return [(database, name) for database, name in rows]


def contents(client: Client, database: str, table: str) -> list[tuple[Any, ...]]:
    """All rows, sorted; states as the number they merge to."""
    columns = [
        f"finalizeAggregation({name})" if kind.startswith("AggregateFunction") else name
        for name, kind in client.query(
            f"select name, type from system.columns where database = '{database}' and table = '{table}'"
            " order by position"
        ).result_rows
    ]
    return sorted(client.query(f"select {', '.join(columns)} from {database}.{table}").result_rows, key=repr)


def snapshot(client: Client) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
    return {table: contents(client, *table) for table in tables_of(client)}


def window(hours: list[datetime]) -> dict[str, str]:
    return {
        "window_from": f"{min(hours):%Y-%m-%d %H:%M:%S}",
        "window_to": f"{max(hours) + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }


def load(client: Client, store: ObjectStore, batch: list[Manifest]) -> list[datetime]:
    hours = {manifest.hours[0].received_hour: [manifest] for manifest in batch}
    load_hours(client, store, batch[0].source, hours)
    return list(hours)


def build_in_increments(
    client: Client, store: ObjectStore, stack: Settings, manifests: list[Manifest], seed: int
) -> None:
    """Load and build stretches of received time, one after the other, in shuffled order."""
    size = len(manifests) // 5 + 1
    stretches = [manifests[start : start + size] for start in range(0, len(manifests), size)]
    for stretch in random.Random(seed).sample(stretches, len(stretches)):
        run_dbt(stack, models_of(manifests[0].source), window(load(client, store, stretch)))


@pytest.mark.parametrize(
    ("source", "deliveries", "seed"),
    [
        ("pocm", random_shop.deliveries, 1),
        ("pocm", random_shop.deliveries, 2),
        ("bilten", random_ticketing.deliveries, 1),
    ],
)
def test_shuffled_increments_equal_one_full_build(
    warehouse: Client,
    store: ObjectStore,
    stack: Settings,
    source: str,
    deliveries: Callable[[int], random_shop.Deliveries],
    seed: int,
) -> None:
    received = sorted(deliveries(seed).items())
    manifests = [
        write_load(store, moment, events, source=source, rejected=len(events) % 2)
        for moment, events in received
    ]
    build_in_increments(warehouse, store, stack, manifests, seed)
    increments = snapshot(warehouse)
    raw_increments = contents(warehouse, "raw", "events")

    for database in ("raw", "intermediate", source):
        warehouse.command(f"drop database {database} sync")
    schema.apply(warehouse)
    load(warehouse, store, manifests)
    run_dbt(stack, models_of(source))
    assert contents(warehouse, "raw", "events") == raw_increments
    whole = snapshot(warehouse)
    assert increments.keys() == whole.keys()
    assert [table for table, rows in whole.items() if increments[table] != rows] == []
