"""Processes that outlive the command which started them, known by pid and start time."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Process:
    """One started process; `started` tells it from a later one with the same pid."""

    pid: int
    started: str
    port: int | None = None

    @property
    def alive(self) -> bool:
        """Say whether this very process still runs."""
        # A child of ours stays a zombie until somebody asks for its end.
        with suppress(ChildProcessError):
            os.waitpid(self.pid, os.WNOHANG)
        return start_time(self.pid) == self.started

    def end(self, grace_seconds: float) -> None:
        """End the process and its group with TERM, after the grace with KILL, and wait until it is gone."""
        for number, seconds in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 10.0)):
            if not self.alive:
                return
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)
            deadline = time.monotonic() + seconds
            while self.alive and time.monotonic() < deadline:
                time.sleep(POLL_SECONDS)


def start_time(pid: int) -> str | None:
    """Return when process `pid` started, in the system's own unit; None where no such process runs."""
    try:
        # The name in brackets may hold anything; state and start time come after it.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except ProcessLookupError:
        return None
    listed = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split(maxsplit=1)
    return listed[1].strip() if len(listed) == 2 and not listed[0].startswith("Z") else None


def start(
    command: Sequence[str], *, log: Path, folder: Path, environment: Mapping[str, str], port: int | None
) -> Process:
    """Start a process of its own session that writes its output to the end of `log`."""
    with log.open("ab") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = start_time(child.pid) or "ended at once"
    # The supervisor forgets the child: it is found again by its pid file.
    child.returncode = 0
    return Process(child.pid, started, port)


def save(process: Process, path: Path) -> None:
    """Write the pid file, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(process)))
    partial.replace(path)


def load(path: Path) -> Process | None:
    """Read a pid file; None where there is none, or no live process behind it."""
    try:
        process = Process(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return process if process.alive else None


def port_is_free(host: str, port: int) -> bool:
    """Say whether a server could listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def listener_of(port: int) -> str | None:
    """Name the process that listens on a local port, such as `python (pid 4711)`, where the system tells."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if any(str(link.readlink()) in inodes for link in (folder / "fd").iterdir()):
                return f"{(folder / 'comm').read_text().strip()} (pid {folder.name})"
    return None
