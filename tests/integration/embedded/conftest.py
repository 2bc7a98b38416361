"""Servers of their own for the tests that end them, and the protocol's plain HTTP client."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client

from orchestration.embedded.testing import free_port
from orchestration.settings import PROJECT_ROOT, Settings


@dataclass
class Server:
    """One server process that a test may end as it likes."""

    path: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **options) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=self.port, **{"autogenerate_session_id": False, **options}
        )

    def resident_mb(self) -> int:
        """Memory that is not the files that the engine has mapped."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return (
            next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) // 1024
        )


def start_server(path: Path, *arguments: str) -> Server:
    port = free_port()
    command = [sys.executable, "-m", "orchestration.embedded.clickhouse_server", "--path", str(path)]
    process = subprocess.Popen([*command, "--port", str(port), *arguments], cwd=PROJECT_ROOT)
    server = Server(path, port, process)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{server.url}/ping", timeout=30).text == "Ok.\n":
                return server
        except httpx.TransportError:
            continue
    raise AssertionError(f"the server ended with {process.returncode}")


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers that the module's tests may end as they like."""
    started: list[Server] = []

    def start(path: Path, *arguments: str) -> Server:
        started.append(start_server(path, *arguments))
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def server(tmp_path: Path, serve: Callable[..., Server]) -> Iterator[Server]:
    """A server that only this test uses."""
    started = serve(tmp_path / "clickhouse")
    yield started
    started.process.kill()


@pytest.fixture
def http(stack: Settings) -> Iterator[httpx.Client]:
    """Plain HTTP to the shared server, as curl would speak it."""
    with httpx.Client(base_url=f"http://127.0.0.1:{stack.clickhouse_port}", timeout=60) as client:
        yield client


@pytest.fixture
def database(clickhouse: Client) -> Iterator[str]:
    """A database that only this test uses."""
    name = f"t{time.monotonic_ns()}"
    clickhouse.command(f"create database {name}")
    yield name
    clickhouse.command(f"drop database {name} sync")
