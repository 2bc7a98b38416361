"""What changes with the dbt project and not with the hour: done once per project, and stamped with its fingerprint.

These are the staging views, and the comparison of every model's SQL with its contract.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orchestration.settings import Settings
from orchestration.warehouse import dbt, sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

STAGING = "staging"


def select_staging(source: str) -> str:
    """Return dbt's selector of a source's staging views."""
    return f"fqn:*.{STAGING}.{source}.*"


def staging_models(manifest: Mapping[str, Any], source: str) -> list[Mapping[str, Any]]:
    """Return the nodes of a source's staging views."""
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1:3] == [STAGING, source]
    ]


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
    # Read before anything is built: what is edited meanwhile is not what will stand there.
    fingerprint = dbt.project_fingerprint()
    standing = _standing(client, fingerprint)
    stale = sorted(set(sources).difference(standing))
    if stale:
        selected = [select_staging(name) for name in stale]
        dbt.run_dbt(settings, ["run", "--select", *selected], log_comment=log_comment)
        manifest = json.loads(dbt.MANIFEST_PATH.read_text())
        for name in stale:
            note_views(client, name, staging_models(manifest, name), fingerprint)
        standing |= _standing(client, fingerprint)
    return {name: standing[name] for name in sources}


def note_views(client: Client, source: str, models: Sequence[Mapping[str, Any]], fingerprint: str) -> None:
    """Note that a source's staging views, all of them, stand as the project of the fingerprint says."""
    _note(client, source, STAGING, fingerprint, [node["alias"] for node in models])


def project_and_engine(client: Client) -> str:
    """Fingerprint of the project as it is now, with the engine's version: what the types of a query depend on."""
    return f"{dbt.project_fingerprint()} {client.server_version}"


def contracts_hold(client: Client, source: str, cadence: str, built_from: str) -> bool:
    """Whether all models of a source and cadence were built from this very project, on this engine, before.

    Their SQL has the columns of their contracts then: these depend on nothing else.
    """
    found = client.query(
        "select fingerprint from ops.project_builds final "
        f"where source = {sql.text(source)} and what = {sql.text(cadence)}"
    ).result_rows
    return found == [(built_from,)]


def note_contracts(client: Client, source: str, cadence: str, built_from: str) -> None:
    """Note that all models of a source and cadence were built from this project on this engine."""
    _note(client, source, cadence, built_from)


def _note(client: Client, source: str, what: str, fingerprint: str, views: Collection[str] = ()) -> None:
    client.command(
        f"insert into ops.project_builds select {sql.text(source)}, {sql.text(what)}, {sql.text(fingerprint)}, "
        f"[{', '.join(map(sql.text, views))}]::Array(String), now64(3, 'UTC')",
        settings={"insert_deduplicate": 0},
    )


def _standing(client: Client, fingerprint: str) -> dict[str, datetime]:
    """Since when the views of sources stand, of those where none is missing and none was touched after."""
    noted = client.query(
        "select source, views, toUnixTimestamp64Milli(built_at) from ops.project_builds final "
        f"where what = {sql.text(STAGING)} and fingerprint = {sql.text(fingerprint)}"
    ).result_rows
    tables = client.query(
        "select name, toUnixTimestamp(metadata_modification_time) from system.tables "
        f"where database = {sql.text(STAGING)}"
    ).result_rows
    changed = {str(name): int(second) for name, second in tables}
    return {
        source: datetime.fromtimestamp(built / 1000, UTC)
        for source, views, built in noted
        if all(name in changed and changed[name] * 1000 <= built for name in views)
    }
