"""A load that is broken off leaves nothing visible, and the next one gives what an undisturbed one gives."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import Executor, ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion import loader
from ingestion.contract import Source, load_source
from ingestion.loader import LoadError, load
from lake.manifest import all_manifests, hours_between
from lake.paths import hour_of
from lake.store import ObjectStore, StoreError, StoreUnreachableError
from lake.sweep import sweep
from orchestration.settings import PROJECT_ROOT
from tests.integration.loader.events import KEY, RECEIVED, content, ledger_row, ndjson, viewed

HOURS = 3


class BreakingStore(ObjectStore):
    """A store that breaks at its n-th write, before or after the object is there."""

    def __init__(
        self, store: ObjectStore, breaks_at: int, *, after: bool = False, kills: bool = False
    ) -> None:
        super().__init__(store.endpoint_url, store.access_key, store.secret_key, store.bucket, store.region)
        self.breaks_at = breaks_at
        self.after = after
        self.kills = kills
        self.writes = 0

    def _write(self, method: Any, *args: Any, **options: Any) -> None:
        self.writes += 1
        due = self.writes == self.breaks_at
        if due and not self.after:
            self._break()
        method(*args, **options)
        if due:
            self._break()

    def _break(self) -> None:
        if self.kills:
            os.kill(os.getpid(), signal.SIGKILL)
        raise StoreError("the store broke")

    def put_bytes(self, *args: Any, **options: Any) -> None:
        self._write(super().put_bytes, *args, **options)

    def put_file(self, *args: Any, **options: Any) -> None:
        self._write(super().put_file, *args, **options)


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """An input that writes raw and quarantine files in three hours."""
    events = [ledger_row(n, received_at=f"2026-11-20T{10 + n % HOURS}:31:00Z") for n in range(60)]
    broken = [
        ledger_row(n, received_at=f"2026-11-20T{10 + n % HOURS}:31:00Z", type="NOPE") for n in range(60, 72)
    ]
    return ndjson(tmp_path / "mixed.ndjson", events + broken + events[:5])


@pytest.fixture
def undisturbed(store: ObjectStore, pocm: Source, mixed: Path) -> dict[str, bytes]:
    """What a load leaves in a bucket of its own."""
    other = store.for_bucket(store.bucket + "-u")
    other.ensure_bucket()
    load(other, pocm, mixed, key=KEY, received_at=RECEIVED)
    return content(other)


def number_of_writes(undisturbed: dict[str, bytes]) -> int:
    return len(undisturbed)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("breaks_at", range(1, 2 * HOURS + 1))
def test_a_load_that_fails_at_any_file_leaves_nothing_visible_and_can_be_repeated(
    store: ObjectStore, pocm: Source, mixed: Path, undisturbed: dict[str, bytes], breaks_at: int, after: bool
) -> None:
    assert number_of_writes(undisturbed) == 2 * HOURS + 1
    with pytest.raises(StoreError, match="broke"):
        load(BreakingStore(store, breaks_at, after=after), pocm, mixed, key=KEY, received_at=RECEIVED)
    assert list(all_manifests(store, "pocm")) == []

    load(store, pocm, mixed, key=KEY, received_at=RECEIVED)

    assert content(store) == undisturbed


def test_a_commit_whose_answer_was_lost_is_found_by_the_next_load(
    store: ObjectStore, pocm: Source, mixed: Path, undisturbed: dict[str, bytes]
) -> None:
    last = BreakingStore(store, number_of_writes(undisturbed), after=True)
    with pytest.raises(StoreError):
        load(last, pocm, mixed, key=KEY, received_at=RECEIVED)

    assert load(store, pocm, mixed, key=KEY, received_at=RECEIVED).already_loaded
    assert content(store) == undisturbed


KILLED = """
import sys
from pathlib import Path
from ingestion.contract import load_source
from ingestion.loader import load
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, RECEIVED
from tests.integration.loader.test_faults import BreakingStore
endpoint, access, secret, bucket, breaks_at, path = sys.argv[1:]
store = BreakingStore(ObjectStore(endpoint, access, secret, bucket), int(breaks_at), kills=True)
load(store, load_source("pocm"), Path(path), key=KEY, received_at=RECEIVED)
"""


@pytest.mark.parametrize("breaks_at", [1, HOURS + 1, 2 * HOURS + 1])
def test_a_killed_load_leaves_nothing_visible_and_can_be_repeated(
    store: ObjectStore, pocm: Source, mixed: Path, undisturbed: dict[str, bytes], breaks_at: int
) -> None:
    arguments = [
        store.endpoint_url,
        store.access_key,
        store.secret_key,
        store.bucket,
        str(breaks_at),
        str(mixed),
    ]
    died = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=PROJECT_ROOT, check=False)
    assert died.returncode == -signal.SIGKILL
    assert list(all_manifests(store, "pocm")) == []

    load(store, pocm, mixed, key=KEY, received_at=RECEIVED)

    assert content(store) == undisturbed


def test_an_attempt_at_another_time_leaves_only_files_that_the_sweep_removes(
    store: ObjectStore, pocm: Source, mixed: Path, undisturbed: dict[str, bytes]
) -> None:
    with pytest.raises(StoreError):
        load(BreakingStore(store, 4), pocm, mixed, key=KEY, received_at=RECEIVED + timedelta(minutes=7))
    load(store, pocm, mixed, key=KEY, received_at=RECEIVED)
    assert len(content(store)) == len(undisturbed) + 3

    found = sweep(store, "pocm", timedelta(0), dry_run=True)
    assert len(content(store)) == len(undisturbed) + 3
    removed = sweep(store, "pocm", timedelta(0), dry_run=False)

    assert removed == found
    assert content(store) == undisturbed
    assert sweep(store, "pocm", timedelta(0), dry_run=False) == []


def test_the_sweep_leaves_young_files_to_the_load_that_writes_them(
    store: ObjectStore, pocm: Source, mixed: Path
) -> None:
    with pytest.raises(StoreError):
        load(BreakingStore(store, 4), pocm, mixed, key=KEY, received_at=RECEIVED)

    assert sweep(store, "pocm", dry_run=False) == []
    assert len(content(store)) == 3


def test_what_an_earlier_attempt_left_in_another_hour_is_no_hour_of_the_load(
    store: ObjectStore, pocm: Source, mixed: Path
) -> None:
    events = ndjson(mixed.parent / "plain.ndjson", [viewed(n) for n in range(3)])
    with pytest.raises(StoreError):
        load(BreakingStore(store, 2), pocm, events, key=KEY, received_at=RECEIVED)
    load(store, pocm, events, key=KEY, received_at=RECEIVED + timedelta(hours=7))
    with pytest.raises(StoreError):
        load(BreakingStore(store, 4), pocm, mixed, key=KEY, received_at=RECEIVED)

    assert hours_between(store, "pocm", RECEIVED - timedelta(days=1), RECEIVED + timedelta(days=1)) == [
        hour_of(RECEIVED + timedelta(hours=7))
    ]


def test_a_load_that_its_input_broke_off_leaves_no_file(
    store: ObjectStore, pocm: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.inputs.Input.blocks.__defaults__", (100,))
    monkeypatch.setattr("ingestion.chunks.CHUNK_ROWS", 1)
    (tmp_path / "views.csv").write_text(
        "id,price\n" + "".join(f"v{n},{n}\n" for n in range(200)) + "v200,dear\n"
    )
    (tmp_path / "mapping.yaml").write_text(
        """
