"""Marts built in increments, in any order, equal marts built at once."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
import random_learners
import random_shop
import random_ticketing
from clickhouse_connect.driver.client import Client
from lake_writer import write_load

from lake.manifest import Manifest
from lake.store import ObjectStore
from orchestration.embedded.testing import build_models, empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

PRODUCERS = {
    "bilten": random_ticketing.deliveries,
    "pocm": random_shop.deliveries,
    "studyin": random_learners.deliveries,
}


def tables_of(client: Client, source: str) -> list[tuple[str, str]]:
    """Every table and view that dbt built outside staging; of a mart by key the view, not the rows it stores."""
    rows = client.query(
        f"select database, name from system.tables where database in ('intermediate', '{source}') "
        "and not match(name, '__(rows|keys_by_date)$') order by all"
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


def snapshot(client: Client, source: str) -> dict[tuple[str, str], list[tuple[Any, ...]]]:
    return {table: contents(client, *table) for table in tables_of(client, source)}


def window(hours: list[datetime]) -> dict[str, str]:
    return {
        "window_from": f"{min(hours):%Y-%m-%d %H:%M:%S}",
        "window_to": f"{max(hours) + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }


def load(client: Client, store: ObjectStore, source: str, batch: list[Manifest]) -> list[datetime]:
    hours = {manifest.hours[0].received_hour: [manifest] for manifest in batch}
    load_hours(client, store, source, hours)
    return list(hours)


def build_in_increments(
    client: Client, store: ObjectStore, stack: Settings, source: str, manifests: list[Manifest], seed: int
) -> None:
    """Load and build stretches of received time, one after the other, in shuffled order."""
    size = len(manifests) // 5 + 1
    stretches = [manifests[start : start + size] for start in range(0, len(manifests), size)]
    for stretch in random.Random(seed).sample(stretches, len(stretches)):
        build_models(client, stack, source, window(load(client, store, source, stretch)))


@pytest.mark.parametrize(("source", "seed"), [("pocm", 1), ("pocm", 2), ("bilten", 1), ("studyin", 1)])
def test_shuffled_increments_equal_one_full_build(
    warehouse: Client, store: ObjectStore, stack: Settings, source: str, seed: int
) -> None:
    received = sorted(PRODUCERS[source](seed).items())
    manifests = [
        write_load(store, moment, events, rejected=len(events) % 2, source=source)
        for moment, events in received
    ]
    build_in_increments(warehouse, store, stack, source, manifests, seed)
    increments = snapshot(warehouse, source)
    raw_increments = contents(warehouse, "raw", "events")

    empty_warehouse(warehouse)
    load(warehouse, store, source, manifests)
    build_models(warehouse, stack, source)
    assert contents(warehouse, "raw", "events") == raw_increments
    whole = snapshot(warehouse, source)
    assert increments.keys() == whole.keys()
    assert [table for table, rows in whole.items() if increments[table] != rows] == []
