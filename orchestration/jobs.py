"""Jobs per source: load landing, rebuild the partitions of each cadence."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

# What define_asset_job returns; dagster exports the function, not the type.
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

from orchestration.assets.names import landing_key, retention_key
from orchestration.partitions import Cadence

__all__ = [
    "LANDING",
    "RETENTION",
    "AssetJob",
    "build_landing_job",
    "build_partitioned_job",
    "build_retention_job",
    "job_name",
]

LANDING = "landing"
RETENTION = "retention"


def job_name(source: str, work: str) -> str:
    """Name of a source's job: for landing, or for the cadence of that name."""
    return f"{source}_{work}"


def build_landing_job(source: str) -> AssetJob:
    """The job that loads landing objects into the lake."""
    return dg.define_asset_job(
        job_name(source, LANDING),
        selection=dg.AssetSelection.assets(landing_key(source)),
        description=f"Load what producers of {source} dropped.",
    )


def build_retention_job(source: str) -> AssetJob:
    """The job that lists, or removes, what is older than the policy."""
    return dg.define_asset_job(
        job_name(source, RETENTION),
        selection=dg.AssetSelection.assets(retention_key(source)),
        description=f"List what of {source} is older than the policy; with `apply: true`, remove it.",
    )


def build_partitioned_job(
    source: str,
    cadence: Cadence,
    assets: Sequence[dg.AssetKey],
    freshness: Sequence[dg.AssetChecksDefinition],
) -> AssetJob:
    """The job that rebuilds the assets of one cadence for a range of partitions, gates included.

    Freshness checks are left out: they judge whether the newest partition is there, which says nothing about
    the partitions a run rebuilds.
    """
    selection = dg.AssetSelection.assets(*assets)
    return dg.define_asset_job(
        job_name(source, cadence.name),
        selection=selection - dg.AssetSelection.checks(*freshness),
        description=f"Rebuild the {cadence.name} assets of {source} for a range of partitions, with their gates.",
    )
