"""What may go wrong with a query or with the process, and what must not go wrong with it."""

import os
import signal
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from clickhouse_connect.driver.exceptions import OperationalError as ConnectionLostError
from embedded_servers import PASSWORD, server_command

from orchestration.embedded.testing import free_port
from orchestration.settings import PROJECT_ROOT

ENDLESS = "select count() from numbers(1e15) where cityHash64(number) = 1"


def running(http: httpx.Client, mark: str) -> int:
    """Count the running queries whose text holds `mark`."""
    statement = (
        f"select count() from system.processes where query like '%{mark}%' and query not like '%processes%'"
    )
    return int(http.post("/", content=statement).text)


def wait_until_running(http, mark, count):
    """Ask until so many queries with this mark run: bounded by the number of asks, not by time."""
    for _ in range(5000):
        if running(http, mark) == count:
            return
    raise AssertionError(f"{running(http, mark)} queries with {mark} run, not {count}")


def ended_server(path, *arguments, password="secret"):
    """Start a server that is to end by itself."""
    return subprocess.run(
        server_command(path, password, *arguments),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_kill_query_ends_the_query_that_a_client_named(http):
    with ThreadPoolExecutor() as pool:
        victim = pool.submit(http.post, "/", params={"query_id": "victim-1"}, content=f"{ENDLESS} -- kill-me")
        wait_until_running(http, "kill-me", 1)
        http.post("/", content="kill query where query_id = 'victim-1' sync").raise_for_status()
        answer = victim.result(timeout=60)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "394"
    assert http.post("/", content="select 1").text == "1\n"


def test_a_session_works_on_after_its_query_was_killed(http):
    session = {"session_id": "survivor"}
    http.post("/", params=session, content="create temporary table kept as select 7 as x").raise_for_status()
    with ThreadPoolExecutor() as pool:
        victim = pool.submit(
            http.post, "/", params={**session, "query_id": "victim-2"}, content=f"{ENDLESS} -- in-session"
        )
        wait_until_running(http, "in-session", 1)
        http.post("/", content="kill query where query_id = 'victim-2' sync").raise_for_status()
        victim.result(timeout=60)
    assert http.post("/", params=session, content="select x from kept").text == "7\n"


@pytest.mark.parametrize("waits", ["0", "1"])
def test_a_client_that_hangs_up_takes_its_query_with_it(http, stack, waits):
    mark = f"hang-up-{waits}"
    url = f"http://127.0.0.1:{stack.clickhouse_port}/"

    def ask():
        with (
            httpx.Client(auth=http.auth, timeout=httpx.Timeout(60, read=1)) as client,
            pytest.raises(httpx.ReadTimeout),
        ):
            client.post(url, params={"wait_end_of_query": waits}, content=f"{ENDLESS} -- {mark}")

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until_running(http, mark, 1)
    asking.join()
    wait_until_running(http, mark, 0)


def test_a_client_that_stops_reading_takes_its_query_with_it(http, stack):
    statement = "select number, 'stops-reading' from numbers(1e12)"
    with (
        httpx.Client(auth=http.auth, timeout=60) as other,
        other.stream("POST", f"http://127.0.0.1:{stack.clickhouse_port}/", content=statement) as answer,
    ):
        next(answer.iter_raw())
        wait_until_running(http, "stops-reading", 1)
    wait_until_running(http, "stops-reading", 0)


def test_an_insert_goes_on_when_its_client_hangs_up(http, stack, clickhouse, database):
    clickhouse.command(f"create table {database}.kept (x UInt8) engine = MergeTree order by x")
    statement = (
        f"insert into {database}.kept select 1 from numbers(30) where sleepEachRow(0.1) = 0 -- goes-on"
    )
    with (
        httpx.Client(auth=http.auth, timeout=httpx.Timeout(60, read=1)) as client,
        pytest.raises(httpx.ReadTimeout),
    ):
        client.post(f"http://127.0.0.1:{stack.clickhouse_port}/", content=statement)
    wait_until_running(http, "goes-on", 0)
    assert clickhouse.command(f"select count() from {database}.kept") == 30


def test_a_query_that_needs_too_much_memory_fails_alone(clickhouse, http):
    with ThreadPoolExecutor() as pool:
        other = pool.submit(http.post, "/", content="select sum(sleepEachRow(0.02)) from numbers(50)")
        with pytest.raises(DatabaseError, match="MEMORY_LIMIT_EXCEEDED"):
            clickhouse.query(
                "select groupArray(number) from numbers(1e10)", settings={"max_memory_usage": 50_000_000}
            )
        assert other.result(timeout=60).text == "0\n"
    assert clickhouse.query("select 1").result_rows == [(1,)]


def test_no_query_may_take_the_memory_of_the_whole_machine(http):
    limits = http.post("/", content="select getSetting('max_memory_usage') between 1e9 and 8e9").text
    total = http.post(
        "/",
        content="select value != '0' from system.server_settings where name = 'max_server_memory_usage'",
    ).text
    assert (limits, total) == ("1\n", "1\n")


def test_a_large_answer_needs_little_memory_in_the_server(server):
    statement = "select number, repeat('x', 1000) from numbers(1500000)"
    with httpx.Client(base_url=server.url, auth=server.auth, timeout=120) as http:
        http.post("/", content="select 1").raise_for_status()
        before = most = server.resident_mb()
        received = 0
        with http.stream("POST", "/", content=statement, headers={"Accept-Encoding": "identity"}) as answer:
            for number, chunk in enumerate(answer.iter_raw()):
                received += len(chunk)
                if number % 50 == 0:
                    most = max(most, server.resident_mb())
    assert received > 1_500_000_000
    assert most - before < 350


def test_a_large_insert_fits_into_a_small_limit(clickhouse, http, database):
    clickhouse.command(f"create table {database}.big (id UInt64, name String) engine = MergeTree order by id")
    piece = b"".join(b"%d,%s\n" % (number, b"x" * 100) for number in range(10_000))
    limits = {
        "max_memory_usage": "600000000",
        "max_insert_block_size": "100000",
        "min_insert_block_size_bytes": "30000000",
    }
    parameters = {"query": f"insert into {database}.big format CSV", **limits}
    http.post("/", params=parameters, content=(piece for _ in range(800))).raise_for_status()
    assert clickhouse.command(f"select count() from {database}.big") == 8_000_000


def test_readers_see_whole_inserts_only(clickhouse, stack, database):
    from orchestration.connections import warehouse

    clickhouse.command(
        f"create table {database}.pairs (batch UInt32, x UInt8) engine = MergeTree order by batch"
    )
    stop = threading.Event()

    def write(writer):
        client = warehouse(stack)
        for number in range(30):
            rows = [[writer * 1000 + number, x] for x in range(100)]
            client.insert(f"{database}.pairs", rows, column_names=["batch", "x"])

    def read():
        client = warehouse(stack)
        torn = 0
        while not stop.is_set():
            torn += len(
                client.query(
                    f"select batch from {database}.pairs group by batch having count() != 100"
                ).result_rows
            )
        return torn

    with ThreadPoolExecutor() as pool:
        readers = [pool.submit(read) for _ in range(4)]
        for done in [pool.submit(write, writer) for writer in range(4)]:
            done.result(timeout=120)
        stop.set()
        assert sum(reader.result(timeout=60) for reader in readers) == 0
    assert clickhouse.command(f"select count() from {database}.pairs") == 4 * 30 * 100


def test_every_acknowledged_insert_survives_a_kill(server, serve):
    client = server.client()
    client.command("create table kept (x UInt64) engine = MergeTree order by x")
    acknowledged = []
    half = threading.Event()

    def insert():
        try:
            for number in range(100_000):
                client.insert("kept", [[number]], column_names=["x"])
                acknowledged.append(number)
                if number == 100:
                    half.set()
        except (ConnectionLostError, DatabaseError):
            pass

    inserting = threading.Thread(target=insert)
    inserting.start()
    assert half.wait(60)
    os.kill(server.process.pid, signal.SIGKILL)
    inserting.join()
    server.process.wait()
    found = {row[0] for row in serve(server.path).client().query("select x from kept").result_rows}
    assert set(acknowledged) <= found
    assert len(found) - len(acknowledged) <= 1


def test_nothing_is_left_in_the_spool(server):
    client = server.client()
    client.command("create table rows (x UInt64) engine = MergeTree order by x")
    client.insert("rows", [[number] for number in range(1000)], column_names=["x"])
    client.raw_insert("rows", ["x"], b"1\n2\n", fmt="CSV")
    with pytest.raises(DatabaseError):
        client.raw_insert("rows", ["x"], b"broken\n", fmt="CSV")
    with pytest.raises(DatabaseError):
        client.query("select nosuch")
    client.query("select number from numbers(1000000)")
    assert list((server.path / "spool").iterdir()) == []


def test_many_queries_and_sessions_leave_memory_flat(server):
    def ask(count):
        client = server.client(autogenerate_session_id=True)
        for number in range(count):
            client.query("select {x:UInt32}, toString(number) from numbers(100)", parameters={"x": number})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, [25] * 8))
        before = server.resident_mb()
        list(pool.map(ask, [75] * 8))
    assert server.resident_mb() - before < 150


