"""What of the lake the marts do not hold yet: what a run without a window builds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from lake.manifest import Manifest, all_manifests
from lake.store import ObjectStore
from orchestration.partitions import Cadence
from orchestration.violations import open_periods
from orchestration.warehouse import retired, sql
from orchestration.warehouse.stamps import contracts_hold, project_and_engine

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def pending_hours(
    client: Client, store: ObjectStore, source: str, cadences: Collection[Cadence]
) -> list[datetime]:
    """Return the received hours of a source that are to be built, in order.

    These are the hours of which the warehouse holds other loads than the lake, or which a load has changed since all
    models of a cadence were built from them; those that a gate has rejected; and the newest hour where models were not
    built from this project yet: a model that is new is built whole, whichever the hour.

    Args:
        client: connection to the warehouse.
        store: the lake.
        source: its name.
        cadences: those that the source has models of.
    """
    manifests = list(all_manifests(store, source, unloaded=True))
    standing = [manifest for manifest in manifests if manifest.unloaded is None]
    gone = {
        *retired.retired_periods(client, source, retired.EVENTS),
        *retired.retired_periods(client, source, retired.LOADS),
    }
    in_lake = _loads_by_hour(standing)
    in_warehouse = _taken_loads(client, source)
    found = {
        hour
        for hour in {*in_lake, *in_warehouse} - gone
        if in_lake.get(hour, set()) != in_warehouse.get(hour, set())
    }
    built = {cadence: _last_builds(client, source, cadence.name) for cadence in cadences}
    for hour, changed in _last_changes(manifests).items():
        if any(hour not in last or last[hour] < changed for last in built.values()):
            found.add(hour)
    for windows in open_periods(client, source).values():
        found.update(hour for window in windows for hour in window.hours)
    project = project_and_engine(client)
    if in_lake and not all(contracts_hold(client, source, cadence.name, project) for cadence in cadences):
        found.add(max(in_lake))
    return sorted(found)


def _loads_by_hour(manifests: Iterable[Manifest]) -> Mapping[datetime, set[tuple[str, int]]]:
    found: dict[datetime, set[tuple[str, int]]] = defaultdict(set)
    for manifest in manifests:
        for hour in manifest.hours:
            found[hour.received_hour].add((manifest.load_id, manifest.revision))
    return found


def _last_changes(manifests: Iterable[Manifest]) -> Mapping[datetime, datetime]:
    """When each hour was changed last, by a load or by taking one back; one whose marts are restated counts no more."""
    found: dict[datetime, datetime] = {}
    for manifest in manifests:
        if manifest.unloaded is None:
            changed = manifest.committed_at or manifest.received_at
        elif manifest.unloaded.restated_at is None:
            changed = manifest.unloaded.at
        else:
            continue
        for hour in manifest.hours:
            found[hour.received_hour] = max(changed, found.get(hour.received_hour, changed))
    return found


def _taken_loads(client: Client, source: str) -> Mapping[datetime, set[tuple[str, int]]]:
    rows = client.query(
        "select toUnixTimestamp(received_hour), load_id, revision from ops.loads "
        f"where source = {sql.text(source)}"
    ).result_rows
    found: dict[datetime, set[tuple[str, int]]] = defaultdict(set)
    for hour, load_id, revision in rows:
        found[datetime.fromtimestamp(hour, UTC)].add((load_id, revision))
    return found


def _last_builds(client: Client, source: str, cadence: str) -> Mapping[datetime, datetime]:
    rows = client.query(
        "select toUnixTimestamp(received_hour), toUnixTimestamp64Milli(max(built_at)) from ops.last_builds "
        f"where source = {sql.text(source)} and cadence = {sql.text(cadence)} group by received_hour"
    ).result_rows
    return {
        datetime.fromtimestamp(hour, UTC): datetime.fromtimestamp(built / 1000, UTC) for hour, built in rows
    }
