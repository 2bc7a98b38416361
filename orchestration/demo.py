"""The main job, end to end, on the laptop stack: what a new user sees first."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from ingestion import simulator
from ingestion.contract import load_sources, source_names
from ingestion.loader import LoadResult, load
from lake import paths
from lake.manifest import Counts
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.console import (
    answer,
    answer_table,
    counts_line,
    fail,
    progress_bar,
    say,
    show_progress,
)
from orchestration.embedded import stack
from orchestration.embedded.credentials import with_credentials
from orchestration.prepare import prepare
from orchestration.settings import Settings
from orchestration.warehouse import dbt_server
from orchestration.warehouse.dbt import MANIFEST_PATH, PARSED_PATH

DAYS = 3
SEED = 7
LOADS_AT_ONCE = 2
LEAST_MEMORY_MB = 128
HEADLINE_ROWS = 30


def run_demo(settings: Settings, scale: float = 1.0) -> None:
    """Start the stack, simulate the last three days, land, load, materialise, check, and print the KPIs and URLs.

    Running it again finds the same events in the lake and comes to the same result: the days are those before the
    first time.

    Args:
        settings: where the stack is to run.
        scale: multiplies the number of simulated users.
    """
    from orchestration.run import materialize_window, report_loads  # noqa: PLC0415  Dagster takes seconds to import

    started = time.monotonic()
    settings = with_credentials(settings)
    with _step("start ClickHouse and S3"):
        stack.up(settings, components=stack.STORAGE, progress=lambda name, state: say(f"  {name}: {state}"))
    store = object_store(settings)
    totals: dict[str, Counts] = {}
    hours: list[datetime] = []
    first_day = datetime.now(UTC).date() - timedelta(days=DAYS)
    for name in simulated_sources():
        events = settings.state_dir / "demo" / f"{name}-scale-{scale:g}"
        with _step(
            f"simulate the last {DAYS} days of {name}: late, duplicate, out-of-order and broken events among them"
        ):
            _simulate(name, events, first_day, scale)
        with _step(f"drop them into {store.url(paths.source_prefix('landing', name))}"):
            keys = _land(store, name, events)
        with _step(f"load {len(keys)} files into the lake"), progress_bar("load") as (bar, task):
            results = list(bar.track(_loaded(settings, store, name, keys), len(keys), task_id=task))
            new = sum(not result.already_loaded for result in results)
            say(f"  {new} loaded now, {len(results) - new} were loaded before")
        report_loads(settings, name, results)
        totals[name] = sum((result.manifest.counts for result in results), Counts())
        hours += [hour.received_hour for result in results for hour in result.manifest.hours]
    with _step("prepare tables and dbt models"):
        dbt_server.warm_up(PARSED_PATH)
        prepare(settings)
    with _step("materialise raw, staging, facts and KPIs through Dagster; run the gates and the proof"):
        report = materialize_window(settings, *_until_now(hours), progress=show_progress)
    if not report.success:
        fail("; ".join(report.failures) or "the run failed: see the Dagster UI", 1)
    with _step("start the Dagster UI and daemon"):
        status = stack.up(settings, progress=lambda name, state: say(f"  {name}: {state}"))
        stack.reload(settings, progress=lambda name, state: say(f"  {name}: {state}"))
    _answer_headlines(settings)
    checks = sum(job.checks_passed for job in report.jobs)
    answer(f"\n{checks} checks passed, among them the recomputation of every KPI by DuckDB.")
    for name, counts in totals.items():
        answer(counts_line(name, counts))
    answer(f"\nDone in {time.monotonic() - started:.0f} s. Running now (stop with `make down`):")
    for component in status.components:
        if component.url:
            answer(f"  {component.name:<18} {component.url}")
    answer(f"  {'data docs':<18} {(settings.state_dir / 'data_docs' / 'index.html').as_uri()}")
    answer("  Passwords and keys: .venv/bin/millrace connect prints ready lines for every client")
    answer('\nTry: .venv/bin/millrace sql "select * from pocm.funnel_step order by all limit 10"')
    answer("     .venv/bin/millrace quarantine list        .venv/bin/millrace verify")


def simulated_sources() -> list[str]:
    """Return the sources with contracts whose events can be simulated."""
    return [name for name in source_names() if name in simulator.MODELS]


@contextmanager
def _step(title: str) -> Iterator[None]:
    started = time.monotonic()
    say(f"▸ {title}")
    yield
    say(f"  {time.monotonic() - started:.1f} s")


def _simulate(source: str, out: Path, first_day: date, scale: float) -> None:
    """Write the events once; a folder without its truth was interrupted and is written again."""
    if (out / "truth.json").exists():
        say("  already there")
        return
    shutil.rmtree(out, ignore_errors=True)
    delivery = simulator.Delivery(batch_minutes=180)
    simulator.simulate(source, DAYS, SEED, out, start=first_day, scale=scale, delivery=delivery)


def _land(store: ObjectStore, source: str, events: Path) -> list[str]:
    """Upload the files as producers would, each with the time at which it arrives."""
    keys = []
    for entry in json.loads((events / "landing.json").read_text()):
        key = paths.source_prefix("landing", source) + entry["file"]
        keys.append(key)
        if not store.exists(key):
            received = datetime.fromisoformat(entry["received_at"])
            # rclone forgets user metadata when it stops; the file's own time it keeps.
            metadata = {"received-at": entry["received_at"], "mtime": f"{received.timestamp():.3f}"}
            store.put_file(key, events / entry["file"], metadata=metadata)
    return keys


def _loaded(settings: Settings, store: ObjectStore, name: str, keys: list[str]) -> Iterator[LoadResult]:
    """Load objects, some at a time, and yield what became of each in their order."""
    source = load_sources()[name]
    memory = max(settings.max_load_memory_mb // LOADS_AT_ONCE, LEAST_MEMORY_MB)

    def loaded(key: str) -> LoadResult:
        return load(store, source, store.url(key), key=settings.secret_key, memory_limit_mb=memory)

    with ThreadPoolExecutor(LOADS_AT_ONCE) as pool:
        yield from pool.map(loaded, keys)


def _until_now(hours: list[datetime]) -> tuple[datetime, datetime]:
    """From the day of the first event to the last whole hour: no partition stays empty in the UI."""
    from orchestration.partitions import DAILY, HOURLY  # noqa: PLC0415

    return DAILY.floor(min(hours)), HOURLY.floor(datetime.now(UTC))


def _answer_headlines(settings: Settings) -> None:
    """Print the marts whose models name the columns that a first look wants, as `meta.headline`."""
    from orchestration.assets.marts import meta_of, read_manifest  # noqa: PLC0415  dagster-dbt takes a second

    nodes = read_manifest(MANIFEST_PATH)["nodes"].values()
    marts = [node for node in nodes if node["resource_type"] == "model" and "headline" in meta_of(node)]
    client = warehouse(settings)
    try:
        for mart in sorted(marts, key=lambda node: (node["schema"], node["alias"])):
            table, columns = f"{mart['schema']}.{mart['alias']}", meta_of(mart)["headline"]
            shown = ", ".join(_shown(name, mart["columns"][name]["data_type"]) for name in columns)
            result = client.query(f"select {shown} from {table} order by all limit {HEADLINE_ROWS}")
            if result.result_rows:
                answer("")
                answer_table(result.column_names, result.result_rows, title=table)
    finally:
        client.close()


def _shown(column: str, data_type: str) -> str:
    return f"round({column}, 4) as {column}" if "Float" in data_type else column
