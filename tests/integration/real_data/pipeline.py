"""A platform of its own for one data set: load a file, take it into the warehouse, build every mart."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from ingestion.contract import load_source
from ingestion.loader import load
from lake.manifest import Manifest, all_manifests
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import running_stack
from orchestration.settings import Settings
from orchestration.warehouse.dbt import prepare_manifest, run_dbt
from orchestration.warehouse.raw import load_hours
from orchestration.warehouse.schema import apply

KEY = b"a key for tests of thirty-two bytes or more"


@dataclass(frozen=True)
class Platform:
    """A running stack with an empty lake and warehouse, and the way from a file to the marts."""

    settings: Settings
    store: ObjectStore
    client: Client
    source: str

    @property
    def manifests(self) -> list[Manifest]:
        return list(all_manifests(self.store, self.source))

    def load(self, file: Path, mapping: Path | None = None, received_at: datetime | None = None) -> Manifest:
        return load(
            self.store,
            load_source(self.source),
            str(file),
            key=KEY,
            mapping=mapping,
            received_at=received_at,
        ).manifest

    def materialise(self) -> None:
        hours: dict[Any, list[Manifest]] = {}
        for manifest in self.manifests:
            for hour in manifest.hours:
                hours.setdefault(hour.received_hour, []).append(manifest)
        load_hours(self.client, self.store, self.source, hours)
        prepare_manifest(self.settings)
        folders = [f"path:models/{layer}/{self.source}" for layer in ("staging", "intermediate", "marts")]
        run_dbt(self.settings, ["run", "--select", *folders])

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.client.query(query).result_rows]


@contextmanager
def running_platform(folder: Path, source: str = "pocm") -> Iterator[Platform]:
    """Run a stack of its own for the length of the block."""
    with running_stack(folder / "stack") as settings:
        store, client = object_store(settings), warehouse(settings)
        store.ensure_bucket()
        apply(client)
        yield Platform(settings, store, client, source)
        client.close()
