"""Files beside an input that its mapping joins: found where the input lies, and part of what a load is."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ingestion.errors import LoadError
from lake.manifest import all_manifests
from lake.store import ObjectStore
from tests.integration.loader.events import Loader, rows

VIEWS = "product;seen\np1;2026-11-20T10:00:00Z\np2;2026-11-20T10:05:00Z\n"
PRICES = "product,price\np1,9.5\np2,\n"
MAPPING = """
source: pocm
format: {delimiter: ";"}
lookups: {prices: prices.csv.gz}
input: select * from input left join prices using (product)
rules:
  - event_type: PRODUCT_VIEWED
    envelope: {event_id: product, occurred_at: seen, tenant_id: "'t1'"}
    payload: {product_id: product, price: "coalesce(price::decimal(18, 4), 0)", currency: "'EUR'"}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "views.csv").write_text(VIEWS)
    (tmp_path / "prices.csv.gz").write_bytes(gzip.compress(PRICES.encode()))
    (tmp_path / "mapping.yaml").write_text(MAPPING)
    return tmp_path


def test_a_mapping_joins_the_file_beside_its_input(loading: Loader, store: ObjectStore, folder: Path) -> None:
    manifest = loading(folder / "views.csv", mapping=folder / "mapping.yaml").manifest

    prices = {row["event_id"]: json.loads(row["payload"])["price"] for row in rows(store, manifest)}
    assert prices == {"p1": 9.5, "p2": 0}


def test_beside_an_object_means_under_the_same_prefix(
    loading: Loader, store: ObjectStore, folder: Path
) -> None:
    for name in ("views.csv", "prices.csv.gz"):
        store.put_bytes(f"landing/shop/{name}", (folder / name).read_bytes())

    uri = f"s3://{store.bucket}/landing/shop/views.csv"
    manifest = loading(uri, mapping=folder / "mapping.yaml").manifest

    assert manifest.counts.accepted == 2


def test_the_same_input_with_the_same_lookup_is_a_no_op(loading: Loader, folder: Path) -> None:
    first = loading(folder / "views.csv", mapping=folder / "mapping.yaml")
    again = loading(folder / "views.csv", mapping=folder / "mapping.yaml")

    assert (first.already_loaded, again.already_loaded) == (False, True)


def test_another_lookup_makes_another_load(loading: Loader, folder: Path) -> None:
    first = loading(folder / "views.csv", mapping=folder / "mapping.yaml").manifest
    (folder / "prices.csv.gz").write_bytes(gzip.compress(PRICES.replace("9.5", "8.5").encode()))

    second = loading(folder / "views.csv", mapping=folder / "mapping.yaml").manifest

    assert second.load_id != first.load_id
    assert second.input.mapping_sha256 != first.input.mapping_sha256


def test_a_missing_lookup_is_named_and_nothing_is_loaded(
    loading: Loader, store: ObjectStore, folder: Path
) -> None:
    (folder / "prices.csv.gz").unlink()

    with pytest.raises(LoadError, match=r"prices\.csv\.gz does not exist"):
        loading(folder / "views.csv", mapping=folder / "mapping.yaml")

    assert list(all_manifests(store, "pocm")) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("prices: prices.csv.gz", "prices: ../prices.csv.gz"),
            "must be the name of a file beside the input",
        ),
        (("prices: prices.csv.gz", "input: prices.csv.gz"), "'input' is no name for a relation"),
        (("{prices: prices.csv.gz}", "[prices.csv.gz]"), "must map names of relations to files"),
        (("input: select", "# select"), "lookups are for input to join, and there is no input"),
        (("prices.csv.gz", "views.json"), "a lookup is csv or parquet"),
    ],
)
def test_a_wrong_lookup_is_refused(
    loading: Loader, folder: Path, change: tuple[str, str], message: str
) -> None:
    (folder / "views.json").write_text("[]")
    (folder / "mapping.yaml").write_text(MAPPING.replace(*change))

    with pytest.raises(LoadError, match=message):
        loading(folder / "views.csv", mapping=folder / "mapping.yaml")
