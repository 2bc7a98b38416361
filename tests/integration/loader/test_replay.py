"""Replaying the quarantine under new contracts: what is valid now moves, once, and everything still balances."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract import CONTRACTS_ROOT, Source, load_source
from ingestion.errors import LoadError
from ingestion.quarantine import samples, summary
from ingestion.replay import replay
from lake.manifest import Counts, Manifest, all_manifests
from lake.store import ObjectStore, StoreError
from lake.sweep import sweep
from tests.integration.loader.events import KEY, Loader, content, ledger_row, ndjson, rows, viewed
from tests.integration.loader.test_faults import BreakingStore

TEAPOT = """
$schema: https://json-schema.org/draft/2020-12/schema
title: Teapot
description: A new kind of event.
x-version: "1.0"
x-entity: teapots
x-owner: checkout-team
type: object
required: [color]
properties:
    color: {type: string, minLength: 1, description: The color.}
"""


@pytest.fixture
def extended(tmp_path: Path) -> Source:
    """The shop's contracts with one event more."""
    root = tmp_path / "contracts"
    shutil.copytree(CONTRACTS_ROOT / "pocm", root / "pocm")
    (root / "pocm" / "TEAPOT.v1.yaml").write_text(TEAPOT)
    return load_source("pocm", root)


def teapot(number: int, received: str = "2026-11-20T10:31:00Z", **changes: Any) -> dict[str, Any]:
    return ledger_row(number, type="TEAPOT", received_at=received, data_json='{"color": "red"}') | changes


@pytest.fixture
def loaded(loading: Loader, tmp_path: Path) -> Manifest:
    events: list[Any] = [ledger_row(n, received_at=f"2026-11-20T{10 + n % 2}:31:00Z") for n in range(10)]
    events += [teapot(n, f"2026-11-20T{10 + n % 2}:31:00Z") for n in range(10, 16)]
    events += [
        teapot(16, data_json="{}"),
        teapot(3),
        teapot(10),
        "{broken",
        ledger_row(20, data_json={"price": 1}),
    ]
    return loading(ndjson(tmp_path / "events.ndjson", events)).manifest


def test_without_new_contracts_a_replay_changes_nothing(
    store: ObjectStore, pocm: Source, loaded: Manifest
) -> None:
    before = content(store)

    results = replay(store, pocm, key=KEY)

    assert [(r.tried, r.changed, r.manifest) for r in results] == [(11, False, loaded)]
    assert content(store) == before


def test_rows_that_are_valid_now_move_to_raw(store: ObjectStore, loaded: Manifest, extended: Source) -> None:
    assert loaded.counts == Counts(read=21, accepted=10, quarantined=11)

    result = replay(store, extended, key=KEY)[0]

    assert (result.tried, result.accepted, result.duplicate) == (11, 6, 2)
    assert result.manifest.counts == Counts(read=21, accepted=16, duplicate=2, quarantined=3)
    assert result.manifest.revision == 2
    assert list(all_manifests(store, "pocm")) == [result.manifest]
    moved = [row for row in rows(store, result.manifest) if row["event_type"] == "TEAPOT"]
    assert [(row["row_number"], row["load_id"]) for row in moved] == [
        (number, loaded.load_id) for number in (11, 13, 15, 12, 14, 16)
    ]
    assert {row["received_at"].hour for row in moved} == {10, 11}
    assert [row["row_number"] for row in rows(store, result.manifest, "quarantine")] == [17, 20, 21]


def test_a_replay_changes_only_the_hours_it_moves_rows_in(
    store: ObjectStore, loading: Loader, tmp_path: Path, extended: Source
) -> None:
    events = [teapot(1), ledger_row(2, type="NOPE", received_at="2026-11-20T15:00:00Z")]
    before = loading(ndjson(tmp_path / "e.ndjson", events)).manifest

    after = replay(store, extended, key=KEY)[0].manifest

    assert after.hours[1] == before.hours[1]
    assert after.hours[0] != before.hours[0]


def test_replaying_twice_changes_nothing_more(store: ObjectStore, loaded: Manifest, extended: Source) -> None:
    replay(store, extended, key=KEY)
    before = content(store)

    again = replay(store, extended, key=KEY)

    assert [(r.tried, r.changed) for r in again] == [(3, False)]
    assert content(store) == before


