"""The gates as blocking asset checks: raw-in behind the raw asset, marts-out behind the marts."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from expectations.bridge import CheckOutcome, check_outcome, outcomes_by_table
from expectations.evidence import write_evidence
from expectations.marts_out import load_suite
from expectations.model import GateWindow, Suite, SuiteError, SuiteResult
from expectations.raw_in import raw_in_suite
from expectations.runner import run_suite
from ingestion.contract import Source
from lake.manifest import Manifest, hours_between, manifests_for_hour
from orchestration.assets.names import raw_key
from orchestration.connections import gate_warehouse
from orchestration.partitions import Cadence, Window
from orchestration.places import Place, place_of
from orchestration.plots import markdown_table
from orchestration.resources import Platform
from orchestration.retries import RETRY
from orchestration.suspects import broken_rules, way_out

RAW_IN = "raw_in_gate"
MARTS_OUT = "marts_out_gate"


def build_raw_in_gate(source: Source) -> dg.AssetChecksDefinition:
    """The gate between raw and everything downstream of a source."""

    @dg.asset_check(
        asset=raw_key(source.name),
        name=RAW_IN,
        blocking=True,
        retry_policy=RETRY,
        description=(
            "What the contracts promise, checked again on `raw.events` by Great Expectations, and that the "
            "warehouse holds every row that the lake's manifests count. A broken rule stops staging, facts "
            "and marts until the partition passes. A gate that cannot run has failed."
        ),
    )
    def raw_in(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.AssetCheckResult:
        place = place_of(context, raw_key(source.name))
        suite = raw_in_suite(
            source, _manifests(platform, source.name, place.window), gate_window(place.window)
        )
        result, evidence, out = run_gate(platform, suite, place)
        return asset_check_result(check_outcome(result, evidence_key=evidence), RAW_IN, out=out)

    return raw_in


def build_marts_out_gate(
    source: Source, suite: Suite, cadence: Cadence, marts: Sequence[dg.AssetKey]
) -> dg.AssetChecksDefinition | None:
    """The gate behind the marts of one cadence: a check per mart that has expectations, all in one step."""
    tables = {dg.AssetKey([table.database, table.name]): key for key, table in suite.tables.items()}
    guarded = [key for key in marts if key in tables]
    if not guarded:
        return None

    @dg.multi_asset_check(
        name=f"{source.name}_{cadence.name}_marts_out",
        specs=[
            dg.AssetCheckSpec(
                MARTS_OUT,
                asset=key,
                blocking=True,
                description=(
                    "Grain, values, ratios and absence of personal data, checked by Great Expectations on "
                    "the rows that the partition touched. A broken rule stops what reads the mart."
                ),
            )
            for key in guarded
        ],
        can_subset=True,
        retry_policy=RETRY,
    )
    def marts_out(
        context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.AssetCheckResult]:
        chosen = {check.asset_key: tables[check.asset_key] for check in context.selected_asset_check_keys}
        asked = dataclasses.replace(
            suite, checks=tuple(check for check in suite.checks if check.table in chosen.values())
        )
        place = place_of(context, next(iter(chosen)), name=f"{source.name} {cadence.name} marts")
        result, evidence, out = run_gate(platform, asked, place)
        outcomes = outcomes_by_table(result, evidence_key=evidence)
        for asset, table in chosen.items():
            yield asset_check_result(outcomes[suite.tables[table].qualified], MARTS_OUT, asset, out)

    return marts_out


def build_marts_out_gates(
    source: Source, marts: Mapping[Cadence, Sequence[dg.AssetKey]]
) -> list[dg.AssetChecksDefinition]:
    """The marts-out gates of a source, one per cadence.

    Raises:
        expectations.model.SuiteError: when the suite names a table that no asset makes: nothing would ever
        check it.
    """
    suite = load_suite(source)
    refuse_unguarded(suite, [key for keys in marts.values() for key in keys])
    gates = [build_marts_out_gate(source, suite, cadence, keys) for cadence, keys in marts.items()]
    return [gate for gate in gates if gate is not None]


def refuse_unguarded(suite: Suite, assets: Sequence[dg.AssetKey]) -> None:
    """Refuse a suite with expectations for a table that is no asset: nothing would ever check them.

    Raises:
        expectations.model.SuiteError: naming the tables.
    """
    made = {tuple(key.path) for key in assets}
    checked = {check.table for check in suite.checks}
    lost = sorted(
        table.qualified
        for key, table in suite.tables.items()
        if key in checked and (table.database, table.name) not in made
    )
    if lost:
        raise SuiteError(f"suite {suite.name} checks {', '.join(lost)}, which no dbt model makes")


def run_gate(platform: Platform, suite: Suite, place: Place) -> tuple[SuiteResult, str, str | None]:
    """Run a suite and keep its results in the warehouse, in the lake and as Data Docs.

    Returns:
        What was found, the key of the evidence in the lake, and how to take back what broke a rule.
    """
    settings = platform.settings
    result = run_suite(
        gate_warehouse(settings, place.log_comment),
        suite,
        gate_window(place.window),
        partition=place.partition,
        run_id=place.run_id,
        data_docs=settings.state_dir / "data_docs",
    )
    with platform.warehouse(place.log_comment) as client:
        from expectations.records import store_results  # noqa: PLC0415  pyarrow is for runs, not for the code server

        store_results(client, result)
        out = way_out(client, suite.source, place.window, broken_rules(result))
    return result, write_evidence(platform.store, result), out


def asset_check_result(
    outcome: CheckOutcome, name: str, asset: dg.AssetKey | None = None, out: str | None = None
) -> dg.AssetCheckResult:
    """A gate's verdict as Dagster shows it: which rule, how many rows, which partition, and the way out."""
    told = {"way_out": out} if out is not None and not outcome.passed else {}
    return dg.AssetCheckResult(
        passed=outcome.passed,
        asset_key=asset,
        check_name=name,
        severity=dg.AssetCheckSeverity.ERROR,
        description="\n".join([outcome.description, *told.values()]),
        metadata={key: _shown(key, value) for key, value in outcome.metadata.items()} | told,
    )


def _shown(key: str, value: Any) -> Any:
    if isinstance(value, list):
        columns = list(value[0])
        return dg.MetadataValue.md(
            markdown_table(columns, [[row[name] for name in columns] for row in value])
        )
    if key == "data_docs":
        return dg.MetadataValue.path(value)
    return value


def gate_window(window: Window) -> GateWindow:
    """The same window as the gates take it."""
    return GateWindow(window.start, window.end)


def _manifests(platform: Platform, source: str, window: Window) -> list[Manifest]:
    found: dict[str, Manifest] = {}
    for hour in hours_between(platform.store, source, window.start, window.end):
        found |= {manifest.load_id: manifest for manifest in manifests_for_hour(platform.store, source, hour)}
    return list(found.values())
