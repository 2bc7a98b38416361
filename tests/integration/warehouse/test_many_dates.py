"""Silences of decades and thousands of dates at once: no statement names them one by one, and marts stay right."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, at, write_load

from lake.manifest import Manifest
from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import RawHourResult, load_hours
from tests.integration.warehouse.statements import grown, longest

pytestmark = pytest.mark.stack

HOUR = timedelta(hours=1)
Rows = dict[str, list[tuple[Any, ...]]]


def search(event_id: str, occurred_at: str, tenant: str = "t1", user: str | None = "u1") -> Event:
    payload = {"search_id": event_id, "query": "x", "results_count": 1}
    return Event(event_id, occurred_at, "SEARCH", payload, tenant, user_key=user)


def prescribed(tenant: str, starts_on: str, days: int) -> Event:
    payload = {"prescription_id": "rx", "starts_on": starts_on, "prescribed_days": days}
    return Event(
        f"{tenant}-rx", f"{starts_on} 09:00", "PRESCRIPTION_ASSIGNED", payload, tenant, device_id="d1"
    )


def stocked(event_id: str, occurred_at: str, event_type: str = "STOCK_RECEIVED", **more: Any) -> Event:
    """Units of the one product in the one warehouse that come in or go out."""
    payload = {"product_id": "p", "warehouse_id": "w", "batch_id": "b", "quantity": 1, "unit_cost": 1} | more
    return Event(event_id, occurred_at, event_type, payload, user_key=None)


def take_in(client: Client, store: ObjectStore, received_at: str, events: list[Event]) -> dict[str, str]:
    """Load what was received at a time; return the window of its hour."""
    manifest = write_load(store, received_at, events)
    hour = manifest.hours[0].received_hour
    load_hours(client, store, "pocm", {hour: [manifest]})
    return {"window_from": f"{hour:%Y-%m-%d %H:%M:%S}", "window_to": f"{hour + HOUR:%Y-%m-%d %H:%M:%S}"}


def held(client: Client, tables: Iterable[str]) -> Rows:
    """Every row of some tables, states by their hash."""
    return {
        table: sorted(
            (tuple(map(str, row)) for row in client.query(f"select * from {table}").result_rows),
        )
        for table in tables
    }


def rebuilt(client: Client, stack: Settings, models: list[str], tables: Iterable[str]) -> Rows:
    """The same tables as one build of everything makes them."""
    run_dbt(stack, ["run", "--full-refresh", "--select", *models])
    return held(client, tables)


def parts(client: Client, table: str) -> dict[str, str]:
    """Names of a table's parts by partition; a partition that is replaced has another."""
    query = "select partition_id, any(name) from system.parts where active and table = {tb:String} group by 1"
    return dict(client.query(query, parameters={"tb": table}).result_rows)


