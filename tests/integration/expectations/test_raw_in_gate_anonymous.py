"""The raw-in gate on the real engine: an event that names nobody must have reached the warehouse so."""

from __future__ import annotations

from typing import Any

import pytest
from gate_shop import WINDOW, Shop, broken, event, load

from expectations.raw_in import raw_in_suite
from expectations.runner import run_suite
from ingestion.contract import load_source

pytestmark = pytest.mark.stack

NOBODY = {"user_key": None, "session_id": None}


def request(path: str, **changes: Any) -> dict[str, Any]:
    payload = {"path": path, "method": "GET", "status": 200, "latency_ms": 5, **changes.pop("payload", {})}
    return event("api_request", 30, payload, source="studyin", **changes)


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        pytest.param(request("/auth/login", **NOBODY), None, id="nobody is named"),
        pytest.param(request("/api/materials"), None, id="another route names somebody"),
        pytest.param(request("/Auth/login", session_id=None), 1, id="a user is left"),
        pytest.param(request("/auth/login", user_key=None), 1, id="a session is left"),
        pytest.param(
            request("/auth/login", **NOBODY, payload={"device_id": "d"}), 1, id="the payload says who"
        ),
    ],
)
def test_an_authentication_event_that_names_somebody_is_found(
    shop: Shop, sent: dict[str, Any], found: int | None
) -> None:
    shop.put(sent)
    suite = raw_in_suite(load_source("studyin"), (load(),), WINDOW)

    result = run_suite(shop.warehouse, suite, WINDOW, partition="2026-11-16-10:00", run_id="run-1")

    assert broken(result).get("anonymous") == found
