"""Retention as an operator meets it: verified, listed, refused, removed, and a late event after it.

The platform is a copy of the project with the README's help desk as its only source, with a proof: its runs are short.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from orchestration.embedded.testing import running_stack
from tests.integration.cli.help_desk import Desk

AS_OF = "2026-07-15"
POLICY = "helpdesk: {raw_events: 90 days, day_rollups: 5 years, raw_lake: 5 years, quarantine: 90 days}\n"


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Two tickets of March, received then; run and proved."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        found = Desk(tmp_path_factory.mktemp("project"), settings.state_dir)
        found.write("lake/retention.yaml", POLICY.encode())
        found.settle()
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
