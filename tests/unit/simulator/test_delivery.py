"""Files, faults and the counts beside them."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract import load_source
from ingestion.oracle import parse, violations
from ingestion.simulator import MODELS, Delivery, Faults, SimulatorError, UnknownSourceError, simulate
from ingestion.simulator.breaking import CODES

from .conftest import SCALE, World, normal

MARTS = ("kpi_hourly", "kpi_daily", "funnel_step", "payments_daily", "active_users")


def written(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate("pocm", 2, 5, tmp_path / name, scale=0.1)
    assert written(tmp_path / "one") == written(tmp_path / "two")


def test_another_seed_gives_another_world(tmp_path: Path) -> None:
    for seed in (5, 6):
        simulate("pocm", 1, seed, tmp_path / str(seed), scale=0.1)
    assert written(tmp_path / "5")["truth.json"] != written(tmp_path / "6")["truth.json"]


def test_an_earlier_simulation_in_the_folder_is_replaced(tmp_path: Path) -> None:
    simulate("pocm", 2, 5, tmp_path / "out", scale=0.1)
    simulate("pocm", 1, 5, tmp_path / "out", scale=0.1)
    simulate("pocm", 1, 5, tmp_path / "fresh", scale=0.1)
    assert written(tmp_path / "out") == written(tmp_path / "fresh")


def test_a_folder_with_foreign_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(SimulatorError, match=r"thesis\.txt"):
        simulate("pocm", 1, 5, tmp_path, scale=0.1)
    assert (tmp_path / "thesis.txt").exists()


def test_an_unknown_source_is_refused_with_the_valid_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownSourceError, match=f"'shop'; valid: {', '.join(sorted(MODELS))}"):
        simulate("shop", 1, 5, tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"days": 0}, "days must be at least 1, is 0"),
        ({"seed": -1}, "seed must be 0 or more, is -1"),
        ({"scale": 0}, "scale must be more than 0, is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SimulatorError, match=message):
        simulate("pocm", **{"days": 1, "seed": 1, "out": tmp_path, **arguments})


def test_a_share_beyond_one_is_refused() -> None:
    with pytest.raises(SimulatorError, match=r"late must be a share from 0 to 1, is 1\.5"):
        Faults(late=1.5)


def test_periods_that_do_not_end_with_a_day_are_refused() -> None:
    with pytest.raises(SimulatorError, match="is 7"):
        Delivery(batch_minutes=7)


def test_an_unknown_wire_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SimulatorError, match="'fax'; valid: api, ledger"):
        simulate("pocm", 1, 1, tmp_path, delivery=Delivery(forms=("fax",)))


def test_each_file_holds_the_rows_that_its_truth_says(faulty: World) -> None:
    assert [entry["file"] for entry in faulty.landing] == [entry["file"] for entry in faulty.truth["files"]]
    for entry in faulty.truth["files"]:
        assert len(faulty.rows(entry["file"])) == entry["read"]
        assert entry["read"] == entry["accepted"] + entry["duplicate"] + entry["quarantined"]
        assert sum(entry["codes"].values()) == entry["quarantined"]


def test_the_totals_add_the_files_up(faulty: World) -> None:
    totals = faulty.truth["totals"]
    for name in ("read", "accepted", "duplicate", "quarantined"):
        assert totals[name] == sum(entry[name] for entry in faulty.truth["files"])
    assert totals["events"] == totals["accepted"] - totals["duplicate_across_files"]


def test_files_are_received_within_the_simulated_days_each_at_its_own_time(faulty: World) -> None:
    times = [datetime.fromisoformat(entry["received_at"]) for entry in faulty.landing]
    assert len(set(times)) == len(times)
    assert min(times) >= datetime(2026, 3, 2, tzinfo=UTC)
    assert max(times) < datetime(2026, 3, 5, tzinfo=UTC)


def test_files_come_as_lines_as_documents_and_compressed(faulty: World) -> None:
    endings = Counter(entry["file"].split(".", 1)[1] for entry in faulty.landing)
    assert set(endings) == {"ndjson", "ndjson.gz", "json"}


def test_nothing_is_received_long_before_it_happens(clean: World) -> None:
    for entry in clean.landing:
        received = datetime.fromisoformat(entry["received_at"])
        for row in clean.rows(entry["file"]):
            event = normal(json.loads(row))
            arrived = datetime.fromisoformat(event.get("received_at", entry["received_at"]))
            assert datetime.fromisoformat(event["occurred_at"]) <= arrived <= received + timedelta(minutes=1)


def test_without_faults_every_row_counts(clean: World) -> None:
    totals = clean.truth["totals"]
    assert totals["read"] == totals["events"]
    assert totals["quarantined"] == totals["duplicate"] == totals["duplicate_across_files"] == 0


def test_repetitions_and_delays_do_not_change_the_truth(clean: World, tmp_path: Path) -> None:
    faults = Faults(repeated_in_file=0.1, repeated_across_files=0.1, retried=0.2, late=0.3, broken=0)
    simulate("pocm", 3, 11, tmp_path, scale=SCALE, faults=faults)
    noisy = World(tmp_path)
    assert noisy.truth["totals"]["duplicate"] > 100
    assert noisy.truth["totals"]["duplicate_across_files"] > 100
    assert {name: noisy.truth[name] for name in MARTS} == {name: clean.truth[name] for name in MARTS}


def test_broken_rows_that_are_all_repaired_do_not_change_the_truth(clean: World, tmp_path: Path) -> None:
    simulate("pocm", 3, 11, tmp_path, scale=SCALE, faults=Faults(broken=0.05, repaired=1))
    repaired = World(tmp_path)
    assert repaired.truth["totals"]["quarantined"] > 100
    assert {name: repaired.truth[name] for name in MARTS} == {name: clean.truth[name] for name in MARTS}


def test_broken_events_that_are_never_repaired_do_not_count(clean: World, tmp_path: Path) -> None:
    simulate("pocm", 3, 11, tmp_path, scale=SCALE, faults=Faults(broken=0.05, repaired=0))
    broken = World(tmp_path).truth["totals"]
    assert broken["events"] == clean.truth["totals"]["events"] - broken["quarantined"]


def test_a_retry_arrives_after_what_it_retries_under_the_same_key(tmp_path: Path) -> None:
    faults = Faults(retried=0.3, late=0.1, broken=0, out_of_order_files=1, repeated_in_file=0.2)
    simulate("pocm", 2, 3, tmp_path, scale=0.5, faults=faults)
    first: dict[str, str] = {}
    crossing_files, crossing_hours = 0, 0
    world = World(tmp_path)
    where: dict[str, str] = {}
    for entry in world.landing:
        for row in world.rows(entry["file"]):
            event = normal(json.loads(row))
            key = event["idempotency_key"]
            if key is None:
                continue
            if not event["event_id"].startswith("retry_"):
                first.setdefault(key, event["occurred_at"])
                where.setdefault(key, entry["file"])
                continue
            assert key in first, "the retry came first"
            assert datetime.fromisoformat(first[key]) < datetime.fromisoformat(event["occurred_at"])
            crossing_files += where[key] != entry["file"]
            crossing_hours += first[key][:13] != event["occurred_at"][:13]
    assert crossing_files > 20
    assert crossing_hours > 20


def test_late_events_arrive_hours_and_days_after_they_happened(tmp_path: Path) -> None:
    simulate("pocm", 4, 3, tmp_path, scale=0.2, faults=Faults(late=0.2))
    world = World(tmp_path)
    delays = []
    for entry in world.landing:
        for row in world.rows(entry["file"]):
            if b"\xff" not in row and row.endswith(b"}") and b'"data_json"' in row:
                event = json.loads(row)
                if (event.get("occurred_at") or "")[:4] == "2026":
                    received = datetime.fromisoformat(event["received_at"])
                    delays.append(received - datetime.fromisoformat(event["occurred_at"]))
    assert sum(delay > timedelta(hours=1) for delay in delays) > 50
    assert max(delays) > timedelta(hours=30)


def test_some_files_are_out_of_order(faulty: World) -> None:
    shuffled = 0
    for entry in faulty.landing:
        if "ledger" in entry["file"] and entry["file"].endswith("ndjson"):
            rows = [row for row in faulty.rows(entry["file"]) if row.endswith(b"}") and b"\xff" not in row]
            received = [json.loads(row)["received_at"] for row in rows]
            shuffled += received != sorted(received)
    assert shuffled > 3


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A day on which every event arrives broken."""
    out = tmp_path_factory.mktemp("broken")
    simulate("pocm", 1, 3, out, scale=0.3, faults=Faults(broken=1, repaired=0))
    return World(out)


