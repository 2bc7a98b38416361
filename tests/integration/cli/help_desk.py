"""The README's help desk as the only source of a copy of the project, with a proof: its runs are short."""

from __future__ import annotations

import json
from typing import Any

from ingestion.contract import source_names
from tests.integration.contracts.copied_project import FILES, Project

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


class Desk(Project):
    """The copy, and what is asked of it again and again."""

    def settle(self) -> None:
        """Take the place of every source there is; two tickets of March are received then, run and proved."""
        self.leave_out(*source_names())
        for name, text in FILES.items():
            self.write(name, text.encode())
        for name, text in PROOF.items():
            self.write(f"expectations/proof/helpdesk/{name}", text.encode())
        self.millrace("contracts", "generate")
        self.receive("2026-03-02T10:30:00Z", ("t1", "2026-03-02T10:00:00Z"), ("t2", "2026-03-02T10:05:00Z"))

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
