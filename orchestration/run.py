"""Materialise a window from the command line: the jobs of every source, from the hourly to the monthly.

The jobs run in this process against the instance of the Dagster UI, so that a run costs no process start and
shows there with its events like any other.
"""

from __future__ import annotations

import os
import socket
import time
import uuid
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from ingestion.contract import source_names
from lake.errors import WrongUseError
from lake.manifest import hours_between, manifests_for_hour
from orchestration.alerts import failed_checks_of, step_error
from orchestration.assets.landing import load_metadata, unload_metadata
from orchestration.assets.marts import models_of, read_manifest
from orchestration.assets.names import landing_key
from orchestration.assets.raw import hours_to_load
from orchestration.definitions import build_definitions
from orchestration.embedded.processes import start_time
from orchestration.embedded.stack import LOCATION
from orchestration.event_log import BATCH_SIZE, BATCH_VARIABLE
from orchestration.freshness import CHECK_NAME as FRESHNESS
from orchestration.jobs import RETENTION, job_name
from orchestration.partitions import (
    CADENCES,
    GAP,
    HOURLY,
    Cadence,
    KeyRange,
    Window,
    check_available,
    contiguous,
    with_partition,
)
from orchestration.pending import pending_hours
from orchestration.resources import Platform
from orchestration.schedules import retention_config
from orchestration.settings import Settings
from orchestration.side_by_side import side_by_side
from orchestration.warehouse.dbt import MANIFEST_PATH
from orchestration.warehouse.raw import loaded_hours

if TYPE_CHECKING:
    from ingestion.loader import LoadResult
    from lake.manifest import Manifest

PROCESS_TAG = "millrace/process"
IMPORTED_LATE = (
    "expectations.gx_engine",
    "expectations.proof",
    "expectations.records",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
)
"""What steps import when they need it, as commands and the code server do without."""
RUN_LOG = "run.log"
"""Where a run from the command line leaves what dbt prints."""


class SelectionError(WrongUseError):
    """An asset selection that cannot be read or selects nothing; the message says what there is."""


@dataclass(frozen=True)
class Progress:
    """One thing that just happened in a run."""

    job: str
    kind: str
    """`started`, `materialised`, `check_passed`, `check_warned` (of severity WARN), `check_failed`, `step_failed`,
    `waiting`, `nothing_to_do`, `buried` or `finished`."""
    subject: str
    message: str = ""


@dataclass(frozen=True)
class FailedCheck:
    """An asset check that did not pass."""

    asset: str
    check: str
    message: str


@dataclass(frozen=True)
class JobReport:
    """How one job went; seconds are wall-clock."""

    job: str
    run_id: str
    success: bool
    seconds: float
    materialised: tuple[str, ...]
    failed_steps: dict[str, str] = field(default_factory=dict)
    failed_checks: tuple[FailedCheck, ...] = ()
    checks_passed: int = 0


@dataclass(frozen=True)
class RunReport:
    """How the jobs of some windows went."""

    jobs: tuple[JobReport, ...]
    notes: tuple[str, ...] = ()
    """What was left for later, and why."""

    @property
    def success(self) -> bool:
        """Whether every job succeeded; when nothing ran and nothing waits, it did not."""
        return bool(self.jobs or self.notes) and all(job.success for job in self.jobs)

    @property
    def failures(self) -> list[str]:
        """One sentence per failed check or step."""
        sentences = []
        for job in self.jobs:
            sentences += [f"{check.asset}: {check.check}: {check.message}" for check in job.failed_checks]
            sentences += [f"{job.job}: {step}: {message}" for step, message in job.failed_steps.items()]
        return sentences


ProgressCallback = Callable[[Progress], None]


def materialize_window(
    settings: Settings,
    window_from: datetime,
    window_to: datetime,
    select: str | None = None,
    progress: ProgressCallback | None = None,
) -> RunReport:
    """Rebuild everything for the received hours from `window_from` to `window_to` (exclusive).

    Only of the sources that received anything then, or of which the warehouse says so. The hourly assets are rebuilt as
    one run over the hours, then those of every coarser cadence as one run over the days, the weeks and the months that
    the window touches. When a job of a source fails, its coarser ones do not start; a period of which the warehouse
    lacks hours that are in the lake waits, and the report says so.

    Args:
        settings: where the stack is.
        window_from: first received hour, aware, on the hour.
        window_to: end of the last one.
        select: an asset selection in Dagster's syntax, such as `group:kpi_pocm` or `+pocm/kpi_daily`; None means
            all.
        progress: called for every asset materialised, check evaluated and step failed.

    Raises:
        orchestration.partitions.WindowError: when the window is empty, off the hour or outside the
        partitions.
        SelectionError: when the selection is wrong or selects no partitioned asset.
    """
    window = Window(window_from.astimezone(UTC), window_to.astimezone(UTC))
    first = settings.partitions_from
    if settings.first_day is None:
        window = window.from_day(first)
    check_available(window, datetime.now(UTC), first)
    platform = Platform(settings)
    with platform.warehouse("which sources received anything") as client:
        receiving = [name for name in source_names() if hours_to_load(client, platform, name, window)]
    if not receiving:
        text = f"no source received anything from {window.start.isoformat()} to {window.end.isoformat()}"
        return _nothing_to_do(text, progress)
    return materialize_windows(settings, {name: [window] for name in receiving}, select, progress)


