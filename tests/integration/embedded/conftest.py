"""Servers of their own for the tests that end them, and the protocol's plain HTTP client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.client import Client
from embedded_servers import Server, start_server

from orchestration.settings import Settings


@pytest.fixture(scope="module")
def serve() -> Iterator[Callable[..., Server]]:
    """Starts servers that the module's tests may end as they like."""
    started: list[Server] = []

    def start(path: Path, *arguments: str, **options: str) -> Server:
        started.append(start_server(path, *arguments, **options))
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
def auth(stack: Settings) -> tuple[str, str]:
    """User and password of the shared server."""
    return stack.clickhouse_user, stack.clickhouse_password.get_secret_value()


@pytest.fixture
def connect(stack: Settings, auth: tuple[str, str]) -> Callable[..., Client]:
    """`clickhouse_connect.get_client` of the shared server, with the options that a test gives."""
    user, password = auth

    def connect_to_it(**options: object) -> Client:
        return clickhouse_connect.get_client(
            host="127.0.0.1", port=stack.clickhouse_port, username=user, password=password, **options
        )

    return connect_to_it


@pytest.fixture
def http(stack: Settings, auth: tuple[str, str]) -> Iterator[httpx.Client]:
    """Plain HTTP to the shared server, as curl would speak it."""
    with httpx.Client(base_url=stack.clickhouse_url, auth=auth, timeout=60) as client:
        yield client


@pytest.fixture
def database(clickhouse: Client) -> Iterator[str]:
    """A database that only this test uses."""
    name = f"t{time.monotonic_ns()}"
    clickhouse.command(f"create database {name}")
    yield name
    clickhouse.command(f"drop database {name} sync")
