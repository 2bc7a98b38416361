"""The command line as a person meets it: answers, exit codes and clear errors."""

from __future__ import annotations

import json
import os
import pwd
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import clickhouse_connect
import httpx
import pytest
import sqlalchemy
from clickhouse_connect.driver.client import Client

from lake.paths import manifest_key
from lake.store import ObjectStore
from orchestration.cli import main
from orchestration.connections import object_store
from orchestration.settings import Settings

EVENT = {
    "eventId": "evt-cli-1",
    "type": "SEARCH",
    "userId": "user-1",
    "timestamp": "2026-03-02T10:00:00Z",
    "data": {"search_id": "s-1", "query": "patch", "results_count": 3},
    "metadata": {"source": "web", "version": "1.0", "sessionId": "cli-1", "tenantId": "t-cli"},
}


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The answer's only line as JSON."""
        return json.loads(self.out)


Command = Callable[..., Outcome]


@pytest.fixture
def millrace(stack: Settings, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run a command against the running stack; keyword arguments are settings."""

    def run(*arguments: str, **settings: str) -> Outcome:
        monkeypatch.setenv("MILLRACE_STATE_DIR", str(stack.state_dir))
        for name, value in settings.items():
            monkeypatch.setenv(f"MILLRACE_{name.upper()}", value)
        monkeypatch.setattr(sys, "argv", ["millrace", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        return Outcome(int(ended.value.code or 0), captured.out, captured.err)

    return run


def write_events(path: Path, *events: dict[str, Any]) -> str:
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return str(path)


def test_an_unknown_source_is_wrong_use_and_names_those_there_are(millrace: Command, tmp_path: Path) -> None:
    outcome = millrace("load", "nosuch", str(tmp_path))
    assert outcome.code == 2
    assert "'nosuch'" in outcome.err
    assert "pocm" in outcome.err


def test_a_missing_file_is_named(millrace: Command) -> None:
    outcome = millrace("load", "pocm", "/no/such/file.ndjson")
    assert outcome.code == 1
    assert "/no/such/file.ndjson" in outcome.err
    assert "Traceback" not in outcome.err


def test_an_unreadable_format_is_refused_and_nothing_is_loaded(millrace: Command, tmp_path: Path) -> None:
    path = tmp_path / "broken.parquet"
    path.write_bytes(b"PAR1 this is no parquet file")
    outcome = millrace("load", "pocm", str(path))
    assert outcome.code == 1
    assert "broken.parquet" in outcome.err
    assert outcome.out == ""


def test_a_wrong_mapping_column_names_the_columns_there_are(millrace: Command, tmp_path: Path) -> None:
    data = tmp_path / "clicks.csv"
    data.write_text("happened,product\n2026-03-02T10:00:00Z,p1\n")
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text(
        "source: pocm\nrules:\n  - when: 'true'\n    event_type: PRODUCT_VIEWED\n    envelope:\n"
        "      event_id: productt\n      occurred_at: happened\n      tenant_id: \"'t'\"\n"
        "    payload:\n      product_id: product\n"
    )
    outcome = millrace("load", "pocm", str(data), "--mapping", str(mapping))
    assert outcome.code == 1
    assert "productt" in outcome.err
    assert "happened" in outcome.err
    assert "product" in outcome.err


GROUPED = """
source: pocm
input: select id, max(happened) as happened, list(millrace_row) as millrace_row from input where id <> 'x' group by id
rules:
  - event_type: PRODUCT_VIEWED
    envelope: {event_id: id, occurred_at: happened, tenant_id: "'t-cli'"}
    payload: {product_id: id, price: "1", currency: "'EUR'"}
"""


def test_a_load_says_what_a_mapping_did_with_the_rows_of_the_file(millrace: Command, tmp_path: Path) -> None:
    (tmp_path / "mapping.yaml").write_text(GROUPED)
    at = "2026-03-02T10:00:00Z"
    data = tmp_path / "lines.csv"
    data.write_text(f"id,happened\na,{at}\na,{at}\nb,{at}\nx,{at}\n")
    command = ("load", "pocm", str(data), "--mapping", str(tmp_path / "mapping.yaml"))
    equation = "read 4 = accepted 2 + duplicate 0 + quarantined 0 + suppressed 0 + skipped 1 + folded 1"
    said, _, load_id = (
        millrace(*command, "--received-at", "2026-03-02T11:00:00Z").out.strip().partition(" - load ")
    )
    assert said == f"lines.csv: {equation}"
    assert len(load_id) == 32
    counts = millrace(*command, "--json").json
    assert (counts["read"], counts["skipped"], counts["folded"], counts["expanded"]) == (4, 1, 1, 0)


def test_a_name_that_says_another_format_than_the_content_is_noted(millrace: Command, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    write_events(path, EVENT | {"eventId": "evt-note-1"}, EVENT | {"eventId": "evt-note-2"})
    outcome = millrace("load", "pocm", str(path), "--received-at", "2026-03-02T11:00:00Z")
    assert outcome.code == 0
    assert "export.json is ndjson, not the json that its name says: read as ndjson" in outcome.err
    assert "export.json: read 2 = accepted 2 " in outcome.out


@pytest.mark.parametrize("command", ["run", "verify"])
def test_a_window_that_ends_before_it_starts_is_wrong_use(millrace: Command, command: str) -> None:
    outcome = millrace(command, "--from", "2026-03-03", "--to", "2026-03-02")
    assert outcome.code == 2
    assert "2026-03-02" in outcome.err
    assert "before it starts" in outcome.err


def test_a_time_that_is_none_shows_how_to_write_one(millrace: Command) -> None:
    outcome = millrace("run", "--from", "yesterday", "--to", "2026-03-02")
    assert outcome.code == 2
    assert "'yesterday'" in outcome.err


def test_an_unknown_asset_selection_is_wrong_use(millrace: Command) -> None:
    outcome = millrace("run", "--from", "2026-03-02", "--to", "2026-03-03", "--select", "group:nosuch")
    assert outcome.code == 2
    assert "group:nosuch" in outcome.err


def test_without_a_stack_it_says_how_to_start_one(millrace: Command, tmp_path: Path) -> None:
    outcome = millrace("sql", "select 1", state_dir=str(tmp_path / "nowhere"))
    assert outcome.code == 1
    assert "millrace up" in outcome.err


def test_a_port_in_use_is_named_with_its_flag(millrace: Command, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        outcome = millrace("up", "--clickhouse-port", port, state_dir=str(tmp_path / "other"))
    assert outcome.code == 1
    assert port in outcome.err
    assert "--clickhouse-port" in outcome.err


def test_an_unreachable_object_store_is_named(millrace: Command, tmp_path: Path) -> None:
    path = write_events(tmp_path / "unreachable.ndjson", EVENT)
    outcome = millrace("load", "pocm", path, s3_endpoint_url="http://127.0.0.1:9")
    assert outcome.code == 1
    assert "http://127.0.0.1:9" in outcome.err


def test_production_without_a_key_is_refused(millrace: Command, tmp_path: Path) -> None:
    path = write_events(tmp_path / "keyless.ndjson", EVENT)
    outcome = millrace("load", "pocm", path, environment="production")
    assert outcome.code == 1
    assert "MILLRACE_PSEUDONYM_KEY" in outcome.err


def test_a_wrong_setting_is_named(millrace: Command) -> None:
    outcome = millrace("status", clickhouse_port="eight")
    assert outcome.code == 1
    assert "MILLRACE_CLICKHOUSE_PORT='eight'" in outcome.err


def test_an_unknown_code_names_the_valid_ones(millrace: Command) -> None:
    outcome = millrace("quarantine", "list", "--code", "bad_luck")
    assert outcome.code == 2
    assert "'bad_luck'" in outcome.err
    assert "field_range" in outcome.err


def test_a_syntax_error_in_sql_is_one_sentence(millrace: Command) -> None:
    outcome = millrace("sql", "selec 1")
    assert outcome.code == 1
    assert "Syntax error" in outcome.err
    assert len(outcome.err) < 500


def test_the_same_file_again_says_that_it_was_loaded(millrace: Command, tmp_path: Path) -> None:
    path = write_events(tmp_path / "twice.ndjson", {**EVENT, "eventId": "evt-cli-twice"})
    first = millrace("load", "pocm", path)
    again = millrace("load", "pocm", path)
    assert (first.code, again.code) == (0, 0)
    assert "read 1 = accepted 1" in first.out
    assert "loaded before" in again.out


def test_one_missing_file_does_not_stop_the_others_but_fails_the_command(
    millrace: Command, tmp_path: Path
) -> None:
    good = write_events(tmp_path / "good.ndjson", {**EVENT, "eventId": "evt-cli-good"})
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"no parquet")
    outcome = millrace("load", "pocm", str(bad), good)
    assert outcome.code == 1
    assert "bad.parquet" in outcome.err
    assert "good.ndjson: read 1" in outcome.out


def test_a_rejected_row_is_listed_with_every_rule_it_broke(millrace: Command, tmp_path: Path) -> None:
    broken = {**EVENT, "eventId": "evt-cli-broken", "data": {"search_id": 7, "results_count": -1}}
    path = write_events(tmp_path / "rejected.ndjson", broken)
    loaded = millrace("load", "pocm", path, "--json").json
    listed = millrace(
        "quarantine", "list", "--source", "pocm", "--samples", "100", "--show-original", "--json"
    ).json
    rows = [
        sample
        for samples in listed["samples"].values()
        for sample in samples
        if sample["load_id"] == loaded["load_id"]
    ]
    assert loaded["quarantined"] == 1
    assert {tuple(violation) for violation in rows[0]["violations"]} == {
        ("field_missing", "query"),
        ("field_range", "results_count"),
        ("field_type", "search_id"),
    }
    assert json.loads(rows[0]["original"]) == broken


def test_replaying_what_is_still_wrong_changes_nothing(millrace: Command, tmp_path: Path) -> None:
    path = write_events(tmp_path / "replayed.ndjson", {**EVENT, "eventId": "evt-cli-replay", "type": "NONE"})
    load_id = millrace("load", "pocm", path, "--json").json["load_id"]
    outcome = millrace("replay", "--source", "pocm", "--load", load_id, "--json")
    assert outcome.json == {"source": "pocm", "tried": 1, "accepted": 0, "duplicate": 0, "expired": 0}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [(("--format", "csv"), '"a","b"\n1,"x"\n'), (("--json",), '{"a":1,"b":"x"}\n')],
)
def test_sql_answers_in_the_format_asked_for(
    millrace: Command, flags: tuple[str, ...], expected: str
) -> None:
    assert millrace("sql", "select 1 as a, 'x' as b;", *flags).out == expected


def test_every_line_that_connect_prints_works_as_it_stands(millrace: Command, clickhouse: Client) -> None:
    clickhouse.command("create database if not exists connecting")
    clickhouse.command("create or replace table connecting.connected (x UInt8) engine = Memory")
    clickhouse.command("insert into connecting.connected values (7)")
    lines = dict(
        line.split("  ", 1)
        for line in millrace("connect", "--database", "connecting").out.splitlines()
        if line
    )
    lines = {client.strip(): line.strip() for client, line in lines.items()}
    assert list(lines) == ["clickhouse-connect", "SQLAlchemy", "JDBC", "curl"]
    made = eval(lines["clickhouse-connect"], {"clickhouse_connect": clickhouse_connect})
    assert made.query("select x from connected").result_rows == [(7,)]
    with sqlalchemy.create_engine(lines["SQLAlchemy"]).connect() as connection:
        assert connection.execute(sqlalchemy.text("select x from connected")).all() == [(7,)]
    told = subprocess.run(lines["curl"], shell=True, capture_output=True, text=True, check=True)
    assert "connected" in told.stdout.split()
    # What a JDBC driver makes of its address: the database, and every option as a parameter of each request.
    address = urlsplit(lines["JDBC"].removeprefix("jdbc:"))
    options = dict(parse_qsl(address.query))
    assert options["compress"] == "false"
    login = (options["user"], options["password"])
    parameters = {"database": address.path.strip("/")}
    asked = httpx.post(
        f"http://{address.netloc}/", params=parameters, content="select x from connected", auth=login
    )
    assert asked.text == "7\n"
    clickhouse.command("drop database connecting sync")


def test_connect_fills_the_variables_of_a_shell(millrace: Command, stack: Settings) -> None:
    ask = 'curl -sS "$CLICKHOUSE_URL" --user "$CLICKHOUSE_USER:$CLICKHOUSE_PASSWORD" --data-binary "select 1"'
    script = f"{millrace('connect', '--format', 'env').out}\n{ask}"
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == "1\n"
    values = millrace("connect", "--json").json["variables"]
    assert values["AWS_SECRET_ACCESS_KEY"] == stack.s3_secret_key.get_secret_value()


@pytest.fixture
def bucket(stack: Settings) -> ObjectStore:
    """A lake of its own, to be named with `s3_bucket`."""
    store = object_store(stack).for_bucket(f"cli-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    return store


def test_a_load_says_its_id_and_is_unloaded_by_the_beginning_of_it(
    millrace: Command, bucket: ObjectStore, tmp_path: Path
) -> None:
    path = write_events(tmp_path / "wrong.ndjson", {**EVENT, "eventId": "evt-cli-wrong"}, {"broken": True})
    load_id = millrace("load", "pocm", path, s3_bucket=bucket.bucket).out.strip().rpartition(" - load ")[2]

    first = millrace("unload", load_id[:8], "--reason", "the wrong file")
    again = millrace("unload", load_id)

    assert (first.code, again.code) == (0, 0)
    assert (
        f"load {load_id} of pocm (wrong.ndjson): 1 accepted and 1 rejected rows were taken back" in first.out
    )
    assert "nothing had been built from it" in first.out
    assert "the wrong file; nothing is left to do" in again.out
    (listed,) = millrace("loads", "--json").json
    assert listed["load_id"] == load_id
    assert listed["unloaded"]["reason"] == "the wrong file"
    assert listed["unloaded"]["by"] == pwd.getpwuid(os.getuid()).pw_name

    once_more = millrace("load", "pocm", path)

    assert once_more.out.strip().endswith(f" - load {load_id}, once more")
    (listed,) = millrace("loads", "--source", "pocm", "--json").json
    assert (listed["accepted"], listed["unloaded"]) == (1, None)


def test_loads_are_listed_by_when_they_were_received(
    millrace: Command, bucket: ObjectStore, tmp_path: Path
) -> None:
    for day in (2, 3):
        path = write_events(tmp_path / f"{day}.ndjson", {**EVENT, "eventId": f"evt-cli-{day}"})
        millrace("load", "pocm", path, "--received-at", f"2026-03-0{day}T12", s3_bucket=bucket.bucket)

    everything = millrace("loads").out
    one_day = millrace("loads", "--from", "2026-03-03", "--to", "2026-03-04").out

    assert everything.index("3.ndjson") < everything.index("2.ndjson")
    assert ("3.ndjson" in one_day, "2.ndjson" in one_day) == (True, False)


@pytest.mark.parametrize("load_id", ["abc", "0123456x", "0123ABCD"])
def test_what_is_no_load_id_is_wrong_use(millrace: Command, load_id: str) -> None:
    outcome = millrace("unload", load_id)
    assert outcome.code == 2
    assert f"{load_id!r} is no load id" in outcome.err
    assert "millrace loads" in outcome.err


def test_a_load_that_there_is_not_is_wrong_use(millrace: Command) -> None:
    outcome = millrace("unload", "0123456789abcdef")
    assert outcome.code == 2
    assert "there is no load 0123456789abcdef; `millrace loads` lists them" in outcome.err


def test_an_id_that_may_be_two_names_both(millrace: Command, bucket: ObjectStore, tmp_path: Path) -> None:
    path = write_events(tmp_path / "one.ndjson", {**EVENT, "eventId": "evt-cli-one"})
    load_id = millrace("load", "pocm", path, "--json", s3_bucket=bucket.bucket).json["load_id"]
    twin = load_id[:8] + "0" * 24
    bucket.put_bytes(manifest_key("pocm", twin), bucket.get_bytes(manifest_key("pocm", load_id)))

    outcome = millrace("unload", load_id[:8])

    assert outcome.code == 2
    assert load_id in outcome.err
    assert twin in outcome.err
