"""Fixtures of the loader's tests: the shop's contracts, and a loader into a bucket of the test's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ingestion.contract import Source, load_source
from ingestion.loader import LoadResult, load
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED, Loader


@pytest.fixture(scope="session")
def pocm() -> Source:
    return load_source("pocm")


@pytest.fixture
def loading(store: ObjectStore, pocm: Source) -> Loader:
    """Loads an input into the test's own bucket."""

    def run(uri: str | Path, **options: Any) -> LoadResult:
        return load(
            store, options.pop("source", pocm), uri, **({"key": KEY, "received_at": RECEIVED} | options)
        )

    return run
