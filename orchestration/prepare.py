"""Make the warehouse and Dagster's graph ready for the contracts and models there are."""

from __future__ import annotations

from ingestion.codegen import stale_files
from ingestion.contract import source_names
from lake.errors import MillraceError
from lake.manifest import first_received_day
from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.embedded.credentials import write_private
from orchestration.settings import FIRST_DAY_FILE, PROJECT_ROOT, Settings
from orchestration.warehouse import dbt, schema
from orchestration.warehouse.stamps import ensure_views


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
    store = object_store(settings)
    store.ensure_bucket()
    note_first_day(settings, store)
    client = warehouse(settings)
    try:
        schema.apply(client)
        dbt.prepare_manifest(settings)
        ensure_views(client, settings, source_names())
    finally:
        client.close()


def note_first_day(settings: Settings, store: ObjectStore) -> None:
    """Note the first received day that the lake of a laptop holds, which Dagster's partitions begin with.

    It only moves back: what was built stays in sight when the lake forgets it.
    """
    if settings.environment != "laptop" or settings.first_day is not None:
        return
    found = [day for name in source_names() if (day := first_received_day(store, name)) is not None]
    noted = settings.noted_first_day()
    if found and (noted is None or min(found) < noted):
        write_private(settings.state_dir / FIRST_DAY_FILE, f"{min(found)}\n")
