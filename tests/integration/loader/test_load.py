"""A load: what lands, what is counted, what is left out, and that it is done once."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ingestion.contract import Source
from ingestion.loader import Progress, load
from ingestion.pseudonym import Secret
from lake.manifest import Counts, all_manifests, manifests_for_hour
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED, Loader, ledger_row, ndjson, rows, viewed


def test_an_event_in_the_api_form_becomes_one_raw_row(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    event = viewed(
        1, metadata={"idempotencyKey": "k1", "traceId": "trace"}, data={"order_id": "o9", "extra": [1]}
    )

    manifest = loading(ndjson(tmp_path / "a.ndjson", [event])).manifest

    assert rows(store, manifest) == [
        {
            "source": "pocm",
            "event_type": "PRODUCT_VIEWED",
            "contract_version": "1.0",
            "event_id": "evt-1",
            "idempotency_key": "k1",
            "tenant_id": "t1",
            "occurred_at": datetime(2026, 11, 20, 10, 1, tzinfo=UTC),
            "received_at": RECEIVED,
            "user_key": Secret(KEY).pseudonym("pocm:user-1"),
            "session_id": "s1",
            "device_id": "device-1",
            "order_id": "o9",
            "trace_id": "trace",
            "producer": "shop-web/2.4.1",
            "load_id": manifest.load_id,
            "row_number": 1,
            "payload": '{"product_id":"p1","price":9.5,"currency":"EUR","channel":"web","order_id":"o9","extra":[1]}',
        }
    ]


def test_a_ledger_row_carries_its_own_time_of_receipt(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    inputs = [
        ledger_row(1),
        ledger_row(
            2,
            received_at="2026-11-20T11:05:00+00:00",
            data_json={"product_id": "p", "price": 1, "currency": "EUR"},
        ),
    ]

    manifest = loading(ndjson(tmp_path / "a.ndjson", inputs)).manifest

    assert [(row["row_number"], row["received_at"].hour) for row in rows(store, manifest)] == [
        (1, 10),
        (2, 11),
    ]
    assert [hour.received_hour.hour for hour in manifest.hours] == [10, 11]


def test_an_alias_is_stored_under_the_canonical_name(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    order = {
        "order_id": "o1",
        "cart_id": "c1",
        "amount": 2,
        "currency": "EUR",
        "channel": "web",
        "region": "r",
        "city": "c",
        "items": [{"product_id": "p", "quantity": 1, "unit_price": 2, "unit_cost": 1}],
    }
    event = viewed(1, type="PURCHASE") | {"data": order}

    manifest = loading(ndjson(tmp_path / "a.ndjson", [event])).manifest

    assert manifest.codes == {}
    assert [row["event_type"] for row in rows(store, manifest)] == ["ORDER_PLACED"]


def test_every_row_is_accounted_for(loading: Loader, tmp_path: Path) -> None:
    events = [
        viewed(1),
        viewed(2),
        viewed(1),
        viewed(3, metadata={"idempotencyKey": "k"}),
        viewed(4, metadata={"idempotencyKey": "k"}),
        viewed(5, data={"price": -1, "currency": "euro"}),
        "{broken",
    ]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events)).manifest

    assert manifest.counts == Counts(read=7, accepted=3, duplicate=2, quarantined=2)
    assert manifest.codes == {"field_format": 1, "field_range": 1, "json_invalid": 1}
    assert manifest.input.rows == 7


def test_the_first_accepted_delivery_wins_and_a_rejected_one_takes_no_key(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    events = [viewed(1, data={"price": "free"}), viewed(1, data={"price": 1}), viewed(1, data={"price": 2})]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events)).manifest

    assert [(row["row_number"], json.loads(row["payload"])["price"]) for row in rows(store, manifest)] == [
        (2, 1)
    ]
    assert manifest.counts == Counts(read=3, accepted=1, duplicate=1, quarantined=1)


@pytest.mark.parametrize("data", [[], 5, True, "[]", "5"])
def test_a_payload_that_is_no_object_is_quarantined(loading: Loader, tmp_path: Path, data: object) -> None:
    manifest = loading(ndjson(tmp_path / "a.ndjson", [viewed(1) | {"data": data}, viewed(2)])).manifest

    assert manifest.counts == Counts(read=2, accepted=1, duplicate=0, quarantined=1)
    assert manifest.codes == {"field_type": 1}


def test_a_duplicates_other_key_blocks_later_rows_too(loading: Loader, tmp_path: Path) -> None:
    events = [
        viewed(1),
        viewed(1, metadata={"idempotencyKey": "k"}),
        viewed(2, metadata={"idempotencyKey": "k"}),
    ]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events)).manifest

    assert manifest.counts == Counts(read=3, accepted=1, duplicate=2)


def test_the_same_input_again_is_a_no_op_that_says_so(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    path = ndjson(tmp_path / "a.ndjson", [viewed(1)])
    first = loading(path)
    keys = [info.key for info in store.list()]

    again = loading(path.rename(tmp_path / "b.ndjson"), received_at=datetime(2026, 12, 1, tzinfo=UTC))

    assert again.already_loaded
    assert again.manifest == first.manifest
    assert [info.key for info in store.list()] == keys


def test_an_hour_of_duplicates_only_is_found_by_its_hour(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    events = [ledger_row(1), ledger_row(1, received_at="2026-11-20T12:00:00Z")]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events)).manifest

    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert manifests_for_hour(store, "pocm", noon) == [manifest]
    found = manifest.hour(noon)
    assert found is not None
    assert found.counts == Counts(read=1, duplicate=1)


@pytest.mark.parametrize("name", ["empty.ndjson", "empty.jsonl", "empty", "empty.csv"])
def test_an_empty_file_is_an_empty_load(
    loading: Loader, store: ObjectStore, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()

    manifest = loading(tmp_path / name).manifest

    assert manifest.counts == Counts()
    assert list(all_manifests(store, "pocm")) == [manifest]
    assert manifests_for_hour(store, "pocm", RECEIVED) == [manifest]


def test_raw_files_are_sorted_for_their_readers(loading: Loader, store: ObjectStore, tmp_path: Path) -> None:
    events = [viewed(number) for number in (7, 3, 3000, 30)]
    events += [viewed(99, type="LOGIN") | {"data": {"method": "password", "success": True}}]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events)).manifest

    found = [(row["event_type"], row["occurred_at"], row["event_id"]) for row in rows(store, manifest)]
    assert found == sorted(found)
    assert len(found) == 5


def test_progress_is_told_up_to_the_last_byte(store: ObjectStore, pocm: Source, tmp_path: Path) -> None:
    path = ndjson(tmp_path / "a.ndjson", [viewed(number) for number in range(500)])
    told: list[Progress] = []

    load(store, pocm, path, key=KEY, received_at=RECEIVED, progress=told.append)

    assert told[-1].rows_read == 500
    assert told[-1].bytes_total == path.stat().st_size


def test_rows_do_not_depend_on_where_chunks_end(
    loading: Loader, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.chunks.CHUNK_ROWS", 40)
    monkeypatch.setattr("ingestion.inputs.Input.blocks.__defaults__", (3_000,))
    events = [viewed(number % 150) if number % 7 else "{" for number in range(300)]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events)).manifest

    kept = {number % 150: number for number in reversed(range(300)) if number % 7}
    assert {row["row_number"] - 1 for row in rows(store, manifest)} == set(kept.values())
    rejected = rows(store, manifest, "quarantine")
    assert [row["row_number"] for row in rejected] == [number + 1 for number in range(300) if number % 7 == 0]
    assert len([file for file in manifest.files if file.kind == "raw"]) > 3
