"""One batch of received hours on its way into the warehouse, statement by statement."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from ingestion.contract import Correlation, Source
from ingestion.contract_lint import CORRELATION_COLUMNS, OWN_DATE, PAYLOAD_PREFIX
from lake.errors import MillraceError
from lake.manifest import FileEntry, Manifest
from lake.paths import Kind
from lake.store import ObjectStore
from orchestration.warehouse import sql
from orchestration.warehouse.alter import alter_partitions

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

FILES_PER_INSERT = 64
STAGE_PREFIX = "stage__"

EVERY_HOUR = "toDateTime(0, 'UTC')"
"""In place of a received hour: every hour of the batch."""

IDENTITY = sql.enum([("event_id", 1), ("idempotency_key", 2)])

_SETTINGS = {
    "allow_replace_partition_from_empty_source": 1,
    "insert_deduplicate": 0,
    "max_partitions_per_insert_block": 0,
    "mutations_sync": 1,
    "use_hive_partitioning": 0,
}
_RAW = {
    "source": "String",
    "event_type": "String",
    "contract_version": "String",
    "event_id": "String",
    "idempotency_key": "Nullable(String)",
    "tenant_id": "String",
    "occurred_at": "DateTime64(3, 'UTC')",
    "received_at": "DateTime64(3, 'UTC')",
    "user_key": "Nullable(String)",
    "session_id": "Nullable(String)",
    "device_id": "Nullable(String)",
    "order_id": "Nullable(String)",
    "trace_id": "Nullable(String)",
    "producer": "Nullable(String)",
    "load_id": "String",
    "row_number": "UInt64",
    "payload": "String",
}
_QUARANTINE = {
    "source": "String",
    "load_id": "String",
    "row_number": "UInt64",
    "received_at": "DateTime64(3, 'UTC')",
    "input": "String",
    "event_type": "Nullable(String)",
    "tenant_id": "Nullable(String)",
    "contract_version": "Nullable(String)",
    "codes": "Array(String)",
    "violations": "Array(Tuple(code String, field Nullable(String)))",
    "original_size": "UInt64",
}
_IDENTITIES = f"""
    CAST(identity.1, {sql.text(IDENTITY)}) as kind,
    reinterpretAsUInt128(sipHash128(assumeNotNull(identity.2))) as key_hash
"""
_EACH_IDENTITY = """
    array join arrayFilter(identity -> isNotNull(identity.2), [
        CAST((1, event_id), 'Tuple(UInt8, Nullable(String))'),
        CAST((2, idempotency_key), 'Tuple(UInt8, Nullable(String))')
    ]) as identity
"""


class RawLoadError(MillraceError):
    """The lake does not hold what its manifests say; the message names the hour and both numbers."""


@dataclass(frozen=True)
class Lake:
    """What a batch loads: the manifests of each received hour, and where their files lie."""

    store: ObjectStore
    source: Source
    manifests: Mapping[datetime, Sequence[Manifest]]
    endpoint_url: str | None = None

    @property
    def hours(self) -> list[datetime]:
        """The received hours of the batch."""
        return list(self.manifests)

    def tables(self, hour: datetime, kind: Kind, structure: Mapping[str, str]) -> Iterator[str]:
        """Yield `s3()` calls over an hour's files, by the names in the manifests."""
        files = files_of(self.manifests[hour], hour, kind)
        columns = ", ".join(f"{name} {type_}" for name, type_ in structure.items())
        for start in range(0, len(files), FILES_PER_INSERT):
            keys = [file.key for file in files[start : start + FILES_PER_INSERT]]
            names = [key.rpartition("/")[2] for key in keys]
            name = names[0] if len(names) == 1 else "{" + ",".join(names) + "}"
            url = self.store.http_url(f"{keys[0].rpartition('/')[0]}/{name}", self.endpoint_url)
            arguments = (url, self.store.access_key, self.store.secret_key, "Parquet", columns)
            yield f"s3({', '.join(sql.text(argument) for argument in arguments)})"


def files_of(manifests: Sequence[Manifest], hour: datetime, kind: Kind) -> list[FileEntry]:
    """Return the files of one kind that loads hold for a received hour, without the empty ones."""
    entries = [entry for manifest in manifests if (entry := manifest.hour(hour)) is not None]
    return [file for entry in entries for file in entry.files if file.kind == kind and file.rows > 0]


