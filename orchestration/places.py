"""Where a step works: its run, its asset, its partitions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from orchestration.partitions import RANGE, Window, window_of_label

StepContext = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


@dataclass(frozen=True)
class Place:
    """Run, asset and partitions of a step; `partition` is a key, or two of them joined by `...`."""

    run_id: str
    asset: str
    partition: str

    @property
    def window(self) -> Window:
        """The received hours of the partitions."""
        return window_of_label(self.partition)

    @property
    def last_key(self) -> str:
        """The last partition."""
        return self.partition.rpartition(RANGE)[2]

    @property
    def is_range(self) -> bool:
        """Whether these are several partitions."""
        return RANGE in self.partition

    @property
    def labels(self) -> dict[str, str]:
        """What every query of the step carries."""
        return {"run_id": self.run_id, "asset": self.asset, "partition": self.partition}

    @property
    def log_comment(self) -> str:
        """The labels as ClickHouse's `log_comment` holds them: JSON."""
        return json.dumps(self.labels, sort_keys=True)


def place_of(context: StepContext, key: dg.AssetKey, name: str | None = None) -> Place:
    """Where a step of an asset works.

    A check that a person executes alone, from the UI, has no partition: it judges the one that was materialised last.

    Args:
        context: the step's context.
        key: the asset, or one of them.
        name: what the place calls it, where that is not the asset's own name.

    Raises:
        dagster.Failure: when there is no partition to work on.
    """
    partition = partition_of(context.run.tags) or _latest(context.instance, key)
    return Place(context.run.run_id, name or key.to_user_string(), partition)


def told_once(
    context: dg.AssetExecutionContext, key: dg.AssetKey, place: Place, metadata: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Tell what is true of an asset after a step, once: Dagster keeps metadata with every partition of a range.

    Returns:
        What is still to be told with every partition: nothing, where the last one of a range has been told all.
    """
    if not place.is_range:
        return metadata
    context.add_asset_metadata(metadata, asset_key=key, partition_key=place.last_key)
    return {}


def partition_of(tags: Mapping[str, str]) -> str | None:
    """The partition of a run by its tags: a key, or the first and the last joined by `...`; None without one."""
    start, end = (tags.get(f"dagster/asset_partition_range_{side}") for side in ("start", "end"))
    if start and end:
        return start if start == end else f"{start}{RANGE}{end}"
    return tags.get("dagster/partition")


def _latest(instance: dg.DagsterInstance, key: dg.AssetKey) -> str:
    event = instance.get_latest_materialization_event(key)
    materialization = event.asset_materialization if event else None
    if materialization is None or materialization.partition is None:
        raise dg.Failure(
            f"{key.to_user_string()} has no materialised partition yet: materialise one first",
            allow_retries=False,
        )
    return materialization.partition
