"""Received hours in the warehouse: the same, whatever the order, the repetition or the kill."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, at, write_load

from lake.manifest import Counts, Manifest
from lake.store import ObjectStore
from orchestration.warehouse import alter, schema
from orchestration.warehouse.raw import RawLoadError, load_hour, load_hours, loaded_hours

pytestmark = pytest.mark.stack

FIRST, SECOND, THIRD = "2026-11-16 10:05", "2026-11-16 11:05", "2026-11-16 12:05"


def three_hours(store: ObjectStore) -> list[Manifest]:
    """Deliveries repeated within an hour, across hours, and retried under another event id and time."""
    first = [
        Event("e1", "2026-11-16 09:00", session_id="s1"),
        Event("e2", "2026-11-15 23:50", session_id="s1", idempotency_key="k2"),
        Event("e3", "2026-11-16 10:00", "ORDER_PLACED", {"order_id": "o1", "cart_id": "c1"}),
    ]
    second = [
        Event("e1", "2026-11-16 09:00", session_id="s1"),
        Event("e2-retried", "2026-11-16 11:00", idempotency_key="k2"),
        Event("e4", "2026-11-12 11:00", "CART_CREATED", {"cart_id": "c1"}, idempotency_key="k4"),
    ]
    third = [
        Event("e4-retried", "2026-11-16 12:00", "CART_CREATED", {"cart_id": "c1"}, idempotency_key="k4"),
        Event("e2-retried", "2026-11-16 11:00", idempotency_key="k2"),
        Event(
            "e5",
            "2026-11-16 12:00",
            "PAYMENT_CAPTURED",
            {"payment_id": "p1", "order_id": "o1"},
            order_id="o1",
        ),
    ]
    return [
        write_load(store, moment, events, rejected=rejected)
        for moment, events, rejected in ((FIRST, first, 2), (SECOND, second, 0), (THIRD, third, 1))
    ]


def load(client: Client, store: ObjectStore, manifest: Manifest) -> None:
    load_hour(client, store, "pocm", manifest.hours[0].received_hour, [manifest])


def contents(client: Client, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: sorted(map(tuple, client.query(f"select * from {table}").result_rows), key=repr)
        for table in tables
    }


HELD = (
    "raw.events",
    "raw.event_keys",
    "raw.correlation_keys",
    "raw.linked_dates",
    "ops.loads",
    "ops.quarantine",
)


def duplicates(client: Client) -> list[tuple[str, str]]:
    rows = client.query(
        "select formatDateTime(received_hour, '%H'), event_id from raw.events where is_duplicate order by all"
    ).result_rows
    return [(hour, event_id) for hour, event_id in rows]


def test_an_event_counts_at_its_first_delivery(warehouse: Client, store: ObjectStore) -> None:
    for manifest in three_hours(store):
        load(warehouse, store, manifest)
    assert duplicates(warehouse) == [
        ("11", "e1"),
        ("11", "e2-retried"),
        ("12", "e2-retried"),
        ("12", "e4-retried"),
    ]


def test_a_warehouse_from_before_takes_in_what_a_mapping_did(warehouse: Client, store: ObjectStore) -> None:
    for column in ("skipped", "folded", "expanded"):
        warehouse.command(f"alter table ops.loads drop column {column}")
    manifest = write_load(store, FIRST, [Event("e1", "2026-11-16 09:00")])
    counts = Counts(read=4, accepted=1, skipped=2, folded=3, expanded=2)
    schema.apply(warehouse)

    load(warehouse, store, replace(manifest, hours=(replace(manifest.hours[0], counts=counts),)))

    columns = ", ".join(vars(counts))
    assert warehouse.query(f"select {columns} from ops.loads").result_rows == [tuple(vars(counts).values())]


def test_hours_that_are_loaded_together_touch_their_own_dates_each(
    warehouse: Client, store: ObjectStore
) -> None:
    one = write_load(store, FIRST, [Event("e1", "2026-11-14 09:00")])
    other = write_load(store, SECOND, [Event("e2", "2026-11-15 09:00")])

    load_hours(
        warehouse, store, "pocm", {manifest.hours[0].received_hour: [manifest] for manifest in (one, other)}
    )

    touched = warehouse.query(
        "select formatDateTime(received_hour, '%H'), toString(occurred_date) from raw.touched_dates order by all"
    ).result_rows
    assert touched == [("10", "2026-11-14"), ("11", "2026-11-15")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_hours_may_arrive_in_any_order(warehouse: Client, store: ObjectStore, order: tuple[int, ...]) -> None:
    manifests = three_hours(store)
    for position in order:
        load(warehouse, store, manifests[position])
    shuffled = contents(warehouse, *HELD)
    schema_anew(warehouse)
    for manifest in manifests:
        load(warehouse, store, manifest)
    assert shuffled == contents(warehouse, *HELD)


def test_hours_loaded_together_equal_hours_loaded_one_by_one(warehouse: Client, store: ObjectStore) -> None:
    manifests = three_hours(store)
    load_hours(warehouse, store, "pocm", {m.hours[0].received_hour: [m] for m in manifests})
    together = contents(warehouse, *HELD)
    schema_anew(warehouse)
    for manifest in manifests:
        load(warehouse, store, manifest)
    assert together == contents(warehouse, *HELD)


def test_months_of_hours_are_loaded_together(warehouse: Client, store: ObjectStore) -> None:
    manifests = {m.hours[0].received_hour: [m] for m in three_hours(store)}
    months: dict[datetime, list[Manifest]] = {
        at("2026-07-29 00:00") + timedelta(hours=number): [] for number in range(2_700)
    }
    results = load_hours(warehouse, store, "pocm", months | manifests)
    assert len(results) == 2_700
    assert sum(result.rows for result in results) == 9


def test_loading_again_changes_nothing(warehouse: Client, store: ObjectStore) -> None:
    manifests = three_hours(store)
    for manifest in manifests:
        load(warehouse, store, manifest)
    before = contents(warehouse, *HELD)
    for manifest in manifests:
        load(warehouse, store, manifest)
    assert contents(warehouse, *HELD) == before


def test_a_late_event_touches_the_dates_of_its_cart(warehouse: Client, store: ObjectStore) -> None:
    for manifest in three_hours(store)[:2]:
        load(warehouse, store, manifest)
    touched = warehouse.query(
        "select toString(via), toString(occurred_date) from raw.touched_dates "
        "where received_hour = '2026-11-16 11:00:00' order by all"
    ).result_rows
    assert ("cart", "2026-11-16") in touched
    assert ("self", "2026-11-12") in touched


def test_a_flipped_delivery_touches_its_date_in_the_hour_that_flips_it(
    warehouse: Client, store: ObjectStore
) -> None:
    first, second, _ = three_hours(store)
    load(warehouse, store, second)
    load(warehouse, store, first)
    touched = warehouse.query(
        "select toString(occurred_date) from raw.touched_dates "
        "where received_hour = '2026-11-16 10:00:00' and via = 'self' order by all"
    ).result_rows
    assert touched == [("2026-11-15",), ("2026-11-16",)]


class KilledError(Exception):
    """Stands for the end of the process."""


class MortalClient:
    """Passes statements on until its time has come; from then on nothing gets through, as after a kill."""

    def __init__(self, client: Client, statements: int) -> None:
        self.client = client
        self.left = statements

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def pass_on(*args: Any, **options: Any) -> Any:
            if self.left == 0:
                raise KilledError
            self.left -= 1
            return method(*args, **options)

        return pass_on


def schema_anew(client: Client) -> None:
    for database in ("raw", "ops"):
        client.command(f"drop database {database} sync")
    schema.apply(client)


def statements_of_a_load(client: Client, store: ObjectStore, manifest: Manifest) -> int:
    counter = MortalClient(client, -1)
    load(counter, store, manifest)  # type: ignore[arg-type]
    return -1 - counter.left


@pytest.fixture
def every_partition_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill may come between any two partitions, as between two statements of a load that replaces many."""
    monkeypatch.setattr(alter, "PARTITIONS_PER_STATEMENT", 1)


