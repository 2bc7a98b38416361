"""CSV is read as people write it: what Python's csv, pyarrow and DuckDB read is read, and no line swallows another."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.csv as pa_csv
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion import csv_cuts
from ingestion.csv_records import csv_rows
from ingestion.inputs import Input
from ingestion.mapping import CsvFormat

Row = tuple[str | None, ...]


@dataclass(frozen=True)
class Text(Input):
    """A file that is read in blocks of a size of our own."""

    block_size: int = 1 << 20

    def blocks(self, size: int = 0) -> Iterator[bytes]:
        return super().blocks(size or self.block_size)


@dataclass(frozen=True)
class Read:
    """What was read: rows with their numbers, and faults as (number, code, original)."""

    columns: list[str]
    rows: list[Row]
    numbers: list[int]
    faults: list[tuple[int, str, bytes]]


def read(path: Path, data: bytes, *, blocks: int = 1 << 20, max_bytes: int = 1 << 20, **options: Any) -> Read:
    path.write_bytes(data)
    text = Text(path.as_uri(), path.name, path, "", len(data), "csv", None, None, block_size=blocks)
    columns: list[str] = []
    rows: list[Row] = []
    numbers: list[int] = []
    faults: list[tuple[int, str, bytes]] = []
    for part in csv_rows(text, CsvFormat(**options), max_bytes):
        columns = part.columns.column_names
        rows += [tuple(row.values()) for row in part.columns.to_pylist()]
        numbers += part.numbers.tolist()
        faults += [(fault.row_number, fault.code, fault.original) for fault in part.faults]
    return Read(columns, rows, numbers, sorted(faults))


def written(rows: list[list[str]], end: str, quoting: Any, delimiter: str) -> bytes:
    """The rows as Python writes them, below a header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator=end, quoting=quoting, delimiter=delimiter)
    writer.writerow([f"c{n}" for n in range(len(rows[0]))])
    writer.writerows(rows)
    return text.getvalue().encode()


def by_python(data: bytes, delimiter: str = ",") -> list[Row]:
    reader = csv.reader(io.StringIO(data.decode(), newline=""), delimiter=delimiter)
    return [tuple(field or None for field in row) for row in reader if row][1:]


FIELD = st.text(alphabet='ab",;\n\r\té 5', max_size=8)
UNQUOTED = st.text(alphabet='ab5"é \t', max_size=8).filter(lambda text: not text.startswith('"'))
TABLE = st.integers(2, 4).flatmap(
    lambda width: st.lists(st.lists(FIELD, min_size=width, max_size=width), min_size=1, max_size=12)
)


def visible(rows: list[list[str]]) -> bool:
    """Whether no row is a blank line, which is none to us."""
    return all(any(field.strip() for field in row) for row in rows)


@given(
    TABLE.filter(visible),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from([",", ";", "\t"]),
    st.integers(1, 40),
)
@settings(max_examples=400, deadline=None)
def test_what_python_writes_is_read_whatever_the_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[str]],
    end: str,
    quoting: Any,
    delimiter: str,
    blocks: int,
) -> None:
    if end == "\n" and quoting == csv.QUOTE_MINIMAL:
        # Python leaves a lone carriage return unquoted there, which its own reader then refuses.
        rows = [[field.replace("\r", "5") for field in row] for row in rows]
    data = written(rows, end, quoting, delimiter)

    found = read(tmp_path_factory.getbasetemp() / "written.csv", data, blocks=blocks, delimiter=delimiter)

    assert found.faults == []
    assert found.rows == [tuple(field or None for field in row) for row in rows]
    assert found.numbers == list(range(1, len(rows) + 1))


def as_people_write(fields: list[tuple[bool, str]]) -> str:
    return ",".join(
        '"{}"'.format(text.replace('"', '""')) if is_quoted else text for is_quoted, text in fields
    )


CELL = st.one_of(st.tuples(st.just(True), FIELD), st.tuples(st.just(False), UNQUOTED))


@given(
    st.lists(st.tuples(CELL, CELL, CELL).map(list), min_size=1, max_size=15).filter(
        lambda rows: visible([[text for _, text in row] for row in rows])
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.integers(1, 40),
    st.sampled_from([8, 1 << 20]),
)
@settings(max_examples=600, deadline=None)
def test_a_quote_inside_an_unquoted_field_is_a_character(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[list[tuple[bool, str]]],
    end: str,
    blocks: int,
    kept: int,
) -> None:
    data = end.join(["a,b,c", *map(as_people_write, rows)]).encode()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_cuts, "KEPT_BYTES", kept)
        found = read(tmp_path_factory.getbasetemp() / "people.csv", data, blocks=blocks)

    expected = by_python(data)
    if kept > 8:
        assert found.faults == []
    assert {code for _, code, _ in found.faults} <= {"too_large"}
    assert len(found.rows) + len(found.faults) == len(expected) == len(rows)
    assert found.rows == [expected[number - 1] for number in found.numbers]


HEADER = "id,name,price\n"


