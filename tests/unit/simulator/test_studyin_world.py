"""The simulated learning apps: what a day holds, and what the producers get wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from ingestion.contract import load_source
from ingestion.oracle import parse, violations
from ingestion.simulator import Faults, simulate
from ingestion.simulator.studyin.generate import FIELDS

from .conftest import World

CONTRACTS = load_source("studyin")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    out = tmp_path_factory.mktemp("learning")
    simulate("studyin", 2, 7, out, faults=Faults.none())
    return World(out)


@pytest.fixture(scope="module")
def events(world: World) -> list[dict[str, Any]]:
    rows = [json.loads(row) for entry in world.landing for row in world.rows(entry["file"])]
    for row in rows:
        if isinstance(row["properties"], str):
            row["properties"] = json.loads(row["properties"])
    return rows


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate("studyin", 2, 5, tmp_path / name, scale=0.2)
    one, two = ({p.name: p.read_bytes() for p in (tmp_path / n).iterdir()} for n in ("one", "two"))
    assert one == two


def test_a_day_is_about_two_thousand_events_of_every_type(events: list[dict[str, Any]]) -> None:
    assert 1_500 < len(events) / 2 < 2_500
    assert (
        {event["event_type"] for event in events}
        == set(FIELDS)
        == {contract.event_type for contract in CONTRACTS.contracts}
    )


def test_every_event_keeps_its_contract(events: list[dict[str, Any]]) -> None:
    broken = {
        (event["event_type"], *found)
        for event in events
        for found in violations(
            CONTRACTS.contract(event["event_type"]), parse(json.dumps(event["properties"]))
        )
    }
    assert broken == set()


def test_properties_come_as_objects_and_as_texts(world: World) -> None:
    kinds = Counter(
        type(json.loads(row)["properties"]).__name__
        for entry in world.landing
        for row in world.rows(entry["file"])
    )
    assert 0.05 < kinds["str"] / kinds.total() < 0.15


def test_starts_and_ends_are_missing_doubled_and_reversed(world: World) -> None:
    sessions = world.truth["learning_sessions"]
    seen = {
        "start missing": [s for s in sessions if s["is_start_missing"]],
        "start doubled": [s for s in sessions if s["starts"] > 1],
        "end missing": [s for s in sessions if s["ends"] == 0],
        "end doubled": [s for s in sessions if s["ends"] > 1],
        "reversed": [s for s in sessions if s["is_reversed"]],
    }
    assert {name for name, found in seen.items() if not found} == set()
    assert sum(s["is_closed"] for s in sessions) / len(sessions) > 0.75


def test_authentication_routes_carry_users_that_must_not_land(events: list[dict[str, Any]]) -> None:
    sent = [e for e in events if e["properties"].get("path") in ("/auth/login", "/api/auth/refresh")]
    assert any("user_id" in event for event in sent)


def test_errors_have_no_user_and_quote_people(events: list[dict[str, Any]]) -> None:
    errors = [event for event in events if event["event_type"] == "system_error"]
    assert not any("user_id" in event for event in errors)
    assert any("jana.novak@example.com" in event["properties"]["message"] for event in errors)
