"""The HTTP protocol as curl and drivers of other languages speak it."""

import gzip
import json
import lzma
import zlib

import httpx
import lz4.frame
import pytest
from backports import zstd

ENCODERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "xz": lzma.compress,
}
DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": zstd.decompress,
    "xz": lzma.decompress,
}


def raw(http: httpx.Client, statement: str, **headers: str) -> tuple[httpx.Response, bytes]:
    """Return the answer and its bytes as they came, still compressed."""
    with http.stream("POST", "/", content=statement, headers=headers) as answer:
        return answer, b"".join(answer.iter_raw())


def encoded_by_the_engine(data: str, encoding: str, http: httpx.Client) -> bytes:
    """Compress with the server itself: Python has no Brotli."""
    answer, body = raw(http, f"select '{data}' format RawBLOB", **{"Accept-Encoding": encoding})
    assert answer.headers["Content-Encoding"] == encoding
    return body


@pytest.fixture
def table(clickhouse, database):
    name = f"{database}.events"
    clickhouse.command(f"create table {name} (id UInt64, name String) engine = MergeTree order by id")
    return name


def rows_of(http, table):
    return http.post("/", content=f"select * from {table} order by id format JSONCompactEachRow").text.split(
        "\n"
    )[:-1]


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_health_checks_are_answered(http, path):
    assert (http.get(path).status_code, http.get(path).text) == (200, "Ok.\n")


def test_a_query_in_the_address(http):
    assert http.get("/", params={"query": "select 1"}).text == "1\n"


def test_a_query_in_the_body(http):
    assert http.post("/", content="select 1").text == "1\n"


def test_a_query_in_two_halves(http):
    assert http.post("/", params={"query": "select 1 +"}, content="2").text == "3\n"


def test_get_changes_nothing(http, table):
    answer = http.get("/", params={"query": f"insert into {table} values (1, 'a')"})
    assert answer.headers["X-ClickHouse-Exception-Code"] == "164"
    assert rows_of(http, table) == []


@pytest.mark.parametrize(
    "statement",
    [
        "with x as (select 1) insert into {table} select 1, 'a'",
        "(select 1); drop table {table}",
        "drop table {table}",
    ],
)
def test_get_changes_nothing_under_any_disguise(http, table, statement):
    assert http.get("/", params={"query": statement.format(table=table)}).status_code >= 400
    assert rows_of(http, table) == []


def test_default_format_holds_where_the_query_names_none(http):
    parameters = {"default_format": "JSONEachRow"}
    assert http.post("/", params=parameters, content="select 1 as x").text == '{"x":1}\n'
    assert http.post("/", params=parameters, content="select 1 as x format CSV").text == "1\n"
    assert http.post("/", headers={"X-ClickHouse-Format": "CSV"}, content="select 'x'").text == '"x"\n'


@pytest.mark.parametrize("name", ["JSON", "Parquet", "Arrow", "CSVWithNames"])
def test_formats_with_a_head_and_a_foot_are_one_whole_for_many_blocks(http, clickhouse, database, name):
    body = http.post("/", content=f"select number from numbers(300000) format {name}").content
    table = f"{database}.back"
    clickhouse.command(f"create table {table} (number UInt64) engine = MergeTree order by number")
    clickhouse.raw_insert(table, None, body, fmt=name)
    assert clickhouse.query(f"select count(), uniqExact(number) from {table}").result_rows == [
        (300_000, 300_000)
    ]


def test_answers_carry_their_headers(http):
    answer = http.post("/", params={"query_id": "mine"}, content="select number from numbers(10) format JSON")
    assert answer.headers["X-ClickHouse-Query-Id"] == "mine"
    assert answer.headers["X-ClickHouse-Format"] == "JSON"
    assert answer.headers["X-ClickHouse-Timezone"] == "UTC"
    assert answer.headers["Content-Type"].startswith("application/json")
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["result_rows"] == "10"


def test_the_summary_of_an_insert_counts_what_was_written(http, table):
    answer = http.post("/", content=f"insert into {table} select number, 'x' from numbers(1000)")
    assert json.loads(answer.headers["X-ClickHouse-Summary"])["written_rows"] == "1000"


