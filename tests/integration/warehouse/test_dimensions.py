"""Dimensions with history are restated by key: only what differs is written, and what vanishes goes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, at, write_load

from lake.paths import hour_of
from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

PRODUCTS = "pocm.dim_products"
EVENTS = "bilten.dim_events"
MODELS = {
    PRODUCTS: ["stg_pocm__products", "int_pocm__products_changed", "pocm__dim_products"],
    EVENTS: ["stg_bilten__ticketed_events", "int_bilten__ticketed_events_changed", "bilten__dim_events"],
}
STATES = {
    PRODUCTS: "select product_id, category, toString(toDate(valid_from)), toString(toDate(valid_to)), is_current "
    "from pocm.dim_products order by product_id, valid_from",
    EVENTS: "select ticketed_event_id, capacity, toString(toDate(valid_from)), toString(toDate(valid_to)), is_current "
    "from bilten.dim_events order by ticketed_event_id, valid_from",
}


def product(product_id: str, day: str, category: str, **more: Any) -> Event:
    payload = {"product_id": product_id, "name": product_id, "category": category, "brand": "b"}
    payload |= {"is_patch": False, "unit_cost": "1.5"}
    return Event(f"{product_id} {day} {category}", f"{day} 10:00", "PRODUCT_UPSERTED", payload, **more)


def concert(version: int, day: str, capacity: int, event_id: str = "jazz") -> Event:
    payload = {"ticketed_event_id": event_id, "organizer_id": "t1", "version": version, "name": "Jazz"}
    payload |= {"category": "music", "venue": "hall", "city": "Berlin", "country": "DE", "capacity": capacity}
    payload |= {"starts_at": "2026-12-01T20:00:00Z"}
    return Event(f"{event_id} {version} {day}", f"{day} 10:00", "ticketed_events", payload, user_key=None)


class Dimension:
    """One dimension, what it follows from, and nothing else of its source."""

    def __init__(self, name: str, client: Client, store: ObjectStore, settings: Settings) -> None:
        self.name, self.client, self.store, self.settings = name, client, store, settings
        self.source = name.split(".", maxsplit=1)[0]

    def receive(self, hour: str, events: list[Event]) -> list[tuple[Any, ...]]:
        """Make a received hour hold these events and nothing else, build what that touches, return all states."""
        manifests = [write_load(self.store, hour, events, source=self.source)] if events else []
        load_hours(self.client, self.store, self.source, {hour_of(at(hour)): manifests})
        return self.build({"window_from": f"{hour[:13]}:00:00", "window_to": f"{hour[:13]}:59:59"})

    def build(self, window: dict[str, str] | None = None, *flags: str) -> list[tuple[Any, ...]]:
        run_dbt(self.settings, ["run", "--select", *MODELS[self.name], *flags], window)
        return [tuple(row) for row in self.client.query(STATES[self.name]).result_rows]

    def parts(self) -> set[str]:
        """The parts in which the rows lie; merging is stopped, so that a new one was written."""
        found = self.client.query(
            "select name from system.parts where active and database = 'intermediate' "
            f"and table = '{self.name.replace('.', '__')}__rows'"
        ).result_rows
        return {str(name) for (name,) in found}


@pytest.fixture
def products(warehouse: Client, store: ObjectStore, stack: Settings) -> Dimension:
    return Dimension(PRODUCTS, warehouse, store, stack)


@pytest.fixture
def concerts(warehouse: Client, store: ObjectStore, stack: Settings) -> Dimension:
    return Dimension(EVENTS, warehouse, store, stack)


def test_late_changes_restate_their_products_and_no_others(products: Dimension) -> None:
    begun = [
        product("p1", "2026-03-01", "a"),
        product("p1", "2026-03-20", "b"),
        product("p2", "2026-03-10", "a"),
    ]
    products.receive("2026-03-21 10:05", begun)
    p2 = ("p2", "a", "2026-03-10", None, True)
    assert products.receive("2026-03-22 10:05", [product("p1", "2026-03-10", "c")]) == [
        ("p1", "a", "2026-03-01", "2026-03-10", False),
        ("p1", "c", "2026-03-10", "2026-03-20", False),
        ("p1", "b", "2026-03-20", None, True),
        p2,
    ]
    # The late change tells what the next one does: that one begins no state any more.
    assert products.receive(
        "2026-03-22 11:05", [product("p1", "2026-03-10", "d"), product("p1", "2026-03-11", "b")]
    ) == [
        ("p1", "a", "2026-03-01", "2026-03-10", False),
        ("p1", "d", "2026-03-10", "2026-03-11", False),
        ("p1", "b", "2026-03-11", None, True),
        p2,
    ]


def test_a_vanished_change_leaves_no_state(products: Dimension) -> None:
    standing = products.receive(
        "2026-03-21 10:05", [product("p1", "2026-03-01", "a"), product("p2", "2026-03-10", "a")]
    )
    late = [product("p1", "2026-03-10", "b"), product("p3", "2026-03-10", "a")]
    assert len(products.receive("2026-03-22 10:05", late)) == 4
    assert products.receive("2026-03-22 10:05", []) == standing
    # What comes again stands again.
    assert len(products.receive("2026-03-22 10:05", late)) == 4


def test_a_change_of_another_key_under_the_same_event_moves_its_state(products: Dimension) -> None:
    wrong = product("p1", "2026-03-10", "b", idempotency_key="k")
    right = product("p2", "2026-03-12", "b", idempotency_key="k")
    products.receive("2026-03-21 11:05", [product("p1", "2026-03-01", "a"), wrong])
    # The delivery that was received first counts: it says that another product changed, on another day.
    assert products.receive("2026-03-21 10:05", [right]) == [
        ("p1", "a", "2026-03-01", None, True),
        ("p2", "b", "2026-03-12", None, True),
    ]


def test_a_vanished_version_that_began_no_state_lets_those_that_it_held_back_begin(
    concerts: Dimension,
) -> None:
    concerts.receive(
        "2026-03-21 10:05",
        [concert(1, "2026-03-05", 100), concert(3, "2026-03-08", 300), concert(4, "2026-03-09", 100)],
    )
    # Version 2 is later than 3 and 4: they hold from its moment, when the fourth says what the first did.
    assert concerts.receive("2026-03-21 11:05", [concert(2, "2026-03-10", 200)]) == [
        ("jazz", 100, "2026-03-05", None, True)
    ]
    assert concerts.receive("2026-03-21 11:05", []) == [
        ("jazz", 100, "2026-03-05", "2026-03-08", False),
        ("jazz", 300, "2026-03-08", "2026-03-09", False),
        ("jazz", 100, "2026-03-09", None, True),
    ]


def test_a_run_that_changes_nothing_writes_nothing(products: Dimension) -> None:
    events = [product("p1", "2026-03-01", "a"), product("p2", "2026-03-01", "a")]
    products.receive("2026-03-21 10:05", events)
    products.client.command("system stop merges intermediate.pocm__dim_products__rows")
    first = products.parts()
    products.receive("2026-03-21 11:05", [product("p3", "2026-03-01", "a")])
    second = products.parts()
    assert len(second - first) == 1
    products.receive("2026-03-21 11:05", [product("p3", "2026-03-01", "a")])
    assert products.parts() == second


def test_a_change_costs_its_own_keys_and_month_and_no_history(products: Dimension) -> None:
    """30,000 changes of 3,000 products over ten months; then one product changes, in a month with few changes."""
    start = datetime(2025, 1, 1, tzinfo=UTC)
    history = [
        product(f"p{n % 3000:04d}", f"{start + timedelta(days=n // 100):%Y-%m-%d}", f"c{n // 3000}")
        for n in range(30_000)
    ]
    products.receive("2026-02-01 10:05", history)
    products.client.command("system flush logs")
    products.client.command("truncate table system.query_log")
    states = products.receive("2026-02-01 11:05", [product("p0017", "2026-01-10", "new")])
    assert len(states) == 30_001
    products.client.command("system flush logs")
    read, written = products.client.query(
        "select sum(read_rows), sum(written_rows) from system.query_log "
        "where type = 'QueryFinish' and query ilike '%pocm__dim_products%' and query_kind != 'Select'"
    ).first_row
    # Its ten changes lie in ten months, each in a granule of 256 changes; so do its rows, in two parts.
    assert 0 < read < 256 * 15
    assert 0 < written < 20


def test_incremental_states_are_those_of_a_full_build(products: Dimension) -> None:
    # As an earlier version left it: a table that was built anew in every run.
    products.client.command(
        "create table pocm.dim_products (product_id String) engine = MergeTree order by ()"
    )
    for hour, day in ((10, "01"), (12, "20"), (11, "10")):
        events = [product(f"p{n}", f"2026-03-{day}", f"c{n * hour % 3}") for n in range(20)]
        increments = products.receive(f"2026-03-21 {hour}:05", events)
    assert products.build(None, "--full-refresh") == increments
    assert (
        products.build({"window_from": "2026-03-21 10:00:00", "window_to": "2026-03-21 11:00:00"})
        == increments
    )


def test_a_dimension_of_another_contract_is_refused(products: Dimension) -> None:
    states = products.receive("2026-03-21 10:05", [product("p1", "2026-03-01", "a")])
    products.client.command("alter table intermediate.pocm__dim_products__rows drop column brand")
    with pytest.raises(Exception, match=r"was built under another contract.*Only in the contract: brand"):
        products.receive("2026-03-21 10:05", [product("p1", "2026-03-01", "a")])
    assert products.build(None, "--full-refresh") == states