@pytest.mark.parametrize(
    "line",
    ['2,pipe 5" steel,9', '2,5",9', '2,"5"" pipe",9', '2,a"b"c,9', '2,say "hi",9', '2,"Best" pipe,9'],
)
def test_python_pyarrow_and_duckdb_read_the_same_rows(tmp_path: Path, line: str) -> None:
    data = (HEADER + '1,"a ""b"", c",7\n' + line + '\n3,"x\ny",8\n').encode()

    found = read(tmp_path / "a.csv", data)

    arrow = pa_csv.read_csv(
        io.BytesIO(data),
        parse_options=pa_csv.ParseOptions(newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(["id", "name", "price"], "string")),
    ).to_pylist()
    assert found.rows == by_python(data) == [tuple(row.values()) for row in arrow]
    if '"Best"' not in line:
        query = (
            "select * from read_csv($1, header = true, all_varchar = true, quote = '\"', strict_mode = false)"
        )
        assert found.rows == duckdb.execute(query, [str(tmp_path / "a.csv")]).fetchall()


def test_one_stray_inch_mark_takes_no_other_row(tmp_path: Path) -> None:
    lines = [f'{n},"bolt ""M{n % 9}"", zinc",{n}' for n in range(100_000)]
    lines[10] = '10,pipe 5" steel,10'
    data = (HEADER + "\n".join(lines)).encode()

    found = read(tmp_path / "a.csv", data)

    assert (len(found.rows), found.faults) == (100_000, [])
    assert found.rows[10] == ("10", 'pipe 5" steel', "10")


def test_a_quote_that_is_never_closed_takes_its_own_line_only(tmp_path: Path) -> None:
    lines = [f"{n},bolt,{n}" for n in range(1, 1_001)]
    lines[9] = '10,"5 inch pipe,10'

    found = read(tmp_path / "a.csv", (HEADER + "\n".join(lines)).encode(), blocks=1_000)

    assert found.faults == [(10, "field_format", b'10,"5 inch pipe,10')]
    assert (len(found.rows), found.numbers[9]) == (999, 11)


@pytest.mark.parametrize("kept", [200, 1 << 20])
def test_quotes_that_are_closed_in_the_wrong_place_take_their_own_line_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(csv_cuts, "KEPT_BYTES", kept)
    lines = [f'{n},"bolt",{n}' if n % 100 == 0 else f"{n},nut,{n}" for n in range(1, 1_001)]
    broken = [9, 10, 449]
    for number in broken:
        lines[number] = f'{number + 1},"5 inch pipe,{number + 1}'

    found = read(tmp_path / "a.csv", (HEADER + "\n".join(lines)).encode(), blocks=90)

    assert found.faults == [(n + 1, "field_format", lines[n].encode()) for n in broken]
    assert len(found.rows) == 997


@pytest.mark.parametrize("kept", [60, 1 << 20])
def test_the_lines_of_a_quoted_text_are_no_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(csv_cuts, "KEPT_BYTES", kept)
    text = "\n".join(f'{n},""forged"",{n}' for n in range(100))
    data = (HEADER + f'1,"{text}" ,1\n2,nut,2\n').encode()

    found = read(tmp_path / "a.csv", data, blocks=50, max_bytes=1_000)

    assert [(number, code) for number, code, _ in found.faults] == [(1, "too_large")]
    assert (found.rows, found.numbers) == ([("2", "nut", "2")], [2])


def test_a_line_that_never_ends_is_one_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_cuts, "KEPT_BYTES", 100)
    data = (HEADER + "1,nut,1\n2," + 'x"' * 500 + ",2\n3,nut,3").encode()

    found = read(tmp_path / "a.csv", data, blocks=64)

    assert [(number, code) for number, code, _ in found.faults] == [(2, "too_large")]
    assert found.numbers == [1, 3]


@pytest.mark.parametrize("quotes", [1, 2, 999, 1_000])
def test_nothing_but_quotes_is_a_record_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quotes: int
) -> None:
    monkeypatch.setattr(csv_cuts, "KEPT_BYTES", 100)
    data = (HEADER + '"' * quotes + "\n3,nut,3").encode()

    found = read(tmp_path / "a.csv", data, blocks=64)

    assert (len(found.faults), found.numbers) == (1, [2])


def test_a_carriage_return_by_itself_breaks_its_own_record_only(tmp_path: Path) -> None:
    data = (HEADER + '1,"Best" pipe,1\n2,nut,2\r3\n3,"a\rb",3\n').encode()

    found = read(tmp_path / "a.csv", data)

    assert found.faults == [(2, "field_format", b"2,nut,2\r3")]
    assert found.rows == [("1", "Best pipe", "1"), ("3", "a\rb", "3")]


def test_without_a_quote_character_quotes_mean_nothing(tmp_path: Path) -> None:
    data = (HEADER + '1,"nut,1\n2,nut",2\n').encode()

    assert read(tmp_path / "a.csv", data, quote="").rows == [("1", '"nut', "1"), ("2", 'nut"', "2")]
