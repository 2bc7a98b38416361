"""A stack for tests: its own folder and free ports, storage only; and dbt that starts in half the time."""

from __future__ import annotations

import multiprocessing
import os
import random
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ingestion.contract import source_names
from orchestration.embedded import stack
from orchestration.embedded.credentials import new_credentials
from orchestration.settings import Settings
from orchestration.warehouse import schema

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

IMPORTED = ["dbt.cli.main", "dbt.adapters.clickhouse"]
LAYERS = ("raw", "ops", "staging", "intermediate")


def free_port() -> int:
    """Return a port on which nothing listens now, out of those that the system gives to no connection by itself."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def settings_for(folder: Path, **values: Any) -> Settings:
    """Return settings of a stack under `folder`, on ports that are free now, with credentials of its own."""
    ports = {name: free_port() for name in ("clickhouse_port", "s3_port", "dagster_port")}
    return Settings(state_dir=folder, **{**ports, **new_credentials(), **values})


@contextmanager
def running_stack(folder: Path, **values: Any) -> Iterator[Settings]:
    """Run ClickHouse and S3 for the length of the block."""
    settings = settings_for(folder, **values)
    try:
        stack.up(settings, components=stack.STORAGE)
        yield settings
    finally:
        stack.down(settings)


def empty_warehouse(client: Client) -> None:
    """Drop every database of the platform, those of the sources' marts too, and make them anew."""
    for database in (*LAYERS, *source_names()):
        client.command(f"drop database if exists {database} sync")
    schema.apply(client)


@contextmanager
def emptied(client: Client) -> Iterator[None]:
    """Empty the warehouse before and after the block."""
    empty_warehouse(client)
    yield
    empty_warehouse(client)


def execute_forked(args: Sequence[str], env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run dbt as a process that is forked from one which has imported it, and wait for it.

    Importing dbt is half of what a small run takes, and tests run it some hundred times.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    with TemporaryDirectory() as folder:
        output = Path(folder, "output")
        process = context.Process(target=_be_dbt, args=(list(args), dict(env), output))
        process.start()
        process.join()
        return subprocess.CompletedProcess(args, process.exitcode or 0, output.read_text(), "")


def _be_dbt(args: list[str], env: dict[str, str], output: Path) -> None:
    with output.open("w") as stream:
        os.dup2(stream.fileno(), sys.stdout.fileno())
        os.dup2(stream.fileno(), sys.stderr.fileno())
    os.environ.clear()
    os.environ.update(env)
    from dbt.cli.main import cli  # noqa: PLC0415  the process that this one is forked from has imported it

    cli(args)
