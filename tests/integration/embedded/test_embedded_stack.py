"""The stack of ClickHouse and S3: starting, stopping, and what can be in the way."""

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from lake.store import StoreError
from orchestration.connections import WarehouseRefusedError, object_store, warehouse
from orchestration.embedded import processes, stack
from orchestration.embedded.credentials import with_credentials
from orchestration.embedded.errors import StackError
from orchestration.embedded.testing import free_port, running_stack, settings_for
from orchestration.settings import Settings


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with running_stack(tmp_path_factory.mktemp("lifecycle")) as settings:
        yield settings


def test_up_starts_what_was_asked_and_nothing_else(running):
    found = stack.status(running)
    assert {part.name for part in found.components if part.ready} == {"clickhouse", "s3"}


def test_up_again_starts_nothing(running):
    before = {part.name: part.pid for part in stack.status(running).components}
    said = []
    stack.up(running, components=stack.STORAGE, progress=lambda name, state: said.append((name, state)))
    assert {part.name: part.pid for part in stack.status(running).components} == before
    assert ("clickhouse", "running") in said


def test_up_again_starts_only_what_died(running):
    before = stack.status(running)
    os.kill(before["s3"].pid, 9)
    after = stack.up(running, components=stack.STORAGE)
    assert after["clickhouse"].pid == before["clickhouse"].pid
    assert after["s3"].pid != before["s3"].pid


def test_secrets_are_readable_by_their_owner_only(running):
    for name in ("pseudonym.key", "stack.json"):
        assert stat.S_IMODE((running.state_dir / name).stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def unconfigured(tmp_path_factory):
    """A stack whose owner has chosen no password and no keys."""
    folder = tmp_path_factory.mktemp("unconfigured")
    ports = {name: free_port() for name in ("clickhouse_port", "s3_port", "dagster_port")}
    settings = with_credentials(Settings(state_dir=folder, **ports))
    stack.up(settings, components=stack.STORAGE)
    yield settings
    stack.down(settings)


def test_up_makes_credentials_that_only_their_owner_can_read(unconfigured):
    for name in ("credentials.json", "stack.json", "clickhouse.password"):
        assert stat.S_IMODE((unconfigured.state_dir / name).stat().st_mode) == 0o600
    assert warehouse(unconfigured).query("select 1").result_rows == [(1,)]
    assert object_store(unconfigured).list("") is not None
    assert len(unconfigured.clickhouse_password.get_secret_value()) >= 32
    assert len(unconfigured.s3_secret_key.get_secret_value()) >= 32


def test_the_keys_of_earlier_versions_open_nothing(unconfigured):
    public = {"s3_access_key": "millrace-laptop", "s3_secret_key": SecretStr("millrace-laptop-secret")}
    with pytest.raises(StoreError):
        list(object_store(unconfigured.model_copy(update=public)).list(""))
    with pytest.raises(WarehouseRefusedError):
        warehouse(unconfigured.model_copy(update={"clickhouse_password": SecretStr("")}))


def test_credentials_outlive_the_stack_and_are_another_folders_own(unconfigured, tmp_path):
    assert (
        with_credentials(Settings(state_dir=unconfigured.state_dir)).s3_secret_key
        == unconfigured.s3_secret_key
    )
    other = with_credentials(Settings(state_dir=tmp_path))
    assert other.s3_secret_key != unconfigured.s3_secret_key
    again = with_credentials(Settings(state_dir=tmp_path))
    assert again.clickhouse_password == other.clickhouse_password


def test_a_password_that_somebody_chose_is_kept(tmp_path):
    chosen = with_credentials(Settings(state_dir=tmp_path, clickhouse_password="chosen"))
    assert chosen.clickhouse_password.get_secret_value() == "chosen"
    assert chosen.s3_access_key.startswith("millrace-")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"clickhouse_password": "x"}'])
def test_credentials_that_cannot_be_read_are_named(tmp_path, content):
    (tmp_path / "credentials.json").write_text(content)
    with pytest.raises(StackError, match=r"credentials\.json lacks .*s3_secret_key: .*new ones are made"):
        with_credentials(Settings(state_dir=tmp_path))


