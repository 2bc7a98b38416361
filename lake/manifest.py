"""Manifests: one JSON object per load, its commit. A file that no manifest names does not exist."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from lake import paths
from lake.errors import MillraceError
from lake.store import ObjectChangedError, ObjectMissingError, ObjectStore

READERS = 8


class ManifestError(MillraceError):
    """A manifest that cannot be read or whose counts do not balance; the message names it."""


@dataclass(frozen=True)
class Counts:
    """Rows of a load or of one of its hours: read + expanded is the sum of the others."""

    read: int = 0
    """Rows of the file."""
    accepted: int = 0
    duplicate: int = 0
    quarantined: int = 0
    suppressed: int = 0
    skipped: int = 0
    """Rows of the file that a mapping's query left out."""
    folded: int = 0
    """Rows of the file beyond the first of each that the query put several into."""
    expanded: int = 0
    """Rows that the query made of one row of the file, beyond the first."""

    @property
    def validated(self) -> int:
        """How many rows were held against the contracts."""
        return self.accepted + self.duplicate + self.quarantined + self.suppressed

    @property
    def unvalidated(self) -> Counts:
        """The part of the counts that a mapping's query brought about, before any row was validated."""
        read = self.skipped + self.folded - self.expanded
        return Counts(read, skipped=self.skipped, folded=self.folded, expanded=self.expanded)

    @property
    def balances(self) -> bool:
        """Whether every row read is accounted for."""
        return self.read >= 0 and self.read + self.expanded == self.validated + self.skipped + self.folded

    def __str__(self) -> str:
        """Return the equation in words; what only a mapping brings about where it did."""
        read = _terms(read=self.read, expanded=self.expanded or None)
        became = _terms(
            accepted=self.accepted,
            duplicate=self.duplicate,
            quarantined=self.quarantined,
            suppressed=self.suppressed,
            skipped=self.skipped or None,
            folded=self.folded or None,
        )
        return f"{' + '.join(read)} {'=' if self.balances else '≠'} {' + '.join(became)}"

    def __add__(self, other: Counts) -> Counts:
        """Add count by count."""
        return Counts(*(getattr(self, name) + getattr(other, name) for name in Counts.__dataclass_fields__))


def _terms(**counts: int | None) -> list[str]:
    return [f"{name} {rows:,}" for name, rows in counts.items() if rows is not None]


@dataclass(frozen=True)
class FileEntry:
    """One parquet file of a load: sizes in rows and bytes, sha256 in hex, times in UTC."""

    key: str
    kind: paths.Kind
    rows: int
    bytes: int
    sha256: str
    min_occurred_at: datetime | None = None
    max_occurred_at: datetime | None = None


@dataclass(frozen=True)
class HourEntry:
    """The part of a load that was received in one hour.

    It names at least one file, if need be an empty one, so that listing an hour finds every load with rows of
    that hour, also one of duplicates only. `expired` are files that retention took away: their rows still count.
    """

    received_hour: datetime
    counts: Counts
    files: tuple[FileEntry, ...] = ()
    expired: tuple[FileEntry, ...] = ()


@dataclass(frozen=True)
class InputEntry:
    """What was loaded."""

    uri: str
    sha256: str
    bytes: int
    format: str
    rows: int
    mapping_sha256: str | None = None


@dataclass(frozen=True)
class Unloading:
    """That a load was taken back: when, by which user of the operating system, and why.

    `restated_at` is when everything behind the lake stood as if the load had never come; None until then.
    """

    at: datetime
    by: str
    reason: str | None = None
    restated_at: datetime | None = None

    def __str__(self) -> str:
        """Return it in words."""
        return f"unloaded {self.at:%Y-%m-%d %H:%M} UTC by {self.by}" + (
            f": {self.reason}" if self.reason else ""
        )


