"""Forks that work side by side: nothing of what they did is lost, and none outlives the process that needs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lake.errors import WrongUseError
from orchestration import side_by_side as module
from orchestration.side_by_side import WorkerEndedError, side_by_side


@pytest.fixture(autouse=True)
def _two_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: {0, 1})


def shout(name: str, tell: Callable[[str], None]) -> tuple[str, int]:
    tell(f"{name} begins")
    return name.upper(), os.getpid()


def test_results_come_in_the_order_of_the_names_and_what_is_told_comes_through() -> None:
    told: list[str] = []
    results = side_by_side(["a", "b", "c", "d", "e"], shout, told.append)
    assert [name for name, _ in results] == ["A", "B", "C", "D", "E"]
    assert len({pid for _, pid in results} - {os.getpid()}) == 2
    assert sorted(told) == [f"{name} begins" for name in "abcde"]


@pytest.mark.parametrize("processors", [1, 2])
def test_one_name_or_one_processor_needs_no_fork(monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(processors)))
    names = ["a", "b"] if processors == 1 else ["a"]
    assert {pid for _, pid in side_by_side(names, shout, lambda _: None)} == {os.getpid()}


def test_an_error_of_ours_arrives_as_it_was_raised() -> None:
    def wrong(name: str, tell: Callable[[str], None]) -> None:
        if name == "a":
            raise WrongUseError(f"{name} is no source")

    with pytest.raises(WrongUseError, match=r"^a is no source$"):
        side_by_side(["a", "b"], wrong, print)


def test_an_error_that_cannot_travel_arrives_in_words() -> None:
    class OddError(Exception):
        def __init__(self, number: int, more: str) -> None:
            super().__init__(f"{number} {more}")
            self.lock = open(os.devnull)  # noqa: SIM115, PTH123  something that does not pickle

    def wrong(name: str, tell: Callable[[str], None]) -> None:
        if name == "a":
            raise OddError(7, name)

    with pytest.raises(Exception, match="OddError: 7 a"):
        side_by_side(["a", "b"], wrong, print)


def test_a_killed_fork_is_told_by_its_work() -> None:
    def dies(name: str, tell: Callable[[str], None]) -> None:
        if name == "b":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(30)

    started = time.monotonic()
    with pytest.raises(WorkerEndedError, match="worked on b was killed"):
        side_by_side(["a", "b"], dies, print)
    assert time.monotonic() - started < 30, "the other was not interrupted"


ENDLESS = """
import os, sys, time
from pathlib import Path
from orchestration import side_by_side as module
module.os.sched_getaffinity = lambda _: {0, 1}
def work(name, tell):
    Path(sys.argv[1], name).write_text(str(os.getpid()))
    time.sleep(600)
module.side_by_side(["a", "b"], work, print)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_forks_end_with_the_process_that_needs_them(tmp_path: Path, number: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)], stderr=subprocess.DEVNULL)
    try:
        pids = [_written(tmp_path / name) for name in "ab"]
        process.send_signal(number)
        process.wait(timeout=30)
        for pid in pids:
            _wait_until(lambda pid=pid: not _runs(pid))
    finally:
        process.kill()
        process.wait()


def _written(path: Path) -> int:
    _wait_until(lambda: path.exists() and path.read_text() != "")
    return int(path.read_text())


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _wait_until(condition: Callable[[], bool]) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not happen within half a minute")
