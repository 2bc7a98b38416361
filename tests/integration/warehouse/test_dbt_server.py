"""Every invocation of dbt is a fork of one process that has imported it: nothing of one is in the next."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse import dbt_server
from orchestration.warehouse.dbt import PROJECT_DIR, environment, parsed_project
from orchestration.warehouse.dbt_server import DbtProcess

MODEL = "stg_pocm__payments"
OTHER = "stg_pocm__orders"


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    folder = tmp_path / "target"
    return environment(Settings()) | {"DBT_TARGET_PATH": str(folder), "DBT_LOG_PATH": str(folder)}


def listed(env: dict[str, str], *args: str) -> tuple[str, int]:
    """What `dbt list` prints, and its exit code."""
    process = dbt_server.start(
        ["list", "--quiet", *args, "--project-dir", str(PROJECT_DIR)],
        env,
        PROJECT_DIR,
        parsed_project(Settings()),
    )
    printed = process.stdout.read().decode()
    return printed, process.wait()


def server_of(process: DbtProcess) -> int:
    return int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def waiting(env: dict[str, str], tmp_path: Path) -> Iterator[DbtProcess]:
    """An invocation that does not end by itself: it waits for a parse file that is a pipe without a writer."""
    (tmp_path / "target").mkdir()
    os.mkfifo(tmp_path / "target" / "partial_parse.msgpack")
    process = dbt_server.start(["parse", "--project-dir", str(PROJECT_DIR)], env, PROJECT_DIR, None)
    yield process
    process.wait()


def test_invocations_are_forks_of_one_process(env: dict[str, str]) -> None:
    args = ["list", "--project-dir", str(PROJECT_DIR)]
    one = dbt_server.start(args, env, PROJECT_DIR, None)
    two = dbt_server.start(args, env, PROJECT_DIR, None)
    assert server_of(one) == server_of(two) != os.getpid()
    assert one.pid != two.pid
    for process in (one, two):
        process.stdout.read()
        assert process.wait() == 0


LENDING = """
import os, subprocess, sys
from orchestration.warehouse import dbt_server
if sys.argv[1:]:
    print(dbt_server._server().folder)
else:
    dbt_server.lend()
    borrow = [sys.executable, "-c", os.environ["LENDING"], "borrower"]
    borrowed = subprocess.run(borrow, capture_output=True, text=True, check=True).stdout.strip()
    print(borrowed == str(dbt_server._server().folder), os.path.exists(borrowed), borrowed)
    dbt_server._known[-1].process.kill()
    dbt_server._known[-1].process.wait()
    other = subprocess.run(borrow, capture_output=True, text=True, check=True).stdout.strip()
    print(other != borrowed)
"""


def test_a_process_lends_its_server_to_those_that_it_starts() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LENDING],
        env={**os.environ, "LENDING": LENDING},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = done.stdout.splitlines()
    assert first.startswith("True True "), (
        "the borrower has started one of its own, or ended that of its lender"
    )
    assert second == "True", "a server that has ended cannot be lent"


def test_nothing_of_an_invocation_is_left_for_the_next(env: dict[str, str]) -> None:
    """Selection, environment and the project as dbt changes it while it runs: each invocation has its own."""
    one = listed(env | {"DBT_WARN_ERROR": "true"}, "--select", MODEL, "--output", "name")
    assert one == (f"{MODEL}\n", 0)
    assert listed(env | {"DBT_EXCLUDE_RESOURCE_TYPES": "model test"}, "--select", MODEL)[0] == ""
    assert listed(env, "--select", OTHER, "--output", "name") == (f"{OTHER}\n", 0)
    unknown, code = listed(env, "--selct", MODEL)
    assert code == 2
    assert "--selct" in unknown
    assert listed(env, "--select", MODEL, "--output", "name") == one


def test_a_project_that_was_parsed_again_is_read_again(env: dict[str, str], tmp_path: Path) -> None:
    parsed = tmp_path / "parsed.msgpack"
    parsed.write_bytes(parsed_project(Settings()).read_bytes())
    args = ["list", "--quiet", "--select", MODEL, "--output", "name", "--project-dir", str(PROJECT_DIR)]
    for name in (MODEL, MODEL[:-1] + "z"):
        parsed.write_bytes(parsed.read_bytes().replace(MODEL.encode(), name.encode()))
        process = dbt_server.start(args, env, PROJECT_DIR, parsed)
        printed = process.stdout.read().decode()
        process.wait()
        assert (MODEL in printed) is (name == MODEL)


def test_what_was_killed_says_so(waiting: DbtProcess) -> None:
    waiting.send_signal(signal.SIGKILL)
    assert waiting.wait() == -signal.SIGKILL


def test_an_invocation_and_the_server_end_with_the_process_that_asked(tmp_path: Path) -> None:
    """A killed process leaves nothing that goes on building."""
    script = tmp_path / "asks.py"
    script.write_text(
        "import os, signal, sys\n"
        "from orchestration.settings import Settings\n"
        "from orchestration.warehouse import dbt_server\n"
        "from orchestration.warehouse.dbt import PROJECT_DIR, environment\n"
        "target = sys.argv[1]\n"
        "os.mkfifo(target + '/partial_parse.msgpack')\n"
        "env = environment(Settings()) | {'DBT_TARGET_PATH': target, 'DBT_LOG_PATH': target}\n"
        "process = dbt_server.start(['parse', '--project-dir', str(PROJECT_DIR)], env, PROJECT_DIR, None)\n"
        "server = open(f'/proc/{process.pid}/stat').read().rpartition(')')[2].split()[1]\n"
        "print(f'[{process.pid}, {server}]', flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    asked = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], cwd=PROJECT_ROOT, stdout=subprocess.PIPE, check=False
    )
    assert asked.returncode == -signal.SIGKILL
    for pid in json.loads(asked.stdout):
        with suppress(ProcessLookupError):
            ended = os.pidfd_open(pid)
            assert select.select([ended], [], [], 60)[0]
            os.close(ended)
