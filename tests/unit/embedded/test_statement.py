"""Where clauses go into a statement, without an engine."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.embedded.statement import StatementError, parse, quote, quote_name, tokens

OUT = "\nINTO OUTFILE 'f' TRUNCATE COMPRESSION 'none' LEVEL 1\n"


def answer(text: str) -> str:
    return parse(text.encode()).into_outfile("f", "none", "TSV").decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select 1", f"select 1{OUT}FORMAT TSV\n"),
        ("select 1;", f"select 1{OUT}FORMAT TSV\n"),
        ("select 1 ; -- done", f"select 1 {OUT}FORMAT TSV\n"),
        ("select 1 -- format CSV", f"select 1 -- format CSV{OUT}FORMAT TSV\n"),
        ("select 1 format CSV", f"select 1 {OUT}format CSV"),
        ("select 1 format CSV;", f"select 1 {OUT}format CSV"),
        ("select 1 format CSV settings a = 1", f"select 1 {OUT}format CSV settings a = 1"),
        ("select 1 settings a = 1 format CSV", f"select 1 settings a = 1 {OUT}format CSV"),
        ("select 1 settings a = 1", f"select 1 settings a = 1{OUT}FORMAT TSV\n"),
        ("select 'format CSV'", f"select 'format CSV'{OUT}FORMAT TSV\n"),
        ("select (select 1 format)", f"select (select 1 format){OUT}FORMAT TSV\n"),
        ("select x from t order by format desc", f"select x from t order by format desc{OUT}FORMAT TSV\n"),
        ("select 1 as format from t", f"select 1 as format from t{OUT}FORMAT TSV\n"),
        ("select a, format from t", f"select a, format from t{OUT}FORMAT TSV\n"),
        ("select * from t format JSON", f"select * from t {OUT}format JSON"),
        ("show tables settings a = 1", f"show tables {OUT}FORMAT TSV\nsettings a = 1"),
        ("(select 1) union all (select 2) format CSV", f"(select 1) union all (select 2) {OUT}format CSV"),
        ("with 1 as x select x", f"with 1 as x select x{OUT}FORMAT TSV\n"),
    ],
)  # fmt: skip
def test_the_answer_goes_into_a_file(text, expected):
    assert answer(text) == expected


@pytest.mark.parametrize(
    ("text", "expected", "rows"),
    [
        (
            "insert into t format CSV\n1,2",
            "insert into t \nFROM INFILE 'f' COMPRESSION 'none'\nformat CSV",
            b"1,2",
        ),
        (
            "insert into t format CSV \r\n 1",
            "insert into t \nFROM INFILE 'f' COMPRESSION 'none'\nformat CSV",
            b" 1",
        ),
        (
            "insert into t (a, b) settings x = 1 format Native\n\n\0",
            "insert into t (a, b) \nFROM INFILE 'f' COMPRESSION 'none'\nsettings x = 1 format Native",
            b"\n\0",
        ),
        (
            "insert into t values (1)",
            "insert into t \nFROM INFILE 'f' COMPRESSION 'none'\nFORMAT Values",
            b" (1)",
        ),
        (
            "insert into values values (1)",
            "insert into values \nFROM INFILE 'f' COMPRESSION 'none'\nFORMAT Values",
            b" (1)",
        ),
        (
            "insert into db.format (values) format CSV\n",
            "insert into db.format (values) \nFROM INFILE 'f' COMPRESSION 'none'\nformat CSV",
            b"",
        ),
        (
            "insert into function file('x', 'CSV') format CSV\n1",
            "insert into function file('x', 'CSV') \nFROM INFILE 'f' COMPRESSION 'none'\nformat CSV",
            b"1",
        ),
    ],
)
def test_the_rows_come_from_a_file(text, expected, rows):
    statement = parse(text.encode())
    assert statement.from_infile("f", "none").decode() == expected
    assert statement.text[statement.data_start :] == rows


@pytest.mark.parametrize(
    "text",
    [
        "insert into t select 1 format Null",
        "insert into t (select 1)",
        "insert into t with 1 as x select x",
        "insert into t",
        "insert into t format",
    ],
)
def test_an_insert_without_rows_behind_it_has_none(text):
    assert parse(text.encode()).data_start is None


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("select 1", True),
        ("((select 1))", True),
        ("-- insert\n/* drop */ select 1", True),
        ("explain select 1", True),
        ("with x as (select 1) select * from x", True),
        ("with x as (select 1) insert into t select * from x", False),
        ("insert into t values (1)", False),
        ("alter table t delete where 1", False),
        ("set max_threads = 1", False),
        ("kill query where 1", False),
        ("drop table t", False),
    ],
)
def test_reading_statements_are_told_from_the_others(text, reads):
    assert parse(text.encode()).reads_only == reads


@pytest.mark.parametrize(
    "text", ["", "  ", "-- nothing", "/* open", "select 1; select 2", "select 1;;select 2"]
)
def test_no_statement_and_two_statements_are_refused(text):
    with pytest.raises(StatementError, match="Code: 62"):
        parse(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "select 1 into outfile 'x'",
        "select 1 INTO /* */ OUTFILE 'x'",
        "insert into t from infile 'x' format CSV",
    ],
)
def test_files_of_the_server_are_refused(text):
    with pytest.raises(StatementError, match="Code: 344"):
        parse(text.encode())


@given(st.text())
def test_a_quoted_string_is_one_literal(text):
    (token,) = tokens(quote(text).encode("utf-8", "surrogatepass"))
    assert token.kind == "literal"


@given(st.text())
def test_a_quoted_name_is_one_name(text):
    (token,) = tokens(quote_name(text).encode("utf-8", "surrogatepass"))
    assert token.kind == "quoted"


@given(st.binary(max_size=200))
def test_any_bytes_are_lexed_without_loss_of_place(data):
    places = [(token.start, token.end) for token in tokens(data)]
    assert places == sorted(places)
    assert all(data[start:end] for start, end in places)
