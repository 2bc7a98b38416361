"""A running warehouse with the small shop in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from gate_shop import Shop

from ingestion.contract import Source, load_source
from orchestration.connections import warehouse
from orchestration.embedded.testing import running_stack
from orchestration.warehouse.dbt import run_dbt


@pytest.fixture(scope="session")
def warehouse_of_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """A warehouse of its own: these tests break what others rely on."""
    with running_stack(tmp_path_factory.mktemp("shop")) as settings:
        yield Shop(warehouse(settings), settings)


@pytest.fixture
def shop(warehouse_of_shop: Shop) -> Shop:
    """Raw events of one hour that break no rule; every test gets them anew."""
    warehouse_of_shop.fill()
    return warehouse_of_shop


@pytest.fixture(scope="session")
def dbt_target(warehouse_of_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where dbt left its manifest when it built the shop's marts."""
    warehouse_of_shop.fill()
    target = tmp_path_factory.mktemp("dbt")
    run_dbt(warehouse_of_shop.settings, ["run", "--full-refresh"], target_dir=target)
    return target


@pytest.fixture(scope="session")
def marts(warehouse_of_shop: Shop, dbt_target: Path) -> Shop:
    """The shop with its marts, built once."""
    return warehouse_of_shop


@pytest.fixture(scope="session")
def source() -> Source:
    """The contracts of pocm."""
    return load_source("pocm")
