"""Landing → lake: one asset per source that loads whatever producers dropped."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from ingestion.contract import Source
from lake import paths
from lake.manifest import Counts, Manifest
from lake.store import ObjectMissingError
from orchestration.assets.names import LANDING, landing_key, owner_of
from orchestration.partitions import contiguous
from orchestration.plots import markdown_table
from orchestration.resources import Platform
from orchestration.retries import RETRY, permanent_errors_fail_at_once

if TYPE_CHECKING:
    from ingestion.loader import LoadResult

MAX_TABLE_ROWS = 50
LOADED_CHECK = "every_object_loaded"
PARTITION_CHECK = "received_hours_have_a_partition"


class LandingConfig(dg.Config):
    """Which landing objects to load."""

    keys: list[str] = Field(default_factory=list)
    """Object keys; empty means everything that lies in landing. What was loaded before is a no-op."""


@dataclass(frozen=True)
class Failed:
    """An object that could not be loaded, and why."""

    key: str
    reason: str


def build_landing_asset(source: Source, first_day: date) -> dg.AssetsDefinition:
    """Build the landing asset of a source."""
    key = landing_key(source.name)

    @dg.asset(
        key=key,
        group_name=LANDING,
        owners=[owner_of(source)],
        kinds={"s3", "duckdb", "parquet"},
        description=(
            f"Files that producers of **{source.name}** dropped under "
            f"`{paths.source_prefix('landing', source.name)}`, validated against the contracts, "
            "deduplicated, pseudonymised and written to the lake as parquet; what breaks a contract is in "
            "quarantine. Every row read is accepted, duplicate, quarantined or suppressed.\n\n"
            f"{source.description}"
        ),
        retry_policy=RETRY,
        pool=f"{source.name}_landing",
        check_specs=[
            dg.AssetCheckSpec(
                LOADED_CHECK,
                asset=key,
                blocking=True,
                description="Every landing object could be read. The others are loaded all the same.",
            ),
            dg.AssetCheckSpec(
                PARTITION_CHECK,
                asset=key,
                blocking=True,
                description=f"No row was received before the first partition, {first_day}.",
            ),
        ],
    )
    def landing(
        context: dg.AssetExecutionContext, config: LandingConfig, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]  # beside checks Dagster takes the bare class only
        with permanent_errors_fail_at_once():
            return _load(context, source, platform, config.keys, first_day)

    return landing


def _load(
    context: dg.AssetExecutionContext, source: Source, platform: Platform, keys: list[str], first_day: date
) -> dg.MaterializeResult[None]:
    from ingestion.loader import LoadError, load  # noqa: PLC0415  DuckDB is for steps that load

    started = time.monotonic()
    store, settings = platform.store, platform.settings
    prefix = paths.source_prefix("landing", source.name)
    loaded: list[LoadResult] = []
    failed: list[Failed] = []
    for key in keys or [found.key for found in store.list(prefix)]:
        try:
            result = load(
                store,
                source,
                store.url(key),
                key=settings.secret_key,
                memory_limit_mb=settings.max_load_memory_mb,
            )
        except (LoadError, ObjectMissingError) as error:
            context.log.error(f"{key}: {error}")
            failed.append(Failed(key, str(error)))
            continue
        loaded.append(result)
        context.log.info(f"{key}: {conservation_line(result)}")
        if result.note:
            context.log.warning(result.note)
    metadata = load_metadata(loaded) | {"duration_seconds": round(time.monotonic() - started, 3)}
    return dg.MaterializeResult(
        metadata=metadata,
        check_results=[
            _loaded_check(len(loaded), failed),
            _partition_check(loaded, first_day, is_set=settings.first_day is not None),
        ],
    )


def conservation_line(result: "LoadResult") -> str:
    """What became of every row of one input, in a line."""
    line = str(result.manifest.counts)
    if result.manifest.unloaded is not None:
        return f"{line} ({result.manifest.unloaded}; only `millrace load` brings it back)"
    return f"{line} (loaded before, nothing to do)" if result.already_loaded else line


def load_metadata(results: "list[LoadResult]") -> dict[str, Any]:
    """What a person wants to know about a batch of loads, as Dagster metadata."""
    fresh = [result.manifest for result in results if not result.already_loaded]
    total = sum((manifest.counts for manifest in fresh), Counts())
    codes: dict[str, int] = {}
    for manifest in fresh:
        for code, count in manifest.codes.items():
            codes[code] = codes.get(code, 0) + count
    metadata: dict[str, Any] = {
        "inputs": len(results),
        "inputs_new": len(fresh),
        "dagster/row_count": total.accepted,
        "read": total.read,
        "accepted": total.accepted,
        "duplicate": total.duplicate,
        "quarantined": total.quarantined,
        "suppressed": total.suppressed,
        "input_bytes": sum(manifest.input.bytes for manifest in fresh),
        "lake_bytes": sum(file.bytes for manifest in fresh for file in manifest.files),
        "received_hours": received_hours(fresh),
    }
    if results:
        metadata["conservation"] = dg.MetadataValue.md(_conservation_table(results))
    if codes:
        metadata["quarantine_codes"] = dg.MetadataValue.md(
            markdown_table(["code", "rows"], sorted(codes.items(), key=lambda item: -item[1]))
        )
    return metadata


def unload_metadata(manifest: Manifest) -> dict[str, Any]:
    """What a person wants to know about a load that was taken back, as Dagster metadata."""
    return {
        "unloaded": manifest.load_id,
        "input": manifest.input.uri,
        "why": str(manifest.unloaded),
        "accepted": manifest.counts.accepted,
        "received_hours": received_hours([manifest]),
    }


def received_hours(manifests: Sequence[Manifest]) -> dg.JsonMetadataValue:
    """The received hours that loads touched: the contract with the sensor that materialises them."""
    windows = contiguous(hour.received_hour for manifest in manifests for hour in manifest.hours)
    return dg.MetadataValue.json([[window.start.isoformat(), window.end.isoformat()] for window in windows])


def _conservation_table(results: "list[LoadResult]") -> str:
    rows = []
    for result in results[:MAX_TABLE_ROWS]:
        counts = result.manifest.counts
        name = result.manifest.input.uri.rpartition("/")[2]
        rows.append(
            [
                name,
                counts.read,
                counts.accepted,
                counts.duplicate,
                counts.quarantined,
                counts.suppressed,
                "before" if result.already_loaded else "now",
            ]
        )
    table = markdown_table(
        ["input", "read", "accepted", "duplicate", "quarantined", "suppressed", "loaded"], rows
    )
    left = len(results) - MAX_TABLE_ROWS
    return table if left <= 0 else f"{table}\n\n… and {left} more inputs"


def _loaded_check(loaded: int, failed: list[Failed]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=LOADED_CHECK,
        passed=not failed,
        description=(
            f"all {loaded} objects are in the lake"
            if not failed
            else f"{len(failed)} of {loaded + len(failed)} objects could not be loaded, "
            f"first {failed[0].key}: {failed[0].reason}"
        ),
        metadata={
            "failed": dg.MetadataValue.md(
                markdown_table(
                    ["object", "reason"], [[item.key, item.reason] for item in failed[:MAX_TABLE_ROWS]]
                )
            )
        }
        if failed
        else {},
    )


def _partition_check(loaded: "list[LoadResult]", first_day: date, *, is_set: bool) -> dg.AssetCheckResult:
    early = sorted(
        {
            hour.received_hour
            for result in loaded
            for hour in result.manifest.hours
            if hour.received_hour.date() < first_day
        }
    )
    return dg.AssetCheckResult(
        check_name=PARTITION_CHECK,
        passed=not early,
        description=(
            "every received hour has a partition"
            if not early
            else f"{len(early)} received hours lie before the first partition {first_day}, "
            f"first {early[0].isoformat()}: "
            + (
                "load again with a later --received-at, or set an earlier MILLRACE_FIRST_DAY"
                if is_set
                else "`millrace run` lets the partitions begin with them"
            )
        ),
    )
