"""Bringing back from the lake what retention took out of `raw.events`, for the runs that restate its dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from lake.manifest import manifests_for_hour
from lake.store import ObjectStore
from orchestration.warehouse import retired
from orchestration.warehouse.raw import RawHourResult, load_hours

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def restore_hours(
    client: Client,
    store: ObjectStore,
    source: str,
    start: datetime,
    end: datetime,
    *,
    endpoint_url: str | None = None,
    log_comment: Mapping[str, str] | None = None,
) -> list[RawHourResult]:
    """Load the hours again whose events a run over what was received in [start, end) reads.

    They stay until retention is applied the next time. Where nothing was ever taken out this is one query.

    Args:
        client: connection to the warehouse.
        store: the lake.
        source: whose hours.
        start: first received hour of the run, aware.
        end: the hour after the last one, aware.
        endpoint_url: the store as ClickHouse reaches it, where that differs.
        log_comment: run, asset and partition, written into the query log with every statement.

    Returns:
        What was loaded, an hour each.
    """
    if not retired.retired_periods(client, source, retired.EVENTS):
        return []
    hours = retired.missing_hours(client, source, start, end)
    manifests = {hour: manifests_for_hour(store, source, hour) for hour in hours}
    results = load_hours(client, store, source, manifests, endpoint_url=endpoint_url, log_comment=log_comment)
    retired.forget_wanted(client, source)
    return results