@pytest.mark.parametrize(
    ("statement", "code", "status"),
    [
        ("selec 1", 62, 400),
        ("select nosuch", 47, 404),
        ("select * from nosuch", 60, 404),
        ("select 1 from nosuch.t", 81, 404),
        ("select 1; select 2", 62, 400),
        ("", 62, 400),
        ("/* nothing */", 62, 400),
        ("select toDate('x')", 38, 400),
        ("select throwIf(1)", 395, 500),
        ("select sleep(3) settings max_execution_time = 0.1", 159, 408),
        ("select 1 into outfile '/tmp/stolen'", 344, 500),
        ("insert into t from infile '/etc/passwd' format CSV", 344, 500),
        ("set max_threads = 'x'", 27, 400),
    ],
)
def test_errors_have_clickhouse_codes_and_http_statuses(http, statement, code, status):
    answer = http.post("/", content=statement)
    assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status_code) == (str(code), status)
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")


def test_a_setting_in_the_address_is_applied(http):
    answer = http.post("/", params={"log_comment": "it's; run=1"}, content="select getSetting('log_comment')")
    assert answer.text == "it\\'s; run=1\n"


@pytest.mark.parametrize(
    "name", ["nosuch", "max_threads = 1, log_comment", "log_comment = 'x'; drop table t; --", "a'b"]
)
def test_a_name_that_is_no_setting_is_refused(http, name):
    answer = http.post("/", params={name: "1"}, content="select 1")
    assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status_code) == ("115", 404)


@pytest.mark.parametrize("value", ["x'; select 1; --", "\\", "\\'", "x', max_threads = '7", "\n\0\t"])
def test_a_value_stays_one_value(http, value):
    answer = http.post("/", params={"log_comment": value}, content="select hex(getSetting('log_comment'))")
    assert bytes.fromhex(answer.text.strip()).decode() == value


def test_the_database_of_the_address_holds_for_the_query(http, database, table):
    assert http.post("/", params={"database": database}, content="select count() from events").text == "0\n"
    assert http.post("/", headers={"X-ClickHouse-Database": database}, content="exists events").text == "1\n"
    assert http.post("/", params={"database": "no`such"}, content="select 1").status_code == 404


def test_use_lasts_in_a_session_and_the_address_still_wins(http, database, table):
    session = {"session_id": database}
    http.post("/", params=session, content=f"use {database}").raise_for_status()
    assert http.post("/", params=session, content="select currentDatabase()").text == f"{database}\n"
    assert (
        http.post("/", params={**session, "database": "system"}, content="select currentDatabase()").text
        == "system\n"
    )
    assert http.post("/", params=session, content="select currentDatabase()").text == f"{database}\n"


def test_sessions_end_when_asked(http, database):
    session = {"session_id": database}
    http.post("/", params=session, content="create temporary table kept (x UInt8)").raise_for_status()
    http.post("/", params={**session, "close_session": "1"}, content="select 1").raise_for_status()
    answer = http.post("/", params={**session, "session_check": "1"}, content="select 1")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "372"


def test_a_session_lives_no_longer_than_its_timeout(http, database):
    session = {"session_id": database, "session_timeout": "0"}
    http.post("/", params=session, content="create temporary table kept (x UInt8)").raise_for_status()
    assert http.post("/", params=session, content="exists temporary table kept").text == "0\n"


@pytest.mark.parametrize("timeout", ["-1", "3601", "soon"])
def test_a_session_timeout_that_is_none_is_refused(http, timeout):
    answer = http.post("/", params={"session_id": "x", "session_timeout": timeout}, content="select 1")
    assert answer.headers["X-ClickHouse-Exception-Code"] == "374"


@pytest.mark.parametrize("encoding", DECODERS)
@pytest.mark.parametrize("rows", [3, 2_000_000])
def test_answers_are_compressed_as_the_client_accepts(http, encoding, rows):
    answer, body = raw(
        http, f"select number from numbers({rows})", **{"Accept-Encoding": f"snappy, {encoding}"}
    )
    assert answer.headers["Content-Encoding"] == encoding
    assert DECODERS[encoding](body) == "".join(f"{number}\n" for number in range(rows)).encode()


