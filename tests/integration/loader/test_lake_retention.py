"""Retention in the lake, on the real store: killed anywhere and repeated, it ends the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingestion import quarantine
from ingestion.contract import Source
from ingestion.errors import LoadError
from ingestion.loader import load
from ingestion.locks import held
from ingestion.replay import replay
from lake.manifest import Manifest, all_manifests, manifests_for_hour
from lake.policy import Policy, load_policy
from lake.retention import apply, plan
from lake.store import ObjectStore
from tests.integration.loader.events import KEY, ndjson, viewed

AS_OF = (datetime.now(UTC) + timedelta(days=30)).replace(minute=0, second=0, microsecond=0)
"""Ahead of the store's clock, so that a landing file of a moment ago is too old."""
POLICY = load_policy("pocm", AS_OF)
LAKE = POLICY.limit("raw_lake")
QUARANTINE = POLICY.limit("quarantine")
assert LAKE is not None
assert QUARANTINE is not None
HOUR = timedelta(hours=1)


class KilledError(Exception):
    """The process was killed."""


class Dying(ObjectStore):
    """A store whose process is killed before its nth change, a deletion of several objects in the middle."""

    changes = 0

    def killed_before(self, number: int) -> ObjectStore:
        self.changes = number
        return self

    def _change(self) -> None:
        if self.changes == 0:
            raise KilledError
        self.changes -= 1

    def put_bytes(self, *arguments: Any, **options: Any) -> None:
        self._change()
        super().put_bytes(*arguments, **options)

    def put_file(self, *arguments: Any, **options: Any) -> None:
        self._change()
        super().put_file(*arguments, **options)

    def delete_many(self, keys: Iterable[str]) -> int:
        for key in keys:
            self._change()
            super().delete_many([key])
        return 0


def received(moment: datetime, number: int, **changes: Any) -> dict[str, Any]:
    """An event received at a moment; without a price it is rejected."""
    at = moment.isoformat()
    return viewed(number, timestamp=at, metadata={"receivedAt": at}, **changes)


def broken(moment: datetime, number: int) -> dict[str, Any]:
    return received(moment, number, data={"price": "dear"})


def fill(store: ObjectStore, pocm: Source, folder: Path) -> None:
    """A load past five years; one on both sides of them; one with rejected rows on both sides of ninety days."""
    inputs = {
        "forgotten": [received(LAKE - 48 * HOUR, 1), broken(LAKE - 48 * HOUR, 2)],
        "cut": [received(LAKE - HOUR, 3), received(LAKE, 4), broken(LAKE, 5)],
        "rejects": [broken(QUARANTINE - HOUR, 6), received(QUARANTINE - HOUR, 7), broken(QUARANTINE, 8)],
        "only": [broken(QUARANTINE - HOUR, 9)],
    }
    for name, events in inputs.items():
        path = ndjson(folder / f"{name}.ndjson", events)
        load(store, pocm, str(path), key=KEY, received_at=AS_OF - timedelta(days=35))
    landed = ndjson(folder / "landed.ndjson", [received(QUARANTINE + HOUR, 10)])
    for name in ("landed", "again"):
        store.put_file(f"landing/source=pocm/{name}.ndjson", landed)
    at = AS_OF - timedelta(days=35)
    load(store, pocm, store.url("landing/source=pocm/landed.ndjson"), key=KEY, received_at=at)
    store.put_bytes("landing/source=pocm/never.ndjson", json.dumps(received(QUARANTINE, 11)).encode())


def run(store: ObjectStore, policy: Policy = POLICY) -> None:
    apply(store, policy, plan(store, policy), held)


def contents(store: ObjectStore) -> dict[str, Any]:
    """Every object; manifests without what differs between two runs of the same work."""
    found: dict[str, Any] = {}
    for info in store.list():
        if info.key.startswith("manifests/"):
            value = json.loads(store.get_bytes(info.key))
            found[info.key] = {
                k: v
                for k, v in value.items()
                if k not in ("committed_at", "received_at", "input", "revision")
            }
        else:
            found[info.key] = info.size
    return found


