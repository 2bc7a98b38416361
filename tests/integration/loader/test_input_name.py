"""A mapping may ask the name of its file: one that lies elsewhere or is called otherwise is then another."""

from __future__ import annotations

from pathlib import Path

import pytest

from lake.store import ObjectStore
from tests.integration.loader.events import Loader, rows

MAPPING = """
source: pocm
rules:
    - when: "true"
      event_type: PRODUCT_VIEWED
      envelope: {{event_id: "{event_id}", occurred_at: "'2026-11-20T10:00:00Z'", tenant_id: "'shop'"}}
      payload: {{product_id: product, price: "1", currency: "'EUR'"}}
"""


@pytest.fixture
def asking(tmp_path: Path) -> Path:
    (tmp_path / "asking.yaml").write_text(MAPPING.format(event_id="input_name() || '-' || product"))
    return tmp_path / "asking.yaml"


def written(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("product\ngauze\n")
    return folder / name


def test_the_name_is_that_of_the_file_without_its_folders(
    loading: Loader, store: ObjectStore, tmp_path: Path, asking: Path
) -> None:
    manifest = loading(written(tmp_path / "in", "o'clock.csv"), mapping=asking).manifest
    assert [row["event_id"] for row in rows(store, manifest)] == ["o'clock.csv-gauze"]


def test_the_same_bytes_under_another_name_are_another_load(
    loading: Loader, tmp_path: Path, asking: Path
) -> None:
    first = loading(written(tmp_path / "in", "a.csv"), mapping=asking)
    again = loading(written(tmp_path / "elsewhere", "a.csv"), mapping=asking)
    other = loading(written(tmp_path / "in", "b.csv"), mapping=asking)
    assert (again.already_loaded, other.already_loaded) == (True, False)
    assert first.manifest.load_id == again.manifest.load_id != other.manifest.load_id


def test_a_mapping_that_does_not_ask_knows_the_same_bytes_again(loading: Loader, tmp_path: Path) -> None:
    (tmp_path / "silent.yaml").write_text(MAPPING.format(event_id="product"))
    loading(written(tmp_path / "in", "a.csv"), mapping=tmp_path / "silent.yaml")
    assert loading(written(tmp_path / "in", "b.csv"), mapping=tmp_path / "silent.yaml").already_loaded
