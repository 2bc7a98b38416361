"""The simulated ticketing: what its visitors do, and that its contracts take what they send."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract import load_source
from ingestion.oracle import assembled, parse, violations
from ingestion.simulator import Faults, simulate

from .conftest import World

BILTEN = load_source("bilten")


@pytest.fixture(scope="module")
def tickets(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two days without any fault."""
    out = tmp_path_factory.mktemp("tickets")
    simulate("bilten", 2, 11, out, scale=0.3, faults=Faults.none())
    return World(out)


@pytest.fixture(scope="module")
def sent(tickets: World) -> list[dict[str, Any]]:
    """Every row as it was sent."""
    return [json.loads(row) for entry in tickets.landing for row in tickets.rows(entry["file"])]


def tracked(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in sent if "eventId" in row]


def test_the_same_seed_gives_the_same_bytes(tickets: World, tmp_path: Path) -> None:
    simulate("bilten", 2, 11, tmp_path, scale=0.3, faults=Faults.none())
    for path in tickets.out.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_every_row_keeps_its_contract(sent: list[dict[str, Any]]) -> None:
    forms = {wire.detect[0]: wire.parts for wire in BILTEN.wire_formats}
    for row in sent:
        parts = forms["eventId" if "eventId" in row else "change_id"]
        assert parts is not None
        members, fault = assembled(parts, row)
        assert fault is None
        assert len(dict(members)) == len(members)
        contract = BILTEN.contract(row.get("eventType") or row["table"])
        assert violations(contract, parse(json.dumps(dict(members)))) == set(), row


def test_every_kind_of_event_occurs(sent: list[dict[str, Any]]) -> None:
    kinds = Counter(row.get("eventType") or row["table"] for row in sent)
    assert set(kinds) == {contract.event_type for contract in BILTEN.contracts}
    names = {row["eventName"] for row in tracked(sent)}
    assert {"registration", "ticket_purchase", "experiment_assigned", "experiment_exposed"} <= names


def test_some_visitors_name_their_session_and_some_are_unknown(sent: list[dict[str, Any]]) -> None:
    rows = [row for row in tracked(sent) if "visitorId" in row["properties"]]
    assert 0.3 < sum(row["sessionId"] is not None for row in rows) / len(rows) < 0.8
    assert 0.1 < sum(row["userId"] is not None for row in rows) / len(rows) < 0.9


def test_the_server_reports_some_orders_again_under_an_event_id_of_its_own(
    sent: list[dict[str, Any]],
) -> None:
    orders = Counter(
        row["properties"]["orderId"] for row in tracked(sent) if row["eventName"] == "ticket_purchase"
    )
    assert set(orders.values()) == {1, 2}


def test_versions_of_a_row_rise_with_time(sent: list[dict[str, Any]]) -> None:
    changes = sorted((row for row in sent if "table" in row), key=lambda row: str(row["changed_at"]))
    seen: dict[str, int] = {}
    for row in changes:
        key = row["table"] + str(
            row["row"].get("user_id") or row["row"].get("ticketed_event_id") or row["row"]["name"]
        )
        assert row["version"] > seen.get(key, 0)
        seen[key] = row["version"]
    assert max(seen.values()) == 2


def test_crawlers_come_too(sent: list[dict[str, Any]]) -> None:
    assert any("Googlebot" in row["properties"].get("userAgent", "") for row in tracked(sent))


def test_a_smaller_world_is_quieter_and_still_whole(tmp_path: Path) -> None:
    summary = simulate("bilten", 1, 3, tmp_path, scale=0.05)
    assert 50 < summary.events < 1_000
