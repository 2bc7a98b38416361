"""Retention of a source as an asset: a list of what is too old by default, its removal when asked for."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from ingestion.contract import Source
from orchestration.assets.marts import read_manifest
from orchestration.assets.names import QUALITY, owner_of, proof_key, retention_key, warehouse_pool
from orchestration.plots import markdown_table
from orchestration.resources import Platform
from orchestration.retries import RETRY, permanent_errors_fail_at_once
from orchestration.warehouse.dbt import MANIFEST_PATH

if TYPE_CHECKING:
    from orchestration.retention import RetentionReport

CHECK = "nothing_outlives_the_policy"


class RetentionConfig(dg.Config):
    """Whether to remove what is too old, and as of when."""

    apply: bool = Field(
        default=False, description="Remove what is too old. Without it the run only lists what would go."
    )
    as_of: str | None = Field(
        default=None,
        description="ISO moment from which ages count back, such as 2026-11-18T00:00:00Z; default: now.",
    )


def build_retention_asset(source: Source) -> dg.AssetsDefinition:
    """Build the retention asset of a source."""
    key = retention_key(source.name)

    @dg.asset(
        key=key,
        group_name=QUALITY,
        owners=[owner_of(source)],
        kinds={"clickhouse", "s3"},
        deps=[proof_key(source.name)],
        pool=warehouse_pool(source.name),
        retry_policy=RETRY,
        description=(
            f"What of **{source.name}** is older than `lake/retention.yaml` allows, in the lake and in the "
            "warehouse. A run lists it; with `apply: true` it removes it, but no raw events whose day has not "
            "been proved. Files that killed loads left more than a day ago go with it."
        ),
        check_specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=key,
                blocking=True,
                description="No store holds anything older than the policy, once the run is done.",
            )
        ],
    )
    def retention(
        context: dg.AssetExecutionContext, config: RetentionConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # beside checks Dagster takes the bare class only
        from orchestration.retention import run_retention  # noqa: PLC0415  pyarrow is for runs, not for the code server

        as_of = datetime.fromisoformat(config.as_of) if config.as_of else None
        manifest = read_manifest(MANIFEST_PATH)
        with (
            permanent_errors_fail_at_once(),
            platform.warehouse(f'{{"asset": "{key.to_user_string()}"}}') as client,
        ):

            def run(apply: bool) -> "RetentionReport":
                return run_retention(platform.store, client, manifest, source.name, apply=apply, as_of=as_of)

            done = run(config.apply)
            left = run(apply=False) if config.apply else done
        for item in done.held:
            context.log.info(str(item))
        return dg.MaterializeResult(
            metadata={
                "applied": done.applied,
                "as_of": done.policy.as_of.isoformat(),
                "bytes_removed": sum(item.bytes for item in done.going) if done.applied else 0,
                "files_that_no_manifest_names": len(done.unnamed),
                "older_than_the_policy": dg.MetadataValue.md(stores_table(done)),
            },
            check_results=[_check(left, config.apply)],
        )

    return retention


def stores_table(report: "RetentionReport") -> str:
    """What was found, a store each."""
    return markdown_table(
        ["store", "what", "number", "bytes", "oldest", "newest", "stays, because"],
        [
            [
                item.store,
                item.unit,
                item.number,
                item.bytes,
                f"{item.oldest:%Y-%m-%d %H:%M}",
                f"{item.newest:%Y-%m-%d %H:%M}",
                item.stays or "",
            ]
            for item in report.held
        ],
    )


def _check(report: "RetentionReport", applied: bool) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=report.offence is None,
        # A dry run removes nothing, and what is not proved stays until it is.
        severity=dg.AssetCheckSeverity.ERROR if applied and report.going else dg.AssetCheckSeverity.WARN,
        description=report.offence or "no store holds anything older than the policy",
    )
