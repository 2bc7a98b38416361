"""clickhouse-connect, unchanged, against the embedded ClickHouse."""

import datetime as dt
import decimal
import threading
import uuid

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

COMPRESSIONS = [False, "lz4", "zstd", "gzip"]
EVENTS = "(id UInt64, name LowCardinality(String), paid Decimal(18, 4), at Nullable(DateTime64(3, 'UTC')))"
ROWS = [
    (1, "caf\u00e9", decimal.Decimal("12.3400"), dt.datetime(2026, 11, 16, 10, 0, 0, 123000)),
    (2, "tab\tand\nline 'quoted'", decimal.Decimal("-0.0001"), None),
]


@pytest.fixture(params=COMPRESSIONS, ids=lambda mode: f"compress={mode}")
def client(request, connect, database):
    made = connect(compress=request.param, database=database)
    yield made
    made.close()


@pytest.fixture
def events(client):
    client.command(f"create table events {EVENTS} engine = MergeTree order by id")
    return "events"


def test_rows_come_back_as_they_went_in(client, events):
    client.insert(events, ROWS, column_names=["id", "name", "paid", "at"])
    assert client.query("select * from events order by id").result_rows == ROWS


def test_a_large_insert_arrives_whole(client, events):
    numbers = np.arange(600_000, dtype="uint64")
    frame = pd.DataFrame(
        {"id": numbers, "name": "x" * 20, "paid": decimal.Decimal(1), "at": pd.Timestamp(2026, 1, 1)}
    )
    client.insert_df(events, frame)
    counted = client.query("select count(), sum(id), uniqExact(id) from events").result_rows[0]
    assert counted == (600_000, int(numbers.sum()), 600_000)


def test_data_frames_keep_their_values(client, events):
    frame = pd.DataFrame(
        {"id": [1, 2], "name": ["a", "b"], "paid": [decimal.Decimal("1.5"), decimal.Decimal(2)]}
    )
    client.insert_df(events, frame)
    found = client.query_df("select id, name, paid from events order by id")
    assert found["id"].tolist() == [1, 2]
    assert found["paid"].tolist() == [decimal.Decimal("1.5000"), decimal.Decimal("2.0000")]


def test_arrow_tables_keep_their_values(client, events):
    table = pa.table({"id": pa.array([7, 8], pa.uint64()), "name": ["x", "y"]})
    client.insert_arrow(events, table)
    found = client.query_arrow("select id, name from events order by id", use_strings=True)
    assert found.to_pydict() == {"id": [7, 8], "name": ["x", "y"]}


def test_arrow_streams_are_one_stream_however_many_blocks(client):
    with client.query_arrow_stream("select number from numbers(1000000)") as stream:
        assert sum(batch.num_rows for batch in stream) == 1_000_000


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("CSV", b'1,"a"\n2,"b"\n'),
        ("CSVWithNames", b'"id","name"\n1,"a"\n2,"b"\n'),
        ("JSONEachRow", b'{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n'),
        ("TabSeparated", b"1\ta\n2\tb\n"),
        ("Values", b"(1, 'a'), (2, 'b')"),
    ],
)
def test_raw_inserts_in_text_formats(client, events, name, rows):
    client.raw_insert(events, ["id", "name"], rows, fmt=name)
    assert client.query("select id, name from events order by id").result_rows == [(1, "a"), (2, "b")]


def test_raw_inserts_of_parquet_that_the_server_wrote_itself(client, events):
    client.insert(events, ROWS, column_names=["id", "name", "paid", "at"])
    parquet = client.raw_query("select * from events", fmt="Parquet")
    client.command("truncate table events")
    client.raw_insert(events, None, parquet, fmt="Parquet")
    assert client.query("select * from events order by id").result_rows == ROWS


def test_insert_summaries_count_the_rows(client, events):
    assert client.raw_insert(events, ["id"], b"1\n2\n3\n", fmt="CSV").written_rows == 3


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("String", "it's a \\ and a \t tab"),
        ("Array(String)", ["it's", 'say "x"', "a,b"]),
        ("Array(UInt8)", [1, 2]),
        ("Date", dt.date(2026, 11, 16)),
        ("DateTime", dt.datetime(2026, 11, 16, 10, 30)),
        ("Nullable(String)", None),
        ("UUID", uuid.UUID("00000000-0000-0000-0000-00000000000a")),
    ],
)
def test_bound_parameters_arrive_as_they_are(client, kind, value):
    assert client.query(f"select {{value:{kind}}}", parameters={"value": value}).result_rows == [(value,)]


