"""Schedules: the hour, the day, the week, the month that ended."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from orchestration.jobs import AssetJob, job_name
from orchestration.partitions import Cadence


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


def last_key(cadence: Cadence, now: datetime) -> str:
    """Partition key of the newest period of received time that has ended."""
    return cadence.key(cadence.latest_complete(now))
