"""The proof of a source's marts, as often as they are rebuilt."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from expectations.bridge import check_outcome
from expectations.lineage import run_lineage
from expectations.proof import UNPROVED, VerifyReport
from ingestion.contract import Source
from orchestration.assets.names import QUALITY, owner_of, proof_key
from orchestration.checks import asset_check_result
from orchestration.partitions import DAILY, HOURLY, Cadence
from orchestration.pending import pending_hours
from orchestration.places import place_of
from orchestration.plots import markdown_table
from orchestration.resources import Platform
from orchestration.retries import RETRY, permanent_errors_fail_at_once
from orchestration.settings import Settings
from orchestration.warehouse import dbt

CONSERVATION = "conservation"
RECONCILIATION = "reconciliation"
LINEAGE = "compliance_lineage"
CHECKS = {
    CONSERVATION: (
        "Read + expanded = accepted + duplicate + quarantined + suppressed + skipped + folded, per load and in "
        "total, in the lake and in the warehouse."
    ),
    RECONCILIATION: (
        "Every value of the proven marts equals what DuckDB recomputes from the raw lake, to the last digit."
    ),
    LINEAGE: (
        "No tagged personal field reaches a mart column without a declared mask or aggregate; a leak is "
        "shown with its path."
    ),
}
MAX_SHOWN = 20
MARTS_CONSERVED = frozenset({"raw.events", "ops.loads", "ops.quarantine"})


def build_proof_asset(
    source: Source,
    cadence: Cadence,
    marts: Sequence[dg.AssetKey],
    partitions: dg.TimeWindowPartitionsDefinition,
    before: Sequence[Cadence],
) -> dg.AssetsDefinition:
    """Build the asset that proves marts of a source for a range of received periods of a cadence.

    Args:
        source: whose marts.
        cadence: of which.
        marts: what is proved.
        partitions: received time in periods of the cadence.
        before: the cadences of which the source has models, up to this one: what is built before the proof.
    """
    key = proof_key(source.name, cadence)
    names = {mart.path[-1] for mart in marts if mart.path[0] == source.name}

    @dg.asset(
        key=key,
        group_name=QUALITY,
        owners=[owner_of(source)],
        kinds={"duckdb", "clickhouse"},
        deps=list(marts),
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        retry_policy=RETRY,
        description=(
            f"A second opinion on **{source.name}**: conservation of rows from landing to warehouse, every "
            f"value of the {_cadences(cadence)} marts recomputed with DuckDB from the raw lake, and the path of "
            f"personal fields through the compiled SQL.\n\nGrain: received {cadence.unit}; compared are the "
            "periods of occurred time within the same dates."
        ),
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, blocking=True, description=text)
            for name, text in CHECKS.items()
        ],
    )
    def proof(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # beside checks Dagster takes the bare class only
        # Only a run needs the engines: the code server would hold 60 MB of them.
        from expectations.proof import verify  # noqa: PLC0415
        from expectations.records import store_results  # noqa: PLC0415
        from orchestration.retention import note_verification  # noqa: PLC0415

        started = time.monotonic()
        place = place_of(context, key)
        with permanent_errors_fail_at_once(), platform.warehouse(place.log_comment) as client:
            window = (place.window.start, place.window.end)
            since = datetime.now(UTC)
            report = verify(platform.store, client, source.name, window, marts=names)
            agree = values_agree(report)
            unbuilt = [] if agree else pending_hours(client, platform.store, source.name, before)
            if cadence is DAILY:
                note_verification(client, report, since)
            lineage = run_lineage(
                source,
                compiled_manifest(platform.settings),
                partition=place.partition,
                run_id=place.run_id,
            )
            store_results(client, lineage)
        return dg.MaterializeResult(
            metadata=proof_metadata(report) | {"duration_seconds": round(time.monotonic() - started, 3)},
            check_results=[
                conservation_result(report),
                reconciliation_result(report, unbuilt),
                asset_check_result(check_outcome(lineage), LINEAGE),
            ],
        )

    return proof


def _cadences(cadence: Cadence) -> str:
    return "hourly and daily" if cadence is DAILY else cadence.name


def compiled_manifest(settings: Settings) -> Path:
    """Compile the dbt project, once per version of it, and return the manifest beside the compiled SQL.

    Raises:
        orchestration.warehouse.dbt.DbtError: when it does not compile.
    """
    target = settings.state_dir / "dbt" / f"compiled-{dbt.project_fingerprint()[:16]}"
    done = target / "compiled.txt"
    if not done.exists():
        dbt.run_dbt(settings, ["compile"], target_dir=target)
        done.touch()
    return target / "manifest.json"


def proof_metadata(report: VerifyReport) -> dict[str, Any]:
    """What a person wants to know about a verification."""
    metadata: dict[str, Any] = {
        "events": report.events,
        "values_compared": report.values,
        "values_different": report.different,
        "conservation": str(report.total),
        "marts": dg.MetadataValue.md(
            markdown_table(
                ["mart", "rows", "values", "different"],
                [[mart.mart, mart.rows, mart.values, mart.different] for mart in report.marts],
            )
        ),
    }
    if report.pending:
        metadata["loads_of_later_hours_left_out"] = len(report.pending)
    return metadata


def conservation_result(report: VerifyReport) -> dg.AssetCheckResult:
    """Whether every row read is accounted for, load by load, in the lake and in the warehouse."""
    marts = {mart.mart for mart in report.marts}
    lost = [difference for difference in report.differences if difference.mart not in marts]
    broken = [line for line in report.conservation if not line.balances]
    passed = report.total.balances and not broken and not lost
    reasons = [str(line) for line in broken] + [str(difference) for difference in lost]
    return dg.AssetCheckResult(
        check_name=CONSERVATION,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=str(report.total)
        if passed
        else _listed(f"{len(reasons)} rows or loads do not balance", reasons),
    )


def reconciliation_result(report: VerifyReport, unbuilt: Sequence[datetime] = ()) -> dg.AssetCheckResult:
    """Whether both engines agree on every value, and whether there was anything to compare.

    Args:
        report: what was compared.
        unbuilt: other received hours that the marts do not hold yet, though the lake does: why values may differ.
    """
    marts = {mart.mart for mart in report.marts}
    unequal = [str(difference) for difference in report.differences if difference.mart in marts]
    count = sum(mart.different for mart in report.marts)
    passed = values_agree(report)
    if passed:
        text = f"{report.values} values of {len(report.marts)} marts agree" if report.marts else UNPROVED
    elif not report.compared:
        text = f"the lake holds {report.events} events to measure, but no value could be compared"
    else:
        text = _listed(f"{count} of {report.values} values differ", unequal)
        if unbuilt:
            hours = ", ".join(HOURLY.key(hour) for hour in unbuilt[:MAX_SHOWN])
            more = f" and {len(unbuilt) - MAX_SHOWN} more" if len(unbuilt) > MAX_SHOWN else ""
            text += (
                f"\nReceived hours that are loaded and not built, of which these days may hold events: {hours}{more}. "
                "`millrace run` without a window builds them"
            )
    return dg.AssetCheckResult(
        check_name=RECONCILIATION, passed=passed, severity=dg.AssetCheckSeverity.ERROR, description=text
    )


def values_agree(report: VerifyReport) -> bool:
    """Whether there was something to compare, and nothing differed."""
    marts = {mart.mart for mart in report.marts}
    differs = any(mart.different for mart in report.marts) or any(
        difference.mart in marts for difference in report.differences
    )
    return report.compared and not differs


def _listed(headline: str, reasons: Sequence[str]) -> str:
    lines = [f"- {reason}" for reason in reasons[:MAX_SHOWN]]
    more = [f"- and {len(reasons) - MAX_SHOWN} more"] if len(reasons) > MAX_SHOWN else []
    return "\n".join([headline, *lines, *more])
