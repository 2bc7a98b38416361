"""A warehouse without any rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.client import Client

from ingestion.contract import source_names
from orchestration.warehouse import schema

DATABASES = ("raw", "ops", "staging", "intermediate", *source_names())


@contextmanager
def emptied(client: Client) -> Iterator[None]:
    """Make every database of the platform anew, and drop all of them afterwards."""
    _drop(client)
    schema.apply(client)
    yield
    _drop(client)


def _drop(client: Client) -> None:
    for database in DATABASES:
        client.command(f"drop database if exists {database} sync")
