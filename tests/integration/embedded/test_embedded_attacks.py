"""What a page in a browser, or another account of the machine, may try on the embedded ClickHouse, and does not get."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from orchestration.settings import PROJECT_ROOT

# The engine takes typographic quotes for quotes; who does not, reads the clause below as a part of a string.
DECEIVING = "explain syntax select \u2018'\u2019 into outfile '{path}' format CustomSeparated --'"
READ_ONLY = "164"


@pytest.fixture
def get(http):
    """Ask with GET, as an image, a script or a link does; the browser knows the password."""
    return lambda query, **settings: http.get("/", params={"query": query, **settings})


@pytest.fixture
def readable(tmp_path) -> Path:
    """A file of the user, outside the data folder."""
    path = tmp_path / "secret.txt"
    path.write_text("hunter2\n")
    return path


@pytest.mark.parametrize(
    "statement",
    [
        DECEIVING,
        "explain select 1 into outfile '{path}'",
        "explain syntax select 1 into outfile '{path}' format CSV",
        "explain ast select 1 into outfile '{path}'",
        "explain ast select 1 into outfile 'x' into outfile '{path}'",
        "select \u2018'\u2019 into outfile '{path}' format CSV --'",
        "select \u201c1\u201d, \u2018'\u2019 into outfile '{path}' -- '",
        "select 1 into outfile '{path}'",
        "show databases into outfile '{path}'",
        "select 1 parallel with select 2 into outfile '{path}'",
    ],
)
@pytest.mark.parametrize("wait", ["0", "1"])
def test_a_get_writes_no_file(get, tmp_path, statement, wait):
    target = tmp_path / "zz.pth"
    answer = get(
        statement.replace("{path}", str(target)),
        wait_end_of_query=wait,
        format_custom_result_before_delimiter="import os\n",
    )
    assert answer.status_code >= 400
    assert list(tmp_path.iterdir()) == []


def test_a_format_in_the_address_is_a_name_and_nothing_else(get, tmp_path):
    answer = get("select 1", default_format=f"TSV into outfile '{tmp_path / 'x'}'")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "73"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "statement",
    [
        "select concat('leak(', toJSONString(groupArray(line)), ')') from file('{path}', 'LineAsString') format TSVRaw",
        "select * from `{path}`",
        "select * from default.`{path}`",
        "select file('{path}')",
        "select `file`('{path}')",
        "select \u201cfile\u201d('{path}')",
        "select arrayMap(file, ['{path}'])",
        "select columns('x') apply(file) from (select '{path}' as x)",
        "with (select groupArray(line) from file('{path}', 'LineAsString')) as x select x",
        "select * from url(concat('http://127.0.0.1:1/?d=', file('{path}')), 'LineAsString')",
        "explain select file('{path}')",
        "describe table file('{path}')",
        "check table `{path}`",
    ],
)
def test_a_get_reads_no_file(get, readable, statement):
    answer = get(statement.replace("{path}", str(readable)))
    assert answer.headers["X-ClickHouse-Exception-Code"] == READ_ONLY
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("setting", ["format_template_resultset", "format_template_row", "format_schema"])
def test_a_get_is_answered_in_no_format_that_is_read_from_a_file(get, readable, setting):
    answer = get("select 1 format Template", **{setting: str(readable)})
    assert answer.headers["X-ClickHouse-Exception-Code"] == READ_ONLY
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("function", ["url", "s3", "remote", "executable", "mysql", "postgresql", "sqlite"])
def test_a_get_leaves_the_engine_by_no_table_function(get, function):
    arguments = {
        "url": "'http://127.0.0.1:1/', 'LineAsString'",
        "s3": "'http://127.0.0.1:1/bucket/key', 'LineAsString'",
        "remote": "'127.0.0.1:1', 'system', 'one'",
        "executable": "'x', 'TSV', 'a String'",
        "sqlite": "'/tmp/x.db', 't'",
    }.get(function, "'127.0.0.1:1', 'a', 'b', 'c', 'd'")
    answer = get(f"select * from {function}({arguments})")
    assert answer.headers["X-ClickHouse-Exception-Code"] == READ_ONLY


@pytest.mark.parametrize(
    "second",
    [
        "create or replace table {table} (a Int8) engine = MergeTree order by a",
        "drop table {table}",
        "truncate table {table}",
        "insert into {table} select 2",
        "alter table {table} delete where 1",
    ],
)
@pytest.mark.parametrize("first", ["select 1", "explain select 1", "show databases"])
def test_a_get_changes_nothing_in_parallel(get, clickhouse, database, first, second):
    table = f"{database}.victim"
    clickhouse.command(f"create table {table} (a Int8) engine = MergeTree order by a")
    clickhouse.insert(table, [[1]], column_names=["a"])
    for _ in range(10):  # it was a race: four of twelve got through
        assert get(f"{first} parallel with {second.replace('{table}', table)}").status_code >= 400
    assert clickhouse.query(f"select * from {table}").result_rows == [(1,)]


@pytest.mark.parametrize("setting", [{"readonly": "0"}, {"readonly": "2"}])
def test_a_get_cannot_ask_for_more(get, clickhouse, database, readable, setting):
    assert get(f"select * from file('{readable}', 'LineAsString')", **setting).headers[
        "X-ClickHouse-Exception-Code"
    ] == (READ_ONLY)
    assert get("select 1 settings readonly = 0", **setting).status_code >= 400
    assert get("select 1", **setting).text == "1\n"


def test_a_get_cannot_change_the_grammar(get):
    assert get("select 1", dialect="kusto").headers["X-ClickHouse-Exception-Code"] == READ_ONLY


def test_a_session_is_for_posts(get, http):
    http.post("/", params={"session_id": "s1"}, content="set max_threads = 3").raise_for_status()
    assert get("select 1", session_id="s1").headers["X-ClickHouse-Exception-Code"] == READ_ONLY
    asked = http.post("/", params={"session_id": "s1"}, content="select getSetting('max_threads')")
    assert asked.text == "3\n"


@pytest.mark.parametrize("kind", ["", "plan", "pipeline", "syntax", "query tree", "ast", "estimate"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_every_explanation_is_still_given(http, clickhouse, database, kind, method):
    clickhouse.command(f"create table {database}.t (a Int8) engine = MergeTree order by a")
    statement = f"explain {kind} select a from {database}.t where a = 1"
    if method == "GET":
        answer = http.get("/", params={"query": statement})
    else:
        answer = http.post("/", content=f"{statement} settings max_threads = 1")
    assert answer.status_code == 200
    assert answer.text or kind == "estimate"


def test_an_explanation_comes_in_the_format_that_is_asked_for(http):
    answer = http.post("/", content="explain select 1 format JSONEachRow")
    assert answer.text.startswith('{"explain":')
    assert (
        http.get("/", params={"query": "explain syntax select 1", "default_format": "JSON"}).json()["rows"]
        >= 1
    )


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Host": "evil.example"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_pages_of_another_origin_are_refused_although_the_browser_knows_the_password(http, headers, method):
    answer = http.request(method, "/", params={"query": "select 1"}, headers=headers)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "497")


@pytest.mark.parametrize("site", ["none", "same-origin"])
def test_what_a_person_types_is_served(http, stack, site):
    origin = {"Origin": stack.clickhouse_url} if site == "same-origin" else {}
    answer = http.get("/", params={"query": "select 1"}, headers={"Sec-Fetch-Site": site, **origin})
    assert answer.text == "1\n"


@pytest.mark.parametrize("path", ["/", "/ping", "/nosuch", "/?query=select+1", "/?query=nosuch"])
def test_no_answer_is_taken_for_a_script(http, path):
    assert http.get(path).headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_is_served_without_the_password(stack, method):
    answer = httpx.request(method, stack.clickhouse_url, params={"query": "select 1"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (403, "516")


def test_a_long_literal_takes_little_memory():
    code = (
        "import resource; from orchestration.embedded.statement import parse;"
        "text = b\"select '\" + b'x' * 20_000_000 + b\"'\";"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss; parse(text);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert int(ended.stdout) < 100_000  # kB; it was 160 bytes a byte
