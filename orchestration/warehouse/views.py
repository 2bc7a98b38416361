"""The staging views: they change with the dbt project and not with the hour, so that no run of an hour builds them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestration.settings import Settings
from orchestration.warehouse import dbt, sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def select_staging(source: str) -> str:
    """Return dbt's selector of a source's staging views."""
    return f"fqn:*.staging.{source}.*"


def ensure_views(
    client: Client,
    settings: Settings,
    sources: Collection[str],
    log_comment: Mapping[str, str] | None = None,
) -> dict[str, datetime]:
    """Build the staging views of sources anew where the project has changed, or where one is gone or was changed.

    Where none is to be built these are two queries.

    Args:
        client: connection to the warehouse.
        settings: where it is.
        sources: whose views.
        log_comment: run, asset and partition, written into the query log with every build.

    Returns:
        Of each source, since when its views stand.

    Raises:
        orchestration.warehouse.dbt.DbtError: when dbt cannot build them.
    """
    fingerprint = dbt.project_fingerprint()
    standing = _standing(client, fingerprint)
    stale = sorted(set(sources).difference(standing))
    if stale:
        selected = [select_staging(name) for name in stale]
        dbt.run_dbt(settings, ["run", "--select", *selected], log_comment=log_comment)
        manifest = json.loads(dbt.MANIFEST_PATH.read_text())
        note_views(client, fingerprint, {name: staging_models(manifest, name) for name in stale})
        standing |= _standing(client, fingerprint)
    return {name: standing[name] for name in sources}


def note_views(client: Client, fingerprint: str, views: Mapping[str, Collection[str]]) -> None:
    """Note of sources that their views, all of them, stand as the project of the fingerprint says."""
    for source, names in views.items():
        client.command(
            f"insert into ops.staging_builds select {sql.text(source)}, {sql.text(fingerprint)}, "
            f"[{', '.join(map(sql.text, names))}], now64(3, 'UTC')",
            settings={"insert_deduplicate": 0},
        )


def staging_models(manifest: Mapping[str, Any], source: str) -> list[str]:
    """Return the names of a source's staging views in their database."""
    return sorted(
        node["alias"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1:3] == ["staging", source]
    )


def _standing(client: Client, fingerprint: str) -> dict[str, datetime]:
    """Since when the views of sources stand, of those where none is missing and none was touched after."""
    noted = client.query(
        "select source, views, toUnixTimestamp64Milli(built_at) from ops.staging_builds final "
        f"where fingerprint = {sql.text(fingerprint)}"
    ).result_rows
    tables = client.query(
        "select name, toUnixTimestamp(metadata_modification_time) from system.tables where database = 'staging'"
    ).result_rows
    changed = {str(name): int(second) for name, second in tables}
    return {
        source: datetime.fromtimestamp(built / 1000, UTC)
        for source, views, built in noted
        if all(name in changed and changed[name] * 1000 <= built for name in views)
    }
