"""Lake → ClickHouse: one asset per source; its partition is the received hour, as in ClickHouse."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from ingestion.contract import Source
from lake.manifest import hours_between, manifests_for_hour
from orchestration.assets.names import RAW, landing_key, owner_of, raw_key, warehouse_pool
from orchestration.assets.tables import table_metadata
from orchestration.partitions import HOURLY, Window, dbt_vars
from orchestration.places import place_of, told_once
from orchestration.resources import Platform
from orchestration.retries import RETRY, permanent_errors_fail_at_once
from orchestration.warehouse import raw as raw_loading

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

SAMPLE_COLUMNS = ("event_type", "tenant_id", "occurred_at", "received_at", "producer")


def build_raw_asset(source: Source, partitions: dg.TimeWindowPartitionsDefinition) -> dg.AssetsDefinition:
    """Build the raw asset of a source."""

    @dg.asset(
        key=raw_key(source.name),
        group_name=RAW,
        owners=[owner_of(source)],
        kinds={"clickhouse", "s3"},
        deps=[landing_key(source.name)],
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=warehouse_pool(source.name),
        retry_policy=RETRY,
        description=(
            f"Events of **{source.name}** as they were accepted, in `raw.events`, one ClickHouse partition "
            "per received hour. The files that manifests name are staged, duplicates of earlier deliveries "
            "are flagged, and the hour is replaced as a whole: a repeated run changes nothing.\n\nGrain: "
            "delivery (load_id, row_number)."
        ),
        metadata={"dagster/table_name": "raw.events"},
    )
    def raw(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        started = time.monotonic()
        place = place_of(context, raw_key(source.name))
        with (
            permanent_errors_fail_at_once(),
            platform.warehouse(place.log_comment) as client,
        ):
            hours = hours_to_load(client, platform, source.name, place.window)
            manifests = {hour: manifests_for_hour(platform.store, source.name, hour) for hour in hours}
            results = raw_loading.load_hours(
                client,
                platform.store,
                source.name,
                manifests,
                endpoint_url=platform.settings.s3_url_for_clickhouse,
                log_comment=place.labels,
            )
            metadata = _metadata(client, source.name, place.window, results)
        for result in results:
            context.log.info(_line(result, len(manifests[result.hour])))
            context.add_asset_metadata(
                _hour_metadata(result, len(manifests[result.hour])), partition_key=HOURLY.key(result.hour)
            )
        told = told_once(context, raw_key(source.name), place, metadata)
        return dg.MaterializeResult(
            metadata={**told, "duration_seconds": round(time.monotonic() - started, 3)}
        )

    return raw


def hours_to_load(client: "Client", platform: Platform, source: str, window: Window) -> list[datetime]:
    """The hours of a window that the lake or the warehouse knows: all others are empty on both sides."""
    in_lake = hours_between(platform.store, source, window.start, window.end)
    in_warehouse = raw_loading.loaded_hours(client, source, window.start, window.end)
    return sorted({*in_lake, *in_warehouse})


def _line(done: raw_loading.RawHourResult, loads: int) -> str:
    return (
        f"{HOURLY.key(done.hour)}: {done.rows} rows of {loads} loads, {done.duplicates} known from earlier "
        f"deliveries, {done.touched} dates touched"
    )


def _hour_metadata(done: raw_loading.RawHourResult, loads: int) -> dict[str, Any]:
    return {
        "dagster/partition_row_count": done.rows,
        "loads": loads,
        "duplicates": done.duplicates,
        "dates_touched": done.touched,
    }


def _metadata(
    client: "Client", source: str, window: Window, results: list[raw_loading.RawHourResult]
) -> dict[str, Any]:
    where = (
        "source = {source:String} "
        "and received_hour >= {start:DateTime('UTC')} and received_hour < {end:DateTime('UTC')}"
    )
    bound = {"source": source, **dict(zip(("start", "end"), dbt_vars(window).values(), strict=True))}
    return {
        "rows_in_window": sum(done.rows for done in results),
        "hours_with_rows": sum(1 for done in results if done.rows),
        **table_metadata(
            client,
            "raw",
            "events",
            columns=SAMPLE_COLUMNS,
            where=where,
            one_per="event_type",
            parameters=bound,
        ),
    }
