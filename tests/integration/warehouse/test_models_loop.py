"""`make test-models`: what somebody who writes SQL sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from orchestration.embedded.testing import settings_for
from orchestration.settings import PROJECT_ROOT, Settings

pytestmark = [
    pytest.mark.stack,
    pytest.mark.skipif(not (PROJECT_ROOT / ".git").exists(), reason="changed since which commit?"),
]


def models(state_dir: Path, *selected: str, code: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.models", *selected],
        cwd=PROJECT_ROOT,
        env={**os.environ, "MILLRACE_STATE_DIR": str(state_dir)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_models_and_their_unit_tests_are_built_on_the_running_stack(
    warehouse: Client, stack: Settings
) -> None:
    said = models(stack.state_dir, "+studyin__daily_activity_summary", code=0)
    assert "pass" in said
    assert "unit_test.millrace.studyin__daily_activity_summary." in said
    assert warehouse.query("select count() from studyin.daily_activity_summary").result_rows == [(0,)]
    assert "'nosuch' selects nothing" in models(stack.state_dir, "nosuch", code=2)


def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path) -> None:
    assert "make demo" in models(settings_for(tmp_path).state_dir, code=2)
