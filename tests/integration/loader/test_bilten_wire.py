"""Bilten's events through the loader: both wire forms, derived fields, conditions and personal data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract import Source, load_source
from ingestion.loader import load
from ingestion.pseudonym import Secret
from ingestion.replay import replay
from lake.manifest import Counts
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED, Loader, content, ndjson, rows

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(scope="module")
def bilten() -> Source:
    return load_source("bilten")


def tracked(
    number: int, kind: str = "page_view", name: str | None = None, **properties: Any
) -> dict[str, Any]:
    """An event in the tracking form."""
    return {
        "eventId": f"evt-{number}",
        "userId": "user-1",
        "eventType": kind,
        "eventName": name,
        "timestamp": f"2026-11-20T10:{number:02d}:00.000Z",
        "properties": {"page": "/", "visitorId": "visitor-1", "ipAddress": "5d41402a", **properties},
        "context": {"organizerId": "o1", "eventId": "t1", "source": "web"},
    }


def changed(number: int, table: str, **row: Any) -> dict[str, Any]:
    """A change row."""
    return {
        "change_id": f"change-{number}",
        "table": table,
        "version": number,
        "operation": "update",
        "changed_at": f"2026-11-20T09:{number:02d}:00Z",
        "row": row,
    }


def test_a_tracked_event_and_a_change_row_become_rows_of_one_envelope(
    loading: Loader, store: ObjectStore, bilten: Source, tmp_path: Path
) -> None:
    events = [
        tracked(1, userAgent=FIREFOX),
        changed(
            2, "users", user_id="user-1", country="DE", email="someone@example.org", full_name="Some One"
        ),
    ]

    found = rows(store, loading(ndjson(tmp_path / "a.ndjson", events), source=bilten).manifest)

    secret = Secret(KEY)
    assert [(row["event_type"], row["tenant_id"], row["user_key"]) for row in found] == [
        ("page_view", "o1", secret.pseudonym("bilten:user-1")),
        ("users", "bilten", secret.pseudonym("bilten:user-1")),
    ]
    assert json.loads(found[0]["payload"]) == {
        "page": "/",
        "visitor_id": secret.pseudonym("visitor:visitor-1"),
        "ip": secret.pseudonym("ip_address:5d41402a"),
        "user_agent": FIREFOX,
        "organizer_id": "o1",
        "ticketed_event_id": "t1",
        "channel": "web",
        "device_type": "desktop",
        "browser": "Firefox",
        "is_bot": False,
    }
    assert json.loads(found[1]["payload"]) == {
        "country": "DE",
        "email": secret.pseudonym("email:someone@example.org"),
        "version": 2,
        "operation": "update",
    }


def test_a_derived_field_that_is_sent_stays_as_it_was_sent(
    loading: Loader, store: ObjectStore, bilten: Source, tmp_path: Path
) -> None:
    events = [tracked(1, userAgent=FIREFOX, browser="Own", device_type=None), tracked(2, browser="Own")]

    found = rows(store, loading(ndjson(tmp_path / "a.ndjson", events), source=bilten).manifest)

    told = [json.loads(row["payload"]) for row in found]
    assert [(row["browser"], row.get("device_type"), row.get("is_bot")) for row in told] == [
        ("Own", None, False),
        ("Own", None, None),
    ]


def test_a_purchase_without_its_amount_and_an_exposure_without_a_variant_are_quarantined(
    loading: Loader, bilten: Source, tmp_path: Path
) -> None:
    whole = {"orderId": "o-1", "tickets": 2, "amount": 59.8, "currency": "EUR"}
    events = [
        tracked(1, "conversion", "ticket_purchase", **whole),
        tracked(2, "conversion", "ticket_purchase", **{**whole, "amount": None}),
        tracked(3, "conversion", "ticket_purchase", orderId="o-2"),
        tracked(4, "conversion", "registration"),
        tracked(5, "custom", "experiment_exposed", experiment="button"),
        tracked(6, "custom", "experiment_exposed", customProperties={"experiment": "button", "variant": "b"}),
    ]

    manifest = loading(ndjson(tmp_path / "a.ndjson", events), source=bilten).manifest

    assert manifest.counts == Counts(read=6, accepted=3, quarantined=3)
    assert manifest.codes == {"field_missing": 2, "field_type": 1}


def test_loading_twice_into_two_buckets_gives_the_same_bytes(
    store: ObjectStore, bilten: Source, tmp_path: Path, loading: Loader
) -> None:
    agents = [FIREFOX, "curl/8", None, "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) Mobile"]
    events = [tracked(number, userAgent=agents[number % 4]) for number in range(40)]
    path = ndjson(tmp_path / "a.ndjson", events)
    loading(path, source=bilten)
    first = content(store, "raw/")
    other = store.for_bucket(f"{store.bucket}-again")
    other.ensure_bucket()
    load(other, bilten, path, key=KEY, received_at=RECEIVED)
    assert content(other, "raw/") == first


def test_a_replayed_row_gets_its_derived_fields_too(
    loading: Loader, store: ObjectStore, bilten: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = loading(
        ndjson(tmp_path / "a.ndjson", [tracked(1, userAgent="curl/8", page="x" * 2_001)]), source=bilten
    ).manifest
    assert manifest.counts.quarantined == 1
    schema = bilten.contract("page_view").schema["properties"]["page"]
    monkeypatch.setitem(schema, "maxLength", 3_000)  # type: ignore[arg-type]

    (result,) = replay(store, bilten, key=KEY)

    assert (result.tried, result.accepted) == (1, 1)
    assert [json.loads(row["payload"])["is_bot"] for row in rows(store, result.manifest)] == [True]
