"""Freshness by partition: is every recent partition that should be there, there?"""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from orchestration.jobs import AssetJob
from orchestration.partitions import Cadence

CHECK_NAME = "recent_partitions_are_there"
CRON = "45 * * * *"


def missing_partitions(materialised: Iterable[str], now: datetime, cadence: Cadence) -> list[str]:
    """Keys of the last complete partitions that are not materialised, oldest first.

    Partitions older than the first materialised one are not expected: a platform that started yesterday has
    no week.

    Args:
        materialised: keys that are there.
        now: the time of judgement, aware.
        cadence: what a partition is, how long after its end it may still be missing, how many to look at.
    """
    there = set(materialised)
    first = min(there, default=None)
    start = cadence.latest_complete(now, cadence.grace)
    expected = []
    for _ in range(cadence.back):
        expected.append(cadence.key(start))
        start = cadence.before(start)
    if first is None:
        return expected[:1]
    return sorted(key for key in expected if key not in there and key >= first)


@dataclass(frozen=True)
class Freshness:
    """The freshness checks of a source and the job that evaluates them."""

    checks: tuple[dg.AssetChecksDefinition, ...]
    job: AssetJob

    def schedule(self, default_status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
        """Evaluate them once an hour, after the hourly run and its grace."""
        return dg.ScheduleDefinition(
            job=self.job, cron_schedule=CRON, execution_timezone="UTC", default_status=default_status
        )


def build_freshness(source: str, assets: Mapping[Cadence, Sequence[dg.AssetKey]]) -> Freshness:
    """Build the checks of every cadence and their job."""
    built = [_build_checks(source, cadence, keys) for cadence, keys in assets.items() if keys]
    job = dg.define_asset_job(
        f"{source}_freshness",
        selection=dg.AssetSelection.checks(*built),
        description=f"Look for recent partitions of {source} that should be there and are not.",
    )
    return Freshness(tuple(built), job)


def _build_checks(source: str, cadence: Cadence, assets: Sequence[dg.AssetKey]) -> dg.AssetChecksDefinition:
    @dg.multi_asset_check(
        name=f"{source}_{cadence.name}_freshness",
        specs=[
            dg.AssetCheckSpec(
                CHECK_NAME,
                asset=key,
                description=(
                    f"The last {cadence.back} {cadence.name} partitions are there, {cadence.grace} after their end."
                ),
            )
            for key in assets
        ],
        can_subset=True,
    )
    def freshness(context: dg.AssetCheckExecutionContext) -> Iterable[dg.AssetCheckResult]:
        for check in context.selected_asset_check_keys:
            there = context.instance.get_materialized_partitions(check.asset_key)
            missing = missing_partitions(there, datetime.now(UTC), cadence)
            yield dg.AssetCheckResult(
                asset_key=check.asset_key,
                check_name=CHECK_NAME,
                passed=not missing,
                # The run that should have made the partition has failed and told the webhook, or never
                # started.
                severity=dg.AssetCheckSeverity.WARN,
                description=(
                    f"{len(missing)} recent partitions are missing, first {missing[0]}"
                    if missing
                    else "up to date"
                ),
                metadata={"missing": missing, "newest_materialised": max(there, default="none")},
            )

    return freshness
