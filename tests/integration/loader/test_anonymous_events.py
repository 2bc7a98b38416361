"""Events that name nobody: whatever the producer sent, nothing that identifies somebody is written."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from ingestion.contract import Source, load_source
from ingestion.pseudonym import Secret
from ingestion.replay import replay
from lake.manifest import Manifest
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, Loader, ndjson, rows

PERSON, SESSION, DEVICE, TRACE = "learner-4711", "session-of-ann", "phone-of-ann", "trace-of-ann"
PLANTED = (PERSON, SESSION, DEVICE, TRACE, Secret(KEY).pseudonym(f"studyin:{PERSON}"))


def event(number: int, event_type: str, properties: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "event_id": f"evt-{number}",
        "event_type": event_type,
        "app": "studyin-ios",
        "user_id": PERSON,
        "session_id": SESSION,
        "device_id": DEVICE,
        "trace_id": TRACE,
        "timestamp": "2026-11-20T10:00:00.000Z",
        "producer": "api",
        "properties": properties,
    } | changes


def request(number: int, path: str, **properties: Any) -> dict[str, Any]:
    whole = {"path": path, "method": "POST", "status": 200, "latency_ms": 12} | properties
    return event(number, "api_request", whole)


AUTHENTICATION = [
    "/auth/login",
    "/api/auth/refresh",
    "/API/Auth",
    "/login",
    "/v2/sign-up/step/2",
    "/oauth2/token",
    "/account/reset-password",
    "/login.php",
    "//auth//x",
    "/api:auth",
]
OTHERS = ["/api/materials", "/authors/7", "/sessions", "/api/learning/overview", "/blogin"]


@pytest.fixture(scope="module")
def studyin() -> Source:
    return load_source("studyin")


@pytest.fixture
def landed(loading: Loader, studyin: Source, tmp_path: Path) -> Any:
    """Loads events and gives the accepted rows by event id."""

    def run(*events: dict[str, Any]) -> Manifest:
        return loading(ndjson(tmp_path / "events.ndjson", list(events)), source=studyin).manifest

    return run


def accepted(store: ObjectStore, manifest: Manifest) -> dict[str, dict[str, Any]]:
    return {row["event_id"]: row for row in rows(store, manifest)}


@pytest.mark.parametrize("path", AUTHENTICATION)
def test_a_request_of_an_authentication_route_names_nobody(
    store: ObjectStore, landed: Any, path: str
) -> None:
    row = accepted(store, landed(request(1, path)))["evt-1"]

    assert {row[name] for name in ("user_key", "session_id", "device_id", "trace_id")} == {None}
    assert json.loads(row["payload"])["path"] == path


@pytest.mark.parametrize("path", OTHERS)
def test_a_request_of_another_route_keeps_its_user(store: ObjectStore, landed: Any, path: str) -> None:
    row = accepted(store, landed(request(1, path)))["evt-1"]

    assert row["user_key"] == Secret(KEY).pseudonym(f"studyin:{PERSON}")
    assert (row["session_id"], row["device_id"], row["trace_id"]) == (SESSION, DEVICE, TRACE)


def test_nothing_planted_in_an_authentication_event_is_found_in_any_object(
    store: ObjectStore, studyin: Source, landed: Any
) -> None:
    manifest = landed(
        request(1, "/auth/login"),
        request(2, "/auth/login", session_id=SESSION, deviceId=DEVICE, nested={"deep": [{"traceId": TRACE}]}),
        request(3, "/auth/login", user_id=PERSON, userId=PERSON, username=PERSON, message=PERSON),
        request(4, "/auth/login", user={"id": PERSON}),
        request(5, "/auth/login", status=7, client_id=PERSON),
        event(
            6, "system_error", {"type": "Denied", "message": f"{PERSON} failed", "path": "/api/auth/login"}
        ),
        event(
            7, "material_view", {"material_id": "m", "material_type": "pdf", "path": "/sso", "user": PERSON}
        ),
        request(8, "/auth/login")
        | {"properties": json.dumps(request(0, "/Auth/x")["properties"] | {"user": PERSON})},
    )
    replay(store, studyin, key=KEY)

    assert manifest.counts.accepted == 6
    for info in store.list():
        data = store.get_bytes(info.key)
        if info.key.endswith(".parquet"):
            data += repr(pq.read_table(io.BytesIO(data)).to_pylist()).encode()
        for value in PLANTED:
            assert value.encode() not in data, (info.key, value)


def test_what_is_left_of_an_authentication_event_still_counts(store: ObjectStore, landed: Any) -> None:
    sent = request(
        1, "/auth/login", session_id=SESSION, region="north", nested={"deviceId": DEVICE, "kept": 1}
    )

    row = accepted(store, landed(sent))["evt-1"]

    assert json.loads(row["payload"]) == {
        "path": "/auth/login",
        "method": "POST",
        "status": 200,
        "latency_ms": 12,
        "region": "north",
        "nested": {"kept": 1},
    }
    assert (row["tenant_id"], row["producer"]) == ("studyin-ios", "api")


def test_an_identity_inside_a_structure_of_an_authentication_event_is_rejected(
    store: ObjectStore, landed: Any
) -> None:
    manifest = landed(
        request(1, "/auth/login", user={"id": PERSON}), request(2, "/x", user={"theme": "dark"})
    )

    rejected = rows(store, manifest, "quarantine")
    assert [(row["row_number"], row["violations"]) for row in rejected] == [
        (1, [{"code": "field_type", "field": "user"}])
    ]


def test_a_route_with_a_query_is_rejected_for_what_it_may_say(store: ObjectStore, landed: Any) -> None:
    manifest = landed(request(1, f"/api/materials?user={PERSON}"))

    assert rows(store, manifest, "quarantine")[0]["violations"] == [{"code": "field_format", "field": "path"}]


def test_a_session_id_that_only_the_payload_carries_is_dropped_too(store: ObjectStore, landed: Any) -> None:
    both = {"session_id": None, "user_id": None}
    sent = [request(1, "/auth/login", session_id=SESSION) | both, request(2, "/x", session_id=SESSION) | both]

    found = accepted(store, landed(*sent))

    assert (found["evt-1"]["session_id"], found["evt-2"]["session_id"]) == (None, SESSION)


def test_a_system_event_without_user_and_session_is_accepted(store: ObjectStore, landed: Any) -> None:
    sent = {
        "id": "e",
        "event_type": "system_error",
        "app": "a",
        "timestamp": "2026-11-20T10:00:00Z",
        "properties": {"type": "TimeoutError", "message": "ann@example.com timed out"},
    }

    row = accepted(store, landed(sent))["e"]

    assert row["user_key"] is None
    assert json.loads(row["payload"]) == {"type": "TimeoutError"}