def test_later_commands_find_the_ports_in_the_state_folder(running):
    code = (
        "from orchestration.settings import load; s = load();"
        "print(s.clickhouse_port, s.s3_port, len(s.secret_key))"
    )
    environment = {**os.environ, "MILLRACE_STATE_DIR": str(running.state_dir)}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert answer == [str(running.clickhouse_port), str(running.s3_port), "64"]


def test_another_port_for_a_running_component_is_refused(running):
    other = running.model_copy(update={"clickhouse_port": free_port()})
    with pytest.raises(StackError, match=f"running on port {running.clickhouse_port}.*millrace down"):
        stack.up(other, components=["clickhouse"])


def test_down_ends_everything_and_up_finds_the_data_again(tmp_path):
    settings = settings_for(tmp_path)
    try:
        pids = [part.pid for part in stack.up(settings, components=stack.STORAGE).components if part.pid]
        key = (tmp_path / "pseudonym.key").read_text()
        (tmp_path / "lake" / "millrace" / "kept.txt").write_text("kept")
        stack.down(settings)
        assert [processes.start_time(pid) for pid in pids] == [None, None]
        assert not list((tmp_path / "pids").iterdir())
        stack.up(settings, components=stack.STORAGE)
        assert (tmp_path / "pseudonym.key").read_text() == key
        assert (tmp_path / "lake" / "millrace" / "kept.txt").read_text() == "kept"
    finally:
        stack.down(settings)


def test_down_without_a_stack_is_fine(tmp_path):
    stack.down(settings_for(tmp_path / "never"))
    assert not (tmp_path / "never").exists()


def test_a_port_in_use_names_the_port_the_owner_and_the_variable(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError) as error:
            stack.up(settings_for(tmp_path, clickhouse_port=port), components=["clickhouse"])
    assert f"port {port} for clickhouse is in use by" in str(error.value)
    assert f"(pid {os.getpid()})" in str(error.value)
    assert "MILLRACE_CLICKHOUSE_PORT" in str(error.value)


def test_a_port_that_a_dying_process_still_holds_is_waited_for(tmp_path, monkeypatch):
    with socket.socket() as dying:
        dying.bind(("127.0.0.1", 0))
        settings = settings_for(tmp_path, s3_port=dying.getsockname()[1])

        def nobody(port):
            dying.close()

        monkeypatch.setattr(stack.processes, "listener_of", nobody)
        try:
            assert stack.up(settings, components=["s3"])["s3"].ready
        finally:
            stack.down(settings)


def test_a_recycled_pid_is_never_ended(tmp_path):
    settings = settings_for(tmp_path)
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        (tmp_path / "pids").mkdir()
        record = {"pid": bystander.pid, "started": "1", "port": settings.s3_port}
        (tmp_path / "pids" / "s3.json").write_text(json.dumps(record))
        stack.down(settings)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_component_that_dies_at_start_shows_its_last_words(tmp_path):
    settings = settings_for(tmp_path)
    (tmp_path / "clickhouse" / "in-use.lock").mkdir(parents=True)
    with pytest.raises(StackError, match=r"clickhouse ended while it started.*in-use\.lock"):
        # `.` does not cross lines: the message must keep the log's line with the reason behind the first one.
        try:
            stack.up(settings, components=["clickhouse"])
        except StackError as error:
            raise StackError(str(error).replace("\n", " ")) from None
    assert not stack.status(settings)["clickhouse"].running


def test_a_stack_that_does_not_run_says_how_to_start_it(tmp_path):
    with pytest.raises(StackError, match="millrace up"):
        stack.require(settings_for(tmp_path))


def test_an_unknown_component_names_the_ones_there_are(tmp_path):
    with pytest.raises(StackError, match="no component 'kafka'; there are clickhouse, s3"):
        stack.up(settings_for(tmp_path), components=["kafka"])


def test_two_commands_at_once_do_not_start_two_stacks(running, tmp_path: Path):
    code = (
        "import fcntl, sys; lock = open(sys.argv[1], 'w'); fcntl.flock(lock, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(running.state_dir / "stack.lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(StackError, match="another command is starting or ending the stack"):
            stack.up(running, components=stack.STORAGE)
    finally:
        other.stdin.close()
        other.wait()
