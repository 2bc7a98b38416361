"""Taking a load back in the lake: on record, out of everybody's sight, once, and not for ever."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion import quarantine
from ingestion.contract import Source
from ingestion.errors import LoadError
from ingestion.loader import LoadResult, load
from ingestion.locks import held
from ingestion.replay import replay
from ingestion.unload import note_restated, unload
from lake.manifest import (
    Manifest,
    ManifestError,
    all_manifests,
    manifests_for_hour,
    read_manifest,
    write_manifest,
)
from lake.policy import load_policy
from lake.retention import apply, plan
from lake.store import ObjectStore, StoreError
from lake.sweep import sweep
from tests.integration.loader.events import KEY, Loader, content, ledger_row, ndjson
from tests.integration.loader.test_faults import BreakingStore

HOURS = (10, 11)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return ledger_row(number, received_at=f"2026-11-20T{HOURS[number % 2]}:31:00Z", **changes)


@pytest.fixture
def loaded(loading: Loader, tmp_path: Path) -> Manifest:
    """Two hours of accepted and rejected rows, and a repeated one."""
    events = [*(row(n) for n in range(10)), *(row(n, type="NOPE") for n in range(10, 14)), row(3)]
    return loading(ndjson(tmp_path / "events.ndjson", events)).manifest


def take_back(store: ObjectStore, manifest: Manifest, reason: str | None = "sent twice") -> Manifest:
    return unload(store, "pocm", manifest.load_id, by="ann", reason=reason)[0]


def load_again(store: ObjectStore, pocm: Source, tmp_path: Path, again: bool = True) -> LoadResult:
    return load(
        store,
        pocm,
        tmp_path / "events.ndjson",
        key=KEY,
        received_at=datetime(2026, 11, 20, 10, 30, tzinfo=UTC),
        again=again,
    )


def test_the_manifest_says_when_by_whom_and_why_and_keeps_what_there_was(
    store: ObjectStore, loaded: Manifest
) -> None:
    before = datetime.now(UTC)

    written = take_back(store, loaded)

    assert written.unloaded is not None
    assert (written.unloaded.by, written.unloaded.reason) == ("ann", "sent twice")
    assert before - timedelta(milliseconds=1) <= written.unloaded.at <= datetime.now(UTC)
    assert replace(written, unloaded=None, revision=1) == loaded
    assert written.revision == 2
    assert read_manifest(store, "pocm", loaded.load_id) == written
    written.check()


def test_for_everybody_who_reads_loads_it_is_not_there(store: ObjectStore, loaded: Manifest) -> None:
    take_back(store, loaded)

    assert list(all_manifests(store, "pocm")) == []
    assert [manifests_for_hour(store, "pocm", hour.received_hour) for hour in loaded.hours] == [[], []]
    assert quarantine.summary(store, "pocm") == []
    assert quarantine.samples(store, "pocm", key=KEY) == []


def test_another_load_of_its_hours_stays(
    store: ObjectStore, loading: Loader, loaded: Manifest, tmp_path: Path
) -> None:
    other = loading(ndjson(tmp_path / "other.ndjson", [row(40)])).manifest

    take_back(store, loaded)

    assert list(all_manifests(store, "pocm")) == [other]
    assert manifests_for_hour(store, "pocm", other.hours[0].received_hour) == [other]


def test_a_load_of_rejected_rows_only_is_taken_back_too(
    store: ObjectStore, loading: Loader, tmp_path: Path
) -> None:
    rejected = loading(ndjson(tmp_path / "rejected.ndjson", [row(1, type="NOPE"), "{broken"])).manifest

    take_back(store, rejected)

    assert quarantine.summary(store, "pocm") == []


def test_its_files_stay_in_the_lake(store: ObjectStore, loaded: Manifest) -> None:
    take_back(store, loaded)

    assert sweep(store, "pocm", timedelta(0), dry_run=False) == []
    assert all(store.exists(file.key) for file in loaded.files)


def test_taking_it_back_twice_changes_nothing_more(store: ObjectStore, loaded: Manifest) -> None:
    first = take_back(store, loaded)
    before = content(store)

    assert unload(store, "pocm", loaded.load_id, by="bob", reason="another") == (first, False)
    assert content(store) == before


def test_it_is_noted_once_that_nothing_stands_on_it_any_more(store: ObjectStore, loaded: Manifest) -> None:
    take_back(store, loaded)

    noted = note_restated(store, "pocm", loaded.load_id)

    assert noted.unloaded is not None
    assert noted.unloaded.restated_at is not None
    assert (noted.unloaded.by, noted.revision) == ("ann", 3)
    assert note_restated(store, "pocm", loaded.load_id) == noted


@pytest.mark.parametrize("after", [False, True])
def test_broken_off_at_its_put_it_is_done_or_not_done(
    store: ObjectStore, loaded: Manifest, after: bool
) -> None:
    with pytest.raises(StoreError):
        unload(BreakingStore(store, 1, after=after), "pocm", loaded.load_id, by="ann")
    assert list(all_manifests(store, "pocm")) == ([] if after else [loaded])

    assert unload(store, "pocm", loaded.load_id, by="ann")[1] is not after
    assert list(all_manifests(store, "pocm")) == []


def test_a_load_that_there_is_not_is_named(store: ObjectStore) -> None:
    with pytest.raises(LoadError, match=f"pocm has no load {'0' * 32}"):
        unload(store, "pocm", "0" * 32, by="ann")


def test_replaying_its_rejected_rows_changes_nothing(
    store: ObjectStore, pocm: Source, loaded: Manifest
) -> None:
    take_back(store, loaded)
    before = content(store)

    assert replay(store, pocm, key=KEY) == []
    with pytest.raises(LoadError, match=r"unloaded .* UTC by ann: sent twice; load its input again first"):
        replay(store, pocm, key=KEY, load_id=loaded.load_id)
    assert content(store) == before


def test_the_same_input_is_not_loaded_again_by_itself(
    store: ObjectStore, pocm: Source, loaded: Manifest, tmp_path: Path
) -> None:
    written = take_back(store, loaded)
    note_restated(store, "pocm", loaded.load_id)

    result = load_again(store, pocm, tmp_path, again=False)

    assert result.already_loaded
    assert result.manifest.unloaded is not None
    assert result.manifest.unloaded.at == written.unloaded.at  # type: ignore[union-attr]
    assert list(all_manifests(store, "pocm")) == []


def test_asked_for_it_is_loaded_again_as_the_next_revision(
    store: ObjectStore, pocm: Source, loaded: Manifest, tmp_path: Path
) -> None:
    before = content(store)
    take_back(store, loaded)
    note_restated(store, "pocm", loaded.load_id)

    result = load_again(store, pocm, tmp_path)

    assert not result.already_loaded
    assert (result.manifest.load_id, result.manifest.revision) == (loaded.load_id, 4)
    assert result.manifest.unloaded is None
    assert list(all_manifests(store, "pocm")) == [result.manifest]
    assert content(store, "raw/") == {key: data for key, data in before.items() if key.startswith("raw/")}
    assert load_again(store, pocm, tmp_path).already_loaded


def test_while_marts_stand_on_it_it_is_not_loaded_again(
    store: ObjectStore, pocm: Source, loaded: Manifest, tmp_path: Path
) -> None:
    take_back(store, loaded)

    with pytest.raises(LoadError, match=f"run `millrace unload {loaded.load_id}` again"):
        load_again(store, pocm, tmp_path)


def test_loaded_again_it_can_be_killed_and_repeated(
    store: ObjectStore, pocm: Source, loaded: Manifest, tmp_path: Path
) -> None:
    take_back(store, loaded)
    note_restated(store, "pocm", loaded.load_id)
    for breaks_at in range(1, 6):
        with pytest.raises(StoreError):
            load_again(BreakingStore(store, breaks_at), pocm, tmp_path)
        assert list(all_manifests(store, "pocm")) == []

    assert load_again(store, pocm, tmp_path).manifest.counts == loaded.counts


def test_retention_takes_the_files_of_an_unloaded_load_too(
    store: ObjectStore, loading: Loader, tmp_path: Path
) -> None:
    policy = load_policy("pocm", datetime(2032, 11, 20, tzinfo=UTC))
    old = loading(ndjson(tmp_path / "old.ndjson", [row(1), row(2, type="NOPE")])).manifest
    take_back(store, old)

    apply(store, policy, plan(store, policy), held)

    assert list(store.list()) == []


def test_a_load_whose_rows_retention_took_is_not_unloaded(store: ObjectStore, loaded: Manifest) -> None:
    """As a retention that was killed before it forgot the hours leaves it."""
    hours = tuple(replace(hour, files=(), expired=hour.files) for hour in loaded.hours)
    write_manifest(store, replace(loaded, hours=hours, revision=2), committed_at=datetime.now(UTC))

    with pytest.raises(LoadError, match=r"10 accepted rows of load .* are past retention"):
        take_back(store, loaded)
    assert len(list(all_manifests(store, "pocm"))) == 1


def test_a_load_that_changed_meanwhile_is_not_overwritten(store: ObjectStore, loaded: Manifest) -> None:
    take_back(store, loaded)
    before = content(store)

    with pytest.raises(ManifestError, match="changed by another process just now: try again"):
        write_manifest(store, replace(loaded, revision=2), committed_at=datetime.now(UTC), supersedes=loaded)
    assert content(store) == before


def test_a_manifest_of_before_there_was_unloading_is_read(store: ObjectStore, loaded: Manifest) -> None:
    value = json.loads(store.get_bytes(loaded.key))
    del value["unloaded"]
    store.put_bytes(loaded.key, json.dumps(value).encode())

    assert read_manifest(store, "pocm", loaded.load_id) == loaded
    assert take_back(store, loaded).revision == 2
