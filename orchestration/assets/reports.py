"""Reports: one asset per definition, made when its schedule says or when a person asks."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import json
from datetime import UTC, datetime

import dagster as dg

from ingestion.contract import Source
from orchestration.assets.names import REPORTS, owner_of, report_key
from orchestration.jobs import AssetJob
from orchestration.reports import Report, make_report
from orchestration.reports.periods import Range
from orchestration.resources import Platform
from orchestration.retries import RETRY, permanent_errors_fail_at_once


class ReportConfig(dg.Config):
    """Which time to tell of, as ISO 8601 in UTC; without it the newest whole periods of the definition."""

    range_from: str = ""
    range_to: str = ""


def build_report(report: Report, source: Source, default_status: dg.DefaultScheduleStatus) -> dg.Definitions:
    """Build the asset of a report, and its job and schedule where it has one."""
    key = report_key(report.source, report.name)

    @dg.asset(
        key=key,
        group_name=REPORTS,
        owners=[f"team:{report.owner}" if report.owner else owner_of(source)],
        kinds={"clickhouse", report.format},
        deps=[dg.AssetKey([report.source, report.mart])],
        retry_policy=RETRY,
        description=(
            f"**{report.title}**\n\n{report.description}\n\nDefinition: "
            f"`orchestration/reports/{report.id}.yaml`. The file lies in the lake; `ops.reports` names it."
        ),
    )
    def made(
        context: dg.AssetExecutionContext, config: ReportConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # as in landing
        span = _span(report, config)
        labels = {"run_id": context.run.run_id, "asset": key.to_user_string(), "partition": str(span)}
        with (
            permanent_errors_fail_at_once(),
            platform.warehouse(json.dumps(labels, sort_keys=True)) as client,
        ):
            file = make_report(client, platform.store, report, span, run_id=context.run.run_id)
        return dg.MaterializeResult(
            metadata={
                "range": str(span),
                "dagster/row_count": file.rows,
                "bytes": file.bytes,
                "sha256": file.sha256,
                "object": platform.store.url(file.key),
            }
        )

    if report.schedule is None:
        return dg.Definitions(assets=[made])
    job = dg.define_asset_job(
        f"{report.source}_report_{report.name}",
        selection=dg.AssetSelection.assets(key),
        description=f"Make the report {report.title!r}.",
    )
    return dg.Definitions(
        assets=[made], jobs=[job], schedules=[_build_schedule(report, job, key, default_status)]
    )


def _build_schedule(
    report: Report, job: AssetJob, key: dg.AssetKey, default_status: dg.DefaultScheduleStatus
) -> dg.ScheduleDefinition:
    assert report.schedule is not None

    @dg.schedule(
        job=job,
        name=job.name,
        cron_schedule=report.schedule,
        execution_timezone="UTC",
        default_status=default_status,
        description=f"Make the report {report.title!r} of the newest whole periods.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        # The time that was due, not the time it is: a run that starts late tells of the same days.
        span = report.time_range.before(context.scheduled_execution_time)
        config = ReportConfig(range_from=span.start.isoformat(), range_to=span.end.isoformat())
        return dg.RunRequest(
            run_key=str(span), run_config=dg.RunConfig(ops={key.to_python_identifier(): config})
        )

    return schedule


def _span(report: Report, config: ReportConfig) -> Range:
    if bool(config.range_from) != bool(config.range_to):
        raise dg.Failure("range_from and range_to belong together", allow_retries=False)
    if not config.range_from:
        return report.time_range.before(datetime.now(UTC))
    try:
        return Range(datetime.fromisoformat(config.range_from), datetime.fromisoformat(config.range_to))
    except ValueError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
