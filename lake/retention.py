"""Retention in the lake: raw files and manifests, quarantine and landing files that the policy no longer keeps.

The manifest is changed first: it moves a file from those that an hour has to those that expired, and from then on
the file does not exist for anybody. Then the file is deleted, and last the hour, or the manifest, that has nothing
left to say. Killed anywhere and repeated, the end is the same; nobody ever reads a manifest whose files are missing.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from lake import paths
from lake.manifest import Counts, FileEntry, HourEntry, Manifest, all_manifests, read_manifest, write_manifest
from lake.parquet import RAW_SCHEMA, write_parquet
from lake.policy import Kept, Policy
from lake.store import ObjectInfo, ObjectStore
from lake.sweep import DEFAULT_AGE

Lock = Callable[[str], AbstractContextManager[None]]
"""Holds the lock of a load, as the loader does: its name is endpoint, bucket and load."""

_KEPT: dict[paths.Kind, Kept] = {"raw": "raw_lake", "quarantine": "quarantine"}


@dataclass(frozen=True)
class Held:
    """What one store holds that is older than the policy, and why it stays if it does.

    `number` counts `unit`s; bytes are those on disk; `oldest` and `newest` are when the first and the last of it
    happened or was received, UTC.
    """

    store: str
    unit: str
    number: int
    bytes: int
    oldest: datetime
    newest: datetime
    stays: str | None = None

    def __str__(self) -> str:
        """Return it in words."""
        span = f"{self.oldest:%Y-%m-%d %H:%M} to {self.newest:%Y-%m-%d %H:%M}"
        kept = f", which stay: {self.stays}" if self.stays else ""
        return f"{self.store}: {self.number:,} {self.unit}, {self.bytes:,} bytes, {span}{kept}"


@dataclass(frozen=True)
class LakePlan:
    """What of one source expired in the lake."""

    source: str
    manifests: tuple[Manifest, ...]
    """Loads of which something expired, as they are now."""
    unnamed: tuple[ObjectInfo, ...]
    """Data files of expired hours that no manifest names."""
    landing: tuple[ObjectInfo, ...]
    """Landing files that were loaded."""
    held: tuple[Held, ...]


def plan(store: ObjectStore, policy: Policy) -> LakePlan:
    """Find what expired; nothing is changed.

    The cost follows the number of loads: their manifests are read.
    """
    source = policy.source
    everything = list(all_manifests(store, source, unloaded=True)) if policy.ages else []
    manifests = tuple(manifest for manifest in everything if _is_touched(manifest, policy))
    unnamed = tuple(_unnamed(store, policy, everything))
    loaded, not_loaded = _landing(store, policy, everything)
    held = [
        *_held_files(manifests, policy),
        *_held_manifests(manifests, policy),
        *_held_objects("files that no manifest names", unnamed),
        *_held_objects("landing", loaded),
        *_held_objects("landing", not_loaded, "they were never loaded: run `millrace load`, or remove them"),
    ]
    return LakePlan(source, manifests, unnamed, tuple(loaded), tuple(held))


def apply(store: ObjectStore, policy: Policy, planned: LakePlan, lock: Lock) -> None:
    """Remove what a plan found. A load that changed meanwhile is looked at again."""
    for manifest in planned.manifests:
        with lock(f"{store.endpoint_url}/{store.bucket}/{manifest.load_id}"):
            current = read_manifest(store, policy.source, manifest.load_id)
            if current is not None:
                _expire(store, policy, current)
    store.delete_many(info.key for info in (*planned.unnamed, *planned.landing))


def _expire(store: ObjectStore, policy: Policy, manifest: Manifest) -> None:
    """Take one load through the three steps, from wherever a killed run left it."""
    if any(_gone(hour, policy) for hour in manifest.hours):
        manifest = _commit(store, manifest, _without_files(store, policy, manifest))
    store.delete_many(file.key for file in manifest.expired)
    left = tuple(hour for hour in manifest.hours if not policy.hour_expired("raw_lake", hour.received_hour))
    if not left:
        store.delete_many([manifest.key])
    elif len(left) < len(manifest.hours):
        counts = sum((hour.counts for hour in left), Counts())
        _commit(store, manifest, replace(manifest, hours=left, counts=counts))


def _commit(store: ObjectStore, current: Manifest, reduced: Manifest) -> Manifest:
    """Write the next revision. Its commit is still the load's own: what it brought is older than this."""
    committed = current.committed_at or datetime.now(UTC)
    following = replace(reduced, revision=current.revision + 1)
    return write_manifest(store, following, committed_at=committed, supersedes=current)


def _without_files(store: ObjectStore, policy: Policy, manifest: Manifest) -> Manifest:
    hours = []
    for hour in manifest.hours:
        gone = _gone(hour, policy)
        files = tuple(file for file in hour.files if file not in gone)
        if gone and not files and not policy.hour_expired("raw_lake", hour.received_hour):
            files = (_empty_file(store, manifest, hour),)
        hours.append(replace(hour, files=files, expired=(*hour.expired, *gone)))
    reduced = replace(manifest, hours=tuple(hours))
    return replace(reduced, codes=_codes(store, reduced)) if manifest.codes else reduced


