"""Plain text through a mapping: every line becomes a row or is kept with what is wrong with it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.errors import LoadError
from ingestion.quarantine import samples
from lake.manifest import Counts
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, Loader, rows

MAPPING = r"""
source: pocm
format:
    lines: '^(?P<moment>\S+) (?P<who>\S*) "(?P<product>[^"]*)"$'
rules:
    - when: product is not null
      event_type: PRODUCT_VIEWED
      envelope: {event_id: md5(line), occurred_at: moment, tenant_id: "'shop'", user_id: who}
      payload: {product_id: product, price: "1", currency: "'EUR'"}
"""
GOOD = '2026-11-20T10:00:00Z ann "bandage"'


@pytest.fixture
def reading(loading: Loader, tmp_path: Path) -> Callable[..., Counts]:
    """Loads a text through the mapping and returns what became of its lines."""

    def run(content: bytes, name: str = "access.log", mapping: str = MAPPING) -> Counts:
        (tmp_path / name).write_bytes(content)
        (tmp_path / "mapping.yaml").write_text(mapping)
        return loading(tmp_path / name, mapping=tmp_path / "mapping.yaml").manifest.counts

    return run


@pytest.mark.parametrize("name", ["access.log", "access.log.gz", "access", "access.txt", "access.csv"])
def test_a_line_becomes_an_event_whatever_the_file_is_called(
    reading: Callable[..., Counts], store: ObjectStore, tmp_path: Path, name: str
) -> None:
    content = f"{GOOD}\r\n".encode()
    counts = reading(gzip.compress(content, mtime=0) if name.endswith(".gz") else content, name)
    assert counts == Counts(read=1, accepted=1)


def test_the_parts_that_the_pattern_names_are_columns(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    (tmp_path / "a.log").write_text(f'{GOOD}\n\n2026-11-20T10:01:00Z  "gauze"')

    manifest = loading(tmp_path / "a.log", mapping=tmp_path / "mapping.yaml").manifest

    assert manifest.input.format == "lines"
    assert [
        (row["row_number"], json.loads(row["payload"])["product_id"], row["user_key"] is None)
        for row in rows(store, manifest)
    ] == [(1, "bandage", False), (3, "gauze", True)]


def test_lines_that_are_wrong_are_quarantined_with_their_bytes(
    reading: Callable[..., Counts], store: ObjectStore
) -> None:
    lines = [
        GOOD.encode(),
        b"no such line",
        GOOD.replace("ann", "b\xff").encode("latin-1"),
        b'2026-11-20T10:00:00Z cem ""',
        b'today cem "gauze"',
    ]
    assert reading(b"\n".join(lines)) == Counts(read=5, accepted=1, quarantined=4)
    assert [(sample.row_number, sample.violations[0]) for sample in samples(store, "pocm", key=KEY)] == [
        (2, ("field_format", "")),
        (3, ("encoding_invalid", "")),
        (4, ("type_unknown", "event_type")),
        (5, ("timestamp_invalid", "occurred_at")),
    ]
    assert [sample.original for sample in samples(store, "pocm", key=KEY)][:2] == lines[1:3]


def test_lines_as_they_are_have_one_column(loading: Loader, store: ObjectStore, tmp_path: Path) -> None:
    mapping = """
source: pocm
format: {lines: true}
rules:
    - event_type: PRODUCT_VIEWED
      envelope: {event_id: md5(line), occurred_at: "line[:20]", tenant_id: "'shop'"}
      payload: {product_id: "line[22:]", price: "1", currency: "'EUR'"}
"""
    (tmp_path / "mapping.yaml").write_text(mapping)
    (tmp_path / "a.log").write_text(GOOD)

    manifest = loading(tmp_path / "a.log", mapping=tmp_path / "mapping.yaml").manifest

    assert [json.loads(row["payload"])["product_id"] for row in rows(store, manifest)] == ['ann "bandage"']


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (r"'(?P<at>\w'", "cannot be used: Invalid regular expression"),
        (r"'(\w+) (?P<at>\w)'", "cannot be used: Regular expression contains unnamed groups"),
        (r"'(?P<line>\w+)'", "names a group line"),
        ("[1]", "must be a regular expression"),
        (r"'(?P<at>\w+)', quote: x", r"format of lines: unknown key 'quote'; valid: lines"),
    ],
)
def test_a_wrong_pattern_is_refused(reading: Callable[..., Counts], lines: str, message: str) -> None:
    head, rest = MAPPING.split("format:\n")
    mapping = f"{head}format: {{lines: {lines}}}\n{rest.split(chr(10), 1)[1]}"
    with pytest.raises(LoadError, match=message):
        reading(b"x\n", mapping=mapping)
