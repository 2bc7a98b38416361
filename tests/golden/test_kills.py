"""Whatever is killed, and whenever: running it again leaves what an undisturbed run leaves."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pipeline import TOUCHED, Days, Landing, Outcome, Pipeline, assert_same_tables, hours_of, window

from lake.manifest import all_manifests
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.dbt import PROJECT_DIR, environment

pytestmark = pytest.mark.stack

DAYS = Days("pocm", 3, 0.15, 20260302, date(2026, 2, 28))


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Landing:
    return DAYS.simulate(tmp_path_factory.mktemp("killed"))


@pytest.fixture(scope="module")
def whole(stack: Settings, landing: Landing) -> Iterator[Outcome]:
    """Everything loaded at once, undisturbed."""
    pipeline = Pipeline.fresh(stack, DAYS.source)
    yield pipeline.outcome(pipeline.run(landing, landing.files))
    empty_warehouse(pipeline.client)


def test_a_load_killed_at_any_upload_is_repaired_by_running_it_again(
    whole: Outcome, stack: Settings, landing: Landing
) -> None:
    pipeline = Pipeline.fresh(stack, DAYS.source)
    files = list(landing.files[:4])
    orders = {"stage": "load", "landing": str(landing.folder), "files": files}
    at = 1
    while die(pipeline, at=at, **orders):
        at += 1
    assert at > len(files), "it died too seldom to tell anything"
    expected = {result.manifest.key for result in whole.results[: len(files)]}
    assert {manifest.key for manifest in all_manifests(pipeline.store, pipeline.source)} == expected
    found = pipeline.files()
    assert found == {key: whole.files[key] for key in found}


def test_a_killed_take_in_is_repaired_by_running_it_again(
    whole: Outcome, stack: Settings, landing: Landing
) -> None:
    pipeline = Pipeline.fresh(stack, DAYS.source)
    hours = hours_of(pipeline.load(landing, landing.files))
    at = 1
    while die(pipeline, at=at, stage="take_in", hours=[hour.isoformat() for hour in hours]):
        at += 1 + at // 3
    assert at > 10, "it died too seldom to tell anything"
    snapshot = pipeline.snapshot()
    assert_same_tables(
        {table: rows for table, rows in snapshot.items() if table.split(".")[0] in ("raw", "ops")},
        {table: rows for table, rows in whole.snapshot.items() if table.split(".")[0] in ("raw", "ops")},
    )


def test_a_killed_build_is_repaired_by_running_it_again(
    whole: Outcome, stack: Settings, landing: Landing
) -> None:
    pipeline = Pipeline.fresh(stack, DAYS.source)
    pipeline.run(landing, landing.files[::2])
    hours = hours_of(pipeline.load(landing, landing.files[1::2]))
    pipeline.take_in(hours)
    for models_done in (1, 12):
        kill_build(stack, hours, models_done)
    pipeline.build(hours)
    assert_same_tables(pipeline.snapshot(), whole.snapshot, without=(TOUCHED,))


def die(pipeline: Pipeline, **orders: Any) -> bool:
    """Work in a process that is killed on the way; False when it got through before."""
    orders |= {
        "state_dir": str(pipeline.settings.state_dir),
        "bucket": pipeline.store.bucket,
        "source": pipeline.source,
    }
    script = Path(__file__).with_name("dying.py")
    done = subprocess.run(
        [sys.executable, str(script), json.dumps(orders)],
        cwd=PROJECT_ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def kill_build(settings: Settings, hours: Sequence[datetime], models_done: int) -> None:
    """Kill dbt as soon as it has reported some models as done."""
    folders = ["--project-dir", str(PROJECT_DIR), "--profiles-dir", str(PROJECT_DIR)]
    target = settings.state_dir / "killed" / uuid.uuid4().hex
    env = environment(settings, window(hours))
    env |= {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target), "DBT_USE_COLORS": "false"}
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "dbt.cli.main", "run", *folders],
        env=env, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        done = 0
        for line in process.stdout:
            done += " OK created " in line
            if done == models_done:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
