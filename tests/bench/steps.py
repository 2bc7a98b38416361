"""What the steps of the platform cost: some days and one quiet hour through every job, in CPU seconds of every process,
and the whole stack while nothing happens.

Wall time says little on a busy machine; the processor seconds of the command, of what it starts and of the
servers still compare.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from ingestion.contract import load_source
from ingestion.loader import load
from ingestion.simulator import LANDING_FILE, MODELS, Delivery, simulate
from lake.paths import hour_of
from orchestration.connections import object_store
from orchestration.embedded import stack
from orchestration.embedded.testing import settings_for
from orchestration.prepare import prepare
from orchestration.settings import Settings

QUIET_EVENTS = 500
SEED = 7
POLL_SECONDS = 0.1
SETTLE_SECONDS = 60
CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Step:
    """What one command cost: wall seconds, CPU seconds of everything and by part, MB of Dagster's history added."""

    seconds: float
    cpu_seconds: float
    parts: dict[str, float]
    history_mb: float
    jobs: dict[str, float]
    """Wall seconds by job, as `millrace run` tells them."""


@dataclass(frozen=True)
class Idle:
    """What the whole stack costs while nothing happens."""

    seconds: float
    core_percent: dict[str, float]
    """Of one core, by component with what it started."""
    pss_mib: float
    """Proportional set size of all of it: what is shared counts once."""


@dataclass(frozen=True)
class Sized:
    """How much history is there before the quiet hour, and for how long the idle stack is watched."""

    days: int
    scale: float
    idle_seconds: float


def steps_cost(folder: Path, size: Sized) -> dict[str, Any]:
    """Measure the first run of some days of every source, the run of one quiet hour among them, then the idle stack."""
    with stack_at(folder) as settings:
        hours = _history(settings, folder, size)
        first, last = min(hours), max(hours) + timedelta(hours=1)
        found: dict[str, Any] = {"events": sum(hours.values())}
        found["history"] = asdict(measured_run(settings, first, last))
        quiet = min(hours, key=lambda hour: abs(hours[hour] - QUIET_EVENTS))
        found["quiet_hour"] = {"hour": quiet.isoformat(), "events": hours[quiet]}
        found["hour"] = asdict(measured_run(settings, quiet, quiet + timedelta(hours=1)))
        found["idle"] = asdict(idle_cost(settings, size.idle_seconds))
    return found


def idle_cost(settings: Settings, seconds: float) -> Idle:
    """Start the whole stack, let it come to rest, and watch it for some seconds."""
    status = stack.up(settings)
    time.sleep(SETTLE_SECONDS)
    trees = {part.name: _tree(part.pid) for part in status.components if part.pid}
    before = {name: sum(map(_cpu_of, tree)) for name, tree in trees.items()}
    started = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - started
    used = {name: sum(map(_cpu_of, tree)) - before[name] for name, tree in trees.items()}
    pss = sum(_pss_of(pid) for tree in trees.values() for pid in tree)
    return Idle(
        round(passed, 1),
        {name: round(100 * cpu / passed, 2) for name, cpu in used.items()},
        round(pss / 1024, 1),
    )


@contextmanager
def stack_at(folder: Path) -> Iterator[Settings]:
    """Run the storage of a stack of this folder for the length of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = settings_for(folder / "state")
    _adopt_orphans()
    try:
        stack.up(settings, components=stack.STORAGE)
        yield settings
    finally:
        stack.down(settings)


def _history(settings: Settings, folder: Path, size: Sized) -> dict[datetime, int]:
    """Load some simulated days of every source into the lake; return the events of each received hour."""
    store = object_store(settings)
    store.ensure_bucket()
    hours: Counter[datetime] = Counter()
    for name in MODELS:
        events = folder / "events" / name
        simulate(name, size.days, SEED, events, scale=size.scale, delivery=Delivery(), with_truth=False)
        for entry in json.loads((events / LANDING_FILE).read_text()):
            received = datetime.fromisoformat(entry["received_at"])
            done = load(
                store,
                load_source(name),
                str(events / entry["file"]),
                key=settings.secret_key,
                received_at=received,
            )
            hours[hour_of(received)] += done.manifest.counts.read
    prepare(settings)
    return dict(hours)


def measured_run(settings: Settings, start: datetime, end: datetime, *options: str) -> Step:
    """Run `millrace run` over received hours and measure it."""
    bounds = ["--from", f"{start:%Y-%m-%dT%H:%M}", "--to", f"{end:%Y-%m-%dT%H:%M}"]
    return measured(settings, ["run", *bounds, *options, "--json"])


def measured(settings: Settings, arguments: Sequence[str]) -> Step:
    """Run one command of the platform and measure it and the servers.

    Raises:
        RuntimeError: when the command fails.
    """
    servers = {
        component.name: component.pid for component in stack.status(settings).components if component.pid
    }
    before = {name: _cpu_of(pid) for name, pid in servers.items()}
    history = _history_bytes(settings)
    children = _cpu_of_children()
    # The servers, and the process of which this one's own invocations of dbt are forks.
    standing = _children()
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", "from orchestration.cli import main; main()", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MILLRACE_STATE_DIR": str(settings.state_dir)},
    )
    with _own_cpu(process.pid) as own:
        out, err = process.communicate()
    seconds = time.monotonic() - started
    if process.returncode:
        raise RuntimeError(f"millrace {' '.join(arguments)} failed:\n{out[-4000:]}{err[-4000:]}")
    _reap(standing)
    below = _cpu_of_children() - children
    parts = {"command": own(), "started by it": below - own()}
    parts |= {name: _cpu_of(pid) - before[name] for name, pid in servers.items()}
    jobs = json.loads(out)["jobs"] if out.startswith("{") else []
    return Step(
        seconds=round(seconds, 1),
        cpu_seconds=round(sum(parts.values()), 1),
        parts={name: round(value, 1) for name, value in parts.items()},
        history_mb=round((_history_bytes(settings) - history) / 1e6, 1),
        jobs={job["job"]: job["seconds"] for job in jobs},
    )


def _adopt_orphans() -> None:
    """Become the parent of what a measured command leaves behind, so that its CPU seconds are seen when it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(CHILD_SUBREAPER, 1, 0, 0, 0)


def _reap(standing: set[int]) -> None:
    """Wait until what the command left behind has ended; not for what was there before it."""
    while left := _children() - standing:
        for pid in left:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                return


def _tree(pid: int) -> list[int]:
    """A process and what it started, and what that started."""
    path = Path(f"/proc/{pid}/task")
    started = [child for task in path.glob("*/children") for child in map(int, task.read_text().split())]
    return [pid, *(other for child in started for other in _tree(child))]


def _pss_of(pid: int) -> int:
    """KiB of memory of a process, what it shares with others by its part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Pss:")).split()[1])


def _children() -> set[int]:
    return {int(pid) for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()}


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(pid: int) -> float:
    """User and system seconds of a process and of its children that have ended and were waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in fields[11:15]) / TICKS


@contextmanager
def _own_cpu(pid: int) -> Iterator[Callable[[], float]]:
    """Watch the CPU seconds of one process without its children, until it ends."""
    seen = [0.0]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_SECONDS):
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                return
            seen[0] = max(seen[0], (int(fields[11]) + int(fields[12])) / TICKS)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield lambda: seen[0]
    finally:
        ended.set()
        watcher.join()


def _history_bytes(settings: Settings) -> int:
    return sum(path.stat().st_size for path in settings.dagster_home.rglob("*") if path.is_file())
