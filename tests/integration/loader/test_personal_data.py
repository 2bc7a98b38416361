"""Nothing personal reaches the lake in clear: every byte of every object is searched for what was planted."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.pseudonym import Secret
from ingestion.replay import replay
from lake.manifest import Manifest
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, Loader, ledger_row, ndjson, rows, viewed

PLANTED = (
    "ann@example.com",
    "grace@example.org",
    "user-4711",
    "+49 30 901820",
    "Ann Example",
    "Hauptstrasse 7",
    "203.0.113.9",
    "4111111111111111",
    "s3cret-of-the-broken-row",
)


def registered(number: int, **data: Any) -> dict[str, Any]:
    whole = {"region": "r", "city": "c", "channel": "web"} | data
    return viewed(number, type="USER_REGISTERED", userId="user-4711") | {"data": whole}


EVENTS: list[Any] = [
    registered(1, email="ann@example.com", phone="+49 30 901820", full_name="Ann Example"),
    registered(2, email=None, full_name=None),
    registered(3, email="ann@example.com", note='quoted ,"email":"nothing"'),
    viewed(4, data={"email": "grace@example.org", "ip": "203.0.113.9"}),
    viewed(
        5,
        data={"nested": {"deep": [{"email": "grace@example.org", "kept": 1}, {"street": "Hauptstrasse 7"}]}},
    ),
    viewed(6, data={"card_number": 4111111111111111, "userId": "user-4711", "first_name": "Ann Example"}),
    viewed(7, data={"email": {"home": "ann@example.com"}}),
    viewed(8, data={"deep": {"phone": ["+49 30 901820"]}}),
    viewed(9, data={"price": "s3cret-of-the-broken-row", "email": "ann@example.com"}),
    viewed(10, type="user-4711 ann@example.com", userId="user-4711"),
    viewed(
        11,
        userId="user-4711",
        metadata={"tenantId": "ann@example.com", "sessionId": {"email": "ann@example.com"}},
    ),
    ledger_row(
        12,
        user_id="user-4711",
        data_json='{"product_id": "p", "price": 1, "currency": "EUR", "\\u0065mail": "ann@example.com"}',
    ),
    '{"userId": "user-4711", "data": {"email": "ann@example.com"',
    '{"eventId": "x", "type": "PRODUCT_VIEWED", "timestamp": "2026-11-20T10:00:00Z", "userId": "user-4711",'
    ' "data": {"product_id": "p", "price": 1, "currency": "EUR", "email": "a", "email": "ann@example.com"},'
    ' "metadata": {"tenantId": "t"}}',
]


@pytest.fixture
def loaded(loading: Loader, tmp_path: Path) -> Manifest:
    return loading(ndjson(tmp_path / "events.ndjson", EVENTS)).manifest


def test_no_planted_value_is_found_in_any_object(store: ObjectStore, pocm: Any, loaded: Manifest) -> None:
    replay(store, pocm, key=KEY)
    searched = 0
    for info in store.list():
        data = store.get_bytes(info.key)
        if info.key.endswith(".parquet"):
            # Columns are compressed: search their values too, sealed bytes as they are.
            data += repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        for value in PLANTED:
            assert value.encode() not in data, (info.key, value)
        searched += len(data)
    assert searched > 10_000
    assert loaded.counts.read == len(EVENTS)


def test_the_originals_of_rejected_rows_are_kept_encrypted(store: ObjectStore, loaded: Manifest) -> None:
    sealed = {row["row_number"]: row["original"] for row in rows(store, loaded, "quarantine")}

    opened = {number: Secret(KEY).open(data, f"{loaded.load_id}:{number}") for number, data in sealed.items()}

    assert opened == {
        number: (event if isinstance(event, str) else json.dumps(event)).encode()
        for number, event in enumerate(EVENTS, start=1)
        if number in (7, 8, 9, 10, 11, 13, 14)
    }


def payloads(store: ObjectStore, manifest: Manifest) -> dict[int, dict[str, Any]]:
    return {row["row_number"]: json.loads(row["payload"]) for row in rows(store, manifest)}


def test_the_contract_decides_between_pseudonym_and_removal(store: ObjectStore, loaded: Manifest) -> None:
    found = payloads(store, loaded)

    assert found[1] == {
        "region": "r",
        "city": "c",
        "channel": "web",
        "email": Secret(KEY).pseudonym("email:ann@example.com"),
        "phone": Secret(KEY).pseudonym("phone:+49 30 901820"),
    }


def test_equal_values_have_equal_pseudonyms(store: ObjectStore, loaded: Manifest) -> None:
    found = payloads(store, loaded)

    assert found[1]["email"] == found[3]["email"]


def test_a_missing_address_stays_missing(store: ObjectStore, loaded: Manifest) -> None:
    assert payloads(store, loaded)[2]["email"] is None


def test_personal_names_that_nobody_declared_are_caught_at_any_depth(
    store: ObjectStore, loaded: Manifest
) -> None:
    found = payloads(store, loaded)

    assert found[4]["email"] == Secret(KEY).pseudonym("email:grace@example.org")
    assert "ip" not in found[4]
    assert found[5]["nested"] == {"deep": [{"email": None, "kept": 1}, {}]}
    assert set(found[6]) == {"product_id", "price", "currency", "channel"}
    assert found[12]["email"] == Secret(KEY).pseudonym("email:ann@example.com")


def test_text_that_looks_like_a_personal_field_is_left_alone(store: ObjectStore, loaded: Manifest) -> None:
    assert payloads(store, loaded)[3]["note"] == 'quoted ,"email":"nothing"'


def test_a_personal_name_that_holds_a_structure_is_rejected(store: ObjectStore, loaded: Manifest) -> None:
    violations = {row["row_number"]: row["violations"] for row in rows(store, loaded, "quarantine")}

    assert violations[7] == [{"code": "field_type", "field": "email"}]
    assert violations[8] == [{"code": "field_type", "field": "phone"}]


def test_a_rejected_row_shows_only_what_can_be_no_person(store: ObjectStore, loaded: Manifest) -> None:
    shown = {
        row["row_number"]: (row["event_type"], row["tenant_id"]) for row in rows(store, loaded, "quarantine")
    }

    assert shown[9] == ("PRODUCT_VIEWED", "t1")
    assert shown[10] == (None, "t1")
    assert shown[11] == ("PRODUCT_VIEWED", None)


def test_the_user_id_becomes_a_key_that_needs_the_secret(store: ObjectStore, loaded: Manifest) -> None:
    keys = {row["row_number"]: row["user_key"] for row in rows(store, loaded)}

    assert keys[1] == keys[12] == Secret(KEY).pseudonym("pocm:user-4711")
    assert Secret(b"another key").pseudonym("pocm:user-4711") != keys[1]


def test_the_key_never_becomes_part_of_an_error(loading: Loader, tmp_path: Path) -> None:
    assert KEY.decode() not in repr(Secret(KEY))
