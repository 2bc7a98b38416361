"""Retention as an operator meets it: verified, listed, refused, removed, and a late event after it.

The platform is a copy of the project with the README's help desk as its only source, with a proof: its runs are short.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.paths import DataFile
from lake.store import ObjectStore
from orchestration.connections import object_store
from orchestration.embedded.testing import running_stack
from orchestration.settings import Settings
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


@pytest.fixture(scope="module")
def store(desk: Desk) -> ObjectStore:
    """The desk's lake."""
    return object_store(Settings(state_dir=Path(desk.environment["MILLRACE_STATE_DIR"])))


@pytest.fixture
def orphan(desk: Desk, store: ObjectStore) -> str:
    """A file that a killed load left two days ago."""
    hour = datetime(2026, 3, 2, 11, tzinfo=UTC)
    key = DataFile("raw", "helpdesk", hour, "0" * 32, "1" * 8, 0).key
    left = desk.write("left.parquet", b"no load got to its manifest")
    store.put_file(key, left, metadata={"mtime": str((datetime.now(UTC) - timedelta(days=2)).timestamp())})
    return key


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


def test_files_of_loads_that_never_finished_go_too(desk: Desk, store: ObjectStore, orphan: str) -> None:
    told = "helpdesk: 1 files, 27 bytes, of loads that never finished"
    assert f"{told} would go" in desk.millrace("retention")
    assert store.exists(orphan)
    assert f"{told} went" in desk.millrace("retention", "--apply")
    assert not store.exists(orphan)
    assert "never finished" not in desk.millrace("retention")
    assert json.loads(desk.millrace("retention", "--json"))["unnamed_files"] == 0


def test_removing_what_is_not_too_old_yet_is_wrong_use(desk: Desk) -> None:
    assert "still to come" in desk.millrace("retention", "--apply", "--as-of", "2099-01-01", code=2)
    assert "give one of them" in desk.millrace("retention", "--apply", "--check", code=2)