def read_everything(store: ObjectStore) -> None:
    """What any reader does: every manifest balances, and its files are there."""
    for manifest in all_manifests(store, "pocm"):
        manifest.check()
        for file in manifest.files:
            assert store.head(file.key).size == file.bytes


@pytest.fixture
def buckets(store: ObjectStore) -> Callable[[], ObjectStore]:
    """New buckets of one store, whose processes can be killed."""
    count = iter(range(1000))

    def new() -> ObjectStore:
        bucket = store.for_bucket(f"{store.bucket}-{next(count)}")
        bucket.ensure_bucket()
        return bucket

    return new


def dying(store: ObjectStore, changes: int) -> ObjectStore:
    twin = Dying(store.endpoint_url, store.access_key, store.secret_key, store.bucket, store.region)
    return twin.killed_before(changes)


def loads(store: ObjectStore) -> dict[str, Manifest]:
    return {Path(m.input.uri).stem: m for m in all_manifests(store, "pocm")}


def test_what_is_too_old_goes_and_what_is_not_stays(store: ObjectStore, pocm: Source, tmp_path: Path) -> None:
    fill(store, pocm, tmp_path)

    run(store)

    left = loads(store)
    assert set(left) == {"cut", "rejects", "only", "landed"}
    assert [hour.received_hour for hour in left["cut"].hours] == [LAKE]
    assert (left["cut"].counts.accepted, left["cut"].counts.quarantined) == (1, 1)
    assert [file.kind for file in left["cut"].files] == ["raw"]
    assert left["rejects"].counts.quarantined == 2
    assert sum(file.rows for file in left["rejects"].files if file.kind == "quarantine") == 1
    assert left["rejects"].codes == {"field_type": 1}
    assert [info.key for info in store.list("landing/")] == ["landing/source=pocm/never.ndjson"]
    read_everything(store)


def test_afterwards_only_what_was_never_loaded_is_too_old(
    store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    fill(store, pocm, tmp_path)
    run(store)
    assert [(item.store, item.stays is not None) for item in plan(store, POLICY).held] == [("landing", True)]


def test_an_hour_of_rejected_rows_only_is_still_found(
    store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    fill(store, pocm, tmp_path)
    run(store)
    assert loads(store)["only"].load_id in {
        manifest.load_id for manifest in manifests_for_hour(store, "pocm", QUARANTINE - HOUR)
    }


def test_a_landing_file_that_was_replaced_after_its_load_stays(
    store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    fill(store, pocm, tmp_path)
    store.put_bytes("landing/source=pocm/landed.ndjson", b"{}")
    run(store)
    assert store.exists("landing/source=pocm/landed.ndjson")


def test_killed_anywhere_and_repeated_it_ends_the_same(
    buckets: Callable[[], ObjectStore], pocm: Source, tmp_path: Path
) -> None:
    whole = buckets()
    fill(whole, pocm, tmp_path)
    run(whole)
    expected = contents(whole)
    for step in range(100):
        bucket = buckets()
        fill(bucket, pocm, tmp_path)
        twin = dying(bucket, step)
        with suppress(KilledError):
            run(twin)
            break
        read_everything(bucket)
        run(bucket)
        assert contents(bucket) == expected, f"killed before change {step}"
    assert 10 < step < 99


def test_a_replay_says_what_is_gone_and_tries_the_rest(
    store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    fill(store, pocm, tmp_path)
    run(store)

    results = {Path(r.manifest.input.uri).stem: (r.tried, r.expired) for r in replay(store, pocm, key=KEY)}

    assert results == {"cut": (0, 1), "rejects": (1, 1), "only": (0, 1)}
    with pytest.raises(LoadError, match="past retention and gone: load a mended input instead"):
        replay(store, pocm, key=KEY, load_id=loads(store)["only"].load_id)
    assert {found.code for found in quarantine.summary(store, "pocm")} == {"field_type"}