def test_rows_are_broken_under_every_code_that_the_contracts_make_possible(broken: World) -> None:
    source = load_source("pocm")
    impossible = set()
    if not source.tenants:
        impossible.add("tenant_unknown")
    if not any("enum" in field.schema for contract in source.contracts for field in contract.fields):
        impossible.add("field_enum")
    assert set(broken.truth["totals"]["codes"]) == set(CODES) - impossible


def test_a_broken_payload_violates_exactly_the_rule_it_is_counted_under(broken: World) -> None:
    source = load_source("pocm")
    found: Counter[str] = Counter()
    names = {c.event_type for c in source.contracts} | {"PURCHASE"}
    for entry in broken.landing:
        for row in broken.rows(entry["file"]):
            try:
                parsed = json.loads(row)
                event = normal(parsed)
            except (ValueError, KeyError):
                continue
            if event["type"] in names:
                payload = parse(json.dumps(event["payload"]))
                codes = [code for code, _ in violations(source.contract(event["type"]), payload)]
                assert len(codes) <= 1, event
                found.update(codes)
    expected = broken.truth["totals"]["codes"]
    assert found == {code: n for code, n in expected.items() if code.startswith("field_")}
    assert len(found) >= 4


def test_an_unknown_field_is_added_to_some_payloads_and_breaks_none(tmp_path: Path) -> None:
    simulate("pocm", 1, 3, tmp_path, scale=0.2, faults=Faults(unknown_fields=0.5, broken=0))
    events = World(tmp_path).events()
    assert 0.4 < sum("ui_variant" in event["payload"] for event in events) / len(events) < 0.6


def test_one_file_can_hold_several_days(tmp_path: Path) -> None:
    delivery = Delivery(batch_minutes=2 * 1440, compressed=False, documents=False, forms=("api",))
    summary = simulate("pocm", 2, 3, tmp_path / "one", scale=0.2, delivery=delivery)
    world = World(tmp_path / "one")
    assert summary.files == 1
    assert len(world.rows(world.landing[0]["file"])) == world.truth["totals"]["read"] == summary.rows
    assert world.truth["totals"]["duplicate_across_files"] == 0
    assert world.truth["totals"]["duplicate"] > 0


def test_a_document_that_grows_over_several_days_is_one_array(tmp_path: Path) -> None:
    simulate("pocm", 8, 3, tmp_path, scale=0.02, delivery=Delivery(batch_minutes=2 * 1440))
    documents = [entry for entry in World(tmp_path).landing if entry["file"].endswith(".json")]
    assert [len(json.loads((tmp_path / e["file"]).read_bytes())) for e in documents] == [
        e["rows"] for e in documents
    ]
    assert len(documents) == 1


def test_a_tiny_world_is_simulated_too(tmp_path: Path) -> None:
    summary = simulate("pocm", 1, 1, tmp_path, scale=0.001)
    assert summary.rows > 0
