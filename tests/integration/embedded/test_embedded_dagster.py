"""The whole stack: Dagster's webserver and daemon beside ClickHouse and S3."""

import os
from pathlib import Path

import httpx
import pytest

from orchestration.embedded import processes, stack
from orchestration.embedded.testing import settings_for

DEFINITIONS = """
import dagster as dg

@dg.asset
def settings(context: dg.AssetExecutionContext) -> None:
    from orchestration.settings import load
    context.add_output_metadata({"clickhouse_port": load().clickhouse_port})

defs = dg.Definitions(assets=[settings])
"""
WORKSPACE = "load_from: [{python_file: {relative_path: definitions.py, location_name: tiny}}]"
LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: "tiny", repositoryName: "__repository__",
      jobName: "__ASSET_JOB", assetSelection: [{path: ["settings"]}]
    },
    mode: "default"
  }) { ... on LaunchRunSuccess { run { runId } } }
}
"""
RUN = '{ runOrError(runId: "%s") { ... on Run { status } } }'
PORT = """
{
  assetNodes {
    assetMaterializations(limit: 1) { metadataEntries { ... on IntMetadataEntry { intValue } } }
  }
}
"""


def processes_of(folder: Path) -> set[int]:
    """Find every process that works for the stack of this folder."""
    found = set()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(folder).encode() in environ.read_bytes():
                found.add(int(environ.parent.name))
        except OSError:
            continue
    return found - {os.getpid()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    (folder / "definitions.py").write_text(DEFINITIONS)
    (folder / "workspace.yaml").write_text(WORKSPACE)
    settings = settings_for(folder / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "WORKSPACE", folder / "workspace.yaml")
        yield settings
        stack.down(settings)


def graphql(settings, query):
    answer = httpx.post(
        f"http://127.0.0.1:{settings.dagster_port}/graphql", json={"query": query}, timeout=60
    )
    return answer.json()["data"]


def test_all_four_come_up_and_dagster_runs_with_the_settings_of_the_stack(whole):
    said = []
    found = stack.up(whole, progress=lambda name, state: said.append((name, state)))
    assert found.ready
    assert said[-1] == ("dagster-daemon", "ready")
    run_id = graphql(whole, LAUNCH)["launchRun"]["run"]["runId"]
    for _ in range(20_000):
        state = graphql(whole, RUN % run_id)["runOrError"]["status"]
        if state in {"SUCCESS", "FAILURE"}:
            break
    assert state == "SUCCESS"
    entries = graphql(whole, PORT)["assetNodes"][0]["assetMaterializations"][0]["metadataEntries"]
    assert {"intValue": whole.clickhouse_port} in entries


def test_down_leaves_no_process_behind(whole):
    started = [part.pid for part in stack.status(whole).components]
    assert None not in started
    stack.down(whole)
    assert [processes.start_time(pid) for pid in started] == [None] * 4
    for _ in range(20_000):
        left = processes_of(whole.state_dir)
        if not left:
            break
    assert left == set()
