"""Takes a load back: its manifest says so from then on, and for everybody who reads loads it is not there.

The manifest keeps its counts and its files, so that it is on record what was there. The files stay in the lake until
retention takes them; nobody reads them. Loading the same input again writes the next revision over it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from ingestion.errors import LoadError
from ingestion.locks import held
from lake.manifest import Manifest, Unloading, read_manifest, write_manifest
from lake.store import ObjectStore


def unload(
    store: ObjectStore, source: str, load_id: str, *, by: str, reason: str | None = None
) -> tuple[Manifest, bool]:
    """Take a load back, in one put. Return its manifest, and whether it stood until now.

    Args:
        store: the lake.
        source: the load's source.
        load_id: the load.
        by: who takes it back.
        reason: why.

    Raises:
        LoadError: there is no such load, or retention took accepted rows of it: marts stand on them, and nobody can
            say any more what they would be without.
        lake.manifest.ManifestError: when another process changed it at the same time.
    """
    with held(f"{store.endpoint_url}/{store.bucket}/{load_id}"):
        current = _read(store, source, load_id)
        if current.unloaded is not None:
            return current, False
        gone = sum(file.rows for file in current.expired if file.kind == "raw")
        if gone:
            raise LoadError(
                f"{gone} accepted rows of load {load_id} are past retention and gone from the lake: marts stand on "
                "them, and it cannot be unloaded any more"
            )
        return _supersede(store, current, Unloading(datetime.now(UTC), by, reason)), True


def note_restated(store: ObjectStore, source: str, load_id: str) -> Manifest:
    """Note that everything behind the lake stands as if an unloaded load had never come. Return its manifest.

    Raises:
        LoadError: there is no such load.
        lake.manifest.ManifestError: when another process changed it at the same time.
    """
    with held(f"{store.endpoint_url}/{store.bucket}/{load_id}"):
        current = _read(store, source, load_id)
        if current.unloaded is None or current.unloaded.restated_at is not None:
            return current
        return _supersede(store, current, replace(current.unloaded, restated_at=datetime.now(UTC)))


def _read(store: ObjectStore, source: str, load_id: str) -> Manifest:
    found = read_manifest(store, source, load_id)
    if found is None:
        raise LoadError(f"{source} has no load {load_id}")
    return found


def _supersede(store: ObjectStore, current: Manifest, unloaded: Unloading) -> Manifest:
    """Write the next revision. Its commit is still the load's own."""
    following = replace(current, revision=current.revision + 1, unloaded=unloaded)
    committed = current.committed_at or datetime.now(UTC)
    return write_manifest(store, following, committed_at=committed, supersedes=current)
