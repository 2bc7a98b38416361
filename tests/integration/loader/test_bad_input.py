"""What cannot be loaded is refused in one sentence that says what to do, and nothing of it is loaded."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from ingestion.contract import Source
from ingestion.errors import LoadError
from ingestion.loader import expand, load
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED, Loader, ndjson, viewed


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.xlsx", b"PK\x03\x04 and so on", "nothing tells the format"),
        ("notes.txt", b"hello", "nothing tells the format"),
        ("a.parquet", b"no parquet at all", "is no parquet file"),
        ("a.parquet", b"PAR1 cut off", "cannot be read as parquet"),
        ("a.ndjson.gz", gzip.compress(b'{"a": 1}\n' * 100_000, mtime=0)[:-200], "cannot be decompressed"),
        ("a.csv", b"id,id\n1,2\n", "needs distinct, non-empty names"),
        ("a.csv", b"\xff\xfe,b\n1,2\n", "no CSV header"),
    ],
)
def test_an_unreadable_file_is_refused(
    loading: Loader, store: ObjectStore, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    with pytest.raises(LoadError, match=message) as caught:
        loading(write(tmp_path / name, content))

    assert "\n" not in str(caught.value)
    assert list(store.list()) == []


def test_a_missing_file_is_refused(loading: Loader, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"missing\.ndjson does not exist"):
        loading(tmp_path / "missing.ndjson")


def test_a_folder_is_refused(loading: Loader, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="is a folder"):
        loading(tmp_path)


def test_a_missing_s3_object_is_refused(loading: Loader, store: ObjectStore) -> None:
    with pytest.raises(LoadError, match=r"nothing/here\.json does not exist"):
        loading(store.url("nothing/here.json"))


def test_a_missing_key_is_refused(loading: Loader, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="pseudonym key is empty"):
        loading(ndjson(tmp_path / "a.ndjson", [viewed(1)]), key=b"")


def test_a_time_of_receipt_without_zone_is_refused(loading: Loader, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="has no time zone"):
        loading(ndjson(tmp_path / "a.ndjson", [viewed(1)]), received_at=RECEIVED.replace(tzinfo=None))


def test_paths_globs_folders_and_urls_expand_to_inputs(store: ObjectStore, tmp_path: Path) -> None:
    for name in ("b.ndjson", "a.ndjson", "c.csv"):
        write(tmp_path / name, b"")
        store.put_bytes(f"landing/{name}", b"x")

    assert expand(store, [tmp_path / "*.ndjson", tmp_path, store.url("landing/")]) == [
        *(str(tmp_path / name) for name in ("a.ndjson", "b.ndjson", "c.csv")),
        *(store.url(f"landing/{name}") for name in ("a.ndjson", "b.ndjson", "c.csv")),
    ]


@pytest.mark.parametrize("pattern", ["*.json", "s3://{bucket}/none/"])
def test_a_pattern_that_means_nothing_is_refused(store: ObjectStore, tmp_path: Path, pattern: str) -> None:
    uri = pattern.format(bucket=store.bucket) if pattern.startswith("s3") else str(tmp_path / pattern)

    with pytest.raises(LoadError, match="there is nothing to load"):
        expand(store, [uri])


MAPPING = """
source: pocm
rules:
  - when: kind = 'view'
    event_type: PRODUCT_VIEWED
    envelope: {{event_id: id, occurred_at: {occurred_at}, tenant_id: "'t1'"}}
    payload: {{product_id: product, price: price::double, currency: "'EUR'"}}
"""


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (
            MAPPING.format(occurred_at="happened"),
            r"occurred_at: 'happened' is wrong.*columns: id, kind, moment, product, price",
        ),
        (MAPPING.format(occurred_at='"moment::"'), "envelope.occurred_at: 'moment::' is wrong"),
        (MAPPING.format(occurred_at="moment::timestamp"), "an expression failed on a row"),
        (MAPPING.format(occurred_at="moment").replace("pocm", "bilten"), "is for source 'bilten'"),
        (
            MAPPING.format(occurred_at="moment").replace("PRODUCT_VIEWED", "VIEW"),
            "no event type 'VIEW'; valid: .*PRODUCT_VIEWED",
        ),
        (
            MAPPING.format(occurred_at="moment").replace("rules", "rulez"),
            "unknown key 'rulez'; valid: source",
        ),
        (
            MAPPING.format(occurred_at="moment").replace("tenant_id", "tenant"),
            "unknown key 'tenant'; valid: event_id",
        ),
        (MAPPING.format(occurred_at="moment").replace("event_id: id, ", ""), "envelope lacks event_id"),
        (
            "input: select nope from input\n" + MAPPING.format(occurred_at="moment"),
            "input is wrong.*columns: id, kind",
        ),
        ("rules: [", "is no YAML"),
    ],
)
def test_a_wrong_mapping_is_refused_and_says_what_there_is(
    loading: Loader, store: ObjectStore, tmp_path: Path, mapping: str, message: str
) -> None:
    data = write(tmp_path / "a.csv", b"id,kind,moment,product,price\n1,view,never,p,1\n")

    with pytest.raises(LoadError, match=message) as caught:
        loading(data, mapping=write(tmp_path / "m.yaml", mapping.encode()))

    assert "\n" not in str(caught.value)
    assert list(store.list()) == []


def test_a_missing_mapping_is_refused(loading: Loader, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match="cannot be read: No such file"):
        loading(write(tmp_path / "a.csv", b"id\n1\n"), mapping=tmp_path / "none.yaml")


def test_a_mapping_is_not_for_json(loading: Loader, store: ObjectStore, pocm: Source, tmp_path: Path) -> None:
    mapping = write(tmp_path / "m.yaml", MAPPING.format(occurred_at="moment").encode())

    with pytest.raises(LoadError, match="a mapping is for csv, parquet, lines"):
        load(store, pocm, ndjson(tmp_path / "a.ndjson", [viewed(1)]), key=KEY, mapping=mapping)