def materialize_pending(
    settings: Settings, select: str | None = None, progress: ProgressCallback | None = None
) -> RunReport:
    """Build, of every source, what of the lake its marts do not hold yet.

    Args and errors are those of `materialize_window`.
    """
    platform = Platform(settings)
    manifest = read_manifest(MANIFEST_PATH)
    windows: dict[str, list[Window]] = {}
    with platform.warehouse("what is pending") as client:
        for name in source_names():
            cadences = [cadence for cadence in CADENCES if models_of(manifest, name, cadence)]
            hours = pending_hours(client, platform.store, name, cadences)
            if found := contiguous(with_partition(hours, settings.partitions_from), GAP):
                windows[name] = found
    if not windows:
        return _nothing_to_do("nothing is pending: the marts hold every load of the lake", progress)
    return materialize_windows(settings, windows, select, progress)


def _nothing_to_do(why: str, progress: ProgressCallback | None) -> RunReport:
    if progress is not None:
        progress(Progress("run", "nothing_to_do", why))
    return RunReport((), (why,))


def materialize_windows(
    settings: Settings,
    windows: Mapping[str, Sequence[Window]],
    select: str | None = None,
    progress: ProgressCallback | None = None,
    periods_too: Mapping[Cadence, Sequence[Window]] | None = None,
) -> RunReport:
    """Rebuild several windows as `materialize_window` does one: each coarser period once, however many touch it.

    Args:
        settings: where the stack is.
        windows: of each source, the received hours, within the partitions that there are; no other source is built.
        select: an asset selection; None means all.
        progress: called for every asset materialised, check evaluated and step failed.
        periods_too: further windows of every one of the sources, of which only the assets of a cadence are rebuilt.

    Raises:
        SelectionError: when the selection is wrong or selects no partitioned asset.
    """
    platform = Platform(settings)
    definitions = build_definitions(platform)
    selected = _selected(definitions, select)
    tell = progress or (lambda _: None)
    with _instance(settings) as instance:
        for buried in bury_dead_runs(instance):
            tell(
                Progress(
                    buried, "buried", buried, "its process had died; its place in the pool is free again"
                )
            )

    def rebuild(source: str, tell: ProgressCallback) -> RunReport:
        done: list[JobReport] = []
        notes: list[str] = []
        with _instance(settings) as instance:
            for cadence in CADENCES:
                job = _job(definitions, source, cadence, selected)
                if job is None or not all(report.success for report in done):
                    continue
                touched = [*windows[source], *(periods_too or {}).get(cadence, ())]
                for periods, missing in whole_periods(platform, source, touched, cadence):
                    if missing:
                        notes.append(_waiting(source, cadence, periods, missing))
                        tell(Progress(job.name, "waiting", source, notes[-1]))
                    else:
                        done.append(_execute(settings, job, instance, periods.keys(cadence), tell))
        return RunReport(tuple(done), tuple(notes))

    # No source reads another's tables. The longest first: nothing is left to wait for at the end.
    assets = Counter(key.path[0] for key in selected)
    names = sorted(
        set(_sources(definitions, selected)).intersection(windows), key=lambda name: (-assets[name], name)
    )
    if not names:
        return _nothing_to_do("no source of the selected assets has anything to build", tell)
    if len(names) > 1:
        _import_ahead()
    reports = dict(zip(names, side_by_side(names, rebuild, tell), strict=True))
    return RunReport(
        tuple(job for name in sorted(names) for job in reports[name].jobs),
        tuple(note for name in sorted(names) for note in reports[name].notes),
    )


def _import_ahead() -> None:
    """Import what every source needs, before it is imported in each of the forks; dbt is being imported meanwhile."""
    for name in IMPORTED_LATE:
        import_module(name)