class RawLoad:
    """Stages a batch, flags it, notes what it touches, and replaces its partitions."""

    def __init__(self, client: Client, lake: Lake, log_comment: Mapping[str, str] | None) -> None:
        """Name the staging tables; nothing is created before `run`."""
        self.client = client
        self.lake = lake
        self.source = sql.text(lake.source.name)
        self.settings: dict[str, Any] = dict(_SETTINGS)
        if log_comment is not None:
            self.settings["log_comment"] = json.dumps(log_comment, sort_keys=True)
        token = uuid4().hex[:12]
        self.hours = f"raw.{STAGE_PREFIX}hours_{token}"
        self.arrived = f"raw.{STAGE_PREFIX}arrived_{token}"
        self.keys = f"raw.{STAGE_PREFIX}keys_{token}"
        self.flagged = f"raw.{STAGE_PREFIX}flagged_{token}"
        self.flips = f"raw.{STAGE_PREFIX}flips_{token}"
        self.links = f"raw.{STAGE_PREFIX}links_{token}"
        self.loads = f"raw.{STAGE_PREFIX}loads_{token}"
        self.quarantine = f"raw.{STAGE_PREFIX}quarantine_{token}"
        self.own_hours = f"(select received_hour from {self.hours} where is_own)"
        self.batch = f"source = {self.source} and received_hour in {self.own_hours}"

    def __enter__(self) -> RawLoad:
        """Drop what killed loads left more than a day ago; younger tables may belong to a running load."""
        for (name,) in self._rows(f"""
            select name from system.tables
            where database = 'raw' and startsWith(name, '{STAGE_PREFIX}')
            and metadata_modification_time < now() - interval 1 day
        """):
            self._run(f"drop table if exists raw.{name} sync")
        return self

    def __exit__(self, *exception: object) -> None:
        """Drop the staging tables."""
        for table in (
            self.hours, self.arrived, self.keys, self.flagged, self.flips, self.links, self.loads, self.quarantine
        ):  # fmt: skip
            self.client.command(f"drop table if exists {table} sync")

    def run(self) -> None:
        """Load the batch; the methods are named in their order.

        Raises:
            RawLoadError: when the files hold other rows than the manifests say; nothing is replaced.
        """
        self._stage_hours()
        self._stage_files()
        self._check_files()
        disturbed = self._forget_vanished()
        self._look_up_keys()
        self._flag_batch()
        flipped = self._flag_preceded()
        self._append_links()
        self._append_touched()
        self._stage_operations()
        self._replace("ops.quarantine", self.quarantine, self.lake.hours)
        self._replace("ops.loads", self.loads, self.lake.hours)
        # A kill anywhere here may be followed by the same load, or by one without its manifests. Hours that rows
        # which vanish disturb are found by those rows, so they come before the batch takes the rows away; hours
        # that its own rows precede come after those, or nothing would say whose flags they bear.
        self._replace("raw.events", self.flagged, disturbed)
        self._replace("raw.events", self.flagged, self.lake.hours)
        self._replace("raw.events", self.flagged, [hour for hour in flipped if hour not in set(disturbed)])
        # Keys last: those of a row that is not there would be found by no later load, should its manifest go.
        self._append_keys()

    def counts(self) -> dict[datetime, tuple[int, int, int]]:
        """Return of each hour of the batch that holds or touches anything: rows, duplicates, touched dates."""
        return {
            datetime.fromtimestamp(row[0], UTC): (row[1], row[2], row[3])
            for row in self._rows(f"""
                select toUnixTimestamp(received_hour), sum(rows), sum(duplicates), sum(touched) from (
                    select received_hour, count() as rows, countIf(is_duplicate) as duplicates, 0 as touched
                    from raw.events where {self.batch} group by received_hour
                    union all
                    select received_hour, 0, 0, uniqExact(occurred_date)
                    from raw.touched_dates where {self.batch} group by received_hour
                ) group by received_hour
            """)
        }

    def _run(self, statement: str) -> None:
        self.client.command(statement, settings=self.settings)

    def _insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        database, _, name = table.partition(".")
        self.client.insert(name, rows, columns, database=database, settings=self.settings)

    def _rows(self, query: str) -> list[Sequence[Any]]:
        return list(self.client.query(query, settings=self.settings).result_rows)

    def _hours(self, query: str) -> list[datetime]:
        """Return the hours that a query yields as Unix timestamps."""
        return [datetime.fromtimestamp(row[0], UTC) for row in self._rows(query)]

    def _stage_hours(self) -> None:
        """Write down which hours the batch is of: statements name the table, however many there are."""
        self._run(f"""
            create table {self.hours} (received_hour DateTime('UTC'), is_own Bool)
            engine = MergeTree order by received_hour
        """)
        self._insert(self.hours, ["received_hour", "is_own"], [[hour, True] for hour in self.lake.hours])

    def _stage_files(self) -> None:
        columns = ", ".join(_RAW)
        self._run(f"create table {self.arrived} as raw.events")
        for hour in self.lake.hours:
            for table in self.lake.tables(hour, "raw", _RAW):
                self._run(f"""
                    insert into {self.arrived} ({columns}, received_hour, is_duplicate)
                    select {columns}, {sql.moments([hour])}, false from {table}
                """)

    def _check_files(self) -> None:
        found = {
            datetime.fromtimestamp(row[0], UTC): (row[1], row[2])
            for row in self._rows(f"""
                select toUnixTimestamp(received_hour), count(),
                    countIf(toStartOfHour(received_at) != received_hour or source != {self.source})
                from {self.arrived} group by received_hour
            """)
        }
        for hour, manifests in self.lake.manifests.items():
            expected = sum(file.rows for file in files_of(manifests, hour, "raw"))
            rows, misplaced = found.get(hour, (0, 0))
            where = f"raw files of {self.lake.source.name} received {sql.second(hour)}"
            if rows != expected:
                raise RawLoadError(
                    f"{where} hold {rows} rows, not the {expected} that their manifests say: "
                    "run `millrace verify`, then load the inputs again"
                )
            if misplaced:
                raise RawLoadError(f"{where}: {misplaced} of {rows} rows belong to another hour or source")

    def _forget_vanished(self) -> list[datetime]:
        """Take deliveries that no manifest names any more out of the index.

        What they hid in other hours counts again: those hours join the batch. Returns them.
        """
        vanished = f"""
            select event_id, idempotency_key, load_id, row_number from raw.events
            where {self.batch}
            and (load_id, row_number) not in (select load_id, row_number from {self.arrived})
        """
        if not self._rows(f"{vanished} limit 1"):
            return []
        own = f"(load_id, row_number) in (select load_id, row_number from ({vanished}))"
        sharing = f"""
            source = {self.source} and (kind, key_hash) in (
                select kind, key_hash from (select {_IDENTITIES} from ({vanished}) {_EACH_IDENTITY})
            )
        """
        self._run(f"""
            insert into {self.hours}
            select distinct toStartOfHour(received_at), false from raw.event_keys
            where {sharing} and not {own} and toStartOfHour(received_at) not in {self.own_hours}
        """)
        self._run(f"alter table raw.event_keys delete where {sharing} and {own}")
        others = f"from {self.hours} where not is_own"
        self._run(f"""
            insert into {self.arrived} select * from raw.events
            where source = {self.source} and received_hour in (select received_hour {others})
        """)
        return self._hours(f"select toUnixTimestamp(received_hour) {others}")

    def _look_up_keys(self) -> None:
        """Gather every delivery, of this batch or indexed, that shares an identity with the batch."""
        self._run(f"""
            create table {self.keys} (
                kind {IDENTITY}, key_hash UInt128, received_at DateTime64(3, 'UTC'),
                load_id LowCardinality(String), row_number UInt64, is_own Bool, is_indexed Bool
            ) engine = MergeTree order by (kind, key_hash)
        """)
        self._run(f"""
            insert into {self.keys}
            select {_IDENTITIES}, received_at, load_id, row_number, true, false
            from {self.arrived} {_EACH_IDENTITY}
        """)
        self._run(f"""
            insert into {self.keys}
            select kind, key_hash, received_at, load_id, row_number,
                (load_id, row_number) in (select load_id, row_number from {self.arrived}), true
            from raw.event_keys
            where source = {self.source} and (kind, key_hash) in (select kind, key_hash from {self.keys})
        """)

    def _append_keys(self) -> None:
        self._run(f"""
            insert into raw.event_keys (source, kind, key_hash, received_at, load_id, row_number)
            select {self.source}, kind, key_hash, received_at, load_id, row_number from {self.keys}
            where not is_indexed and (kind, key_hash, load_id, row_number) not in (
                select kind, key_hash, load_id, row_number from {self.keys} where is_own and is_indexed
            )
        """)

    @property
    def _later(self) -> str:
        """Deliveries that are not the first of some identity, and whether the first is one of this batch."""
        return f"""
            select load_id, row_number, is_own, received_at, first_is_own from {self.keys}
            inner join (
                select kind, key_hash, min((received_at, load_id, row_number)) as first,
                    argMin(is_own, (received_at, load_id, row_number)) as first_is_own
                from {self.keys} group by kind, key_hash
            ) as firsts using (kind, key_hash)
            where (received_at, load_id, row_number) != first
        """

    def _flag_batch(self) -> None:
        self._run(f"create table {self.flagged} as raw.events")
        self._run(f"""
            insert into {self.flagged}
            select * replace (
                (load_id, row_number) in (select load_id, row_number from ({self._later}) where is_own)
                as is_duplicate
            ) from {self.arrived}
        """)

    def _flag_preceded(self) -> list[datetime]:
        """Copy other hours with unflagged deliveries that this batch precedes, flagged. Returns the hours."""
        self._run(f"""
            create table {self.flips} (received_hour DateTime('UTC'), load_id String, row_number UInt64)
            engine = MergeTree order by (received_hour, load_id, row_number)
        """)
        preceded = f"from ({self._later}) where not is_own and first_is_own"
        self._run(f"""
            insert into {self.flips} select received_hour, load_id, row_number from raw.events
            where source = {self.source} and received_hour in (select toStartOfHour(received_at) {preceded})
            and not is_duplicate and (load_id, row_number) in (select load_id, row_number {preceded})
        """)
        flipped = self._hours(f"select distinct toUnixTimestamp(received_hour) from {self.flips}")
        if flipped:
            self._run(f"""
                insert into {self.flagged}
                select * replace (
                    is_duplicate or (load_id, row_number) in (select load_id, row_number from {self.flips})
                    as is_duplicate
                ) from raw.events
                where source = {self.source} and received_hour in (select received_hour from {self.flips})
            """)
        return flipped

    @property
    def _affected(self) -> str:
        """Rows that this batch adds, takes away or flags; those of other hours stand under EVERY_HOUR."""
        columns = ", ".join(("tenant_id", "occurred_at", "user_key", *sorted(CORRELATION_COLUMNS), "payload"))
        return f"""
            select received_hour, {columns} from {self.flagged} where received_hour in {self.own_hours}
            union all
            select received_hour, {columns} from raw.events
            where {self.batch}
            and (load_id, row_number) not in (select load_id, row_number from {self.flagged})
            union all
            select {EVERY_HOUR} as received_hour, {columns} from {self.flagged} as other
            where other.received_hour not in {self.own_hours} and (
                (load_id, row_number) in (select load_id, row_number from {self.flips})
                or (load_id, row_number) in (select load_id, row_number from {self.arrived})
            )
        """

    def _append_links(self) -> None:
        """Index the dates of correlation keys, and which dates they tie together."""
        pairs = ", ".join(
            f"CAST(({sql.text(via)}, {key}), 'Tuple(String, Nullable(String))')"
            for via, correlation in self.lake.source.correlations.items()
            for key in _keys(correlation)
        )
        self._run(f"""
            create table {self.links} (
                received_hour DateTime('UTC'), via LowCardinality(String), key_hash UInt128, occurred_date Date,
                is_indexed Bool
            ) engine = MergeTree order by (via, key_hash)
        """)
        self._run(f"""
            insert into {self.links}
            select distinct received_hour, correlation.1,
                reinterpretAsUInt128(sipHash128(tenant_id, assumeNotNull(correlation.2))),
                toDate(occurred_at), false
            from ({self._affected})
            array join CAST([{pairs}], 'Array(Tuple(String, Nullable(String)))') as correlation
            where correlation.2 != ''
        """)
        self._run(f"""
            insert into {self.links}
            select toDateTime(0, 'UTC'), via, key_hash, occurred_date, true from raw.correlation_keys
            where source = {self.source} and (via, key_hash) in (select via, key_hash from {self.links})
        """)
        self._run(f"""
            insert into raw.correlation_keys
            select distinct {self.source}, via, key_hash, occurred_date from {self.links}
            where not is_indexed and (via, key_hash, occurred_date) not in (
                select via, key_hash, occurred_date from {self.links} where is_indexed
            )
        """)
        self._run(f"""
            insert into raw.linked_dates
            with pairs as (
                select distinct own.via as via, own.occurred_date as one, other.occurred_date as two
                from {self._ties}
            )
            select distinct {self.source}, via, dates.1, dates.2
            from pairs array join [(one, two), (two, one)] as dates
            where (via, dates.1, dates.2) not in (
                select via, occurred_date, linked_date from raw.linked_dates where source = {self.source}
            )
        """)

    @property
    def _ties(self) -> str:
        """Pairs of an own row and another date with the same correlation key."""
        return f"""
            {self.links} as own inner join {self.links} as other using (via, key_hash)
            where not own.is_indexed and own.occurred_date != other.occurred_date
        """

    def _append_touched(self) -> None:
        self._run(f"""
            insert into raw.touched_dates (source, received_hour, via, occurred_date)
            select distinct {self.source}, hour, via, occurred_date from (
                select distinct received_hour, {sql.text(OWN_DATE)} as via,
                    toDate(occurred_at) as occurred_date
                from ({self._affected})
                union all
                select distinct own.received_hour as received_hour, own.via as via,
                    other.occurred_date as occurred_date
                from {self._ties}
            )
            array join if(
                received_hour = {EVERY_HOUR},
                (select groupArray(received_hour) from {self.hours} where is_own),
                [received_hour]
            ) as hour
            where (hour, via, occurred_date) not in (
                select received_hour, via, occurred_date from raw.touched_dates where {self.batch}
            )
        """)

    def _stage_operations(self) -> None:
        columns = ", ".join(_QUARANTINE)
        self._run(f"create table {self.quarantine} as ops.quarantine")
        self._run(f"create table {self.loads} as ops.loads")
        for hour in self.lake.hours:
            for table in self.lake.tables(hour, "quarantine", _QUARANTINE):
                self._run(f"""
                    insert into {self.quarantine} ({columns}, received_hour)
                    select * replace (arrayMap(v -> (v.1, ifNull(v.2, '')), violations) as violations),
                        {sql.moments([hour])}
                    from (select {columns} from {table})
                """)
        rows = [
            _load_row(manifest, hour) for hour, found in self.lake.manifests.items() for manifest in found
        ]
        if rows:
            self._insert(self.loads, list(rows[0]), [list(row.values()) for row in rows])

    def _replace(self, table: str, stage: str, hours: Sequence[datetime]) -> None:
        """Replace the partitions that either side holds, in the order of the hours."""
        held = set(
            self._hours(f"""
                select distinct toUnixTimestamp(received_hour) from (
                    select received_hour from {table} where {self.batch} group by received_hour
                    union all
                    select received_hour from {stage} group by received_hour
                )
            """)
        )
        commands = [
            f"replace partition ({self.source}, {sql.moments([hour])}) from {stage}"
            for hour in hours
            if hour in held
        ]
        alter_partitions(self.client, table, commands, self.settings)


