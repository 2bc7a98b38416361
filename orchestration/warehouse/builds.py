"""When marts first held what was received in an hour, and when they were last built from it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from orchestration.warehouse import sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def note_builds(
    client: Client, source_name: str, cadence: str, start: datetime, end: datetime, began_at: datetime
) -> None:
    """Note now as the time since which marts hold the loads received in [start, end), and when their build began.

    Hours that are noted already keep their first time: a rebuild delivers nothing anew.

    Args:
        client: connection to the warehouse.
        source_name: whose marts.
        cadence: name of the cadence whose marts were built, all of them.
        start: first received hour, aware.
        end: the hour after the last one, aware.
        began_at: when the build began to read, aware: what was loaded later it may not hold.
    """
    hours = (
        f"source = {sql.text(source_name)} and received_hour >= {sql.moments([start])}"
        f" and received_hour < {sql.moments([end])}"
    )
    client.command(
        f"""
        insert into ops.builds
        select distinct source, {sql.text(cadence)}, received_hour, now64(3, 'UTC') from ops.loads
        where {hours} and received_hour not in (
            select received_hour from ops.builds where cadence = {sql.text(cadence)} and {hours}
        )
        """,
        settings={"insert_deduplicate": 0},
    )
    client.command(
        f"""
        insert into ops.last_builds
        select distinct source, {sql.text(cadence)}, received_hour,
            fromUnixTimestamp64Milli({int(began_at.timestamp() * 1000)}, 'UTC')
        from (
            select source, received_hour from ops.loads where {hours}
            union distinct
            select source, received_hour from raw.touched_dates where {hours}
        )
        """,
        settings={"insert_deduplicate": 0},
    )
