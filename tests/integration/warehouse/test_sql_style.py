"""The dbt project reads as the SQL style of .sqlfluff says, with no rule left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.dbt import environment

pytestmark = pytest.mark.stack


def lint(settings: Settings, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sqlfluff", "lint", "--nocolor", "--disable-progress-bar", *args],
        cwd=PROJECT_ROOT,
        env=environment(settings),
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_model_follows_the_sql_style(stack: Settings) -> None:
    done = lint(stack, "dbt_project")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_badly_styled_query_is_refused(stack: Settings, tmp_path: Path) -> None:
    query = tmp_path / "shouting.sql"
    query.write_text("SELECT order_id as order_id from orders\n")
    done = lint(stack, "--config", str(PROJECT_ROOT / ".sqlfluff"), "--templater", "jinja", str(query))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "CP01" in done.stdout
    assert "AL09" in done.stdout
