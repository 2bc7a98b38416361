"""Fixtures for every test: the real ClickHouse engine and the real S3 protocol, once per test process."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client

from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import running_stack
from orchestration.settings import PROJECT_ROOT, Settings
from tests import scheduling

SHARED_DATA = PROJECT_ROOT.parent / "shared" / "data"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before tests are selected by their marks."""
    scheduling.arrange(items)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """Settings of a running ClickHouse and S3."""
    with running_stack(tmp_path_factory.mktemp("stack")) as settings:
        yield settings


@pytest.fixture
def clickhouse(stack: Settings) -> Iterator[Client]:
    """A client of the running ClickHouse, without a session."""
    client = warehouse(stack)
    yield client
    client.close()


@pytest.fixture
def store(stack: Settings) -> ObjectStore:
    """The running S3, seen through a bucket that no other test uses."""
    bucket = object_store(stack).for_bucket(f"test-{uuid.uuid4().hex[:12]}")
    bucket.ensure_bucket()
    return bucket


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The public data sets beside the project."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the public data sets are not at {SHARED_DATA}")
    return SHARED_DATA
