"""Make the warehouse and Dagster's graph ready for the contracts and models there are."""

from __future__ import annotations

from ingestion.codegen import stale_files
from ingestion.contract import source_names
from lake.errors import MillraceError
from orchestration.connections import object_store, warehouse
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse import dbt, schema
from orchestration.warehouse.views import ensure_views


class StaleFilesError(MillraceError):
    """Files that are generated from the contracts are not what the contracts say; the message names one."""


def prepare(settings: Settings) -> None:
    """Create bucket and tables that are missing; parse the dbt models and build the staging views if they changed.

    Raises:
        StaleFilesError: when staging models and the like do not follow the contracts: nobody's files are written here.
    """
    if settings.environment == "laptop" and (stale := stale_files(PROJECT_ROOT)):
        raise StaleFilesError(
            f"{len(stale)} generated files do not follow the contracts, first {stale[0].relative_to(PROJECT_ROOT)}: "
            "run `millrace contracts generate`"
        )
    object_store(settings).ensure_bucket()
    client = warehouse(settings)
    try:
        schema.apply(client)
        dbt.prepare_manifest(settings)
        ensure_views(client, settings, source_names())
    finally:
        client.close()
