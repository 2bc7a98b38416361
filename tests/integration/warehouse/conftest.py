"""A warehouse of its own for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from ingestion.contract import source_names
from orchestration.warehouse import schema

sys.path.insert(0, str(Path(__file__).parent))

DATABASES = ("raw", "ops", "staging", "intermediate", *source_names())


@pytest.fixture
def warehouse(clickhouse: Client) -> Iterator[Client]:
    """An empty warehouse: every database of the platform is made anew and dropped afterwards."""
    _drop(clickhouse)
    schema.apply(clickhouse)
    yield clickhouse
    _drop(clickhouse)


def _drop(client: Client) -> None:
    for database in DATABASES:
        client.command(f"drop database if exists {database} sync")
