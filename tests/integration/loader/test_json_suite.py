"""All of a public JSON parsing test suite, each text as a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.contract import Source
from ingestion.loader import load
from ingestion.pseudonym import Secret
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED, rows

NOT_JSON = {"json_invalid", "encoding_invalid"}


@pytest.mark.shared_data
def test_every_text_of_the_suite_is_read_or_quarantined(
    store: ObjectStore, pocm: Source, shared_data: Path
) -> None:
    files = sorted((shared_data / "json_test_suite" / "test_parsing").glob("*.json"))
    assert len(files) > 300
    for file in files:
        manifest = load(store, pocm, file, key=KEY, received_at=RECEIVED).manifest
        counts, kind = manifest.counts, file.name[0]
        assert counts.balances
        assert counts.accepted == counts.duplicate == 0, file.name
        if kind == "n":
            kept = [
                row
                for row in rows(store, manifest, "quarantine")
                if row["original"] or not row["original_size"]
            ]
            assert kept, file.name
            assert original(kept, manifest.load_id, file), file.name
        if kind == "y":
            assert not NOT_JSON & set(manifest.codes), file.name
            assert set(manifest.codes) <= {"envelope_missing"}, file.name


def original(kept: list[dict[str, object]], load_id: str, file: Path) -> bool:
    """Whether a rejected row holds the text itself, or an element of it."""
    content = file.read_bytes().removeprefix(b"\xef\xbb\xbf")
    for row in kept:
        sealed = row["original"]
        assert isinstance(sealed, bytes)
        text = Secret(KEY).open(sealed, f"{load_id}:{row['row_number']}") if sealed else b""
        if text in content:
            return True
    return False