@pytest.mark.usefixtures("every_partition_by_itself")
def test_a_load_killed_after_any_statement_is_repaired_by_loading_again(
    warehouse: Client, store: ObjectStore
) -> None:
    first, second, third = three_hours(store)
    for manifest in (second, third):
        load(warehouse, store, manifest)
    statements = statements_of_a_load(warehouse, store, first)
    expected = contents(warehouse, *HELD)
    assert statements > 20
    for killed_after in range(statements):
        schema_anew(warehouse)
        for manifest in (second, third):
            load(warehouse, store, manifest)
        with pytest.raises(KilledError):
            load(MortalClient(warehouse, killed_after), store, first)  # type: ignore[arg-type]
        load(warehouse, store, first)
        assert contents(warehouse, *HELD) == expected, f"killed after statement {killed_after}"


@pytest.mark.usefixtures("every_partition_by_itself")
def test_a_load_that_gives_back_rows_of_other_hours_is_repaired_after_a_kill_between_any_two_partitions(
    warehouse: Client, store: ObjectStore
) -> None:
    hour = at("2026-11-16 10:00")
    first, second, third = three_hours(store)
    for manifest in (second, third):
        load(warehouse, store, manifest)
    expected = contents(warehouse, "raw.events", "raw.event_keys", "ops.loads", "ops.quarantine")
    load(warehouse, store, first)
    counter = MortalClient(warehouse, -1)
    load_hour(counter, store, "pocm", hour, [])  # type: ignore[arg-type]
    statements = -1 - counter.left
    for killed_after in range(statements - 20, statements):
        load(warehouse, store, first)
        with pytest.raises(KilledError):
            load_hour(MortalClient(warehouse, killed_after), store, "pocm", hour, [])  # type: ignore[arg-type]
        load_hour(warehouse, store, "pocm", hour, [])
        assert contents(warehouse, *expected) == expected, f"killed after statement {killed_after}"


