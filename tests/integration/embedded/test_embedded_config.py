"""The configuration that production's ClickHouse gets, read by the same engine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import pytest
import yaml

from orchestration.settings import PROJECT_ROOT
from tests.integration.embedded.conftest import Server

SERVER = PurePosixPath("/etc/clickhouse-server")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The files that docker-compose.yml mounts, where it mounts them, over the embedded engine's own main files."""
    services = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())["services"]
    folder = tmp_path / "config"
    folder.mkdir()
    for name in ("embedded.xml", "embedded-users.xml"):
        shutil.copy(PROJECT_ROOT / "deploy/clickhouse" / name, folder)
    for volume in services["clickhouse"]["volumes"]:
        source, target, *_ = volume.split(":")
        if source.startswith("."):
            here = folder / PurePosixPath(target).relative_to(SERVER)
            here.parent.mkdir(exist_ok=True)
            shutil.copy(PROJECT_ROOT / source, here)
    return folder


def test_the_engine_starts_with_the_files_that_production_mounts(
    tmp_path: Path, config: Path, serve: Callable[..., Server]
) -> None:
    client = serve(tmp_path / "clickhouse", "--config", str(config)).client()
    settings = "getSetting('mutations_sync'), getSetting('max_partitions_per_insert_block')"
    rows = client.query(f"select timezone(), {settings}").result_rows
    assert rows == [("UTC", 1, 0)]
