"""The path grammar of the lake: the only place that builds or parses object keys.

raw/source=<s>/received_date=<YYYY-MM-DD>/received_hour=<HH>/<load_id>-<tag>-<n>.parquet
quarantine/source=<s>/received_date=<YYYY-MM-DD>/received_hour=<HH>/<load_id>-<tag>-<n>.parquet
manifests/source=<s>/<load_id>.json
landing/source=<s>/<anything>
reports/source=<s>/report=<name>/<from>-<to>-<digest>.<csv|parquet|html>
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, get_args

Kind = Literal["raw", "quarantine"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_DATA_KEY = re.compile(
    r"(?P<kind>raw|quarantine)/source=(?P<source>[a-z][a-z0-9_]*)"
    r"/received_date=(?P<date>\d{4}-\d{2}-\d{2})/received_hour=(?P<hour>[01]\d|2[0-3])"
    r"/(?P<load_id>[0-9a-f]{32})-(?P<tag>[0-9a-f]{8})-(?P<number>\d+)\.parquet"
)
_MANIFEST_KEY = re.compile(r"manifests/source=(?P<source>[a-z][a-z0-9_]*)/(?P<load_id>[0-9a-f]{32})\.json")
_REPORT_KEY = re.compile(
    r"reports/source=(?P<source>[a-z][a-z0-9_]*)/report=(?P<report>[a-z][a-z0-9_]*)"
    r"/(?P<start>\d{8}T\d{6}Z)-(?P<end>\d{8}T\d{6}Z)-(?P<digest>[0-9a-f]{12})\.(?P<format>csv|parquet|html)"
)
_REPORT_TIME = "%Y%m%dT%H%M%SZ"
_SOURCE = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class DataFile:
    """What the key of a raw or quarantine file says."""

    kind: Kind
    source: str
    received_hour: datetime
    load_id: str
    tag: str
    number: int

    @property
    def key(self) -> str:
        """The object key."""
        return (
            f"{hour_prefix(self.kind, self.source, self.received_hour)}"
            f"{self.load_id}-{self.tag}-{self.number:05d}.parquet"
        )


@dataclass(frozen=True)
class ReportFile:
    """What the key of a report says: of what, of which time, and the beginning of its sha256."""

    source: str
    report: str
    start: datetime
    end: datetime
    digest: str
    format: str

    @property
    def key(self) -> str:
        """The object key.

        Raises:
            ValueError: when a part is none that a key can hold.
        """
        start, end = (moment.astimezone(UTC).strftime(_REPORT_TIME) for moment in (self.start, self.end))
        key = f"{source_prefix('reports', self.source)}report={self.report}/{start}-{end}-{self.digest}.{self.format}"
        if _REPORT_KEY.fullmatch(key) is None:
            raise ValueError(f"{key!r} is no key of a report")
        return key


def hour_of(moment: datetime) -> datetime:
    """Return the UTC hour that a timezone-aware moment lies in.

    Raises:
        ValueError: when the moment carries no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment.isoformat()} has no time zone")
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def source_prefix(kind: Literal["raw", "quarantine", "manifests", "landing", "reports"], source: str) -> str:
    """Return the prefix of everything of one kind and source, ending in `/`."""
    if not _SOURCE.fullmatch(source):
        raise ValueError(f"{source!r} is no source name: lower-case letters, digits and _")
    return f"{kind}/source={source}/"


def hour_prefix(kind: Kind, source: str, received_hour: datetime) -> str:
    """Return the prefix of the files of one received hour, ending in `/`."""
    hour = hour_of(received_hour)
    return f"{source_prefix(kind, source)}received_date={hour:%Y-%m-%d}/received_hour={hour:%H}/"


def manifest_key(source: str, load_id: str) -> str:
    """Return the key of a load's manifest."""
    return f"{source_prefix('manifests', source)}{load_id}.json"


def parse_data_key(key: str) -> DataFile | None:
    """Return what a raw or quarantine key says, or None for any other key."""
    found = _DATA_KEY.fullmatch(key)
    if found is None:
        return None
    try:
        hour = datetime.strptime(f"{found['date']} {found['hour']}", "%Y-%m-%d %H").replace(tzinfo=UTC)
    except ValueError:
        return None
    kind: Kind = "raw" if found["kind"] == "raw" else "quarantine"
    return DataFile(kind, found["source"], hour, found["load_id"], found["tag"], int(found["number"]))


def parse_manifest_key(key: str) -> tuple[str, str] | None:
    """Return (source, load_id) of a manifest key, or None for any other key."""
    found = _MANIFEST_KEY.fullmatch(key)
    return (found["source"], found["load_id"]) if found else None


def parse_report_key(key: str) -> ReportFile | None:
    """Return what the key of a report says, or None for any other key."""
    found = _REPORT_KEY.fullmatch(key)
    if found is None:
        return None
    try:
        start, end = (
            datetime.strptime(found[side], _REPORT_TIME).replace(tzinfo=UTC) for side in ("start", "end")
        )
    except ValueError:
        return None
    return ReportFile(found["source"], found["report"], start, end, found["digest"], found["format"])
