"""Schedules: the hour, the day, the week, the month that ended."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import dagster as dg

from orchestration.assets.names import retention_key
from orchestration.jobs import RETENTION, AssetJob, job_name
from orchestration.partitions import Cadence

RETENTION_CRON = "30 3 * * *"


def build_schedules(
    source: str, jobs: Mapping[Cadence, AssetJob], default_status: dg.DefaultScheduleStatus
) -> list[dg.ScheduleDefinition]:
    """The schedules of a source, one per cadence."""
    return [_build_schedule(source, cadence, job, default_status) for cadence, job in jobs.items()]


def _build_schedule(
    source: str, cadence: Cadence, job: AssetJob, default_status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    @dg.schedule(
        job=job,
        name=job_name(source, cadence.name),
        cron_schedule=cadence.due,
        execution_timezone="UTC",
        default_status=default_status,
        description=(
            f"Rebuild the received {cadence.unit} that just ended, an empty one too: its absence means trouble."
        ),
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        key = last_key(cadence, context.scheduled_execution_time)
        return dg.RunRequest(run_key=key, partition_key=key)

    return schedule


def build_retention_schedule(
    source: str, job: AssetJob, apply: bool, default_status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    """The daily look for what is too old, after the day was proved; `apply` says whether it is removed."""
    return dg.ScheduleDefinition(
        job=job,
        name=job_name(source, RETENTION),
        cron_schedule=RETENTION_CRON,
        execution_timezone="UTC",
        default_status=default_status,
        run_config=retention_config(source, apply),
        description="Remove what is older than the policy."
        if apply
        else "List what is older than the policy.",
    )


def retention_config(source: str, apply: bool, as_of: datetime | None = None) -> dict[str, Any]:
    """Run configuration of a source's retention job."""
    config: dict[str, Any] = {"apply": apply} | ({"as_of": as_of.isoformat()} if as_of else {})
    return {"ops": {"__".join(retention_key(source).path): {"config": config}}}


def last_key(cadence: Cadence, now: datetime) -> str:
    """Partition key of the newest period of received time that has ended."""
    return cadence.key(cadence.latest_complete(now))
