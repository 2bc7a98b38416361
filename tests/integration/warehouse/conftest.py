"""A warehouse of its own for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from orchestration.embedded.testing import emptied

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def warehouse(clickhouse: Client) -> Iterator[Client]:
    """An empty warehouse: every database of the platform is made anew before and after the test."""
    with emptied(clickhouse):
        yield clickhouse