source: pocm
rules:
  - event_type: PRODUCT_VIEWED
    envelope: {event_id: id, occurred_at: "'2026-11-20T10:00:00Z'", tenant_id: "'t1'"}
    payload: {product_id: id, price: "price::decimal(18, 4)", currency: "'EUR'"}
"""
    )

    with pytest.raises(LoadError, match="an expression failed on a row"):
        load(store, pocm, tmp_path / "views.csv", key=KEY, mapping=tmp_path / "mapping.yaml")

    assert content(store) == {}


def _load(arguments: tuple[ObjectStore, Path]) -> tuple[str, bool]:
    store, path = arguments
    result = load(store, load_source("pocm"), path, key=KEY)
    return result.manifest.load_id, result.already_loaded


def pool() -> Executor:
    """Two processes. A `multiprocessing.Pool` would end them by a signal, which processes of a test worker ignore."""
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def test_two_loads_of_one_file_at_once_commit_once(store: ObjectStore, mixed: Path) -> None:
    with pool() as processes:
        results = list(processes.map(_load, [(store, mixed)] * 4))

    assert sorted(already for _, already in results) == [False, True, True, True]
    manifest = next(all_manifests(store, "pocm"))
    assert {file.key for file in manifest.files} == {key for key in content(store) if "manifests/" not in key}


def test_two_loads_of_different_files_at_once_both_commit(store: ObjectStore, tmp_path: Path) -> None:
    paths = [ndjson(tmp_path / f"{n}.ndjson", [viewed(n * 1000 + k) for k in range(200)]) for n in range(4)]
    with pool() as processes:
        results = list(processes.map(_load, [(store, path) for path in paths]))

    assert {load_id for load_id, _ in results} == {m.load_id for m in all_manifests(store, "pocm")}
    assert sum(m.counts.accepted for m in all_manifests(store, "pocm")) == 800


def test_the_same_inputs_give_the_same_bytes_in_any_bucket(
    store: ObjectStore, pocm: Source, mixed: Path, tmp_path: Path
) -> None:
    inputs = [mixed, ndjson(tmp_path / "more.ndjson", [viewed(n) for n in range(20_000)])]
    contents = []
    for number, memory in enumerate((512, 256)):
        bucket = store.for_bucket(f"{store.bucket}-{number}")
        bucket.ensure_bucket()
        for path in inputs if number else reversed(inputs):
            load(bucket, pocm, path, key=KEY, received_at=RECEIVED, memory_limit_mb=memory)
        contents.append(content(bucket))

    assert contents[0] == contents[1]


def test_a_full_disk_is_one_sentence_and_nothing_is_loaded(
    store: ObjectStore, pocm: Source, mixed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ingestion.output.write_parquet", full)

    with pytest.raises(LoadError, match="No space left on device"):
        load(store, pocm, mixed, key=KEY, received_at=RECEIVED)
    assert content(store) == {}


def test_an_unreachable_store_is_one_sentence(pocm: Source, mixed: Path) -> None:
    nowhere = ObjectStore("http://127.0.0.1:9", "a", "b", "bucket")

    with pytest.raises(StoreUnreachableError, match=r"no object store answers at http://127\.0\.0\.1:9"):
        load(nowhere, pocm, mixed, key=KEY)


def test_a_load_leaves_no_temporary_files(
    store: ObjectStore, pocm: Source, mixed: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    with pytest.raises(StoreError):
        load(BreakingStore(store, 2), pocm, mixed, key=KEY, temp_dir=folder)
    loader.load(store, pocm, mixed, key=KEY, temp_dir=folder)

    assert list(folder.iterdir()) == []
