"""Sweeping: remove the files that no manifest names, left behind by loads that were killed or repeated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from lake import paths
from lake.manifest import all_manifests
from lake.store import ObjectInfo, ObjectStore

DEFAULT_AGE = timedelta(days=1)


def sweep(
    store: ObjectStore,
    source: str,
    older_than: timedelta = DEFAULT_AGE,
    dry_run: bool = True,
    *,
    now: datetime | None = None,
) -> list[ObjectInfo]:
    """Delete the data files of a source that no manifest names.

    Args:
        store: the lake.
        source: the source to sweep.
        older_than: leave younger files alone: a load that is still running has not committed yet.
        dry_run: only report.
        now: the present, for tests.

    Returns:
        The files that were (or, in a dry run, would be) deleted, in the order of their keys.
    """
    limit = (now or datetime.now(UTC)) - older_than
    # Files are listed before manifests: a load that commits in between is seen as committed.
    found = [
        info
        for kind in paths.KINDS
        for info in store.list(paths.source_prefix(kind, source))
        if info.last_modified < limit
    ]
    named = {file.key for manifest in all_manifests(store, source, unloaded=True) for file in manifest.files}
    orphans = [info for info in found if info.key not in named]
    if not dry_run:
        store.delete_many(info.key for info in orphans)
    return orphans
