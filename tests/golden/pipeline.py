"""Simulated days, the platform's way from their files to the marts, and the marts in the shape of their truth."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from ingestion.contract import load_source
from ingestion.loader import LoadResult, load
from ingestion.pseudonym import Secret
from ingestion.simulator import Delivery, simulate
from lake.manifest import all_manifests, manifests_for_hour
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import build_models, empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.raw import load_hours
from orchestration.warehouse.raw_load import STAGE_PREFIX

KEY = b"a key for tests of thirty-two bytes or more"
BUILT_AT = ("committed_at", "loaded_at")
"""Columns that say when something was done, which a repetition may change."""

TOUCHED = "raw.touched_dates"
"""Says which runs touched which dates: the only table that may know about the order of loads."""

Row = dict[str, Any]
Snapshot = dict[str, list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Days:
    """Which simulated days of a source."""

    source: str
    days: int
    scale: float
    seed: int
    start: date
    decimals: int = 4
    """Of the numbers in the truth."""
    true_where: dict[str, str] = field(default_factory=dict)
    """Mart to the rows of it that the simulator knows, where it does not know all."""

    def simulate(self, out: Path) -> Landing:
        """Write them as files of six hours each."""
        delivery = Delivery(batch_minutes=360)
        simulate(
            self.source, self.days, self.seed, out, start=self.start, scale=self.scale, delivery=delivery
        )
        return Landing.read(out)


@dataclass(frozen=True)
class Landing:
    """What the simulator wrote: files with the time at which they land, and the truth."""

    folder: Path
    files: tuple[Row, ...]
    truth: dict[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Landing:
        files = json.loads((folder / "landing.json").read_text())
        return cls(folder, tuple(files), json.loads((folder / "truth.json").read_text()))


@dataclass(frozen=True)
class Outcome:
    """What a way of loading led to."""

    results: list[LoadResult]
    files: dict[str, str]
    """Key to sha256 of every file in the lake."""
    snapshot: Snapshot


@dataclass(frozen=True)
class Pipeline:
    """A lake and a warehouse, and the steps between them."""

    settings: Settings
    store: ObjectStore
    client: Client
    source: str

    @classmethod
    def fresh(cls, settings: Settings, source: str) -> Pipeline:
        """With an empty warehouse and a bucket of its own."""
        store = object_store(settings).for_bucket(f"golden-{uuid.uuid4().hex[:12]}")
        store.ensure_bucket()
        client = warehouse(settings)
        empty_warehouse(client)
        return cls(settings, store, client, source)

    def load(self, landing: Landing, files: Iterable[Row]) -> list[LoadResult]:
        """Files into the lake."""
        source = load_source(self.source)
        return [
            load(
                self.store,
                source,
                str(landing.folder / file["file"]),
                key=KEY,
                received_at=datetime.fromisoformat(file["received_at"]),
            )
            for file in files
        ]

    def take_in(self, hours: Sequence[datetime]) -> None:
        """Received hours from the lake into the warehouse."""
        manifests = {hour: manifests_for_hour(self.store, self.source, hour) for hour in hours}
        load_hours(self.client, self.store, self.source, manifests)

    def build(self, hours: Sequence[datetime]) -> None:
        """The marts of what the hours touch."""
        build_models(self.client, self.settings, self.source, window(hours))

    def run(self, landing: Landing, files: Iterable[Row]) -> list[LoadResult]:
        """All of it."""
        results = self.load(landing, files)
        self.take_in(hours_of(results))
        self.build(hours_of(results))
        return results

    def outcome(self, results: list[LoadResult]) -> Outcome:
        return Outcome(results, self.files(), self.snapshot())

    def files(self) -> dict[str, str]:
        """Key to sha256 of every file that a manifest names."""
        manifests = all_manifests(self.store, self.source)
        return {file.key: file.sha256 for manifest in manifests for file in manifest.files}

    def mart(self, name: str, like: Sequence[Row], days: Days) -> list[Row]:
        """A mart with the columns of the truth, written as the truth writes them."""
        columns = list(like[0])
        query = (
            f"select {', '.join(columns)} from {self.source}.{name} where {days.true_where.get(name, 'true')}"
        )
        rows = self.client.query(query).result_rows
        return in_order(
            {c: plain(v, days.decimals) for c, v in zip(columns, row, strict=True)} for row in rows
        )

    def snapshot(self) -> Snapshot:
        """Every row of raw, of ops and of what dbt built; states as the number they merge to.

        What a killed load staged is left out: later loads drop it. So is what was last built when, how a mart by key
        stores its rows and what it remembers: the mart shows the rows that count.
        """
        tables = self.client.query(
            "select database, table, groupArray((name, type)) from (select database, table, name, type "
            f"from system.columns where database in ('raw', 'ops', 'intermediate', '{self.source}') "
            f"and table not in ('project_builds', 'last_builds') and not startsWith(table, '{STAGE_PREFIX}') "
            "and not match(table, '__(rows|keys_by_date)$') "
            "order by position) "
            "group by database, table"
        ).result_rows
        found = {}
        for database, table, columns in tables:
            wanted = [
                f"finalizeAggregation({name})" if type_.startswith("AggregateFunction") else name
                for name, type_ in columns
                if name not in BUILT_AT
            ]
            rows = self.client.query(f"select {', '.join(wanted)} from {database}.{table}").result_rows
            found[f"{database}.{table}"] = sorted(map(tuple, rows), key=repr)
        return found


def with_user_key(row: Row, source: str) -> Row:
    """Return a row of the truth with the pseudonym in the place of the user id."""
    if "user_id" not in row:
        return row
    user = row["user_id"]
    key = None if user is None else Secret(KEY).pseudonym(f"{source}:{user}")
    return {"user_key" if name == "user_id" else name: row[name] for name in row} | {"user_key": key}


def hours_of(results: Iterable[LoadResult]) -> list[datetime]:
    return sorted({hour.received_hour for result in results for hour in result.manifest.hours})


def window(hours: Sequence[datetime]) -> dict[str, str]:
    return {
        "window_from": f"{min(hours):%Y-%m-%d %H:%M:%S}",
        "window_to": f"{max(hours) + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }


def plain(value: Any, decimals: int) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.{decimals}f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return value.isoformat() if isinstance(value, date) else value


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])


def assert_same_tables(found: Snapshot, expected: Snapshot, without: tuple[str, ...] = ()) -> None:
    assert found.keys() == expected.keys()
    for table in sorted(found.keys() - set(without)):
        assert found[table] == expected[table], table
