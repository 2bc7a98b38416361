"""JSON is read value by value, however it is laid out; what is broken costs its own value or line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.documents import read_document

Record = tuple[int, str, str]


def read(data: bytes, blocks: int = 1 << 20, max_bytes: int = 1 << 20) -> list[Record]:
    """Every record as (number, code or nothing, text), in order."""
    found: list[Record] = []
    pieces = (data[start : start + blocks] for start in range(0, len(data), blocks))
    for batch in read_document(pieces, max_bytes):
        texts = [text.strip() for text in batch.lines.to_pylist()]
        found += zip(batch.row_numbers.tolist(), [""] * len(texts), texts, strict=True)
        found += [(fault.row_number, fault.code, fault.original.decode().strip()) for fault in batch.faults]
    return sorted(found)


def texts(data: str, blocks: int = 1 << 20) -> list[str]:
    return [text for _, _, text in read(data.encode(), blocks)]


LEAF = st.one_of(st.integers(), st.booleans(), st.none(), st.text(alphabet='a"\\{}[],\n é', max_size=6))
VALUE = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
)
EVENT = st.dictionaries(st.text(max_size=4), VALUE, max_size=4)
INDENT = st.sampled_from([None, 0, 2])


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(EVENT, INDENT, st.sampled_from(["", " ", "\n", "\r\n", "\n\n \n"])), min_size=1, max_size=8
    ),
    st.integers(1, 30),
)
def test_objects_one_after_another_are_read_one_by_one(
    laid_out: list[tuple[dict[str, Any], int | None, str]], blocks: int
) -> None:
    data = "".join(json.dumps(value, indent=indent) + space for value, indent, space in laid_out)

    assert [json.loads(text) for text in texts(data, blocks)] == [value for value, _, _ in laid_out]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.lists(VALUE, min_size=1, max_size=5), INDENT), min_size=1, max_size=4),
    st.integers(1, 30),
)
def test_arrays_one_after_another_are_read_by_their_elements(
    laid_out: list[tuple[list[Any], int | None]], blocks: int
) -> None:
    data = "\n".join(json.dumps(values, indent=indent) for values, indent in laid_out)

    found = [json.loads(text) for text in texts(data, blocks)]

    assert found == [value for values, _ in laid_out for value in values]


@settings(deadline=None)
@given(st.text(alphabet='[]{},"\\a\n 1', max_size=40), st.integers(1, 20))
def test_what_is_read_does_not_depend_on_the_blocks(text: str, blocks: int) -> None:
    whole = read(text.encode())

    assert read(text.encode(), blocks) == whole
    assert [number for number, _, _ in whole] == list(range(1, len(whole) + 1))


@pytest.mark.parametrize(
    ("data", "records"),
    [
        ('{"a": 1}\n{"a": \n{"a": 3}\n', ['{"a": 1}', '{"a":', '{"a": 3}']),
        ('{"a": "1}\n{"a": 2}\n{"a": 3}', ['{"a": "1}', '{"a": 2}', '{"a": 3}']),
        ('{"a": 1}}\n{"a": 2}', ['{"a": 1}', "}", '{"a": 2}']),
        ('{\n "a": 1\n}\n{\n "a": 2\n', ['{\n "a": 1\n}', "{", '"a": 2']),
        ('id,name\n1,"x\n2,y', ["id,name", '1,"x', "2,y"]),
        ('{"a": 1},\n{"a": 2},\n', ['{"a": 1}', ",", '{"a": 2}', ","]),
        ('[1, 2]\nmore\n{"a": 1}', ["1", "2", "more", '{"a": 1}']),
    ],
)
def test_what_is_broken_takes_nothing_else(data: str, records: list[str]) -> None:
    assert texts(data) == records


@pytest.mark.parametrize("data", ["", " \n", "[1, 2", "[1,,2]", "[1, 2,]", "[1}", "[][]"])
def test_a_document_that_is_broken_itself_is_a_last_record(data: str) -> None:
    assert read(data.encode())[-1][1:] == ("json_invalid", data.strip())


@pytest.mark.parametrize("data", ["[]", " [ \n ] "])
def test_an_empty_array_has_no_records(data: str) -> None:
    assert texts(data) == []
