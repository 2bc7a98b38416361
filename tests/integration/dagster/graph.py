"""The whole graph as text, one fact per line, so that a review sees what a change does to it.

Write the snapshot again with `.venv/bin/python -m tests.integration.dagster.graph`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from orchestration.partitions import CADENCES

SNAPSHOT = Path(__file__).with_name("graph.txt")


def lines(definitions: dg.Definitions) -> list[str]:
    """Every asset, check, job, schedule and sensor, sorted."""
    repository = definitions.get_repository_def()
    return sorted(
        [
            *_assets(definitions),
            *_checks(definitions),
            *(
                f"job {job.name}: {_selected(job)}"
                for job in repository.get_all_jobs()
                if "__" not in job.name
            ),
            *(
                f"schedule {item.name}: {item.cron_schedule} UTC, runs {item.job_name}"
                for item in repository.schedule_defs
            ),
            *(
                f"sensor {item.name}: every {item.minimum_interval_seconds} s"
                + (
                    f", runs {', '.join(sorted(target.job_name for target in item.targets))}"
                    if item.targets
                    else ""
                )
                for item in repository.sensor_defs
            ),
        ]
    )


def _assets(definitions: dg.Definitions) -> Iterator[str]:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        cron = getattr(node.partitions_def, "cron_schedule", None)
        partitions = {cadence.begins: cadence.name for cadence in CADENCES}[cron] if cron else "unpartitioned"
        parents = ", ".join(sorted(parent.to_user_string() for parent in node.parent_keys)) or "nothing"
        yield (
            f"asset {key.to_user_string()}: group {node.group_name}, {partitions}, "
            f"owner {', '.join(node.owners)}, reads {parents}"
        )


def _checks(definitions: dg.Definitions) -> Iterator[str]:
    graph = definitions.resolve_asset_graph()
    for key in graph.asset_check_keys:
        spec = graph.get_check_spec(key)
        blocking = "blocking" if spec.blocking else "not blocking"
        yield f"check {key.asset_key.to_user_string()}: {key.name}, {blocking}"


def _selected(job: dg.JobDefinition) -> str:
    return (
        ", ".join(sorted(key.to_user_string() for key in job.asset_layer.selected_asset_keys))
        or "checks only"
    )


if __name__ == "__main__":
    from orchestration.definitions import build_definitions
    from orchestration.resources import Platform
    from orchestration.settings import Settings
    from orchestration.warehouse.dbt import prepare_manifest

    warnings.simplefilter("ignore")
    prepare_manifest(Settings())
    SNAPSHOT.write_text("\n".join(lines(build_definitions(Platform(Settings())))) + "\n")
