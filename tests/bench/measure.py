"""Measuring: one piece of work per process, so that peak memory is its own."""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Run:
    """One measured run: wall and CPU seconds, peak resident memory of its process in MiB, events handled.

    On a busy machine the wall time says little; the CPU time of all threads still compares.
    """

    seconds: float
    cpu_seconds: float
    peak_mib: float
    events: int

    @property
    def rate(self) -> float:
        """Events per second."""
        return self.events / self.seconds


def in_own_process(module: str, *arguments: str) -> Run:
    """Run `python -m module arguments`, which prints its Run as the last line of its output."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{module} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    return Run(**json.loads(done.stdout.strip().splitlines()[-1]))


def report_own(work: Callable[[], int]) -> None:
    """Do the work, which returns the number of events, and print its Run."""
    cpu_before, started = time.process_time(), time.perf_counter()
    events = work()
    seconds = time.perf_counter() - started
    cpu = time.process_time() - cpu_before
    print(json.dumps(asdict(Run(seconds, cpu, peak_mib(), events))))


def peak_mib() -> float:
    """Return this process's peak resident memory in MiB.

    Linux hands the parent's peak down in `ru_maxrss`, but not in VmHWM.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Return the median rate, the highest peak and every run."""
    return {
        "events": runs[0].events,
        "median_seconds": round(statistics.median([run.seconds for run in runs]), 3),
        "median_rate": round(statistics.median([run.rate for run in runs])),
        "peak_mib": round(max(run.peak_mib for run in runs)),
        "seconds": [round(run.seconds, 3) for run in runs],
        "cpu_seconds": [round(run.cpu_seconds, 3) for run in runs],
    }
