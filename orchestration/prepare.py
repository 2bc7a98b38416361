"""Make the warehouse and Dagster's graph ready for the contracts and models there are."""

from __future__ import annotations

from ingestion.codegen import write_generated
from orchestration.connections import object_store, warehouse
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse import dbt, schema


def prepare(settings: Settings) -> None:
    """Create bucket and tables, write what the contracts generate, parse the dbt models; each if needed.

    An event type is added by adding its contract: nobody has to remember the rest.
    """
    object_store(settings).ensure_bucket()
    client = warehouse(settings)
    try:
        schema.apply(client)
    finally:
        client.close()
    if settings.environment == "laptop":
        write_generated(PROJECT_ROOT)
    dbt.prepare_manifest(settings)
