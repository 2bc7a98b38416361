"""Servers of the embedded ClickHouse that a test may start and end as it likes."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import httpx
from clickhouse_connect.driver.client import Client

from orchestration.embedded.testing import free_port
from orchestration.settings import PROJECT_ROOT

PASSWORD = "s\u00e9cret:with colon"


@dataclass
class Server:
    """One server process that a test may end as it likes."""

    path: Path
    port: int
    process: subprocess.Popen[bytes]
    password: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def auth(self) -> tuple[str, str]:
        return "default", self.password

    def client(self, **options) -> Client:
        own = {"autogenerate_session_id": False, "username": "default", "password": self.password}
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, **{**own, **options})

    def resident_mb(self) -> int:
        """Memory that is not the files that the engine has mapped."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return (
            next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) // 1024
        )


def server_command(path: Path, password: str, *arguments: object) -> list[str]:
    """The command of a server over `path`; leaves its password in a file beside it."""
    file = path.with_name(f"{path.name}.password")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{password}\n")
    command = [sys.executable, "-m", "orchestration.embedded.clickhouse_server", "--path", str(path)]
    return [*command, "--password-file", str(file), *map(str, arguments)]


def start_server(path: Path, *arguments: str, password: str = PASSWORD) -> Server:
    port = free_port()
    command = server_command(path, password, "--port", port, *arguments)
    process = subprocess.Popen(command, cwd=PROJECT_ROOT)
    server = Server(path, port, process, password)
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{server.url}/ping", timeout=30).text == "Ok.\n":
                return server
        except httpx.TransportError:
            continue
    raise AssertionError(f"the server ended with {process.returncode}")