def _keys(correlation: Correlation) -> list[str]:
    """Return the SQL of every key that an event has by a correlation."""
    keys = [_key(path) for path in correlation.paths]
    if correlation.around_midnight:
        nearest = "toString(toDate(occurred_at + interval 12 hour))"
        keys = [f"concat(coalesce({', '.join(keys)}), ' ', {nearest})"]
    if correlation.unless:
        keys = [f"if({correlation.unless} is null, {key}, null)" for key in keys]
    return keys


def _key(path: str) -> str:
    """Return the SQL of a correlation key: an envelope column, or a text inside the payload."""
    if not path.startswith(PAYLOAD_PREFIX):
        return path
    parts = path.removeprefix(PAYLOAD_PREFIX).split(".")
    return f"JSONExtract(payload, {', '.join(sql.text(part) for part in parts)}, 'Nullable(String)')"


def _load_row(manifest: Manifest, hour: datetime) -> dict[str, Any]:
    entry = manifest.hour(hour)
    if entry is None:
        raise RawLoadError(f"load {manifest.load_id} has nothing that was received {sql.second(hour)}")
    return {
        "source": manifest.source,
        "load_id": manifest.load_id,
        "received_hour": hour,
        "revision": manifest.revision,
        "input_uri": manifest.input.uri,
        "input_sha256": manifest.input.sha256,
        "input_bytes": manifest.input.bytes,
        "input_format": manifest.input.format,
        "received_at": manifest.received_at,
        "read": entry.counts.read,
        "accepted": entry.counts.accepted,
        "duplicate": entry.counts.duplicate,
        "quarantined": entry.counts.quarantined,
        "suppressed": entry.counts.suppressed,
        "skipped": entry.counts.skipped,
        "folded": entry.counts.folded,
        "expanded": entry.counts.expanded,
        "files": len(entry.files),
        "bytes": sum(file.bytes for file in entry.files),
        "contracts_fingerprint": manifest.contracts_fingerprint,
        "committed_at": manifest.committed_at,
    }
