"""Retention as an operator meets it: verified, listed, refused, removed, and a late event after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestration.embedded.testing import running_stack
from orchestration.settings import PROJECT_ROOT

AS_OF = "2026-07-15"


def search(number: int, occurred_at: str) -> dict[str, Any]:
    return {
        "eventId": f"evt-{number}",
        "type": "SEARCH",
        "userId": "user-1",
        "timestamp": occurred_at,
        "data": {"search_id": f"s-{number}", "query": "patch", "results_count": 3},
        "metadata": {"source": "web", "version": "1.0", "sessionId": "one", "tenantId": "t1"},
    }


@dataclass(frozen=True)
class Platform:
    """A stack, and commands against it in the order in which they were given."""

    state_dir: Path

    def millrace(self, *arguments: str, code: int = 0) -> str:
        """What a command prints, which ends with an exit code."""
        done = subprocess.run(
            [sys.executable, "-m", "orchestration.cli", *arguments],
            cwd=PROJECT_ROOT,
            env={**os.environ, "MILLRACE_STATE_DIR": str(self.state_dir)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def receive(self, at: str, *events: dict[str, Any]) -> None:
        """Load events as received at a time, and run the day of it."""
        path = self.state_dir / f"{at[:10]}.ndjson"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
        self.millrace("load", "pocm", str(path), "--received-at", at)
        following = f"{at[:8]}{int(at[8:10]) + 1:02d}"
        self.millrace("run", "--from", at[:10], "--to", following)

    def searches(self) -> list[tuple[str, int]]:
        """Searches by day."""
        printed = self.millrace(
            "sql", "select day, searches from pocm.search_daily where scope = 'all' order by day", "--json"
        )
        rows = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
        return [(row["day"], int(row["searches"])) for row in rows]

    def hours(self) -> list[str]:
        """Received hours in raw.events."""
        printed = self.millrace(
            "sql", "select distinct received_hour as h from raw.events order by h", "--json"
        )
        return [json.loads(line)["h"] for line in printed.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Two searches of March, received then; run and proved."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        found = Platform(settings.state_dir)
        found.receive(
            "2026-03-02T10:30:00Z", search(1, "2026-03-02T10:00:00Z"), search(2, "2026-03-02T10:05:00Z")
        )
        yield found


def test_an_operator_removes_what_is_too_old_and_a_late_event_still_counts(platform: Platform) -> None:
    before = platform.searches()
    assert before == [("2026-03-02", 2)]

    refused = platform.millrace("retention", "--check", "--as-of", AS_OF, code=1)
    assert "pocm: raw.events: 1 received hours" in refused
    assert "2026-03-02 10:00" in refused
    listed = platform.millrace("retention", "--as-of", AS_OF)
    assert "nothing was changed: --apply removes it" in listed
    assert platform.hours() == ["2026-03-02 10:00:00"]

    platform.millrace("retention", "--apply", "--as-of", AS_OF)

    assert platform.hours() == []
    platform.millrace("retention", "--check", "--as-of", AS_OF)
    assert platform.searches() == before

    platform.receive("2026-07-10T10:30:00Z", search(3, "2026-03-02T11:00:00Z"))

    assert platform.searches() == [("2026-03-02", 3)]
    assert "ok:" in platform.millrace("verify")
    assert platform.hours() == ["2026-03-02 10:00:00", "2026-07-10 10:00:00"]
    platform.millrace("retention", "--apply", "--as-of", AS_OF)
    assert platform.hours() == ["2026-07-10 10:00:00"]
    assert "1 received hours are past retention" in platform.millrace("verify")


def test_removing_what_is_not_too_old_yet_is_wrong_use(platform: Platform) -> None:
    assert "still to come" in platform.millrace("retention", "--apply", "--as-of", "2099-01-01", code=2)
    assert "give one of them" in platform.millrace("retention", "--apply", "--check", code=2)