def test_a_folder_in_use_is_one_sentence_and_the_owner(server):
    ended = ended_server(server.path, "--port", free_port())
    assert ended.returncode == 1
    assert ended.stderr == (
        f"clickhouse_server: the data folder {server.path} is in use by process {server.process.pid}: "
        "end that one first, or name another folder with --path\n"
    )
    assert httpx.get(f"{server.url}/ping").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.com"])
def test_addresses_beyond_loopback_are_refused(tmp_path, host):
    ended = ended_server(tmp_path / "clickhouse", "--host", host, "--port", free_port())
    assert ended.returncode == 1
    assert f"--host {host}" in ended.stderr
    assert "loopback" in ended.stderr


def test_a_port_in_use_is_one_sentence(server, tmp_path):
    ended = ended_server(tmp_path / "clickhouse", "--port", server.port)
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        f"clickhouse_server: port {server.port} on 127.0.0.1 cannot be used: Address already in use"
    )


def test_a_server_without_a_password_does_not_start(tmp_path):
    ended = ended_server(tmp_path / "clickhouse", "--port", free_port(), password="")
    assert ended.returncode == 1
    assert ended.stderr.startswith("clickhouse_server: --password-file")
    assert ended.stderr.endswith("the file is empty\n")


@pytest.fixture(scope="module")
def guarded(tmp_path_factory, serve):
    """A server whose password no header and no address holds as it is."""
    return serve(tmp_path_factory.mktemp("guarded") / "clickhouse", password=PASSWORD)


def test_the_right_password_is_let_in_by_every_way(guarded):
    assert guarded.client().query("select 1").result_rows == [(1,)]
    headers = {"X-ClickHouse-User": "default", "X-ClickHouse-Key": PASSWORD.encode()}
    assert httpx.post(guarded.url, content="select 1", headers=headers).text == "1\n"
    parameters = {"user": "default", "password": PASSWORD}
    assert httpx.post(guarded.url, content="select 1", params=parameters).text == "1\n"


@pytest.mark.parametrize(("user", "password"), [("default", ""), ("default", "wrong"), ("admin", PASSWORD)])
def test_a_wrong_password_or_user_is_refused(guarded, user, password):
    answer = httpx.post(guarded.url, content="select 1", auth=(user, password))
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")
    assert password not in answer.text or not password


def test_an_unknown_kind_of_authorization_is_refused(guarded):
    answer = httpx.post(guarded.url, content="select 1", headers={"Authorization": "Bearer x"})
    assert answer.status_code == 403


def test_health_checks_need_no_password(guarded):
    assert httpx.get(f"{guarded.url}/ping").text == "Ok.\n"