def test_a_parameter_is_not_left_over_for_the_next_query(client):
    client.query("select {value:UInt8}", parameters={"value": 1})
    with pytest.raises(DatabaseError, match="UNKNOWN_QUERY_PARAMETER"):
        client.query("select {value:UInt8}")


def test_a_parameter_cannot_end_the_literal_it_is_in(client):
    evil = "x'; drop table events; --"
    assert client.query("select {value:String}", parameters={"value": evil}).result_rows == [(evil,)]


def test_settings_hold_for_their_query_only(client):
    limited = client.query("select getSetting('max_threads')", settings={"max_threads": 1}).result_rows
    default = client.query("select getSetting('max_threads')").result_rows
    assert limited == [(1,)]
    assert default != limited


def test_a_session_keeps_what_set_said_under_the_settings_of_a_query(client):
    client.command("set max_block_size = 1234")
    with_other = client.query(
        "select getSetting('max_block_size')", settings={"max_block_size": 99}
    ).result_rows
    afterwards = client.query("select getSetting('max_block_size')").result_rows
    assert (with_other, afterwards) == ([(99,)], [(1234,)])


def test_a_session_keeps_its_temporary_tables_to_itself(client, connect):
    client.command("create temporary table scratch (x UInt8)")
    client.insert("scratch", [[1], [2]], column_names=["x"])
    assert client.query("select sum(x) from scratch").result_rows == [(3,)]
    other = connect()
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        other.query("select * from scratch")


def test_external_data_is_a_table_for_one_query(client):
    from clickhouse_connect.driver.external import ExternalData

    data = ExternalData(
        file_name="names.csv", data=b"1,a\n2,b\n", fmt="CSV", structure=["id UInt8", "name String"]
    )
    assert client.query("select id, name from names order by id", external_data=data).result_rows == [
        (1, "a"),
        (2, "b"),
    ]
    with pytest.raises(DatabaseError, match="UNKNOWN_TABLE"):
        client.query("select id, name from names")


def test_large_parameters_may_come_in_a_form(connect):
    client = connect(form_encode_query_params=True)
    long = "x" * 200_000
    assert client.query("select length({value:String})", parameters={"value": long}).result_rows == [
        (200_000,)
    ]


def test_streams_deliver_every_row(client):
    with client.query_row_block_stream("select number, toString(number) from numbers(1000000)") as stream:
        assert sum(len(block) for block in stream) == 1_000_000


def test_a_stream_that_fails_halfway_is_an_error_and_not_a_short_answer(client):
    statement = "select number, throwIf(number = 1900000, 'planted') from numbers(2000000)"
    with (
        pytest.raises(StreamFailureError, match=r"planted|connection closed"),
        client.query_row_block_stream(statement, settings={"max_threads": 1}) as stream,
    ):
        for _ in stream:
            pass
    assert client.query("select 1").result_rows == [(1,)]


def test_a_failed_query_reports_code_and_text(client):
    with pytest.raises(DatabaseError, match=r"code: 47.*nosuch") as error:
        client.query("select nosuch")
    assert error.value.code == 47


def test_an_insert_of_broken_rows_is_refused_and_leaves_nothing(client, events):
    with pytest.raises(DatabaseError, match="CANNOT_PARSE"):
        client.raw_insert(events, ["id", "name"], b"1,a\nnot a number,b\n", fmt="CSV")
    assert client.command("select count() from events") == 0


def test_json_columns_survive_the_native_format(client):
    client.command(
        "create table docs (id UInt8, body JSON(amount Decimal(18, 4))) engine = MergeTree order by id"
    )
    client.insert("docs", [[1, {"amount": 1.5, "name": "x"}]], column_names=["id", "body"])
    assert client.query("select body.amount, body.name::String from docs").result_rows == [
        (decimal.Decimal("1.5000"), "x")
    ]


def test_columns_only_queries_return_the_types(client, events):
    found = client.query("select id, at from events limit 0")
    assert found.column_names == ("id", "at")
    assert found.column_types[1].name == "Nullable(DateTime64(3, 'UTC'))"


def test_one_session_serves_one_query_at_a_time(client, stack, http):
    held, release = threading.Event(), threading.Event()

    def hold():
        with client.query_row_block_stream("select number, 'x' from numbers(100000000)") as stream:
            next(stream)
            held.set()
            release.wait(30)

    session = client.params["session_id"]
    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert held.wait(30)
        answer = http.post("/", params={"session_id": session}, content="select 1")
        assert answer.headers["X-ClickHouse-Exception-Code"] == "373"
    finally:
        release.set()
        holder.join()
