"""Sensors: load what lands, rebuild the hours a load touched, restate the periods that were already closed."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import cast

import dagster as dg

from lake import paths
from lake.store import ObjectInfo
from orchestration.assets.names import landing_key
from orchestration.jobs import LANDING, AssetJob, job_name
from orchestration.partitions import HOURLY, Cadence, Window, contiguous, window_of_label
from orchestration.places import partition_of
from orchestration.resources import Platform

MAX_OBJECTS_PER_RUN = 500
MAX_MATERIALIZATIONS_PER_TICK = 50
SENSOR_SECONDS = 30


@dataclass(frozen=True)
class LandingTick:
    """What one look at landing decided."""

    keys: tuple[str, ...]
    run_key: str | None
    cursor: str


def landing_tick(
    listing: Iterable[ObjectInfo], cursor: str | None, limit: int = MAX_OBJECTS_PER_RUN
) -> LandingTick:
    """Choose the landing objects that no earlier tick asked for.

    The cursor holds a fingerprint of every object that was asked for and still lies in landing. It is no
    point in time:
    an object may appear with an old date (S3 dates a multipart upload by its start), and one that is
    overwritten under its name is a new one. Landing keeps objects for seven days, which bounds the cursor.

    Args:
        listing: what lies in landing now.
        cursor: the cursor of the tick before.
        limit: how many objects one run loads at most; the rest waits for the next tick.
    """
    seen = set(json.loads(cursor)) if cursor else set()
    present = {_fingerprint(found): found.key for found in listing}
    fresh = [mark for mark in sorted(present, key=lambda mark: present[mark]) if mark not in seen][:limit]
    remembered = sorted((seen & present.keys()) | set(fresh))
    run_key = hashlib.sha256("".join(fresh).encode()).hexdigest()[:32] if fresh else None
    return LandingTick(tuple(present[mark] for mark in fresh), run_key, json.dumps(remembered))


def _fingerprint(found: ObjectInfo) -> str:
    text = f"{found.key}\0{found.size}\0{found.last_modified.isoformat()}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def windows_of(received_hours: Sequence[Sequence[Sequence[str]]], first_day: date) -> list[Window]:
    """The fewest windows that cover the `received_hours` metadata of landing materialisations, from a day on."""
    hours: list[datetime] = []
    for pairs in received_hours:
        for start, end in pairs:
            hours += Window(datetime.fromisoformat(start), datetime.fromisoformat(end)).hours
    return contiguous(hour for hour in hours if hour.date() >= first_day)


def closed_periods(window: Window, cadence: Cadence, now: datetime, materialised: set[str]) -> list[Window]:
    """The periods of a window that have ended and were rolled up before: a late load restates them.

    A period that was never rolled up is left to its schedule, the running one to the next.
    """
    return contiguous(
        hour
        for period in window.split(cadence)
        if period.end <= now and cadence.key(period.start) in materialised
        for hour in period.hours
    )


def build_landing_sensor(
    source: str, job: AssetJob, default_status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    """The sensor that loads new landing objects of a source."""

    @dg.sensor(
        job=job,
        name=job_name(source, LANDING),
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=default_status,
        description=f"Loads new objects under {paths.source_prefix('landing', source)}.",
    )
    def landing_sensor(
        context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SensorResult | dg.SkipReason:
        tick = landing_tick(platform.store.list(paths.source_prefix("landing", source)), context.cursor)
        if tick.run_key is None:
            return dg.SensorResult(skip_reason=dg.SkipReason("nothing new in landing"), cursor=tick.cursor)
        op = "__".join(landing_key(source).path)
        request = dg.RunRequest(
            run_key=tick.run_key, run_config={"ops": {op: {"config": {"keys": list(tick.keys)}}}}
        )
        return dg.SensorResult(run_requests=[request], cursor=tick.cursor)

    return landing_sensor


def build_touched_hours_sensor(
    source: str, job: AssetJob, first_day: date, default_status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    """The sensor that rebuilds the received hours which loads touched, whoever ran them.

    It follows the materialisations of the landing asset by their place in Dagster's event log, so its cost
    follows the loads; the daily conservation check compares lake and warehouse and names what an event that
    was never logged left.
    """

    @dg.sensor(
        job=job,
        name=f"{source}_touched_hours",
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=default_status,
        description=f"Rebuilds the received hours that loads of {source} touched, one run per gapless range.",
    )
    def touched_hours(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        after = int(context.cursor) if context.cursor else 0
        records = context.instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=landing_key(source), after_storage_id=after),
            limit=MAX_MATERIALIZATIONS_PER_TICK,
            ascending=True,
        ).records
        if not records:
            return dg.SensorResult(skip_reason=dg.SkipReason("no new load"), cursor=str(after))
        newest = records[-1].storage_id
        touched = [
            cast(Sequence[Sequence[str]], record.asset_materialization.metadata["received_hours"].value)
            for record in records
            if record.asset_materialization and "received_hours" in record.asset_materialization.metadata
        ]
        requests = [
            dg.RunRequest(run_key=f"{newest}-{window.keys(HOURLY).start}", tags=window.keys(HOURLY).tags)
            for window in windows_of(touched, first_day)
        ]
        return dg.SensorResult(run_requests=requests, cursor=str(newest))

    return touched_hours


def build_restated_sensor(
    source: str,
    cadence: Cadence,
    jobs: Mapping[Cadence, AssetJob],
    rolled_up: dg.AssetKey,
    default_status: dg.DefaultSensorStatus,
) -> dg.SensorDefinition:
    """The sensor that rolls a closed period up again after one of its received hours was rebuilt.

    Args:
        source: whose hours.
        cadence: of the periods.
        jobs: the one it watches, of hours, and the one it asks for.
        rolled_up: the asset whose partitions say which periods were rolled up before.
        default_status: whether it runs by itself.
    """

    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[jobs[HOURLY]],
        request_job=jobs[cadence],
        name=f"{source}_restated_{cadence.unit}s",
        minimum_interval_seconds=SENSOR_SECONDS,
        default_status=default_status,
        description=f"Rolls a {cadence.unit} of {source} up again when one of its hours was rebuilt later.",
    )
    def restated(context: dg.RunStatusSensorContext) -> dg.SensorResult | dg.SkipReason:
        partition = partition_of(context.dagster_run.tags)
        if partition is None:
            return dg.SkipReason("the run had no partition")
        there = context.instance.get_materialized_partitions(rolled_up)
        periods = closed_periods(window_of_label(partition), cadence, datetime.now(UTC), there)
        requests = [
            dg.RunRequest(
                run_key=f"{context.dagster_run.run_id}-{window.keys(cadence).start}",
                tags=window.keys(cadence).tags,
            )
            for window in periods
        ]
        if not requests:
            return dg.SkipReason(f"no closed {cadence.unit} was touched")
        return dg.SensorResult(run_requests=requests)

    return restated