def _gone(hour: HourEntry, policy: Policy) -> tuple[FileEntry, ...]:
    """The files of an hour that expired: with the raw lake's everything, an empty file too."""
    if policy.hour_expired("raw_lake", hour.received_hour):
        return hour.files
    return tuple(
        file
        for file in hour.files
        if file.kind == "quarantine" and policy.hour_expired("quarantine", hour.received_hour)
    )


def _empty_file(store: ObjectStore, manifest: Manifest, hour: HourEntry) -> FileEntry:
    """Write the file by which an hour without rows is still found."""
    key = paths.DataFile(
        "raw", manifest.source, hour.received_hour, manifest.load_id, f"{manifest.revision:08x}", 0
    ).key
    with TemporaryDirectory(prefix="millrace-retention-") as folder:
        written = write_parquet(RAW_SCHEMA.empty_table(), Path(folder) / "empty.parquet")
        store.put_file(key, written.path)
    return FileEntry(key, "raw", 0, written.bytes, written.sha256)


def _codes(store: ObjectStore, manifest: Manifest) -> dict[str, int]:
    """Count the codes of the rejected rows that are left."""
    counts: Counter[str] = Counter()
    for file in manifest.files:
        if file.kind == "quarantine":
            table = pq.read_table(io.BytesIO(store.get_bytes(file.key)), columns=["codes"])
            counts.update(code for codes in table["codes"].to_pylist() for code in codes)
    return dict(sorted(counts.items()))


def _is_touched(manifest: Manifest, policy: Policy) -> bool:
    return any(
        policy.hour_expired("raw_lake", hour.received_hour) or _gone(hour, policy) for hour in manifest.hours
    )


def _unnamed(store: ObjectStore, policy: Policy, manifests: Iterable[Manifest]) -> Iterator[ObjectInfo]:
    """Yield files of expired hours that expired before a killed run deleted them, or that a killed load left.

    The latter only when they are older than a day: a load that is still running has not committed yet.
    """
    named = {file.key for manifest in manifests for file in manifest.files}
    expired = {file.key for manifest in manifests for file in manifest.expired}
    settled = datetime.now(UTC) - DEFAULT_AGE
    for kind in paths.KINDS:
        limit = policy.limit(_KEPT[kind])
        if limit is None:
            continue
        for day in store.list_folders(paths.source_prefix(kind, policy.source)):
            if day.rstrip("/").rpartition("received_date=")[2] > f"{limit:%Y-%m-%d}":
                continue
            for info in store.list(day):
                file = paths.parse_data_key(info.key)
                if (
                    file is not None
                    and policy.hour_expired(_KEPT[kind], file.received_hour)
                    and info.key not in named
                    and (info.key in expired or info.last_modified < settled)
                ):
                    yield info


def _landing(
    store: ObjectStore, policy: Policy, manifests: Iterable[Manifest]
) -> tuple[list[ObjectInfo], list[ObjectInfo]]:
    """Return the landing files that are too old: those that were loaded, and the others."""
    loads = {manifest.input.uri: manifest for manifest in manifests}
    hashes = {manifest.input.sha256 for manifest in loads.values()}
    loaded: list[ObjectInfo] = []
    not_loaded: list[ObjectInfo] = []
    for info in store.list(paths.source_prefix("landing", policy.source)):
        if policy.expired("landing", info.last_modified):
            is_loaded = _is_input(store, info, loads.get(store.url(info.key)), hashes)
            (loaded if is_loaded else not_loaded).append(info)
    return loaded, not_loaded


def _is_input(store: ObjectStore, info: ObjectInfo, load: Manifest | None, hashes: set[str]) -> bool:
    """Whether a landing file is what some load read: by its name, its size and its time, or by its bytes."""
    unchanged = (
        load is not None
        and load.input.bytes == info.size
        and load.committed_at is not None
        and info.last_modified <= load.committed_at
    )
    return unchanged or hashlib.sha256(store.get_bytes(info.key)).hexdigest() in hashes


def _held_files(manifests: Iterable[Manifest], policy: Policy) -> Iterator[Held]:
    found: dict[paths.Kind, list[tuple[datetime, FileEntry]]] = {kind: [] for kind in paths.KINDS}
    for manifest in manifests:
        for hour in manifest.hours:
            for file in _gone(hour, policy):
                found[file.kind].append((hour.received_hour, file))
    for kind, files in found.items():
        if files:
            hours = [hour for hour, _ in files]
            size = sum(file.bytes for _, file in files)
            yield Held(f"lake {kind}", "files", len(files), size, min(hours), max(hours))


def _held_manifests(manifests: Iterable[Manifest], policy: Policy) -> Iterator[Held]:
    expired = [
        (
            manifest,
            [h.received_hour for h in manifest.hours if policy.hour_expired("raw_lake", h.received_hour)],
        )
        for manifest in manifests
    ]
    named = [(manifest, hours) for manifest, hours in expired if hours]
    if named:
        size = sum(len(manifest.to_json()) for manifest, _ in named)
        every = [hour for _, hours in named for hour in hours]
        yield Held("lake manifests", "loads", len(named), size, min(every), max(every))


def _held_objects(name: str, objects: Iterable[ObjectInfo], stays: str | None = None) -> Iterator[Held]:
    found = list(objects)
    if found:
        moments = [info.last_modified for info in found]
        size = sum(info.size for info in found)
        yield Held(name, "files", len(found), size, min(moments), max(moments), stays)
