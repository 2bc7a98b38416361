"""What a file is, its bytes say: a name that says something else changes nothing but a line of the output."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ingestion.loader import LoadResult
from lake.manifest import Counts
from lake.store import ObjectStore
from tests.integration.loader.events import Loader, rows, viewed
from tests.integration.loader.test_formats import zstd

EVENTS = [viewed(number) for number in range(5)]
LINES = "".join(json.dumps(event) + "\n" for event in EVENTS)
PRETTY = "\n".join(json.dumps(event, indent=2) for event in EVENTS)
ARRAY = json.dumps(EVENTS)
SKIPPED = b"\x5a\x2a\x4d\x18\x04\x00\x00\x00meta"


@pytest.fixture
def loaded(loading: Loader, tmp_path: Path) -> Callable[..., LoadResult]:
    """Loads some content under a name."""

    def run(content: str | bytes, name: str) -> LoadResult:
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        return loading(tmp_path / name)

    return run


@pytest.mark.parametrize(
    ("content", "name", "format_"),
    [
        (LINES, "events.json", "ndjson"),
        (LINES, "events.csv", "ndjson"),
        (gzip.compress(LINES.encode(), mtime=0), "events.json.gz", "ndjson"),
        ("\n\n" + LINES, "events.json", "ndjson"),
        (ARRAY, "events.ndjson", "json"),
        (ARRAY, "events.jsonl", "json"),
        (json.dumps(EVENTS, indent=1), "events.log", "json"),
        (ARRAY, "events.csv", "json"),
        (PRETTY, "events.ndjson", "json"),
        ("".join(map(json.dumps, EVENTS)), "events.ndjson", "json"),
    ],
)
def test_json_is_read_as_it_is_laid_out_and_the_name_is_noted(
    loaded: Callable[..., LoadResult], content: str | bytes, name: str, format_: str
) -> None:
    result = loaded(content, name)

    assert result.manifest.counts == Counts(read=5, accepted=5)
    assert result.manifest.input.format == format_
    assert result.note is not None
    assert f"{name} is {format_}, not the" in result.note


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (LINES, "events.ndjson"),
        (ARRAY, "events.json"),
        (PRETTY, "events.json"),
        (LINES, "events"),
        (PRETTY, "events"),
    ],
)
def test_a_name_that_is_right_or_says_nothing_is_not_noted(
    loaded: Callable[..., LoadResult], content: str, name: str
) -> None:
    result = loaded(content, name)

    assert (result.manifest.counts.accepted, result.note) == (5, None)


@pytest.mark.parametrize("name", ["event.json", "event.ndjson"])
@pytest.mark.parametrize("indent", [None, 2])
def test_a_single_object_is_one_record(
    loaded: Callable[..., LoadResult], name: str, indent: int | None
) -> None:
    assert loaded(json.dumps(EVENTS[0], indent=indent), name).manifest.counts == Counts(read=1, accepted=1)


def test_an_export_of_many_lines_called_json_gives_every_event(
    loaded: Callable[..., LoadResult], store: ObjectStore
) -> None:
    content = "".join(json.dumps(viewed(number)) + "\n" for number in range(12_000))

    assert loaded(content, "export.json").manifest.counts == Counts(read=12_000, accepted=12_000)


@pytest.mark.parametrize("name", ["events.json", "events.ndjson"])
def test_a_line_that_is_broken_takes_no_other(loaded: Callable[..., LoadResult], name: str) -> None:
    manifest = loaded(LINES + '{"eventId": "torn\n' + LINES, name).manifest

    assert manifest.counts == Counts(read=11, accepted=5, duplicate=5, quarantined=1)


@pytest.mark.parametrize(
    ("content", "name", "read"),
    [
        ("[INFO] started\n[INFO] ready\n", "server.log", 2),
        ("id,type\ne1,LOGIN\ne2,LOGIN\n", "events.json", 3),
        ('{"torn": \n' + LINES, "events.json", 6),
    ],
)
def test_what_is_no_json_counts_by_its_lines(
    loaded: Callable[..., LoadResult], content: str, name: str, read: int
) -> None:
    assert loaded(content, name).manifest.counts.read == read


TABLE = (
    "id\ttype\ttenant_id\toccurred_at\tdata_json\n"
    'e1\tPRODUCT_VIEWED\tt1\t2026-11-20T10:00:00Z\t"{""product_id"":""p"",""price"":1,""currency"":""EUR""}"\n'
)


@pytest.mark.parametrize(
    ("ending", "compress"),
    [
        ("tsv", bytes),
        ("TSV", bytes),
        ("tsv.gz", gzip.compress),
        ("tsv.gzip", gzip.compress),
        ("tsv.zst", zstd),
        ("tsv.zstd", zstd),
    ],
)
def test_the_fields_of_a_tsv_file_are_divided_by_tabs(
    loaded: Callable[..., LoadResult], ending: str, compress: Callable[[bytes], bytes]
) -> None:
    assert loaded(compress(TABLE.encode()), f"events.{ending}").manifest.counts == Counts(read=1, accepted=1)


def test_zstd_may_begin_with_a_frame_to_be_skipped(
    loaded: Callable[..., LoadResult], store: ObjectStore
) -> None:
    manifest = loaded(SKIPPED + zstd(LINES.encode()), "events.ndjson.zst").manifest

    assert manifest.counts == Counts(read=5, accepted=5)
    assert len(rows(store, manifest)) == 5


@pytest.mark.parametrize(
    ("content", "one", "other"),
    [(LINES, "a.json", "b.ndjson"), (ARRAY, "a.ndjson", "b.json"), (PRETTY, "a.jsonl", "b.json")],
)
def test_bytes_that_say_what_they_are_are_one_load_under_any_name(
    loaded: Callable[..., LoadResult], content: str, one: str, other: str
) -> None:
    loaded(content, one)

    assert loaded(content, other).already_loaded


@pytest.mark.parametrize(
    ("content", "wrong", "right"),
    [
        (TABLE, "a.csv", "a.tsv"),
        (TABLE.replace("\t", ","), "a.tsv", "a.csv"),
        (TABLE.replace("\t", ","), "a.json", "a.csv"),
        (TABLE.replace("\t", ","), "a.ndjson", "a.csv"),
    ],
)
def test_bytes_that_another_name_has_read_otherwise_are_another_load(
    loaded: Callable[..., LoadResult], content: str, wrong: str, right: str
) -> None:
    first = loaded(content, wrong)
    second = loaded(content, right)

    assert first.manifest.counts.accepted == 0
    assert (second.already_loaded, second.manifest.counts.accepted) == (False, 1)


@pytest.mark.parametrize(
    ("content", "name"), [(LINES, "a.ndjson"), (ARRAY, "a.json"), (TABLE.replace("\t", ","), "a.csv")]
)
def test_a_load_whose_name_is_the_usual_one_keeps_its_identity(
    loaded: Callable[..., LoadResult], content: str, name: str
) -> None:
    # A file that was loaded before would load again under another.
    digest = hashlib.sha256(content.encode()).hexdigest()

    assert (
        loaded(content, name).manifest.load_id == hashlib.sha256(f"pocm\0{digest}".encode()).hexdigest()[:32]
    )
