"""`verify` against the real store and engine: it agrees with a right warehouse and names what is wrong."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from expectations.proof import UNPROVED, ProofError, VerifyReport
from expectations.proof import verify as verify_marts
from expectations.proof.marts import load_proof
from expectations.proof.scope import Window
from lake.manifest import read_manifest, write_manifest
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import running_stack
from orchestration.settings import Settings
from orchestration.warehouse.raw import load_hours
from orchestration.warehouse.schema import apply
from tests.integration.proof.small_shop import FIRST, MARTS, SECOND, shop, write_lake, write_marts
from tests.integration.warehouse.statements import grown, longest

pytestmark = pytest.mark.stack
DAY_ONE = (datetime(2026, 11, 16, tzinfo=UTC), datetime(2026, 11, 17, tzinfo=UTC))
DAY_TWO = (datetime(2026, 11, 17, tzinfo=UTC), datetime(2026, 11, 18, tzinfo=UTC))


@pytest.fixture(scope="module")
def proof_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A warehouse that holds nothing but what these tests put there."""
    with running_stack(tmp_path_factory.mktemp("proof")) as settings:
        yield settings


@pytest.fixture
def client(proof_stack: Settings) -> Iterator[Client]:
    connection = warehouse(proof_stack)
    for database in ("raw", "ops", "pocm"):
        connection.command(f"drop database if exists {database}")
    apply(connection)
    yield connection
    connection.close()


@pytest.fixture
def lake(proof_stack: Settings, tmp_path: Path) -> ObjectStore:
    bucket = object_store(proof_stack).for_bucket(f"proof-{tmp_path.name[-40:].strip('_').replace('_', '-')}")
    bucket.ensure_bucket()
    for info in list(bucket.list()):
        bucket.delete_many([info.key])
    return bucket


@pytest.fixture
def shops(client: Client, lake: ObjectStore, tmp_path: Path) -> tuple[ObjectStore, Client]:
    """A lake and a warehouse that agree."""
    manifests = write_lake(lake, shop(), tmp_path)
    load_hours(client, lake, "pocm", {m.hours[0].received_hour: [m] for m in manifests.values()})
    write_marts(client, shop(), tmp_path)
    return lake, client


def verify(lake: ObjectStore, client: Client, source: str, window: Window | None = None) -> VerifyReport:
    """Verify the marts that this warehouse holds."""
    return verify_marts(lake, client, source, window, marts=MARTS)


def named(report: VerifyReport) -> list[tuple[str, str]]:
    return [(difference.mart, difference.column) for difference in report.differences]


def test_a_right_warehouse_agrees_in_every_value(shops: tuple[ObjectStore, Client]) -> None:
    report = verify(*shops, "pocm")
    assert report.differences == ()
    assert report.ok
    assert {result.mart: result.rows for result in report.marts} == {
        "kpi_hourly": 2,
        "kpi_daily": 2,
        "funnel_step": 10,
        "payments_daily": 2,
    }
    assert all(result.values > result.rows for result in report.marts)


def test_the_conservation_lines_account_for_every_row(shops: tuple[ObjectStore, Client]) -> None:
    report = verify(*shops, "pocm")
    assert [(line.load_id, line.read, line.accepted, line.repeated) for line in report.conservation] == [
        (FIRST, 5, 3, 0),
        (SECOND, 5, 3, 1),
    ]
    assert (
        "total: read 10 = accepted 6 + duplicate 2 + quarantined 2 + suppressed 0"
        " (1 of the accepted delivered before)"
    ) in report.to_text()