def whole_periods(
    platform: Platform, source: str, windows: Sequence[Window], cadence: Cadence
) -> list[tuple[Window, list[datetime]]]:
    """The periods of a cadence that windows touch, those that can be rolled up in gapless ranges, the others
    each with the hours they lack.

    A period whose lake holds hours that the warehouse does not cannot be rolled up: the roll-up would be too
    low, and the proof would say so. Hours lack nothing: they are what brings the lake into the warehouse.
    """
    touched = contiguous(hour for window in windows for hour in window.widened(cadence).hours)
    if cadence is HOURLY:
        return [(window, []) for window in touched]
    lacking: list[datetime] = []
    with platform.warehouse(f"which {cadence.unit}s of {source} can be rolled up") as client:
        for whole in touched:
            loaded = set(loaded_hours(client, source, whole.start, whole.end))
            in_lake = hours_between(platform.store, source, whole.start, whole.end)
            lacking += [
                hour for hour in in_lake if hour not in loaded and _is_committed(platform, source, hour)
            ]
    missing = {
        period: [hour for hour in lacking if period.start <= hour < period.end]
        for whole in touched
        for period in whole.split(cadence)
    }
    complete = contiguous(hour for period, hours in missing.items() if not hours for hour in period.hours)
    return [(periods, []) for periods in complete] + [
        (period, hours) for period, hours in missing.items() if hours
    ]


def _is_committed(platform: Platform, source: str, hour: datetime) -> bool:
    """Whether a received hour of the lake holds more than files of loads that were broken off or unloaded."""
    return bool(manifests_for_hour(platform.store, source, hour))


def _waiting(source: str, cadence: Cadence, period: Window, missing: Sequence[datetime]) -> str:
    return (
        f"the {cadence.name} marts of {source} for {cadence.key(period.start)} wait for {len(missing)} received "
        f"hours that are in the lake but not in the warehouse, first {missing[0]:%Y-%m-%dT%H:%M}: run the whole "
        f"{cadence.unit}"
    )


def _job(
    definitions: dg.Definitions, source: str, cadence: Cadence, selected: Set[dg.AssetKey]
) -> dg.JobDefinition | None:
    """A source's job cut to the selected assets, or None when it has none of them.

    The checks are named one by one, because a cut job would run every check of its assets, the freshness
    checks too.
    """
    name = job_name(source, cadence.name)
    if not definitions.get_repository_def().has_job(name):
        return None
    job = definitions.resolve_job_def(name)
    keys = job.asset_layer.selected_asset_keys & selected
    if not keys:
        return None
    if keys == job.asset_layer.selected_asset_keys:
        return job
    graph = definitions.resolve_asset_graph()
    checks = {key for key in graph.asset_check_keys if key.asset_key in keys and key.name != FRESHNESS}
    return job.get_subset(asset_selection=frozenset(keys), asset_check_selection=frozenset(checks))


def report_loads(settings: Settings, source: str, results: Sequence[LoadResult]) -> None:
    """Tell Dagster of loads that ran outside of it: its UI shows them, its sensor rebuilds their hours."""
    if all(result.already_loaded for result in results):
        return
    with _instance(settings) as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(asset_key=landing_key(source), metadata=load_metadata(list(results)))
        )


def report_unload(settings: Settings, manifest: Manifest) -> None:
    """Tell Dagster of a load that was taken back: should nobody finish it, its sensor rebuilds the load's hours."""
    with _instance(settings) as instance:
        instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key=landing_key(manifest.source), metadata=unload_metadata(manifest)
            )
        )


def process_name(pid: int) -> str:
    """This machine and a process on it, told apart from a later process with the same number by its start."""
    return f"{socket.gethostname()}/{pid}/{start_time(pid) or 'ended'}"