@pytest.mark.parametrize("settings", [{}, {"wait_end_of_query": "1"}])
def test_a_large_answer_is_the_same_streamed_or_buffered(http, settings):
    answer = http.post("/", params=settings, content="select number from numbers(2000000)")
    assert answer.text.count("\n") == 2_000_000
    assert ("Content-Length" in answer.headers) == bool(settings)


def test_a_late_failure_is_an_http_error_for_those_who_wait(http):
    statement = "select throwIf(number = 1900000) from numbers(2000000) settings max_threads = 1"
    assert http.post("/", params={"wait_end_of_query": "1"}, content=statement).status_code == 500


def test_a_late_failure_breaks_the_stream_off_after_its_message(http):
    statement = (
        "select number, throwIf(number = 1900000, 'planted') from numbers(2000000) settings max_threads = 1"
    )
    received = bytearray()
    with (
        pytest.raises(httpx.RemoteProtocolError),
        http.stream("POST", "/", content=statement, headers={"Accept-Encoding": "identity"}) as answer,
    ):
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            received += chunk
    tag = answer.headers["X-ClickHouse-Exception-Tag"]
    assert f"__exception__\r\n{tag}\r\nCode: 395" in received[-2000:].decode(errors="replace")


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("rows", [3, 300_000])
def test_compressed_inserts_with_the_statement_in_the_body(http, table, encoding, rows):
    lines = "".join(f"{number},x\n" for number in range(rows))
    body = ENCODERS[encoding](f"insert into {table} format CSV\n{lines}".encode())
    http.post("/", content=body, headers={"Content-Encoding": encoding}).raise_for_status()
    assert (
        http.post("/", content=f"select count(), sum(id) from {table}").text
        == f"{rows}\t{rows * (rows - 1) // 2}\n"
    )


@pytest.mark.parametrize("encoding", ENCODERS)
@pytest.mark.parametrize("rows", [3, 300_000])
def test_compressed_inserts_with_the_statement_in_the_address(http, table, encoding, rows):
    body = ENCODERS[encoding]("".join(f"{number},x\n" for number in range(rows)).encode())
    statement = {"query": f"insert into {table} format CSV"}
    http.post("/", params=statement, content=body, headers={"Content-Encoding": encoding}).raise_for_status()
    assert (
        http.post("/", content=f"select count(), sum(id) from {table}").text
        == f"{rows}\t{rows * (rows - 1) // 2}\n"
    )


@pytest.mark.parametrize("where", ["address", "body"])
def test_brotli_inserts(http, table, where):
    statement = f"insert into {table} format CSV\n"
    body = encoded_by_the_engine(("" if where == "address" else statement) + "1,a\n2,b\n", "br", http)
    parameters = {"query": statement} if where == "address" else {}
    http.post("/", params=parameters, content=body, headers={"Content-Encoding": "br"}).raise_for_status()
    assert rows_of(http, table) == ['[1, "a"]', '[2, "b"]']


def test_a_plain_insert_larger_than_memory_is_meant_to_hold(http, table):
    lines = "".join(f"{number},x\n" for number in range(300_000))
    http.post("/", content=f"insert into {table} format CSV\n{lines}").raise_for_status()
    assert http.post("/", content=f"select count() from {table}").text == "300000\n"


@pytest.mark.parametrize(
    "body", [b"not gzip", gzip.compress(b"insert into x format CSV\n1")[:-9]], ids=["no gzip", "cut off"]
)
def test_a_body_that_is_not_what_its_header_says_is_refused(http, body):
    answer = http.post("/", content=body, headers={"Content-Encoding": "gzip"})
    assert (answer.headers["X-ClickHouse-Exception-Code"], answer.status_code) == ("117", 400)


def test_an_unknown_encoding_names_the_known_ones(http):
    answer = http.post("/", content=b"x", headers={"Content-Encoding": "snappy"})
    assert answer.status_code == 501
    assert "lz4, zstd, gzip" in answer.text