def test_a_replaced_load_gives_back_what_its_old_rows_hid(warehouse: Client, store: ObjectStore) -> None:
    first, second, third = three_hours(store)
    for manifest in (first, second, third):
        load(warehouse, store, manifest)
    load_hour(warehouse, store, "pocm", at("2026-11-16 10:00"), [])
    without_first = contents(warehouse, "raw.events", "raw.event_keys", "ops.loads", "ops.quarantine")
    schema_anew(warehouse)
    for manifest in (second, third):
        load(warehouse, store, manifest)
    assert without_first == contents(warehouse, "raw.events", "raw.event_keys", "ops.loads", "ops.quarantine")


def test_of_a_load_that_was_killed_and_then_unloaded_nothing_is_left(
    warehouse: Client, store: ObjectStore
) -> None:
    first, second, third = three_hours(store)
    for manifest in (second, third):
        load(warehouse, store, manifest)
    without_first = contents(warehouse, "raw.events", "raw.event_keys", "ops.loads", "ops.quarantine")
    for killed_after in itertools.count():
        try:
            load(MortalClient(warehouse, killed_after), store, first)  # type: ignore[arg-type]
        except KilledError:
            pass
        else:
            break
        load_hour(warehouse, store, "pocm", at("2026-11-16 10:00"), [])
        assert contents(warehouse, *without_first) == without_first, f"killed after statement {killed_after}"
    assert killed_after > 20


def test_an_hour_without_loads_is_emptied(warehouse: Client, store: ObjectStore) -> None:
    load(warehouse, store, three_hours(store)[0])
    result = load_hour(warehouse, store, "pocm", at("2026-11-16 10:00"), [])
    assert (result.rows, result.duplicates) == (0, 0)
    assert loaded_hours(warehouse, "pocm", at("2026-11-16 00:00"), at("2026-11-17 00:00")) == []


def test_missing_rows_are_an_error_and_replace_nothing(warehouse: Client, store: ObjectStore) -> None:
    first = three_hours(store)[0]
    load(warehouse, store, first)
    before = contents(warehouse, *HELD)
    hour = first.hours[0]
    lying = replace(first, hours=(replace(hour, files=(replace(hour.files[0], rows=9), *hour.files[1:])),))
    with pytest.raises(RawLoadError, match="hold 3 rows, not the 9"):
        load(warehouse, store, lying)
    assert contents(warehouse, *HELD) == before


def test_every_statement_carries_the_log_comment(warehouse: Client, store: ObjectStore) -> None:
    manifest = three_hours(store)[0]
    comment = {"run_id": "r1", "asset": "raw/pocm", "partition": "2026-11-16-10:00"}
    load_hour(warehouse, store, "pocm", at("2026-11-16 10:00"), [manifest], log_comment=comment)
    warehouse.command("system flush logs")
    (logged,) = warehouse.query(
        "select countIf(query_kind = 'Insert') from system.query_log where type = 'QueryFinish' "
        "and log_comment = {comment:String}",
        parameters={"comment": json.dumps(comment, sort_keys=True)},
    ).first_row
    assert logged >= 8


def test_key_lookups_read_the_batch_and_not_the_history(warehouse: Client, store: ObjectStore) -> None:
    warehouse.command(
        "insert into raw.event_keys select 'pocm', 'event_id', sipHash64(number) * 18446744073709551557, "
        "now64(3), 'history', number from numbers(2000000)"
    )
    comment = {"run_id": "lookup"}
    load_hour(warehouse, store, "pocm", at("2026-11-16 10:00"), [three_hours(store)[0]], log_comment=comment)
    warehouse.command("system flush logs")
    (read,) = warehouse.query(
        "select max(read_rows) from system.query_log "
        "where type = 'QueryFinish' and log_comment = {comment:String}",
        parameters={"comment": json.dumps(comment, sort_keys=True)},
    ).first_row
    assert read < 20_000