def rewritten(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


THERAPY = ["+int_pocm__device_spans_daily", "+pocm__active_users"]
THERAPY_TABLES = (
    "intermediate.int_pocm__patch_days",
    "intermediate.int_pocm__device_spans_daily",
    "pocm.active_users",
)


def test_one_event_after_years_of_silence_rewrites_its_own_day_and_none_of_a_tenant_that_stays_silent(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    first = date(2010, 12, 1)
    history = [
        *(search(f"o{n}", f"{first + timedelta(days=7 * n)} 10:00", "old") for n in range(54)),
        prescribed("old", "2011-12-01", 60),
    ]
    take_in(warehouse, store, "2026-10-31 10:05", history)
    run_dbt(stack, ["run", "--select", *THERAPY])
    before = parts(warehouse, "int_pocm__device_spans_daily")

    window = take_in(warehouse, store, "2026-11-01 10:05", [search("new", "2026-11-01 10:00", "b")])
    run_dbt(stack, ["run", "--select", *THERAPY], window)

    assert rewritten(before, parts(warehouse, "int_pocm__device_spans_daily")) == set()
    assert held(warehouse, THERAPY_TABLES) == rebuilt(warehouse, stack, THERAPY, THERAPY_TABLES)


def test_a_tenant_that_returns_after_years_has_the_days_of_its_therapy_counted_and_no_other_day_rewritten(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    take_in(warehouse, store, "2026-10-31 10:05", [prescribed("old", "2010-12-01", 60)])
    run_dbt(stack, ["run", "--select", *THERAPY])
    before = parts(warehouse, "int_pocm__device_spans_daily")

    window = take_in(warehouse, store, "2026-11-01 10:05", [search("new", "2026-11-01 10:00", "old")])
    run_dbt(stack, ["run", "--select", *THERAPY], window)

    passed = {f"{date(2010, 12, 2) + timedelta(days=n):%Y%m%d}" for n in range(59)}
    assert rewritten(before, parts(warehouse, "int_pocm__device_spans_daily")) == passed
    assert held(warehouse, THERAPY_TABLES) == rebuilt(warehouse, stack, THERAPY, THERAPY_TABLES)


def test_days_behind_a_last_event_that_turns_out_to_be_an_older_one_are_taken_back(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    history = [prescribed("t1", "2026-10-02", 30), search("moved", "2026-10-20 10:00")]
    take_in(warehouse, store, "2026-11-02 10:05", history)
    run_dbt(stack, ["run", "--select", *THERAPY])

    window = take_in(warehouse, store, "2026-11-01 10:05", [search("moved", "2026-10-07 10:00")])
    run_dbt(stack, ["run", "--select", *THERAPY], window)

    made = held(warehouse, THERAPY_TABLES)
    assert [len(made[table]) for table in THERAPY_TABLES] == [6, 6, 6]
    assert made == rebuilt(warehouse, stack, THERAPY, THERAPY_TABLES)


STOCK = ["+pocm__inventory_daily", "+int_pocm__device_spans_daily", "+pocm__active_users"]
STOCK_TABLES = ("pocm.inventory_daily", *THERAPY_TABLES)


def test_stock_that_was_received_in_1970_is_carried_on_to_this_day(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    old = [stocked("e0", "1970-01-01 00:00"), search("e1", "1970-01-01 00:00")]
    take_in(warehouse, store, "2026-11-15 10:05", old)
    run_dbt(stack, ["run", "--select", *STOCK])
    today = [
        stocked("e2", "2026-11-16 10:00", "STOCK_SHIPPED", order_id="o"),
        search("e3", "2026-11-16 10:00"),
    ]
    window = take_in(warehouse, store, "2026-11-16 10:05", today)
    run_dbt(stack, ["run", "--select", *STOCK], window)

    days = (date(2026, 11, 16) - date(1970, 1, 1)).days + 1
    made = held(warehouse, STOCK_TABLES)
    assert len(made["pocm.inventory_daily"]) == len(made["pocm.active_users"]) == days
    assert made == rebuilt(warehouse, stack, STOCK, STOCK_TABLES)


WEEKS = ["+pocm__active_weekly"]


def test_a_late_event_of_the_first_days_of_1970_leaves_the_next_week_as_it_is(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    """The first week that Date holds is four days long."""
    days = ("1970-01-01", "1970-01-05", "1970-01-08")
    take_in(warehouse, store, "2026-11-15 10:05", [search(day, f"{day} 10:00", user=day) for day in days])
    run_dbt(stack, ["run", "--select", *WEEKS])

    window = take_in(warehouse, store, "2026-11-16 10:05", [search("late", "1970-01-02 10:00", user="late")])
    run_dbt(stack, ["run", "--select", *WEEKS], window)

    counted = "select toString(week), users from pocm.active_weekly order by week"
    assert warehouse.query(counted).result_rows == [("1970-01-01", 2), ("1970-01-05", 2)]


SEARCHES = ["+pocm__fact_searches", "+int_pocm__device_spans_daily"]
SEARCH_TABLES = ("pocm.fact_searches", "intermediate.int_pocm__events_counted", *THERAPY_TABLES[:2])


def test_an_hour_that_touches_three_thousand_dates_leaves_what_a_full_build_makes(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    take_in(warehouse, store, "2026-11-15 10:05", [search("e0", "2026-11-15 10:00")])
    run_dbt(stack, ["run", "--select", *SEARCHES])
    first = date(2018, 1, 1)
    many = [search(f"m{n}", f"{first + timedelta(days=n)} 10:00") for n in range(3_100)]

    window = take_in(warehouse, store, "2026-11-16 10:05", many)
    run_dbt(stack, ["run", "--select", *SEARCHES], window)

    made = held(warehouse, SEARCH_TABLES)
    assert len(made["pocm.fact_searches"]) == 3_101
    assert made == rebuilt(warehouse, stack, SEARCHES, SEARCH_TABLES)


FIRST_HOUR = datetime(2025, 1, 1, tzinfo=UTC)


def delivered_before(client: Client, hours: int, still_there: int) -> None:
    """One event in each of so many received hours, as loads left them; retention took all but the first out of raw."""
    hour = f"toDateTime('{FIRST_HOUR:%Y-%m-%d %H:%M:%S}', 'UTC') + toIntervalHour(number)"
    load_id = "0" * 32
    client.command(
        f"""
        insert into raw.events (
            source, event_type, contract_version, event_id, tenant_id, occurred_at, received_at, load_id, row_number,
            payload, received_hour
        )
        select 'pocm', 'SEARCH', '1.0', 'e' || toString(number), 't1', {hour}, {hour}, '{load_id}', number, '{{}}', {hour}
        from numbers({still_there})
        """,
        settings={"max_partitions_per_insert_block": 0, "insert_deduplicate": 0},
    )
    client.command(
        f"""
        insert into raw.event_keys (source, kind, key_hash, received_at, load_id, row_number)
        select 'pocm', 'event_id', reinterpretAsUInt128(sipHash128('e' || toString(number))), {hour}, '{load_id}', number
        from numbers({hours})
        """
    )


def precede(client: Client, store: ObjectStore, hours: int) -> list[RawHourResult]:
    """Load what was received before all of these, with every one of their events in it."""
    early = write_load(
        store,
        "2024-12-31 10:05",
        [Event(f"e{n}", f"{FIRST_HOUR + n * HOUR:%Y-%m-%d %H:%M}") for n in range(hours)],
    )
    return load_hours(client, store, "pocm", {early.hours[0].received_hour: [early]})


def test_a_late_delivery_precedes_deliveries_of_nine_thousand_hours(
    warehouse: Client, store: ObjectStore
) -> None:
    delivered_before(warehouse, 9_000, 300)
    (result,) = precede(warehouse, store, 9_000)
    assert (result.rows, result.duplicates) == (9_000, 0)
    counted = (
        "select countIf(is_duplicate), count() from raw.events where received_hour >= '2025-01-01 00:00:00'"
    )
    assert warehouse.query(counted).result_rows == [(300, 300)]


def test_a_window_of_nine_thousand_received_hours_is_loaded(warehouse: Client, store: ObjectStore) -> None:
    hours: dict[datetime, list[Manifest]] = {FIRST_HOUR + n * HOUR: [] for n in range(9_000)}
    for place, number in enumerate((0, 4_000, 8_999)):
        moment = FIRST_HOUR + number * HOUR
        events = [
            Event(f"e{place}", f"{moment:%Y-%m-%d %H:%M}"),
            Event("again", f"{FIRST_HOUR:%Y-%m-%d %H:%M}"),
        ]
        hours[moment] = [write_load(store, f"{moment:%Y-%m-%d %H:%M}", events)]
    results = load_hours(warehouse, store, "pocm", hours)
    assert len(results) == 9_000
    assert [result.duplicates for result in results if result.rows] == [0, 1, 1]


def test_no_statement_of_a_raw_load_grows_with_the_hours_that_it_loads_or_flags(
    warehouse: Client, store: ObjectStore
) -> None:
    lengths = []
    for hours in (60, 600):
        empty_raw(warehouse)
        delivered_before(warehouse, hours, hours)

        def work(hours: int = hours) -> None:
            precede(warehouse, store, hours)
            load_hours(
                warehouse, store, "pocm", {at("2025-06-01 00:00") + n * HOUR: [] for n in range(hours)}
            )

        lengths.append(longest(warehouse, work))
    assert grown(*lengths) == {}


def empty_raw(client: Client) -> None:
    for table in ("raw.events", "raw.event_keys", "raw.touched_dates", "ops.loads"):
        client.command(f"truncate table {table}")


def test_no_statement_of_a_build_grows_with_the_dates_that_it_touches(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    """Nor with their months: the dates lie thirty days apart."""
    models = ["+pocm__active_users"]
    lengths = []
    for hour, number in (("10", 60), ("11", 600)):
        take_in(warehouse, store, f"2026-11-15 {hour}:05", [search(f"begin{hour}", "2026-11-15 10:00")])
        run_dbt(stack, ["run", "--select", *models])
        first = date(2020, 1, 1) - timedelta(days=30 * number)
        events = [search(f"m{hour}{n}", f"{first + timedelta(days=30 * n)} 10:00") for n in range(number)]
        window = take_in(warehouse, store, f"2026-11-16 {hour}:05", events)
        lengths.append(longest(warehouse, lambda w=window: run_dbt(stack, ["run", "--select", *models], w)))
    assert grown(*lengths) == {}