@dataclass(frozen=True)
class Manifest:
    """One load: its identity, where it came from, what became of every row, and its files.

    A load that was unloaded keeps all of that on record, and its files stay in the lake. It does not stand: for
    everybody who asks for loads or their hours it is not there.
    """

    load_id: str
    source: str
    input: InputEntry
    received_at: datetime
    contracts_fingerprint: str
    tag: str
    counts: Counts
    codes: dict[str, int] = field(default_factory=dict)
    hours: tuple[HourEntry, ...] = ()
    revision: int = 1
    committed_at: datetime | None = None
    unloaded: Unloading | None = None

    @property
    def key(self) -> str:
        """The manifest's object key."""
        return paths.manifest_key(self.source, self.load_id)

    @property
    def files(self) -> tuple[FileEntry, ...]:
        """Every file of every hour."""
        return tuple(file for hour in self.hours for file in hour.files)

    @property
    def expired(self) -> tuple[FileEntry, ...]:
        """Every file that retention took away from an hour that is still known."""
        return tuple(file for hour in self.hours for file in hour.expired)

    def hour(self, received_hour: datetime) -> HourEntry | None:
        """Return the part received in the given UTC hour, or None."""
        wanted = paths.hour_of(received_hour)
        return next((entry for entry in self.hours if entry.received_hour == wanted), None)

    def check(self) -> None:
        """Refuse a manifest whose counts do not balance.

        Raises:
            ManifestError: naming the load and the counts that differ.
        """
        for what, counts in [("load", self.counts), *((str(h.received_hour), h.counts) for h in self.hours)]:
            if not counts.balances:
                raise ManifestError(f"load {self.load_id}: rows of {what} do not balance: {counts}")
        if self.revision == 1 and self.counts.read != self.input.rows:
            raise ManifestError(
                f"load {self.load_id}: its input has {self.input.rows} rows, and {self.counts.read} are accounted for"
            )
        if sum((hour.counts for hour in self.hours), Counts()) != self.counts:
            raise ManifestError(f"load {self.load_id}: its hours do not add up to {self.counts}")
        for hour in self.hours:
            for kind, rows in (("raw", hour.counts.accepted), ("quarantine", hour.counts.quarantined)):
                held = sum(file.rows for file in (*hour.files, *hour.expired) if file.kind == kind)
                if held != rows:
                    where = f"load {self.load_id}: {kind} files of {hour.received_hour}"
                    raise ManifestError(f"{where} hold {held} rows, not {rows}")

    def to_json(self) -> bytes:
        """Return the stored form: indented JSON with sorted keys, so that equal manifests are equal bytes."""
        return (json.dumps(asdict(self), default=_plain, indent=1, sort_keys=True) + "\n").encode()

    @staticmethod
    def from_json(data: bytes) -> Manifest:
        """Read the stored form.

        Raises:
            ManifestError: when the text is no manifest.
        """
        try:
            value = json.loads(data)
            hours = tuple(
                HourEntry(
                    _moment(hour["received_hour"]),
                    Counts(**hour["counts"]),
                    tuple(_file(file) for file in hour["files"]),
                    tuple(_file(file) for file in hour.get("expired", ())),
                )
                for hour in value["hours"]
            )
            return Manifest(
                **{
                    **value,
                    "input": InputEntry(**value["input"]),
                    "received_at": _moment(value["received_at"]),
                    "counts": Counts(**value["counts"]),
                    "hours": hours,
                    "committed_at": _optional_moment(value["committed_at"]),
                    "unloaded": _unloading(value.get("unloaded")),
                }
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ManifestError(f"not a manifest: {error}") from error


def _file(value: dict[str, Any]) -> FileEntry:
    moments = ("min_occurred_at", "max_occurred_at")
    return FileEntry(**{**value, **{name: _optional_moment(value[name]) for name in moments}})


def _unloading(value: dict[str, Any] | None) -> Unloading | None:
    if value is None:
        return None
    moments = {"at": _moment(value["at"]), "restated_at": _optional_moment(value["restated_at"])}
    return Unloading(**{**value, **moments})


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"
    raise TypeError(f"{value!r} has no JSON form")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _optional_moment(text: str | None) -> datetime | None:
    return None if text is None else _moment(text)


def read_manifest(store: ObjectStore, source: str, load_id: str) -> Manifest | None:
    """Return the manifest of a load, or None when it was never committed."""
    try:
        return Manifest.from_json(store.get_bytes(paths.manifest_key(source, load_id)))
    except ObjectMissingError:
        return None


def write_manifest(
    store: ObjectStore,
    manifest: Manifest,
    *,
    committed_at: datetime,
    only_new: bool = False,
    supersedes: Manifest | None = None,
) -> Manifest:
    """Commit a load: one atomic write. Return the manifest as written.

    Args:
        store: the lake.
        manifest: what became of the load.
        committed_at: when.
        only_new: refuse to replace another manifest of the load.
        supersedes: the manifest that this one takes the place of; no other is replaced.

    Raises:
        ManifestError: when the counts do not balance, or another manifest than `supersedes` stands there by now;
            nothing is written.
        ObjectExistsError: when `only_new` and the store found another load's commit.
    """
    manifest.check()
    data = replace(manifest, committed_at=committed_at).to_json()
    try:
        store.put_bytes(
            manifest.key,
            data,
            content_type="application/json",
            only_new=only_new,
            only_over=_tag_of(store, supersedes) if supersedes is not None else None,
        )
    except ObjectChangedError as error:
        raise ManifestError(
            f"load {manifest.load_id} was changed by another process just now: try again"
        ) from error
    return Manifest.from_json(data)


def _tag_of(store: ObjectStore, expected: Manifest) -> str:
    """Return the store's tag of a manifest that still stands; not every store compares it once more."""
    standing, tag = store.get_tagged(expected.key)
    if Manifest.from_json(standing) != expected:
        raise ObjectChangedError(f"{store.url(expected.key)} is another revision")
    return tag


def all_manifests(store: ObjectStore, source: str, *, unloaded: bool = False) -> Iterator[Manifest]:
    """Yield every load of a source that stands, in the order of its id; with `unloaded` the others too."""
    found = _read_many(store, source, load_ids(store, source))
    yield from (manifest for manifest in found if unloaded or manifest.unloaded is None)


def load_ids(store: ObjectStore, source: str, prefix: str = "") -> list[str]:
    """Return the ids of the loads of a source that begin with a text, in order, whether they stand or not."""
    listed = store.list(f"{paths.source_prefix('manifests', source)}{prefix}")
    keys = (paths.parse_manifest_key(info.key) for info in listed)
    return [key[1] for key in keys if key is not None]


def manifests_for_hour(store: ObjectStore, source: str, hour: datetime) -> list[Manifest]:
    """Return the loads that stand and have files in a received hour, in the order of their ids.

    The cost follows the hour: its two prefixes are listed, then only those loads' manifests are read.
    """
    loads: set[str] = set()
    for kind in paths.KINDS:
        for info in store.list(paths.hour_prefix(kind, source, hour)):
            parsed = paths.parse_data_key(info.key)
            if parsed is not None:
                loads.add(parsed.load_id)
    return [
        found
        for found in _read_many(store, source, sorted(loads))
        if found.unloaded is None and found.hour(hour) is not None
    ]


def first_received_day(store: ObjectStore, source: str) -> date | None:
    """Return the first UTC day of which the lake holds files of a source, or None without any; one listing per kind."""
    days = [
        date.fromisoformat(folder.rstrip("/").rpartition("received_date=")[2])
        for kind in paths.KINDS
        for folder in islice(store.list_folders(paths.source_prefix(kind, source)), 1)
    ]
    return min(days, default=None)


def hours_between(store: ObjectStore, source: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the received hours in [start, end) that committed loads have, in order.

    The cost follows the days of the window: their files are listed, and the manifests of those loads are read. A
    broken load can have left files in hours that its later commit does not name.
    """
    first = paths.hour_of(start)
    hours: dict[str, set[datetime]] = defaultdict(set)
    for kind in paths.KINDS:
        for day in store.list_folders(paths.source_prefix(kind, source)):
            date = day.rstrip("/").rpartition("received_date=")[2]
            if not f"{first:%Y-%m-%d}" <= date <= f"{end.astimezone(UTC):%Y-%m-%d}":
                continue
            for info in store.list(day):
                file = paths.parse_data_key(info.key)
                if file is not None and first <= file.received_hour < end:
                    hours[file.load_id].add(file.received_hour)
    found = {
        entry.received_hour
        for manifest in _read_many(store, source, sorted(hours))
        for entry in manifest.hours
        if entry.received_hour in hours[manifest.load_id]
    }
    return sorted(found)


def spread(hours: Mapping[datetime, Counts], own: datetime, unvalidated: Counts) -> dict[datetime, Counts]:
    """Return the counts of a load's hours with what a mapping's query did before the rows were validated.

    What was skipped or folded has no received hour of its own and counts where the input was received. What came on
    top is taken off the rows read of the earliest hours that have any, so that every hour balances by itself.

    Args:
        hours: validated rows by received hour.
        own: the hour in which the input was received.
        unvalidated: rows that were skipped, folded and expanded.
    """
    spread = dict(hours)
    skipped, folded, expanded = unvalidated.skipped, unvalidated.folded, unvalidated.expanded
    if skipped or folded:
        spread[own] = spread.get(own, Counts()) + Counts(skipped + folded, skipped=skipped, folded=folded)
    for hour in sorted(spread):
        more = min(expanded, spread[hour].read)
        spread[hour] += Counts(-more, expanded=more)
        expanded -= more
    return spread


def _read_many(store: ObjectStore, source: str, load_ids: list[str]) -> Iterator[Manifest]:
    with ThreadPoolExecutor(READERS) as pool:
        for found in pool.map(lambda load_id: read_manifest(store, source, load_id), load_ids):
            if found is not None:
                yield found
