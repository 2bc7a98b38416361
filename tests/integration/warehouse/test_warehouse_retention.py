"""Retention on the real engine and store: what is too old goes, what was not verified stays, nothing is lost by it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from expectations.proof import VerifyReport, verify
from lake.manifest import all_manifests
from lake.store import ObjectStore
from orchestration.assets.marts import read_manifest
from orchestration.embedded.testing import empty_warehouse
from orchestration.retention import RetentionError, RetentionReport, run_retention
from orchestration.settings import Settings
from orchestration.warehouse import retired
from orchestration.warehouse.dbt import MANIFEST_PATH, DbtError, prepare_manifest, run_dbt
from orchestration.warehouse.raw import load_hours
from orchestration.warehouse.restore import restore_hours
from orchestration.warehouse.retention import GRACE_DAYS
from tests.integration.warehouse.statements import grown, longest

pytestmark = pytest.mark.stack

AS_OF = datetime(2026, 7, 1, tzinfo=UTC)
"""A hundred days after the first events, when those of March are past 90 days and those of June are not."""
OLD = ("2026-03-02 10:30", "2026-03-02 11:30", "2026-03-03 00:30")
YOUNG = "2026-06-20 10:30"
LATE = "2026-06-30 10:30"
MARTS = ["--select", "+pocm__search_daily"]
SEARCHES = "select * except (tenant_id) from pocm.search_daily order by all"


def search(event_id: str, occurred_at: str, session: str | None = None) -> Event:
    payload = {"search_id": event_id, "query": "patch", "results_count": 0}
    return Event(event_id, occurred_at, "SEARCH", payload, session_id=session)


DELIVERIES = {
    OLD[0]: [search("a", "2026-03-02 10:00", "s1"), search("b", "2026-03-02 10:10")],
    OLD[1]: [search("c", "2026-03-02 11:00", "s1")],
    OLD[2]: [search("d", "2026-03-02 23:59"), search("e", "2026-03-03 00:01")],
    YOUNG: [search("f", "2026-06-20 10:00")],
}
LATE_EVENTS = {LATE: [search("late", "2026-03-02 12:00", "s1")]}


def load(client: Client, store: ObjectStore, received: dict[str, list[Event]], rejected: int = 0) -> None:
    found = [write_load(store, at, events, rejected=rejected) for at, events in sorted(received.items())]
    load_hours(client, store, "pocm", {m.hours[0].received_hour: [m] for m in found})


def window(*received: str) -> dict[str, str]:
    start, end = f"{min(received)[:13]}:00:00", f"{max(received)[:13]}:59:59"
    return {"window_from": start, "window_to": end}


def rows(client: Client, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in client.query(query).result_rows]


def verified(client: Client, *days: date) -> None:
    retired.note_verified(client, "pocm", days, datetime(2026, 6, 25, tzinfo=UTC), 1)


def retention(client: Client, store: ObjectStore, stack: Settings, **asked: Any) -> RetentionReport:
    prepare_manifest(stack)
    return run_retention(store, client, read_manifest(MANIFEST_PATH), "pocm", **{"as_of": AS_OF, **asked})


def hours_held(client: Client) -> list[str]:
    return [
        f"{hour:%Y-%m-%d %H:%M}"
        for (hour,) in rows(client, "select distinct received_hour from raw.events order by 1")
    ]


def everything(client: Client, store: ObjectStore) -> tuple[Any, ...]:
    tables = ("raw.events", "ops.loads", "ops.quarantine", "ops.retired")
    return (
        [rows(client, f"select * from {table} order by all") for table in tables],
        [(info.key, info.size) for info in store.list()],
    )


def proof(client: Client, store: ObjectStore) -> VerifyReport:
    return verify(store, client, "pocm", marts=["search_daily"])


def test_a_dry_run_lists_what_would_go_and_changes_nothing(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES, rejected=2)
    verified(warehouse, date(2026, 3, 2), date(2026, 3, 3))
    before = everything(warehouse, store)

    report = retention(warehouse, store, stack)

    assert {item.store: item.number for item in report.going} == {
        "raw.events": 3,
        "ops.quarantine": 3,
        "lake quarantine": 3,
    }
    assert everything(warehouse, store) == before


def test_applied_it_leaves_nothing_older_than_the_policy(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES, rejected=2)
    verified(warehouse, date(2026, 3, 2), date(2026, 3, 3))

    retention(warehouse, store, stack, apply=True)

    assert retention(warehouse, store, stack).offence is None
    assert hours_held(warehouse) == ["2026-06-20 10:00"]
    assert rows(warehouse, "select count() from ops.loads") == [(4,)]
    assert len(list(store.list("raw/"))) == 4


def test_what_was_not_verified_stays_and_is_named(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES)
    verified(warehouse, date(2026, 3, 2))

    report = retention(warehouse, store, stack, apply=True)

    assert hours_held(warehouse) == ["2026-03-03 00:00", "2026-06-20 10:00"]
    assert "raw.events: 1 received hours" in str(report.staying[0])
    assert "not verified" in (retention(warehouse, store, stack).offence or "")


def test_a_load_that_came_after_the_verification_keeps_its_hour(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES)
    retired.note_verified(warehouse, "pocm", [date(2026, 3, 2)], datetime(2026, 3, 2, 11, tzinfo=UTC), 1)

    retention(warehouse, store, stack, apply=True)

    assert hours_held(warehouse)[:2] == ["2026-03-02 11:00", "2026-03-03 00:00"]


def test_a_time_that_is_still_to_come_is_listed_but_not_applied(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES)
    ahead = datetime(2039, 1, 1, tzinfo=UTC)

    assert retention(warehouse, store, stack, as_of=ahead).held
    with pytest.raises(RetentionError, match="still to come"):
        retention(warehouse, store, stack, as_of=ahead, apply=True)


def restated(client: Client, store: ObjectStore, stack: Settings, dropped: bool) -> list[tuple[Any, ...]]:
    """The searches after a late event, in a warehouse that had dropped the raw events of its day, or had not."""
    empty_warehouse(client)
    load(client, store, DELIVERIES)
    run_dbt(stack, ["run", *MARTS], window(*DELIVERIES))
    if dropped:
        verified(client, date(2026, 3, 2), date(2026, 3, 3))
        retention(client, store, stack, apply=True)
        assert hours_held(client) == ["2026-06-20 10:00"]
    load(client, store, LATE_EVENTS)
    start, end = datetime(2026, 6, 30, 10, tzinfo=UTC), datetime(2026, 6, 30, 11, tzinfo=UTC)
    if dropped:
        with pytest.raises(DbtError, match="needs 3 received hours that retention took out"):
            run_dbt(stack, ["run", *MARTS], window(LATE))
        restore_hours(client, store, "pocm", start, end)
    run_dbt(stack, ["run", *MARTS], window(LATE))
    return rows(client, SEARCHES)


def test_a_late_event_restates_its_day_as_if_nothing_had_been_dropped(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    never = restated(warehouse, store, stack, dropped=False)
    dropped = restated(warehouse, store, stack, dropped=True)

    assert dropped == never
    assert proof(warehouse, store).ok
    retention(warehouse, store, stack, apply=True)
    assert hours_held(warehouse) == ["2026-06-20 10:00", "2026-06-30 10:00"], "they can be dropped again"
    assert rows(warehouse, SEARCHES) == never
    report = proof(warehouse, store)
    assert report.ok, report.to_text()
    assert any("raw.events: 3 received hours are past retention" in line for line in report.retired)


def test_what_a_day_received_stays_as_it_was_counted(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    counted = (
        "select received_rows, received_rejected_rows from pocm.compliance_daily"
        " where day = '2026-03-02' order by all"
    )
    compliance = ["run", "--select", "+pocm__compliance_daily"]
    load(warehouse, store, DELIVERIES, rejected=2)
    run_dbt(stack, compliance, window(*DELIVERIES))
    before = rows(warehouse, counted)
    verified(warehouse, date(2026, 3, 2), date(2026, 3, 3))
    retention(warehouse, store, stack, apply=True)
    load(warehouse, store, LATE_EVENTS)
    start, end = datetime(2026, 6, 30, 10, tzinfo=UTC), datetime(2026, 6, 30, 11, tzinfo=UTC)
    restore_hours(warehouse, store, "pocm", start, end)

    run_dbt(stack, compliance, window(LATE))

    assert sum(row[1] for row in before) == 4
    assert rows(warehouse, counted) == before


def test_a_loss_without_a_record_is_still_reported(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES, rejected=1)
    run_dbt(stack, ["run", *MARTS], window(*DELIVERIES))
    verified(warehouse, date(2026, 3, 2), date(2026, 3, 3))
    retention(warehouse, store, stack, apply=True)
    assert proof(warehouse, store).ok, proof(warehouse, store).to_text()

    warehouse.command(
        "alter table raw.events drop partition ('pocm', toDateTime('2026-06-20 10:00:00', 'UTC'))"
    )

    assert [(d.mart, d.column) for d in proof(warehouse, store).differences] == [("loads", "raw_rows")]


def test_rollups_by_the_hour_go_after_a_year_and_those_by_the_day_after_five(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    for table, column, kind in (("kpi_hourly", "hour", "DateTime('UTC')"), ("kpi_daily", "day", "Date")):
        warehouse.command(
            f"create table pocm.{table} ({column} {kind}) engine = MergeTree"
            f" partition by toYYYYMM({column}) order by {column}"
        )
        warehouse.command(
            f"insert into pocm.{table} values ('2021-06-30'), ('2021-07-01'), ('2025-06-30'), ('2025-07-01')"
        )

    retention(warehouse, store, stack, apply=True)

    assert [f"{hour:%Y-%m-%d}" for (hour,) in rows(warehouse, "select hour from pocm.kpi_hourly")] == [
        "2025-07-01"
    ]
    days = [str(day) for (day,) in rows(warehouse, "select day from pocm.kpi_daily order by day")]
    assert days == ["2021-07-01", "2025-06-30", "2025-07-01"]
    assert retention(warehouse, store, stack).held == ()


def test_what_no_run_removes_in_time_the_engine_does_and_nobody_takes_it_for_a_loss(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES)
    run_dbt(stack, ["run", *MARTS], window(*DELIVERIES))
    before = rows(warehouse, SEARCHES)
    retention(warehouse, store, stack, apply=True)
    (ttl,) = rows(warehouse, "select create_table_query from system.tables where name = 'search_daily'")
    days = (datetime.now(UTC) - datetime(2021, 7, 1, tzinfo=UTC)).days + GRACE_DAYS
    assert f"TTL toDateTime(toDate(day) + 1, 'UTC') + toIntervalDay({days})" in ttl[0]
    assert proof(warehouse, store).ok

    warehouse.command("optimize table pocm.search_daily final")
    assert rows(warehouse, SEARCHES) == before, "what the policy keeps stays"
    warehouse.command(
        "alter table pocm.search_daily modify ttl toDateTime(toDate(day) + 1, 'UTC') + toIntervalDay(1)"
    )
    warehouse.command("optimize table pocm.search_daily final")
    assert rows(warehouse, SEARCHES) == []
    report = proof(warehouse, store)
    assert report.different == 0, report.to_text()
    assert any("search_daily: compared from" in line for line in report.retired)


def test_a_mart_with_a_ttl_is_restated_as_ever(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    load(warehouse, store, DELIVERIES)
    run_dbt(stack, ["run", *MARTS], window(*DELIVERIES))
    retention(warehouse, store, stack, apply=True)
    load(warehouse, store, LATE_EVENTS)
    run_dbt(stack, ["run", *MARTS], window(LATE))
    assert proof(warehouse, store).ok, proof(warehouse, store).to_text()


def test_the_lake_forgets_a_load_with_what_the_warehouse_knows_of_it(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    old = {"2021-06-30 22:30": [search("x", "2021-06-30 22:00")], YOUNG: [search("f", "2026-06-20 10:00")]}
    load(warehouse, store, old, rejected=1)
    verified(warehouse, date(2021, 6, 30))

    retention(warehouse, store, stack, apply=True)

    assert [manifest.received_at.year for manifest in all_manifests(store, "pocm")] == [2026]
    assert {info.key.partition("received_date=")[2][:10] for info in store.list("raw/")} == {"2026-06-20"}
    assert rows(warehouse, "select toYear(received_hour) from ops.loads") == [(2026,)]
    assert retention(warehouse, store, stack).held == ()
    run_dbt(stack, ["run", *MARTS])
    assert proof(warehouse, store).ok, proof(warehouse, store).to_text()


def test_no_statement_grows_with_the_hours_and_days_that_go(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    lengths = []
    for number in (60, 600):
        empty_warehouse(warehouse)
        warehouse.command(
            "create table pocm.kpi_daily (day Date) engine = MergeTree partition by day order by day"
        )
        day = "toDate('2015-01-01') + number"
        hour = "toDateTime('2026-01-01 00:00:00', 'UTC') + toIntervalHour(number)"
        for table, columns, values in (
            ("pocm.kpi_daily", "day", day),
            ("raw.events", "source, received_hour", f"'pocm', {hour}"),
            ("ops.loads", "source, received_hour, committed_at", f"'pocm', {hour}, {hour}"),
        ):
            warehouse.command(
                f"insert into {table} ({columns}) select {values} from numbers({number})",
                settings={"max_partitions_per_insert_block": 0},
            )
        verified(warehouse, *(date(2026, 1, day) for day in range(1, 32)))
        lengths.append(longest(warehouse, lambda: retention(warehouse, store, stack, apply=True)))
        assert rows(
            warehouse, "select (select count() from pocm.kpi_daily), (select count() from raw.events)"
        ) == [(0, 0)]
    assert grown(*lengths) == {}
