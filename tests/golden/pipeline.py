"""The platform's way from landing files to marts, and the marts in the shape of the simulator's truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from ingestion.contract import load_source
from ingestion.loader import LoadResult, load
from lake.manifest import manifests_for_hour
from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours
from orchestration.warehouse.raw_load import STAGE_PREFIX

KEY = b"a key for tests of thirty-two bytes or more"
BUILT_AT = ("committed_at", "loaded_at")
"""Columns that say when something was done, which a repetition may change."""

Row = dict[str, Any]


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
class Pipeline:
    """An empty lake and an empty warehouse, and the steps between them."""

    settings: Settings
    store: ObjectStore
    client: Client
    source: str = "pocm"

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
        run_dbt(self.settings, ["run", "--select", f"fqn:*.*.{self.source}.*"], window(hours))

    def run(self, landing: Landing, files: Iterable[Row]) -> list[datetime]:
        """All of it; returns the received hours of the files."""
        hours = hours_of(self.load(landing, files))
        self.take_in(hours)
        self.build(hours)
        return hours

    def mart(self, name: str, like: Sequence[Row], where: str = "true") -> list[Row]:
        """A mart with the columns of the truth, written as the truth writes them."""
        columns = list(like[0])
        query = f"select {', '.join(columns)} from {self.source}.{name} where {where}"
        rows = self.client.query(query).result_rows
        return in_order({c: plain(v) for c, v in zip(columns, row, strict=True)} for row in rows)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of raw, of ops and of what dbt built; states as the number they merge to.

        What a killed load staged is left out: later loads drop it.
        """
        tables = self.client.query(
            "select database, table, groupArray((name, type)) from (select database, table, name, type "
            f"from system.columns where database in ('raw', 'ops', 'intermediate', '{self.source}') "
            f"and not startsWith(table, '{STAGE_PREFIX}') order by position) "
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


def hours_of(results: Iterable[LoadResult]) -> list[datetime]:
    return sorted({hour.received_hour for result in results for hour in result.manifest.hours})


def window(hours: Sequence[datetime]) -> dict[str, str]:
    return {
        "window_from": f"{min(hours):%Y-%m-%d %H:%M:%S}",
        "window_to": f"{max(hours) + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
    }


def plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:.4f}"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return value.isoformat() if isinstance(value, date) else value


def in_order(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [str(value) for value in row.values()])