def test_a_replay_that_breaks_leaves_the_load_as_it_was_and_can_be_repeated(
    store: ObjectStore, loaded: Manifest, extended: Source
) -> None:
    writes = 0
    for breaks_at in range(1, 5):
        with pytest.raises(StoreError):
            replay(BreakingStore(store, breaks_at), extended, key=KEY)
        assert list(all_manifests(store, "pocm")) == [loaded]
        writes += 1

    result = replay(store, extended, key=KEY)[0]

    assert (writes, result.accepted) == (4, 6)
    assert sweep(store, "pocm", timedelta(0), dry_run=False)
    assert len(rows(store, result.manifest)) == 16


def test_only_rows_with_the_asked_codes_are_tried(
    store: ObjectStore, loaded: Manifest, extended: Source
) -> None:
    results = replay(store, extended, key=KEY, codes=["json_invalid"])

    assert [(r.tried, r.changed) for r in results] == [(1, False)]


def test_a_replay_in_parts_ends_where_a_whole_one_does(
    store: ObjectStore, loading: Loader, tmp_path: Path, loaded: Manifest, extended: Source
) -> None:
    second = loading(ndjson(tmp_path / "other.ndjson", [teapot(40), teapot(41, data_json="{}")])).manifest
    for load_id in (second.load_id, loaded.load_id):
        replay(store, extended, key=KEY, load_id=load_id, codes=["type_unknown"])

    parts = {
        m.load_id: (m.counts, [row["row_number"] for row in rows(store, m)])
        for m in all_manifests(store, "pocm")
    }

    assert parts[second.load_id] == (Counts(read=2, accepted=1, quarantined=1), [1])
    assert parts[loaded.load_id][0] == Counts(read=21, accepted=16, duplicate=2, quarantined=3)


def test_an_unknown_load_is_refused(store: ObjectStore, pocm: Source) -> None:
    with pytest.raises(LoadError, match="has no load"):
        replay(store, pocm, key=KEY, load_id="0" * 32)


def test_another_key_is_refused(store: ObjectStore, loaded: Manifest, extended: Source) -> None:
    with pytest.raises(LoadError, match="another key"):
        replay(store, extended, key=b"another key of the same length....")

    assert list(all_manifests(store, "pocm")) == [loaded]


def test_rows_of_a_table_are_replayed_from_their_wire_form(
    store: ObjectStore, loading: Loader, tmp_path: Path, extended: Source
) -> None:
    head = "id,type,occurred_at,received_at,tenant_id,data_json\n"
    good = 'e1,TEAPOT,2026-11-20T10:00:00Z,2026-11-20T10:31:00Z,t1,"{""color"":""red""}"\n'
    (tmp_path / "a.csv").write_text(head + good + "too,short\n")
    assert loading(tmp_path / "a.csv").manifest.codes == {"field_missing": 1, "type_unknown": 1}

    result = replay(store, extended, key=KEY)[0]

    assert (result.tried, result.accepted) == (1, 1)
    assert [json.loads(row["payload"]) for row in rows(store, result.manifest)] == [{"color": "red"}]
    assert result.manifest.codes == {"field_missing": 1}


def test_the_summary_counts_rows_by_code(store: ObjectStore, loaded: Manifest) -> None:
    counted = {count.code: count.rows for count in summary(store, "pocm")}

    assert counted == {"type_unknown": 9, "field_missing": 1, "json_invalid": 1}


def test_samples_show_why_and_with_the_key_what(store: ObjectStore, loaded: Manifest) -> None:
    shown = samples(store, "pocm", key=KEY, code="json_invalid")
    hidden = samples(store, "pocm", code="json_invalid")

    assert [(s.row_number, s.violations, s.original) for s in shown] == [
        (20, (("json_invalid", ""),), b"{broken")
    ]
    assert [(s.row_number, s.original) for s in hidden] == [(20, None)]
    assert len(samples(store, "pocm", limit=4)) == 4


def test_a_row_names_all_its_violations(store: ObjectStore, loading: Loader, tmp_path: Path) -> None:
    event = viewed(
        1, timestamp="yesterday", data={"price": -1, "currency": "euro"}, metadata={"tenantId": None}
    )
    loading(ndjson(tmp_path / "e.ndjson", [event]))

    assert set(samples(store, "pocm")[0].violations) == {
        ("envelope_missing", "tenant_id"),
        ("timestamp_invalid", "occurred_at"),
        ("field_range", "price"),
        ("field_format", "currency"),
    }
