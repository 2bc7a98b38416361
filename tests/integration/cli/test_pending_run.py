"""`millrace run` without a window builds what is pending, and nothing else; a failed proof says what it lacks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.embedded.testing import running_stack
from tests.integration.cli.help_desk import Desk, event

NOTHING = "nothing is pending"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two tickets of 2 March, run and proved."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        found = Desk(tmp_path_factory.mktemp("project"), settings.state_dir)
        found.settle()
        yield found


def load(desk: Desk, name: str, at: str, *events: dict[str, Any]) -> str:
    path = desk.write(f"{name}.ndjson", "\n".join(json.dumps(e) for e in events).encode())
    said = desk.millrace("load", "helpdesk", str(path), "--received-at", at, "--json")
    return str(json.loads(said)["load_id"])


def jobs(desk: Desk, *arguments: str) -> list[str]:
    """The jobs that a run ran; it must succeed."""
    said = json.loads(desk.millrace("run", *arguments, "--json"))
    assert said["success"], said
    return [job["job"] for job in said["jobs"]]


def test_what_is_built_is_not_pending(desk: Desk) -> None:
    said = json.loads(desk.millrace("run", "--json"))
    assert (said["success"], said["jobs"]) == (True, [])
    assert NOTHING in said["notes"][0]


def test_loads_are_built_each_in_its_own_days(desk: Desk) -> None:
    load(desk, "late", "2026-03-20T08:30:00Z", event("t10", "2026-03-20T08:00:00Z"))
    load(desk, "early", "2026-03-04T08:30:00Z", event("t11", "2026-03-04T08:00:00Z"))
    # Two stretches of hours, far from each other, and the days of both.
    assert jobs(desk) == ["helpdesk_hourly"] * 2 + ["helpdesk_daily"] * 2
    assert desk.tickets() == [("2026-03-02", 2), ("2026-03-04", 1), ("2026-03-20", 1)]
    assert jobs(desk) == []


def test_what_only_raw_holds_is_pending(desk: Desk) -> None:
    load(desk, "more", "2026-03-21T08:30:00Z", event("t12", "2026-03-21T08:00:00Z"))
    window = ("--from", "2026-03-21", "--to", "2026-03-22")
    jobs(desk, *window, "--select", 'key:"raw/helpdesk"')
    assert ("2026-03-21", 1) not in desk.tickets()
    assert jobs(desk) == ["helpdesk_hourly", "helpdesk_daily"]
    assert ("2026-03-21", 1) in desk.tickets()
    assert jobs(desk) == []


def test_a_window_in_which_nothing_was_received_says_so(desk: Desk) -> None:
    said = json.loads(desk.millrace("run", "--from", "2026-03-10", "--to", "2026-03-11", "--json"))
    assert (said["success"], said["jobs"]) == (True, [])
    assert "no source received anything" in said["notes"][0]


def test_everything_is_built_on_demand(desk: Desk) -> None:
    before = desk.tickets()
    assert jobs(desk, "--all") == ["helpdesk_hourly", "helpdesk_daily"]
    assert desk.tickets() == before
    assert "--all" in desk.millrace("run", "--all", "--from", "2026-03-02", "--to", "2026-03-03", code=2)


def test_a_proof_names_the_hours_that_were_not_built(desk: Desk) -> None:
    """Two tickets of one day, the first received then and not run, the second the day after."""
    load(desk, "first", "2026-03-25T10:30:00Z", event("t20", "2026-03-25T10:00:00Z"))
    load(desk, "second", "2026-03-26T09:30:00Z", event("t21", "2026-03-25T11:00:00Z"))

    said = desk.millrace("run", "--from", "2026-03-26", "--to", "2026-03-27", code=1)

    assert "hold events: 2026-03-25-10:00. `millrace run` without a window builds them" in said
    jobs(desk)
    assert ("2026-03-25", 2) in desk.tickets()
    assert jobs(desk) == []


def test_hours_before_the_first_partition_are_left_alone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    load(desk, "before", "2026-03-06T08:30:00Z", event("t30", "2026-03-06T08:00:00Z"))
    monkeypatch.setitem(desk.environment, "MILLRACE_FIRST_DAY", "2026-03-15")
    assert jobs(desk) == []
    monkeypatch.delitem(desk.environment, "MILLRACE_FIRST_DAY")
    assert jobs(desk) == ["helpdesk_hourly", "helpdesk_daily"]
    assert ("2026-03-06", 1) in desk.tickets()
