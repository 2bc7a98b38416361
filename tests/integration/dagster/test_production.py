"""Our services of docker-compose.yml come up, and its command line works on the instance of its UI."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from orchestration.embedded.testing import free_port, running_stack
from orchestration.run import PROCESS_TAG
from tests.integration.dagster.production import POSTGRES, Services, write_instance_file

pytestmark = [pytest.mark.stack, pytest.mark.xdist_group("postgres")]

WAVES = (["code-server"], ["webserver", "daemon"])
"""What starts when the one before it is healthy."""
SECONDS = 240
RUNS = "{ runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"
LOCATIONS = """{
  workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError { __typename } } } }
}"""
POOLS = "{ instance { concurrencyLimits { concurrencyKey limit } } }"


@dataclass(frozen=True)
class Production:
    """What runs, and where its UI is."""

    services: Services
    url: str
    state: Path

    def ask(self, query: str) -> Any:
        return httpx.post(f"{self.url}/graphql", json={"query": query}, timeout=120).json()["data"]


@pytest.fixture(scope="module")
def production(postgres: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    """Everything up, in the order of the compose file, on an empty database; ClickHouse and S3 are the laptop's."""
    folder = tmp_path_factory.mktemp("production")
    state, home = folder / "state", folder / "home"
    state.mkdir()
    home.mkdir()
    write_instance_file(home, postgres)
    started: list[subprocess.Popen[str]] = []
    with running_stack(folder / "servers") as servers:
        ports = {"3000": free_port(), "4000": free_port()}
        environment = {
            **POSTGRES,
            "DAGSTER_HOME": str(home),
            "MILLRACE_STATE_DIR": str(state),
            "MILLRACE_S3_ENDPOINT_URL": servers.s3_url,
            "MILLRACE_S3_ACCESS_KEY": servers.s3_access_key,
            "MILLRACE_S3_SECRET_KEY": servers.s3_secret_key.get_secret_value(),
            "MILLRACE_CLICKHOUSE_HOST": servers.clickhouse_host,
            "MILLRACE_CLICKHOUSE_PORT": str(servers.clickhouse_port),
            "MILLRACE_CLICKHOUSE_USER": servers.clickhouse_user,
            "MILLRACE_CLICKHOUSE_PASSWORD": servers.clickhouse_password.get_secret_value(),
            "MILLRACE_PSEUDONYM_KEY": "k" * 32,
        }
        services = Services(folder, ports, environment)
        try:
            assert services.start("prepare").wait() == 0
            for wave in WAVES:
                started += [services.start(name) for name in wave]
                deadline = time.monotonic() + SECONDS
                while not all(services.healthy(name) for name in wave):
                    assert time.monotonic() < deadline, f"{wave} is not healthy"
            yield Production(services, f"http://127.0.0.1:{ports['3000']}", state)
        finally:
            for process in reversed(started):
                # As Docker stops a container: Dagster's code server does not always end when it is asked to.
                for number in (signal.SIGTERM, signal.SIGKILL):
                    with suppress(ProcessLookupError):
                        os.killpg(process.pid, number)
                    with suppress(subprocess.TimeoutExpired):
                        process.wait(timeout=10)
                assert process.returncode is not None


def test_the_ui_shows_the_code_location(production: Production) -> None:
    (entry,) = production.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
    assert (entry["name"], entry["loadStatus"]) == ("millrace", "LOADED")
    assert entry["locationOrLoadError"]["__typename"] == "RepositoryLocation"


def test_a_run_of_the_command_line_is_one_of_the_ui(production: Production) -> None:
    event = {"id": "e1", "type": "SEARCH", "occurred_at": "2026-03-02T10:05:00Z", "source_service": "shop"}
    event |= {"tenant_id": "acme", "data_json": '{"search_id": "s", "query": "patch", "results_count": 0}'}
    path = production.state / "search.ndjson"
    path.write_text(json.dumps(event))
    load = ["millrace", "load", "pocm", str(path), "--received-at", "2026-03-02T10:30:00Z"]
    assert production.services.start("code-server", load).wait() == 0
    command = ["millrace", "run", "--from", "2026-03-02T10:00", "--to", "2026-03-02T11:00", "--json"]
    done = production.services.start(
        "code-server", [*command, "--select", "key:raw/pocm"], stdout=subprocess.PIPE
    )
    output, _ = done.communicate()
    assert done.returncode == 0, output
    assert json.loads(output)["success"]
    runs = production.ask(RUNS)["runsOrError"]["results"]
    of_command_line = [run for run in runs if PROCESS_TAG in {tag["key"] for tag in run["tags"]}]
    assert [(run["jobName"], run["status"]) for run in of_command_line] == [("pocm_hourly", "SUCCESS")]
    # A step that asks for its pool writes the limit down that the instance file gives it.
    pools = {
        pool["concurrencyKey"]: pool["limit"]
        for pool in production.ask(POOLS)["instance"]["concurrencyLimits"]
    }
    assert pools["pocm_warehouse"] == 1
    assert not list(production.state.rglob("*.db"))
