"""Adding a source is adding files, no Python: the README's own example, in a copy of the project."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator

import pytest

from orchestration.embedded.testing import running_stack
from tests.integration.contracts.copied_project import BLOCKS, FILES, Project

EVENTS = next(text for language, text in BLOCKS if language == "json")
COMMANDS = [shlex.split(line) for line in next(t for lang, t in BLOCKS if lang == "bash").splitlines()]
GRAPH = """
import json
from orchestration.definitions import build_definitions
from orchestration.resources import Platform
from orchestration.settings import load

definitions = build_definitions(Platform(load()))
keys = definitions.resolve_all_asset_keys()
repository = definitions.get_repository_def()
print(json.dumps({
    "assets": sorted(key.to_user_string() for key in keys if "helpdesk" in key.to_user_string()),
    "jobs": sorted(name for name in repository.job_names if name.startswith("helpdesk_")),
    "schedules": sorted(s.name for s in repository.schedule_defs if s.name.startswith("helpdesk_")),
    "sensors": sorted(s.name for s in repository.sensor_defs if s.name.startswith("helpdesk_")),
}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, dict[str, str]]]:
    """The copy with the files of the README, and what each of its commands printed."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        project = Project(tmp_path_factory.mktemp("project"), settings.state_dir)
        project.leave_out("bilten", "pocm", "studyin")
        for name, text in FILES.items():
            project.write(name, text.encode())
        project.write("tickets.ndjson", EVENTS.encode())
        before = project.contents()
        said = project.millrace("run", "--from", "2026-03-02", "--to", "2026-03-03", code=1)
        assert "do not follow the contracts, first " in said
        assert "run `millrace contracts generate`" in said
        assert project.contents() == before
        printed = {command[1]: project.millrace(*command[1:]) for command in COMMANDS if command[1] != "up"}
        yield project, printed


def test_it_takes_contracts_and_models_and_no_python() -> None:
    assert {name.rpartition(".")[2] for name in FILES} == {"yaml", "yml", "sql"}
    assert [command[0] for command in COMMANDS] == ["millrace"] * len(COMMANDS)


def test_every_row_is_accounted_for(answers: tuple[Project, dict[str, str]]) -> None:
    printed = " ".join(answers[1]["load"].split())
    assert "read 3 = accepted 1 + duplicate 1 + quarantined 1 + suppressed 0" in printed


def test_its_mart_is_filled(answers: tuple[Project, dict[str, str]]) -> None:
    project, printed = answers
    assert "2026-03-02" in printed["sql"]
    row = json.loads(project.millrace("sql", "select * from helpdesk.tickets_daily", "--json"))
    assert (row["tenant_id"], int(row["tickets"]), int(row["minutes_open"])) == ("acme", 1, 30)


def test_its_staging_view_holds_no_personal_data(answers: tuple[Project, dict[str, str]]) -> None:
    row = json.loads(
        answers[0].millrace("sql", "select * from staging.stg_helpdesk__closed_tickets", "--json")
    )
    assert row["ticket_id"] == "t1"
    assert row["requester_email"] not in (None, "bob@example.com")


def test_it_is_in_the_catalogue(answers: tuple[Project, dict[str, str]]) -> None:
    catalogue = (answers[0].root / "docs" / "catalogue" / "helpdesk.md").read_text()
    assert "`ticket_closed`" in catalogue
    assert answers[0].millrace("contracts", "check") == ""


def test_it_has_a_graph_of_the_cadences_it_has_models_of(answers: tuple[Project, dict[str, str]]) -> None:
    graph = json.loads(answers[0].python("-c", GRAPH).splitlines()[-1])
    assert {"landing/helpdesk", "raw/helpdesk", "helpdesk/tickets_daily", "quality/helpdesk_proof"} <= set(
        graph["assets"]
    )
    works = ("daily", "freshness", "hourly", "landing", "retention")
    assert graph["jobs"] == [f"helpdesk_{work}" for work in works]
    assert {"helpdesk_hourly", "helpdesk_daily"} <= set(graph["schedules"])
    assert {"helpdesk_restated_days", "helpdesk_touched_hours"} <= set(graph["sensors"])


def test_it_is_verified_and_says_that_no_mart_is_proved(answers: tuple[Project, dict[str, str]]) -> None:
    text = answers[1]["verify"]
    assert "no mart is proved" in text
    assert "ok: rows are conserved" in text
    assert "personal data followed into 1 marts" in text
