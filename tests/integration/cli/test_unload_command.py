"""Unloading as a data engineer meets it: killed anywhere and asked for again, everything stands as it did before.

The platform is a copy of the project with the README's help desk as its only source, with a proof: its runs are short.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.embedded.testing import running_stack
from tests.integration.cli.help_desk import Desk, event

TABLES = ("raw.events", "raw.event_keys", "ops.loads", "ops.quarantine", "helpdesk.tickets_daily")

DYING = """
import os, signal, sys
from orchestration import console, unloading
from orchestration.cli import main

left = int(sys.argv.pop(1))

def step(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def after_step(method):
    def call(*arguments, **options):
        step()
        return method(*arguments, **options)
    return call

for owner, name in (
    (unloading.in_lake, "unload"), (unloading, "report_unload"), (unloading, "materialize_windows"),
    (unloading.in_lake, "note_restated"),
):
    setattr(owner, name, after_step(getattr(owner, name)))
console.show_progress = step
import orchestration.cli
orchestration.cli.show_progress = step
main()
"""
"""The command line, killed before its nth step: a call of the unloading, or anything that a run tells of."""


class Office(Desk):
    """The desk, and what its tables hold."""

    def load(self, name: str, at: str, *events: Any) -> str:
        """Load events as received at a time, and return the load's id."""
        lines = [text if isinstance(text, str) else json.dumps(text) for text in events]
        path = self.write(name, "\n".join(lines).encode())
        said = self.millrace("load", "helpdesk", str(path), "--received-at", at, "--json")
        return str(json.loads(said)["load_id"])

    def snapshot(self) -> dict[str, list[str]]:
        """Every row of the tables, but for when a load was committed, as loading it again changes that."""
        rows = {
            table: self.millrace("sql", f"select * from {table}", "--json").splitlines() for table in TABLES
        }
        return {
            table: sorted(
                json.dumps(json.loads(row) | {"committed_at": None, "revision": None}) for row in found
            )
            for table, found in rows.items()
        }

    def dies(self, step: int, *arguments: str) -> bool:
        """Run a command that is killed before a step of its; False when it got through before."""
        done = subprocess.run(
            [sys.executable, "-c", DYING, str(step), *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stdout[-3000:] + done.stderr[-3000:]
        return done.returncode != 0


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """Two tickets, received at half past ten; run and proved."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        found = Office(tmp_path_factory.mktemp("project"), settings.state_dir)
        found.settle()
        yield found


def test_killed_anywhere_and_asked_for_again_it_leaves_what_there_was_before(office: Office) -> None:
    before = office.snapshot()
    # t1 in an earlier delivery, which from then on counts; another day; a broken ticket; an hour of its own.
    events = [
        event("t1", "2026-03-02T10:00:00Z"),
        event("t3", "2026-03-01T08:00:00Z"),
        {"id": "t4", "kind": "ticket_closed"},
    ]
    load_id = office.load("extra.ndjson", "2026-03-02T09:30:00Z", *events)
    office.millrace("run", "--from", "2026-03-02", "--to", "2026-03-03")
    with_it = office.snapshot()
    assert all(before[table] != with_it[table] for table in TABLES)

    step, deaths = 1, 0
    while office.dies(step, "unload", load_id[:8], "--reason", "not ours"):
        step += 1 + step // 2
        deaths += 1

    assert deaths > 5, "it died too seldom to tell anything"
    assert office.snapshot() == before
    assert "nothing is left to do" in office.millrace("unload", load_id)
    office.millrace("verify")
    office.millrace("run", "--from", "2026-03-02", "--to", "2026-03-03")
    assert office.snapshot() == before

    assert office.load("extra.ndjson", "2026-03-02T09:30:00Z", *events) == load_id
    office.millrace("run", "--from", "2026-03-02", "--to", "2026-03-03")
    assert office.snapshot() == with_it
    office.millrace("verify")


def test_an_hour_of_two_loads_keeps_the_other(office: Office) -> None:
    before = office.snapshot()
    load_id = office.load("same-hour.ndjson", "2026-03-02T10:45:00Z", event("t9", "2026-03-02T10:10:00Z"))
    office.millrace("run", "--from", "2026-03-02T10", "--to", "2026-03-02T11")

    told = json.loads(office.millrace("unload", load_id, "--json"))

    assert told["success"]
    assert told["rebuilt"] == [["2026-03-02T10:00:00+00:00", "2026-03-02T11:00:00+00:00"]]
    assert office.snapshot() == before


def test_events_that_retention_took_come_back_to_be_taken_back(office: Office) -> None:
    """A ticket that was delivered again long after: the later delivery counts, once the earlier is unloaded."""
    first = office.load("first.ndjson", "2026-03-02T11:30:00Z", event("t5", "2026-03-02T11:00:00Z"))
    office.millrace("run", "--from", "2026-03-02", "--to", "2026-03-03")
    office.write(
        "lake/retention.yaml",
        b"helpdesk: {raw_events: 90 days, day_rollups: 5 years, raw_lake: 5 years, quarantine: 90 days}\n",
    )
    office.millrace("verify")
    office.millrace("retention", "--apply", "--as-of", "2026-07-15")
    # Not alone: the same bytes would be the same load, and nothing new.
    again = [event("t5", "2026-03-02T11:00:00Z"), event("t6", "2026-07-10T10:00:00Z")]
    office.load("second.ndjson", "2026-07-10T10:30:00Z", *again)
    office.millrace("run", "--from", "2026-07-10", "--to", "2026-07-11")
    tickets = office.tickets()
    assert ("2026-07-10", 1) in tickets

    office.millrace("unload", first)

    assert office.tickets() == tickets
    (row,) = office.ask("select received_hour, is_duplicate from raw.events where event_id = 't5'")
    assert (row["received_hour"], row["is_duplicate"]) == ("2026-07-10 10:00:00", False)
    office.millrace("verify")
