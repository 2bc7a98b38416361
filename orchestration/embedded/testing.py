"""A stack for tests: its own folder and free ports, storage only."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingestion.contract import source_names
from orchestration.embedded import stack
from orchestration.embedded.credentials import new_credentials
from orchestration.settings import Settings
from orchestration.warehouse import schema
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.stamps import ensure_views, select_staging

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

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


def build_models(
    client: Client, settings: Settings, source: str, window: Mapping[str, str] | None = None
) -> None:
    """Build every model of a source as a run of the platform does: the staging views once."""
    ensure_views(client, settings, [source])
    run_dbt(
        settings,
        ["run", "--select", f"fqn:*.*.{source}.*", "--exclude", select_staging(source)],
        window,
    )


@contextmanager
def emptied(client: Client) -> Iterator[None]:
    """Empty the warehouse before and after the block."""
    empty_warehouse(client)
    yield
    empty_warehouse(client)
