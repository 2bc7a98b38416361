"""The whole stack: Dagster's webserver and daemon beside ClickHouse and S3."""

import os
import signal
import stat
from pathlib import Path

import httpx
import pytest

from orchestration.embedded import processes, stack
from orchestration.embedded.errors import StackError
from orchestration.embedded.testing import settings_for

DEFINITIONS = """
import dagster as dg

@dg.asset
def settings(context: dg.AssetExecutionContext) -> None:
    from orchestration.settings import load
    context.add_output_metadata({"clickhouse_port": load().clickhouse_port})

@dg.sensor(
    target=[settings], minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING
)
def once(context):
    return dg.RunRequest(run_key="once")

defs = dg.Definitions(assets=[settings], sensors=[once])
"""
LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {
      repositoryLocationName: "millrace", repositoryName: "__repository__",
      jobName: "__ASSET_JOB", assetSelection: [{path: ["settings"]}]
    },
    mode: "default"
  }) { ... on LaunchRunSuccess { run { runId } } }
}
"""
LOCATIONS = "{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } } }"
ASSETS = "{ assetNodes { assetKey { path } } }"
OF_SENSOR = """{
  runsOrError(filter: {tags: [{key: "dagster/sensor_name", value: "once"}]}) { ... on Runs { results { status } } }
}"""
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
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("whole")


@pytest.fixture
def definitions(folder):
    """The file that the code server loads."""
    return folder / "definitions.py"


@pytest.fixture(scope="module")
def whole(folder):
    (folder / "definitions.py").write_text(DEFINITIONS)
    settings = settings_for(folder / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "DEFINITIONS", ("--python-file", str(folder / "definitions.py")))
        patch.setattr(stack, "MADE_OF", (str(folder / "definitions.py"),))
        yield settings
        stack.down(settings)


def graphql(settings, query):
    answer = httpx.post(
        f"http://127.0.0.1:{settings.dagster_port}/graphql", json={"query": query}, timeout=60
    )
    return answer.json()["data"]


def test_all_parts_come_up_and_dagster_runs_with_the_settings_of_the_stack(whole):
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


def test_the_daemon_starts_what_a_sensor_asks_for(whole):
    for _ in range(20_000):
        states = [run["status"] for run in graphql(whole, OF_SENSOR)["runsOrError"]["results"]]
        if states and states[0] in {"SUCCESS", "FAILURE"}:
            break
    assert states == ["SUCCESS"]


def code_servers_of(settings):
    """The processes that hold the definitions of this stack."""
    lines = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in processes_of(settings.state_dir)]
    return [line for line in lines if b"\0api\0grpc\0" in line]


def test_one_process_holds_the_definitions_for_all_others(whole):
    # A workspace that names Python code makes the UI and the daemon start one each, and the daemon another every minute.
    assert len(code_servers_of(whole)) == 1
    entry = graphql(whole, LOCATIONS)["workspaceOrError"]["locationEntries"]
    assert entry == [{"name": "millrace", "locationOrLoadError": {"__typename": "RepositoryLocation"}}]


def test_nobody_else_reaches_the_code_server(whole):
    (path,) = (whole.state_dir / "run").iterdir()
    assert stat.S_ISSOCK(path.stat().st_mode)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_definitions_that_did_not_change_are_not_loaded_again(whole):
    said = []
    stack.reload(whole, progress=lambda name, state: said.append((name, state)))
    assert said == []


def test_changed_definitions_are_loaded_anew(whole, definitions):
    definitions.write_text(DEFINITIONS.replace("def settings", "def other").replace("[settings]", "[other]"))
    said = []
    stack.reload(whole, progress=lambda name, state: said.append((name, state)))
    assert said == [("code-server", "reloading"), ("code-server", "ready")]
    assert graphql(whole, ASSETS)["assetNodes"] == [{"assetKey": {"path": ["other"]}}]


def test_definitions_that_do_not_load_say_why(whole, definitions):
    definitions.write_text("import no_such_module\n")
    with pytest.raises(StackError, match=r"Dagster cannot load the definitions: .*no_such_module"):
        stack.reload(whole)


def test_a_code_server_that_was_killed_comes_back_on_its_socket(whole, definitions):
    definitions.write_text(DEFINITIONS)
    dead = stack.status(whole)["code-server"].pid
    os.killpg(dead, signal.SIGKILL)
    assert not stack.status(whole)["code-server"].ready
    assert stack.up(whole)["code-server"].ready
    for _ in range(20_000):
        entry = graphql(whole, LOCATIONS)["workspaceOrError"]["locationEntries"][0]
        if entry["locationOrLoadError"]["__typename"] == "RepositoryLocation":
            break
    assert graphql(whole, ASSETS)["assetNodes"] == [{"assetKey": {"path": ["settings"]}}]


def test_a_folder_too_deep_for_a_socket_is_refused(tmp_path):
    deep = tmp_path / ("d" * 90)
    with pytest.raises(StackError, match=r"socket .* bytes, 100 go: .* MILLRACE_STATE_DIR"):
        stack.up(settings_for(deep), components=["code-server"])
    assert not stack.status(settings_for(deep))["code-server"].running


def test_down_leaves_no_process_behind(whole):
    started = [part.pid for part in stack.status(whole).components]
    assert None not in started
    stack.down(whole)
    assert [processes.start_time(pid) for pid in started] == [None] * 5
    for _ in range(20_000):
        left = processes_of(whole.state_dir)
        if not left:
            break
    assert left == set()