def bury_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs of the command line as failed whose process was killed, and free their places in pools.

    Nobody else does: run monitoring knows the processes that the daemon started only, and the next run of the same
    source would wait for a place for ever.

    Returns:
        The ids of those runs.
    """
    unfinished = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    buried = []
    for run in unfinished:
        name = run.tags.get(PROCESS_TAG, "")
        host, *rest = name.split("/")
        if host != socket.gethostname() or not rest or name == process_name(int(rest[0])):
            continue
        instance.report_run_failed(run, "The process of this run was killed.")
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        buried.append(run.run_id)
    return buried


def _sources(definitions: dg.Definitions, selected: Set[dg.AssetKey]) -> list[str]:
    """The sources of which a job has a selected asset."""
    names = {key.path[1] for key in definitions.resolve_all_asset_keys() if key.path[0] == "raw"}
    return [name for name in names if any(_job(definitions, name, cadence, selected) for cadence in CADENCES)]


def _selected(definitions: dg.Definitions, select: str | None) -> Set[dg.AssetKey]:
    graph = definitions.resolve_asset_graph()
    partitioned = {
        key for key in graph.materializable_asset_keys if graph.get(key).partitions_def is not None
    }
    if select is None:
        return partitioned
    try:
        chosen = dg.AssetSelection.from_string(select).resolve(graph) & partitioned
    except Exception as error:
        raise SelectionError(f"cannot read the selection {select!r}: {error}") from error
    if not chosen:
        names = ", ".join(sorted(key.to_user_string() for key in partitioned))
        raise SelectionError(f"{select!r} selects no partitioned asset; there are {names}")
    return chosen


@contextmanager
def _instance(settings: Settings) -> Iterator[dg.DagsterInstance]:
    home = settings.dagster_home
    home.mkdir(parents=True, exist_ok=True)
    # Dagster takes both from the environment only; the laptop's instance file refers to the first.
    os.environ["DAGSTER_HOME"] = str(home)
    os.environ.setdefault(BATCH_VARIABLE, str(BATCH_SIZE))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


def apply_retention(settings: Settings, source: str, as_of: datetime | None = None) -> JobReport:
    """Remove what of a source is older than the policy, by its job: no run rebuilds marts at the same time."""
    definitions = build_definitions(Platform(settings))
    with _instance(settings) as instance:
        bury_dead_runs(instance)
        return _execute(
            settings,
            definitions.resolve_job_def(job_name(source, RETENTION)),
            instance,
            None,
            lambda _: None,
            retention_config(source, apply=True, as_of=as_of),
        )


@contextmanager
def _engine_output_in(path: Path) -> Iterator[None]:
    """Send what dbt prints into a log: standard output is the caller's, who may print JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as log, redirect_stdout(log):
        yield


def _execute(
    settings: Settings,
    job: dg.JobDefinition,
    instance: dg.DagsterInstance,
    key_range: KeyRange | None,
    progress: ProgressCallback,
    config: Mapping[str, Any] | None = None,
) -> JobReport:
    run_id = str(uuid.uuid4())
    started = time.monotonic()
    teller = _Teller(job.name, progress)
    instance.add_event_listener(run_id, teller)
    span = f"{key_range.start} to {key_range.end}" if key_range else ""
    progress(Progress(job.name, "started", job.name, span))
    with _engine_output_in(settings.state_dir / "logs" / RUN_LOG), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = job.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}, **(config or {})},
            instance=instance,
            tags={
                **(key_range.tags if key_range else {}),
                ".dagster/repository": f"__repository__@{LOCATION}",
                PROCESS_TAG: process_name(os.getpid()),
            },
            run_id=run_id,
            raise_on_error=False,
        )
    progress(Progress(job.name, "finished", job.name, "succeeded" if result.success else "failed"))
    return JobReport(
        job=job.name,
        run_id=run_id,
        success=result.success,
        seconds=round(time.monotonic() - started, 3),
        materialised=tuple(sorted(teller.materialised)),
        failed_steps=teller.failed_steps,
        failed_checks=tuple(
            FailedCheck(check["asset"], check["check"], check["description"])
            for check in failed_checks_of(instance, run_id)
        ),
        checks_passed=teller.checks_passed,
    )


class _Teller:
    """Turns Dagster's events into progress, an asset of many partitions counting once."""

    def __init__(self, job: str, progress: ProgressCallback) -> None:
        self.job = job
        self.progress = progress
        self.materialised: set[str] = set()
        self.failed_steps: dict[str, str] = {}
        self.checks_passed = 0

    def __call__(self, entry: dg.EventLogEntry) -> None:
        event = entry.dagster_event
        if event is None:
            return
        if event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION and event.asset_key is not None:
            name = event.asset_key.to_user_string()
            if name not in self.materialised:
                self.materialised.add(name)
                self.progress(Progress(self.job, "materialised", name))
        elif event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            self.checks_passed += check.passed
            is_warning = check.severity is dg.AssetCheckSeverity.WARN
            kind = "check_passed" if check.passed else "check_warned" if is_warning else "check_failed"
            subject = f"{check.asset_key.to_user_string()}: {check.check_name}"
            self.progress(Progress(self.job, kind, subject, check.description or ""))
        elif event.event_type is dg.DagsterEventType.STEP_FAILURE and event.step_key is not None:
            message = step_error(event)
            self.failed_steps[event.step_key] = message
            self.progress(Progress(self.job, "step_failed", event.step_key, message))
