"""Unloading: a load is taken back in the lake, then everything that was built from it is built again without it.

The lake decides, in one put, and Dagster is told. What follows can be repeated: killed anywhere, the same command
finishes it, and so does a run of the load's hours.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from ingestion import unload as in_lake
from ingestion.errors import LoadError
from lake.manifest import Manifest, read_manifest
from orchestration.partitions import GAP, HOURLY, Window, contiguous, with_partition
from orchestration.resources import Platform
from orchestration.run import ProgressCallback, RunReport, materialize_windows, report_unload
from orchestration.settings import Settings
from orchestration.violations import open_periods
from orchestration.warehouse import retired, sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


@dataclass(frozen=True)
class UnloadReport:
    """What became of a load that was to be taken back."""

    manifest: Manifest
    """As it is now."""
    was_unloaded: bool
    """Whether it had been taken back before."""
    windows: tuple[Window, ...] = ()
    """Received hours that were built again."""
    runs: tuple[RunReport, ...] = ()

    @property
    def success(self) -> bool:
        """Whether nothing stands on the load any more."""
        return self.manifest.unloaded is not None and self.manifest.unloaded.restated_at is not None

    @property
    def failures(self) -> list[str]:
        """One sentence per failed check or step."""
        return [failure for run in self.runs for failure in run.failures]

    @property
    def notes(self) -> list[str]:
        """What was left for later, and why."""
        return [note for run in self.runs for note in run.notes]


def unload(
    settings: Settings,
    source: str,
    load_id: str,
    reason: str | None = None,
    progress: ProgressCallback | None = None,
) -> UnloadReport:
    """Take a load back, and build again without it what was built from it; finishes what was begun before.

    Everything of the load leaves `raw.events` first, in all its hours, and passes the gate there: else the marts of one
    hour would be built, and judged, while rows of another are still there. A partition that a gate has rejected is built
    again too, whatever it was rejected for: an open violation would stop the source all the same.

    Args:
        settings: where the stack is; tables and models are prepared.
        source: the load's source.
        load_id: the load.
        reason: why, for the record.
        progress: called for everything that happens in a run.

    Raises:
        ingestion.errors.LoadError: there is no such load, or what the marts hold of it cannot be taken back any more.
    """
    platform = Platform(settings)
    raw = f'key:"raw/{source}"'
    standing = read_manifest(platform.store, source, load_id)
    if standing is not None and standing.unloaded is None:
        with platform.warehouse(f"what the marts hold of load {load_id}") as client:
            _refuse_beyond_the_lake(client, standing)
            out = _in(standing, retired.retired_periods(client, source, retired.EVENTS))
        if out:
            # Only rows that are there can be found missing: what they hid counts again.
            back = materialize_windows(settings, {source: contiguous(out, GAP)}, raw, progress)
            if not back.success:
                raise LoadError(
                    f"load {load_id} is not unloaded: {len(out)} of its hours, which retention took out of raw.events, "
                    f"did not come back: {'; '.join(back.failures)}"
                )
    manifest, is_new = in_lake.unload(platform.store, source, load_id, by=_user(), reason=reason)
    assert manifest.unloaded is not None
    if manifest.unloaded.restated_at is not None:
        return UnloadReport(manifest, was_unloaded=True)
    report_unload(settings, manifest)
    with platform.warehouse(f"what was built from load {load_id}") as client:
        # What an earlier attempt has done is not to be seen in the warehouse: then all hours are built.
        hours = _taken_hours(client, manifest) if is_new else [hour.received_hour for hour in manifest.hours]
        hours = with_partition(hours, settings.partitions_from)
        rejected = open_periods(client, source) if hours else {}
    windows = contiguous(
        [*hours, *(hour for window in rejected.get(HOURLY, []) for hour in window.hours)], GAP
    )
    runs: list[RunReport] = []
    for select in (raw, f"{raw}+ and not {raw}") if windows else ():
        runs.append(materialize_windows(settings, {source: windows}, select, progress, rejected))
        if not runs[-1].success:
            return UnloadReport(manifest, not is_new, tuple(windows), tuple(runs))
    manifest = in_lake.note_restated(platform.store, source, load_id)
    return UnloadReport(manifest, not is_new, tuple(windows), tuple(runs))


def _user() -> str:
    """Name of the user of the operating system; one without a name goes by the number."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _in(manifest: Manifest, hours: Iterable[datetime]) -> list[datetime]:
    own = {hour.received_hour for hour in manifest.hours}
    return sorted(own.intersection(hours))


def _span(manifest: Manifest) -> str:
    """Return the condition on the received hours between a load's first and last; partitions are found by it."""
    hours = [hour.received_hour for hour in manifest.hours]
    return (
        f"source = {sql.text(manifest.source)} and received_hour between {sql.moments([min(hours)])} "
        f"and {sql.moments([max(hours)])}"
    )


def _taken_hours(client: Client, manifest: Manifest) -> list[datetime]:
    """Return the received hours in which the warehouse holds anything of a load."""
    of_load = f"{_span(manifest)} and load_id = {sql.text(manifest.load_id)}"
    held = " union distinct ".join(
        f"select toUnixTimestamp(received_hour) as hour from {table} where {of_load}"
        for table in ("ops.loads", "ops.quarantine", "raw.events")
    )
    return [
        datetime.fromtimestamp(hour, UTC) for (hour,) in client.query(f"{held} order by hour").result_rows
    ]


def _refuse_beyond_the_lake(client: Client, manifest: Manifest) -> None:
    """Refuse where a load touches dates of which the lake has forgotten events: no mart of them is ever built again.

    Raises:
        LoadError: naming the dates.
    """
    source = sql.text(manifest.source)
    number, first = client.query(f"""
        select count(), min(occurred_date) from (
            select distinct occurred_date from raw.touched_dates
            where {_span(manifest)} and occurred_date in (
                select occurred_date from raw.touched_dates
                where source = {source} and via = 'self' and received_hour in (
                    select period from ops.retired_periods where source = {source} and store = 'ops.loads'
                )
            )
        )
    """).result_rows[0]
    if number:
        raise LoadError(
            f"load {manifest.load_id} touches {number} dates, first {first}, of which events are past retention and "
            "gone from the lake: marts of them cannot be restated, and it cannot be unloaded any more"
        )