@pytest.mark.parametrize(
    "statement",
    [
        "insert into {table} values (1, 'a'), (2, 'b')",
        "INSERT INTO {table} (id, name) SETTINGS max_insert_threads = 1 VALUES (1, 'a'), (2, 'b')",
        "insert into {table} format Values (1, 'a'), (2, 'b')",
        'insert into {table} (name, id) format JSONEachRow {"id": 1, "name": "a"} {"id": 2, "name": "b"}',
        "insert into {table} settings max_insert_threads = 1 format CSV\n1,a\n2,b",
        "insert into {table} select number + 1, char(97 + number) from numbers(2)",
        "insert into {table} with 1 as one select number + one, char(97 + number) from numbers(2)",
        "with 1 as one insert into {table} select number + one, char(97 + number) from numbers(2)",
        "-- a comment; with a semicolon\ninsert into {table} /* format CSV */ values (1, 'a'), (2, 'b');",
        "insert into table {table} values (1, 'a'), ({two:UInt8}, 'b')",
    ],
)  # fmt: skip
def test_inserts_in_every_shape(http, table, statement):
    text = statement.replace("{table}", table)
    http.post("/", params={"param_two": "2"}, content=text).raise_for_status()
    assert rows_of(http, table) == ['[1, "a"]', '[2, "b"]']


@pytest.mark.parametrize("name", ["CSV", "JSONEachRow", "Native", "TabSeparated"])
def test_an_insert_of_no_rows_adds_none(http, table, name):
    http.post("/", params={"query": f"insert into {table} format {name}"}, content=b"").raise_for_status()
    assert rows_of(http, table) == []


def test_a_literal_may_hold_anything_that_looks_like_a_clause(http):
    text = "it's\\' format CSV; into outfile -- /* "
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    assert http.post("/", content=f"select '{quoted}' -- format JSON\nformat TSVRaw").text == text + "\n"


def test_a_column_may_be_named_format(http):
    statement = "select number as format from numbers(2) order by format desc"
    assert http.post("/", content=statement).text == "1\n0\n"


def test_show_and_describe_take_settings_and_formats(http, table):
    assert http.post("/", content=f"describe table {table} format TSVRaw").text.startswith("id\tUInt64")
    assert (
        "events"
        in http.post("/", content=f"show tables from {table.split('.')[0]} settings max_threads = 1").text
    )
    assert http.post("/", content=f"exists table {table};").text == "1\n"
    assert "SelectQuery" in http.post("/", content="explain ast select 1").text


def test_native_blocks_of_other_drivers_are_refused_with_advice(http):
    answer = http.post("/", params={"compress": "1"}, content="select 1")
    assert (answer.status_code, "Accept-Encoding" in answer.text) == (501, True)


@pytest.mark.parametrize(
    "header", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
def test_pages_in_a_browser_are_refused(http, header):
    assert http.post("/", content="select 1", headers=header).status_code == 403


def test_each_query_leaves_its_comment_and_its_reads_in_the_log(http, table):
    http.post("/", content=f"insert into {table} select number, 'x' from numbers(10)").raise_for_status()
    http.post("/", params={"log_comment": table}, content=f"select sum(id) from {table}").raise_for_status()
    http.post("/", content="system flush logs").raise_for_status()
    found = http.post(
        "/",
        content=f"select read_rows, columns from system.query_log where log_comment = '{table}' and type = 2",
    ).text
    assert found == f"10\t['{table}.id']\n"


def test_the_settings_that_the_projects_sql_relies_on_are_in_force(http):
    expected = {
        "s3_validate_etag_on_read": "0",
        "allow_replace_partition_from_empty_source": "1",
        "max_partitions_per_insert_block": "0",
        "type_json_skip_duplicated_paths": "1",
        "date_time_input_format": "best_effort",
        "mutations_sync": "1",
    }
    names = ", ".join(f"'{name}'" for name in expected)
    rows = http.post("/", content=f"select name, value from system.settings where name in ({names})").text
    assert dict(line.split("\t") for line in rows.splitlines()) == expected
    assert (
        http.post("/", content="select timezone(), toString(toDateTime(0))").text
        == "UTC\t1970-01-01 00:00:00\n"
    )
