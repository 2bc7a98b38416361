"""What one hourly run costs on one history and on ten times as much."""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from ingestion.contract import load_source
from ingestion.loader import load
from ingestion.simulator import LANDING_FILE, Delivery, simulate
from lake.manifest import Manifest, all_manifests, manifests_for_hour
from lake.paths import hour_of
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.testing import running_stack
from orchestration.settings import Settings
from orchestration.warehouse.dbt import prepare_manifest, run_dbt
from orchestration.warehouse.raw import load_hour, load_hours
from orchestration.warehouse.schema import apply

FIRST_MEASURED = date(2026, 4, 30)
KEY = b"k" * 32
MODELS = "fqn:*.*.pocm.*"


@dataclass(frozen=True)
class Size:
    """How much: days of history on the short side, their scale, and how many hours to measure."""

    days: int
    scale: float
    hours: int
    factor: int = 10


@dataclass(frozen=True)
class Platform:
    """A warehouse with some history."""

    settings: Settings
    store: ObjectStore
    client: Client

    def take(self, landing: Path, files: list[Mapping[str, Any]]) -> None:
        """Load landed files into the lake."""
        source = load_source("pocm")
        for file in files:
            received = datetime.fromisoformat(file["received_at"])
            load(self.store, source, str(landing / file["file"]), key=KEY, received_at=received)

    def build_history(self) -> None:
        """Take the whole lake into the warehouse and build every model."""
        hours: dict[datetime, list[Manifest]] = defaultdict(list)
        for manifest in all_manifests(self.store, "pocm"):
            for hour in manifest.hours:
                hours[hour.received_hour].append(manifest)
        load_hours(self.client, self.store, "pocm", hours)
        run_dbt(self.settings, ["run", "--select", MODELS])

    def run_hour(self, hour: datetime) -> dict[str, float]:
        """Materialise one received hour as the hourly job does; return seconds."""
        started = time.perf_counter()
        load_hour(self.client, self.store, "pocm", hour, manifests_for_hour(self.store, "pocm", hour))
        raw = time.perf_counter() - started
        window = {
            "window_from": f"{hour:%Y-%m-%d %H:%M:%S}",
            "window_to": f"{hour + timedelta(hours=1):%Y-%m-%d %H:%M:%S}",
        }
        nodes = run_dbt(self.settings, ["build", "--select", f"{MODELS},tag:hourly"], window).results
        total = time.perf_counter() - started
        return {"total": total, "raw": raw, "models": sum(node["execution_time"] for node in nodes)}


def hourly_cost(folder: Path, size: Size) -> dict[str, Any]:
    """Measure the same received hours on both histories, in turns."""
    landing, files = _measured_day(folder / "measured", size)
    with ExitStack() as stack:
        platforms = {
            name: stack.enter_context(_with_history(folder / name, days, size.scale))
            for name, days in (("1x", size.days), (f"{size.factor}x", size.days * size.factor))
        }
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in platforms}
        # The first hour warms both up and is not counted.
        for number, hour in enumerate(sorted(files)[: size.hours + 1]):
            order = list(platforms)[:: 1 if number % 2 else -1]
            for name in order:
                platforms[name].take(landing, files[hour])
                measured = platforms[name].run_hour(hour)
                if number:
                    runs[name].append(measured)
        events = {
            name: int(platform.client.query("select count() from raw.events").result_rows[0][0])
            for name, platform in platforms.items()
        }
    return _result(runs, events, size)


def _result(
    runs: Mapping[str, list[dict[str, float]]], events: Mapping[str, int], size: Size
) -> dict[str, Any]:
    medians = {
        name: {part: statistics.median(run[part] for run in found) for part in ("total", "raw", "models")}
        for name, found in runs.items()
    }
    short, long = medians["1x"], medians[f"{size.factor}x"]
    return {
        "history_events": dict(events),
        "seconds": {
            name: {part: round(value, 3) for part, value in m.items()} for name, m in medians.items()
        },
        "ratio": {part: round(long[part] / short[part], 3) for part in short},
        "runs": {name: [round(run["total"], 3) for run in found] for name, found in runs.items()},
    }


@contextmanager
def _with_history(folder: Path, days: int, scale: float) -> Iterator[Platform]:
    """Run a stack whose lake and warehouse hold so many days before the measured one."""
    landing = folder / "landing"
    # One file a day: the history is there to be in the way, not to be measured.
    whole_days = Delivery(batch_minutes=1440, compressed=False, documents=False)
    start = FIRST_MEASURED - timedelta(days=days)
    simulate("pocm", days, 7, landing, start=start, scale=scale, delivery=whole_days, with_truth=False)
    with running_stack(folder / "stack") as settings:
        store, client = object_store(settings), warehouse(settings)
        store.ensure_bucket()
        apply(client)
        prepare_manifest(settings)
        platform = Platform(settings, store, client)
        platform.take(landing, _landed(landing))
        platform.build_history()
        yield platform
        client.close()


def _measured_day(folder: Path, size: Size) -> tuple[Path, dict[datetime, list[Mapping[str, Any]]]]:
    """Simulate one more day, hour by hour, with the late events of the two days before it."""
    start = FIRST_MEASURED - timedelta(days=2)
    simulate("pocm", 3, 8, folder, start=start, scale=size.scale, with_truth=False)
    first = datetime.combine(FIRST_MEASURED, datetime.min.time(), UTC) + timedelta(hours=9)
    hours: dict[datetime, list[Mapping[str, Any]]] = defaultdict(list)
    for file in _landed(folder):
        hour = hour_of(datetime.fromisoformat(file["received_at"]))
        if hour >= first:
            hours[hour].append(file)
    return folder, hours


def _landed(folder: Path) -> list[Mapping[str, Any]]:
    files: list[Mapping[str, Any]] = json.loads((folder / LANDING_FILE).read_text())
    return files
