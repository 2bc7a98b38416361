"""Every format and compression gives the same rows; what is broken in a file's own structure is kept and counted."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from ingestion.contract import Source
from ingestion.loader import load
from ingestion.pseudonym import Secret
from ingestion.quarantine import samples
from lake.manifest import Counts
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED, Loader, ledger_row, ndjson, rows, viewed

EVENTS = [ledger_row(number) for number in range(50)]


def as_ndjson(path: Path) -> bytes:
    return ndjson(path, EVENTS).read_bytes()


def as_json(path: Path) -> bytes:
    return json.dumps(EVENTS, indent=2).encode()


def as_csv(path: Path) -> bytes:
    sink = io.BytesIO()
    pa_csv.write_csv(pa.Table.from_pylist(EVENTS), sink)
    return sink.getvalue()


def as_parquet(path: Path) -> bytes:
    sink = io.BytesIO()
    typed = [
        row
        | {
            "occurred_at": datetime.fromisoformat(row["occurred_at"]),
            "received_at": datetime(2026, 11, 20, 10, 31),
        }
        for row in EVENTS
    ]
    pq.write_table(pa.Table.from_pylist(typed), sink, row_group_size=7)
    return sink.getvalue()


def plain(data: bytes) -> bytes:
    return data


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return bytes(sink.getvalue())


def members(data: bytes) -> bytes:
    """A gzip file of two members, as log rotation makes them."""
    return gzip.compress(data[:1000]) + gzip.compress(data[1000:])


@pytest.mark.parametrize(("ending", "write"), [(".ndjson", as_ndjson), (".json", as_json), (".csv", as_csv)])
@pytest.mark.parametrize(
    ("suffix", "compress"),
    [("", plain), (".gz", gzip.compress), (".gz", members), (".zst", zstd), ("", gzip.compress)],
)
def test_a_text_format_in_any_compression_gives_the_same_rows(
    loading: Loader,
    store: ObjectStore,
    tmp_path: Path,
    ending: str,
    write: Callable[[Path], bytes],
    suffix: str,
    compress: Callable[[bytes], bytes],
) -> None:
    path = tmp_path / f"events{ending}{suffix}"
    path.write_bytes(compress(write(tmp_path / "scratch")))

    assert stripped(rows(store, loading(path).manifest)) == expected()


def test_parquet_gives_the_same_rows(loading: Loader, store: ObjectStore, tmp_path: Path) -> None:
    path = tmp_path / "events.parquet"
    path.write_bytes(as_parquet(path))

    assert stripped(rows(store, loading(path).manifest)) == expected()


def stripped(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name != "load_id"} for row in found]


def expected() -> list[dict[str, Any]]:
    wanted = [
        {
            "source": "pocm",
            "event_type": "PRODUCT_VIEWED",
            "contract_version": "1.0",
            "event_id": f"evt-{number}",
            "idempotency_key": None,
            "tenant_id": "t1",
            "occurred_at": datetime(2026, 11, 20, 10, number % 30, tzinfo=UTC),
            "received_at": RECEIVED + timedelta(minutes=1),
            "user_key": Secret(KEY).pseudonym(f"pocm:user-{number % 3}"),
            "session_id": "s1",
            "device_id": None,
            "order_id": None,
            "trace_id": None,
            "producer": "shop-web",
            "row_number": number + 1,
            "payload": '{"product_id":"p1","price":9.5,"currency":"EUR","channel":"web"}',
        }
        for number in range(50)
    ]
    return sorted(wanted, key=lambda row: (row["occurred_at"], row["event_id"]))


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("events", b'{"a": 1}\n{"a": 2}\n', "ndjson"),
        ("events.log", b'{"a": 1}\n{"a": 2}', "ndjson"),
        ("events.dat", b' \n[{"a": 1},\n {"a": 2}]', "json"),
        ("events.txt.gz", gzip.compress(b'{"a": 1}\n{"a": 2}\n', mtime=0), "ndjson"),
        ("bom.json", b'\xef\xbb\xbf[{"a": 1}, {"a": 2}]', "json"),
    ],
)
def test_the_format_is_told_from_the_name_or_the_content(
    loading: Loader, tmp_path: Path, name: str, content: bytes, format_: str
) -> None:
    (tmp_path / name).write_bytes(content)

    manifest = loading(tmp_path / name).manifest

    assert (manifest.input.format, manifest.counts) == (format_, Counts(read=2, quarantined=2))
    assert set(manifest.codes) == {"envelope_missing"}


@pytest.mark.parametrize(
    ("document", "whole", "codes"),
    [
        (b"[%s, %s", 1, {"json_invalid": 1}),
        (b"[%s, %s] trailing", 2, {"json_invalid": 1}),
        (b"[%s,, %s]", 2, {"json_invalid": 1}),
        (b"[%s, %s, {]", 2, {"json_invalid": 1}),
        (b'[%s, %s, {"a": }]', 2, {"json_invalid": 1}),
    ],
)
def test_whole_elements_of_a_broken_array_count_and_the_break_is_a_row(
    loading: Loader, store: ObjectStore, tmp_path: Path, document: bytes, whole: int, codes: dict[str, int]
) -> None:
    events = tuple(json.dumps(viewed(number)).encode() for number in range(2))
    (tmp_path / "a.json").write_bytes(document % events)

    manifest = loading(tmp_path / "a.json").manifest

    assert (manifest.counts.accepted, manifest.codes) == (whole, codes)


def test_a_large_array_is_read_in_pieces(
    loading: Loader, store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.inputs.Input.blocks.__defaults__", (500,))
    (tmp_path / "a.json").write_text(json.dumps([viewed(number) for number in range(200)], indent=1))

    manifest = loading(tmp_path / "a.json").manifest

    assert manifest.counts == Counts(read=200, accepted=200)
    assert sorted(row["row_number"] for row in rows(store, manifest)) == list(range(1, 201))


def test_csv_records_of_the_wrong_width_are_quarantined_whole(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    head = "id,type,occurred_at,tenant_id,data_json\r\n"
    good = 'e1,PRODUCT_VIEWED,2026-11-20T10:00:00Z,t1,"{""product_id"":""a,b"",\n""price"":1,""currency"":""EUR""}"\r\n'
    (tmp_path / "a.csv").write_text(
        head + good + "e2,LOGIN\r\n" + "\r\n" + "e3,LOGIN,2026,t1,{},more\r\n" + 'e4,"open\r\n', newline=""
    )

    manifest = loading(tmp_path / "a.csv").manifest

    assert [json.loads(row["payload"])["product_id"] for row in rows(store, manifest)] == ["a,b"]
    assert [
        (sample.row_number, sample.violations[0][0], sample.original)
        for sample in samples(store, "pocm", key=KEY)
    ] == [
        (2, "field_missing", b"e2,LOGIN"),
        (3, "field_format", b"e3,LOGIN,2026,t1,{},more"),
        (4, "field_format", b'e4,"open'),
    ]


@pytest.mark.parametrize(
    ("session", "read"),
    [('5" pipe', Counts(read=8, accepted=8)), ('"5 inch pipe', Counts(read=8, accepted=7, quarantined=1))],
)
def test_a_stray_quote_in_a_csv_file_takes_no_other_row(
    loading: Loader, store: ObjectStore, tmp_path: Path, session: str, read: Counts
) -> None:
    row = 'e{},PRODUCT_VIEWED,t1,2026-11-20T10:00:00Z,{},"{{""product_id"":""p"",""price"":1,""currency"":""EUR""}}"\n'
    (tmp_path / "a.csv").write_text(
        "id,type,tenant_id,occurred_at,session_id,data_json\n"
        + "".join(row.format(n, session if n == 2 else "s") for n in range(8))
    )

    manifest = loading(tmp_path / "a.csv").manifest

    assert manifest.counts == read
    assert [row["row_number"] for row in rows(store, manifest, "quarantine")] == [3] * read.quarantined


def test_an_s3_object_is_received_when_its_metadata_says_so(
    store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    data = ndjson(tmp_path / "a.ndjson", [viewed(1)]).read_bytes()
    store.put_bytes(
        "landing/source=pocm/a.ndjson", data, metadata={"received-at": "2026-11-20T12:15:00+01:00"}
    )

    manifest = load(store, pocm, store.url("landing/source=pocm/a.ndjson"), key=KEY).manifest

    assert manifest.received_at == datetime(2026, 11, 20, 11, 15, tzinfo=UTC)
    assert manifest.counts == Counts(read=1, accepted=1)


def test_an_s3_object_without_metadata_is_received_when_it_was_written(
    store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    store.put_bytes("landing/source=pocm/a.ndjson", ndjson(tmp_path / "a.ndjson", [viewed(1)]).read_bytes())
    written = store.head("landing/source=pocm/a.ndjson").last_modified

    manifest = load(store, pocm, store.url("landing/source=pocm/a.ndjson"), key=KEY).manifest

    assert abs(manifest.received_at - written) < timedelta(seconds=1)


@pytest.mark.parametrize("ending", ["ndjson", "json"])
def test_an_enormous_record_is_kept_by_its_beginning_and_its_hash(
    loading: Loader, store: ObjectStore, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.records.KEPT_BYTES", 50_000)
    monkeypatch.setattr("ingestion.inputs.Input.blocks.__defaults__", (4_096,))
    separator = ("[", ",", "]") if ending == "json" else ("", "\n", "")
    huge = '{"a": "' + "x" * 2_000_000 + '"}'
    parts = [json.dumps(viewed(1)), huge, json.dumps(viewed(2))]
    (tmp_path / f"a.{ending}").write_text(separator[0] + separator[1].join(parts) + separator[2])

    manifest = loading(tmp_path / f"a.{ending}").manifest

    row = rows(store, manifest, "quarantine")[0]
    assert (row["row_number"], row["codes"], row["original_size"]) == (2, ["too_large"], len(huge))
    assert row["original_sha256"] is not None
    assert sorted(row["row_number"] for row in rows(store, manifest)) == [1, 3]


def test_a_record_above_the_sources_limit_is_kept_whole(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    large = '{"a": "' + "x" * 1_100_000 + '"}'

    manifest = loading(ndjson(tmp_path / "a.ndjson", [viewed(1), large])).manifest

    assert manifest.codes == {"too_large": 1}
    row = rows(store, manifest, "quarantine")[0]
    assert Secret(KEY).open(row["original"], f"{manifest.load_id}:2") == large.encode()


def test_bad_utf8_is_quarantined_by_the_row(loading: Loader, store: ObjectStore, tmp_path: Path) -> None:
    good = json.dumps(viewed(1)).encode()
    (tmp_path / "a.ndjson").write_bytes(
        good + b'\n{"a":"\xff"}\n' + good.replace(b"evt-1", "é".encode()) + b"\n"
    )

    manifest = loading(tmp_path / "a.ndjson").manifest

    assert (manifest.counts, manifest.codes) == (Counts(3, 2, 0, 1, 0), {"encoding_invalid": 1})
    assert [s.original for s in samples(store, "pocm", key=KEY)] == [b'{"a":"\xff"}']


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', '{"a": -Infinity}', '{"a": [1, ]}', '{"a": 1,}', '{"a": [inf]}', '{"a": 1,\t}', "nan"],
)
def test_what_only_a_lenient_parser_reads_is_no_json(loading: Loader, tmp_path: Path, text: str) -> None:
    inner = ledger_row(2, data_json=text)

    manifest = loading(ndjson(tmp_path / "a.ndjson", [text, inner])).manifest

    assert manifest.codes == {"json_invalid": 2}


@pytest.mark.parametrize("text", ["a, ]", "NaN", ": inf", '\\", }', "[nan"])
def test_a_string_may_look_like_lenient_json(loading: Loader, tmp_path: Path, text: str) -> None:
    event = viewed(1, data={"channel": text})

    assert loading(ndjson(tmp_path / "a.ndjson", [event])).manifest.counts.accepted == 1
