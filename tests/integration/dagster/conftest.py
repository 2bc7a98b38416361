from __future__ import annotations

import warnings

import dagster as dg
import pytest

from orchestration.definitions import build_definitions
from orchestration.resources import Platform
from orchestration.settings import Settings
from orchestration.warehouse.dbt import prepare_manifest


@pytest.fixture(scope="session")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> dg.Definitions:
    """The code location with a parsed dbt project and no stack: nothing listens on these ports."""
    settings = Settings(
        state_dir=tmp_path_factory.mktemp("no-stack"), clickhouse_port=9, s3_port=9, dagster_port=9
    )
    prepare_manifest(settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build_definitions(Platform(settings))
