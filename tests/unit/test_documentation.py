"""What the README and CONTRIBUTING name must exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestration.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = {name: (ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md")}
COMMANDS = re.compile(r"millrace ((?:quarantine|contracts|report) \w+|[a-z]+)")


def found(pattern: str) -> list[tuple[str, str]]:
    """Return (document, match) for each distinct match of the pattern's first group."""
    return sorted({(name, match) for name, text in DOCUMENTS.items() for match in re.findall(pattern, text)})


@pytest.mark.parametrize(("document", "target"), found(r"\bmake ([a-z]+)\b"))
def test_every_make_target_named_exists(document: str, target: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), f"{document} names `make {target}`"


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (name, path)
        for name, path in found(
            r"[`(]((?:ingestion|lake|dbt_project|expectations|orchestration|deploy|docs|tests)/[\w./-]*[\w/])[`)]"
        )
    ],
)
def test_every_path_named_exists(document: str, path: str) -> None:
    assert (ROOT / path).exists(), f"{document} names {path}"


@pytest.mark.parametrize(("document", "variable"), found(r"\b(MILLRACE_[A-Z0-9_]+)\b"))
def test_every_variable_named_is_a_setting(document: str, variable: str) -> None:
    assert variable.removeprefix("MILLRACE_").lower() in Settings.model_fields, f"{document} names {variable}"


@pytest.mark.parametrize(("document", "command"), found(COMMANDS.pattern))
def test_every_command_named_exists_and_shows_an_example(document: str, command: str) -> None:
    from typer.testing import CliRunner

    from orchestration.cli import app

    result = CliRunner().invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0, f"{document} names `millrace {command}`"
    assert "millrace " + command in result.output, f"`millrace {command} --help` shows no example"