def test_what_a_mapping_did_is_a_part_of_the_line_and_is_compared(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    manifest = read_manifest(lake, "pocm", FIRST)
    assert manifest is not None
    counts = replace(manifest.counts, read=9, skipped=1, folded=5, expanded=2)
    written = write_manifest(
        lake,
        replace(manifest, revision=2, counts=counts, hours=(replace(manifest.hours[0], counts=counts),)),
        committed_at=DAY_TWO[1],
    )

    assert set(named(verify(lake, client, "pocm"))) == {
        ("loads", column) for column in ("read", "skipped", "folded", "expanded")
    }
    load_hours(client, lake, "pocm", {written.hours[0].received_hour: [written]})
    report = verify(lake, client, "pocm")

    assert report.ok
    assert (
        "total: read 14 + expanded 2 = accepted 6 + duplicate 2 + quarantined 2 + suppressed 0 + skipped 1 + folded 5"
        " (1 of the accepted delivered before)"
    ) in report.to_text()


def test_a_changed_value_is_named_with_mart_grain_and_both_values(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(
        "alter table pocm.kpi_daily update gmv = gmv + toDecimal64('0.0001', 4) where day = '2026-11-16'",
        settings={"mutations_sync": 2},
    )
    report = verify(lake, client, "pocm")
    assert not report.ok
    assert [str(difference) for difference in report.differences] == [
        "kpi_daily[tenant_id=north, day=2026-11-16, currency=EUR].gmv: expected 19.9900, found 19.9901"
    ]


def test_a_float_off_by_its_last_bit_is_found(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(
        "alter table pocm.payments_daily update success_rate = 0.9999999999999999 where captured = 1",
        settings={"mutations_sync": 2},
    )
    assert named(verify(lake, client, "pocm")) == [("payments_daily", "success_rate")]


def test_missing_additional_and_repeated_rows_are_found(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(
        "alter table pocm.kpi_hourly delete where hour < '2026-11-17 00:00:00'",
        settings={"mutations_sync": 2},
    )
    client.command(
        "insert into pocm.kpi_daily select * replace ('south' as tenant_id) from pocm.kpi_daily limit 1"
    )
    client.command("insert into pocm.payments_daily select * from pocm.payments_daily where captured = 1")
    report = verify(lake, client, "pocm")
    assert named(report) == [("kpi_hourly", "(row)"), ("kpi_daily", "(row)"), ("payments_daily", "(rows)")]
    assert [(d.expected, d.actual) for d in report.differences] == [
        ("present", "no such row"),
        ("no such row", "present"),
        ("1", "2"),
    ]


def test_a_lost_raw_row_names_the_load_and_both_numbers(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(
        "alter table raw.events delete where event_type = 'REFUND_ISSUED'", settings={"mutations_sync": 2}
    )
    (difference,) = verify(lake, client, "pocm").differences
    assert (difference.mart, difference.grain, difference.column) == (
        "loads",
        {"load_id": SECOND},
        "raw_rows",
    )
    assert (difference.expected, difference.actual) == ("3", "2")


def test_a_wrong_duplicate_flag_is_found(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(
        f"alter table raw.events update is_duplicate = not is_duplicate"
        f" where event_id = 'order-1' and load_id = '{SECOND}'",
        settings={"mutations_sync": 2},
    )
    assert named(verify(lake, client, "pocm")) == [("loads", "raw_duplicates")]


def test_a_load_that_the_warehouse_never_took_is_found(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    for table in ("raw.events", "ops.loads", "ops.quarantine"):
        client.command(
            f"alter table {table} delete where load_id = '{SECOND}'", settings={"mutations_sync": 2}
        )
    (difference,) = verify(lake, client, "pocm").differences
    assert (difference.mart, difference.grain, difference.column) == ("loads", {"load_id": SECOND}, "(row)")


def test_a_lake_file_that_is_gone_or_altered_is_found(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    gone, altered = sorted(info.key for info in lake.list("quarantine/"))
    lake.delete_many([gone])
    lake.put_bytes(altered, b"no longer what it was")
    report = verify(lake, client, "pocm")
    assert [(d.mart, d.column) for d in report.differences[:2]] == [("lake", "(file)"), ("lake", "sha256")]
    assert ("manifest", "quarantine_rows") in named(report)


def test_a_missing_mart_and_an_empty_mart_are_differences(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command("drop table pocm.kpi_hourly")
    client.command("truncate table pocm.kpi_daily")
    report = verify(lake, client, "pocm")
    assert named(report) == [("kpi_hourly", "(table)"), ("kpi_daily", "(row)"), ("kpi_daily", "(row)")]
    assert not report.ok


def test_a_column_that_nobody_proves_is_a_difference(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command("alter table pocm.kpi_daily add column margin Float64")
    assert named(verify(lake, client, "pocm")) == [("kpi_daily", "margin")]


def test_a_warehouse_without_any_table_is_never_ok(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    for database in ("raw", "ops", "pocm"):
        client.command(f"drop database {database}")
    report = verify(lake, client, "pocm")
    assert (report.ok, report.values) == (False, 0)


def test_an_empty_lake_and_empty_marts_agree(client: Client, lake: ObjectStore, tmp_path: Path) -> None:
    write_marts(client, shop(), tmp_path)
    for mart in MARTS:
        client.command(f"truncate table pocm.{mart}")
    report = verify(lake, client, "pocm")
    assert (report.differences, report.ok, report.events) == ((), True, 0)


def test_a_window_checks_its_days_with_late_data_and_its_own_loads(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command("alter table pocm.kpi_daily update orders = 9 where true", settings={"mutations_sync": 2})
    report = verify(lake, client, "pocm", DAY_ONE)
    assert [line.load_id for line in report.conservation] == [FIRST]
    assert [difference.grain["day"] for difference in report.differences] == ["2026-11-16"]


def test_a_window_checks_the_earlier_days_that_its_loads_restate(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(
        "alter table pocm.kpi_daily update refunds = 9 where day = '2026-11-16'",
        settings={"mutations_sync": 2},
    )
    assert [str(d.grain["day"]) for d in verify(lake, client, "pocm", DAY_TWO).differences] == ["2026-11-16"]


def test_a_window_without_events_holds_and_one_whose_marts_have_nothing_does_not(
    shops: tuple[ObjectStore, Client],
) -> None:
    lake, client = shops
    later = (DAY_TWO[1], datetime(2026, 11, 19, tzinfo=UTC))
    assert (verify(lake, client, "pocm", later).values, verify(lake, client, "pocm", later).ok) == (0, True)
    for mart in MARTS:
        client.command(f"truncate table pocm.{mart}")
    assert not verify(lake, client, "pocm", DAY_ONE).ok


def test_loads_behind_the_window_that_wait_for_their_run_are_left_out(
    client: Client, lake: ObjectStore, tmp_path: Path
) -> None:
    everything = shop()
    manifests = write_lake(lake, everything, tmp_path)
    first = manifests[FIRST]
    load_hours(client, lake, "pocm", {first.hours[0].received_hour: [first]})
    everything.rows = [row for row in everything.rows if row["load_id"] == FIRST]
    write_marts(client, everything, tmp_path)
    report = verify(lake, client, "pocm", DAY_ONE)
    assert (report.ok, report.pending) == (True, (SECOND,))
    assert not verify(lake, client, "pocm", (DAY_ONE[0], DAY_TWO[1])).ok


def test_the_report_reads_the_same_as_json(shops: tuple[ObjectStore, Client]) -> None:
    report = verify(*shops, "pocm")
    value = json.loads(report.to_json())
    assert (value["ok"], value["values"], value["total"]["read"]) == (True, report.values, 10)


def test_a_window_that_ends_before_it_starts_is_refused(client: Client, lake: ObjectStore) -> None:
    with pytest.raises(ProofError, match="before it starts"):
        verify(lake, client, "pocm", (DAY_TWO[1], DAY_ONE[0]))


def test_a_source_without_a_proof_is_conserved_and_says_that_no_mart_is_proved(
    shops: tuple[ObjectStore, Client],
) -> None:
    report = verify_marts(*shops, "pocm", proof=replace(load_proof("nowhere"), source="pocm"))
    assert report.ok
    assert report.total.read == 10
    assert UNPROVED in report.to_text()


def test_a_source_without_a_proof_that_lost_rows_fails(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    client.command(f"alter table raw.events delete where load_id = '{FIRST}'", settings={"mutations_sync": 1})
    report = verify_marts(lake, client, "pocm", proof=replace(load_proof("nowhere"), source="pocm"))
    assert named(report) == [("loads", "raw_rows")]


def test_no_statement_grows_with_the_days_that_a_window_touches(shops: tuple[ObjectStore, Client]) -> None:
    lake, client = shops
    lengths = []
    for days in (20, 2_000):
        client.command(
            "insert into raw.touched_dates select 'pocm', toDateTime('2026-11-17 09:00:00', 'UTC'), 'self',"
            f" toDate('2010-01-01') + 2 * number from numbers({days})"
        )
        lengths.append(longest(client, lambda: verify(lake, client, "pocm", DAY_TWO)))
    assert verify(lake, client, "pocm", DAY_TWO).differences == ()
    assert grown(*lengths) == {}
