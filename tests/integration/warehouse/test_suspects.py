"""Which loads a gate names, and how it says that one is taken back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, at, write_load

from lake.manifest import Manifest
from lake.store import ObjectStore
from orchestration.partitions import Window
from orchestration.suspects import way_out
from orchestration.warehouse.raw import load_hour

pytestmark = pytest.mark.stack

TEN = at("2026-11-16 10:00")
WINDOW = Window(TEN, TEN + timedelta(hours=1))


def loads(client: Client, store: ObjectStore, number: int) -> list[Manifest]:
    """Loads of one hour, in the order of their commits."""
    found = [
        write_load(store, f"2026-11-16 10:{minute:02d}", [Event(f"e{minute}", "2026-11-16 09:00")])
        for minute in range(number)
    ]
    load_hour(client, store, "pocm", TEN, found)
    return found


def test_rows_of_raw_tell_the_load_that_brought_them(warehouse: Client, store: ObjectStore) -> None:
    first, second = loads(warehouse, store, 2)
    text = way_out(warehouse, "pocm", WINDOW, [("pocm_raw_in.SEARCH.v1", 1, [{"load_id": first.load_id}])])
    assert text is not None
    assert text.startswith(f"brought by load {first.load_id} ({first.load_id}.ndjson) ")
    assert "`millrace unload LOAD_ID` takes a load back" in text
    assert second.load_id not in text


def test_for_a_mart_the_newest_three_of_the_window_are_named_and_the_command_that_lists_all(
    warehouse: Client, store: ObjectStore
) -> None:
    *older, third, second, first = loads(warehouse, store, 5)
    text = way_out(warehouse, "pocm", WINDOW, [("pocm_marts.kpi_daily.grain", 2, [{"tenant_id": "t1"}])])
    assert text is not None
    named = ", ".join(f"{found.load_id} ({found.load_id}.ndjson)" for found in (first, second, third))
    assert text.startswith(f"received in these hours by load {named} and 2 more")
    assert "`millrace loads --source pocm --from 2026-11-16T10:00 --to 2026-11-16T11:00`" in text
    assert not [found for found in older if found.load_id in text]


def test_where_no_load_is_known_it_says_how_to_look(warehouse: Client) -> None:
    text = way_out(warehouse, "pocm", WINDOW, [("pocm_marts.kpi_daily.grain", 2, [])])
    assert text == "`millrace loads` lists the loads, `millrace unload LOAD_ID` takes one back"


@pytest.mark.parametrize(
    "broken",
    [
        ("pocm_marts.kpi_daily.grain", None, []),
        ("pocm_raw_in.events.equal_loads", 3, [{"load_id": "0" * 32}]),
        ("pocm_raw_in.loads.equal_lake", 1, [{"received_hour": "2026-11-16 10:00:00"}]),
    ],
)
def test_a_rule_that_no_row_is_at_fault_for_sends_nobody_to_unload(
    warehouse: Client, store: ObjectStore, broken: tuple[str, int | None, list[dict[str, str]]]
) -> None:
    loads(warehouse, store, 1)
    assert way_out(warehouse, "pocm", WINDOW, [broken]) is None
