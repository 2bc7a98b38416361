"""Retention as an operator meets it: verified, listed, refused, removed, and a late event after it.

The platform is a copy of the project with the README's help desk as its only source, with a proof: its runs are short.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ingestion.contract import source_names
from orchestration.embedded.testing import running_stack
from tests.integration.contracts.copied_project import FILES, Project

AS_OF = "2026-07-15"
PROOF = {
    "proof.yaml": "measured: events\nrelations: []\nmarts: {tickets_daily: {grain: [tenant_id, day], day: day}}\n",
    "tickets_daily.sql": """
        select
            tenant_id,
            cast(occurred_at as date) as day,
            count(distinct json_extract_string(payload, '$.ticket_id')) as tickets,
            cast(sum(cast(json_extract_string(payload, '$.minutes_open') as bigint)) as bigint) as minutes_open
        from events
        group by all
    """,
}
POLICY = "helpdesk: {raw_events: 90 days, day_rollups: 5 years, raw_lake: 5 years, quarantine: 90 days}\n"


class Desk(Project):
    """The copy, and what is asked of it again and again."""

    def receive(self, at: str, *tickets: tuple[str, str]) -> None:
        """Load tickets closed at some times, as received at a time, and run the day of it."""
        events = [event(name, closed) for name, closed in tickets]
        path = self.write(f"{at[:10]}.ndjson", "\n".join(json.dumps(e) for e in events).encode())
        self.millrace("load", "helpdesk", str(path), "--received-at", at)
        self.millrace("run", "--from", at[:10], "--to", f"{at[:8]}{int(at[8:10]) + 1:02d}")

    def tickets(self) -> list[tuple[str, int]]:
        """Tickets by day."""
        rows = self.ask("select day, tickets from helpdesk.tickets_daily order by day")
        return [(row["day"], int(row["tickets"])) for row in rows]

    def hours(self) -> list[str]:
        """Received hours in raw.events."""
        return [row["h"] for row in self.ask("select distinct received_hour as h from raw.events order by h")]

    def ask(self, query: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.millrace("sql", query, "--json").splitlines()]


def event(name: str, closed: str) -> dict[str, Any]:
    details = {"ticket_id": name, "minutes_open": 30}
    return {
        "id": name,
        "kind": "ticket_closed",
        "at": closed,
        "brand": "acme",
        "agent": "ann",
        "details": details,
    }


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two tickets of March, received then; run and proved."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        found = Desk(tmp_path_factory.mktemp("project"), settings.state_dir)
        for source in source_names():
            found.leave_out(source)
        for name, text in FILES.items():
            found.write(name, text.encode())
        for name, text in PROOF.items():
            found.write(f"expectations/proof/helpdesk/{name}", text.encode())
        found.write("lake/retention.yaml", POLICY.encode())
        found.receive("2026-03-02T10:30:00Z", ("t1", "2026-03-02T10:00:00Z"), ("t2", "2026-03-02T10:05:00Z"))
        yield found


def test_an_operator_removes_what_is_too_old_and_a_late_event_still_counts(desk: Desk) -> None:
    before = desk.tickets()
    assert before == [("2026-03-02", 2)]

    refused = desk.millrace("retention", "--check", "--as-of", AS_OF, code=1)
    assert "helpdesk: raw.events: 1 received hours" in refused
    assert "2026-03-02 10:00" in refused
    assert "would go" in desk.millrace("retention", "--as-of", AS_OF)
    assert desk.hours() == ["2026-03-02 10:00:00"]

    desk.millrace("retention", "--apply", "--as-of", AS_OF)

    assert desk.hours() == []
    desk.millrace("retention", "--check", "--as-of", AS_OF)
    assert desk.tickets() == before

    desk.receive("2026-07-10T10:30:00Z", ("t3", "2026-03-02T11:00:00Z"))

    assert desk.tickets() == [("2026-03-02", 3)]
    assert desk.hours() == ["2026-03-02 10:00:00", "2026-07-10 10:00:00"]
    desk.millrace("retention", "--apply", "--as-of", AS_OF)
    assert desk.hours() == ["2026-07-10 10:00:00"]
    assert "raw.events: 1 received hours are past retention" in desk.millrace("verify")
    assert desk.tickets() == [("2026-03-02", 3)]


def test_removing_what_is_not_too_old_yet_is_wrong_use(desk: Desk) -> None:
    assert "still to come" in desk.millrace("retention", "--apply", "--as-of", "2099-01-01", code=2)
    assert "give one of them" in desk.millrace("retention", "--apply", "--check", code=2)
