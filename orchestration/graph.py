"""The graph of one source, from landing to proof."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from expectations.proof.marts import load_proof
from ingestion.contract import Source
from orchestration.assets.landing import build_landing_asset
from orchestration.assets.marts import Translator, build_dbt_assets, build_view_assets, models_of
from orchestration.assets.names import proof_key, raw_key
from orchestration.assets.quality import build_proof_asset
from orchestration.assets.raw import build_raw_asset
from orchestration.assets.retention import build_retention_asset
from orchestration.checks import build_marts_out_gates, build_raw_in_gate
from orchestration.freshness import build_freshness
from orchestration.jobs import build_landing_job, build_partitioned_job, build_retention_job
from orchestration.partitions import CADENCES, DAILY, HOURLY, Cadence
from orchestration.schedules import build_retention_schedule, build_schedules
from orchestration.sensors import build_landing_sensor, build_restated_sensor, build_touched_hours_sensor
from orchestration.settings import Settings
from orchestration.violations import refuse_open_violations, suites_of
from orchestration.warehouse.stamps import staging_models


def sensor_status(environment: str) -> dg.DefaultSensorStatus:
    """Automation runs by itself in production; on a laptop it is switched on in the UI.

    There it would load and rebuild at the same moment as the person who just dropped a file and runs a
    command.
    """
    return dg.DefaultSensorStatus.RUNNING if environment == "production" else dg.DefaultSensorStatus.STOPPED


def schedule_status(environment: str) -> dg.DefaultScheduleStatus:
    """As `sensor_status`, for schedules."""
    running, stopped = dg.DefaultScheduleStatus.RUNNING, dg.DefaultScheduleStatus.STOPPED
    return running if environment == "production" else stopped


def build_source_graph(
    source: Source, manifest: Mapping[str, Any], translator: Translator, settings: Settings
) -> dg.Definitions:
    """Build assets, gates, freshness checks, jobs, schedules and sensors of a source.

    Every source has the job of the hour, which brings its events into the warehouse, and that of the day, which
    proves that none was lost; those of the week and the month come with the first model of theirs.
    """
    partitions = {cadence: cadence.partitions(settings.partitions_from) for cadence in CADENCES}
    raw = raw_key(source.name)
    models = {cadence: found for cadence in CADENCES if (found := models_of(manifest, source.name, cadence))}
    keys = {
        cadence: [translator.get_asset_key(node) for node in nodes.values()]
        for cadence, nodes in models.items()
    }
    views = (
        [build_view_assets(source, manifest=manifest, translator=translator)]
        if staging_models(manifest, source.name)
        else []
    )

    def dbt_models(cadence: Cadence) -> dg.AssetsDefinition:
        finer = [key for other in CADENCES[: CADENCES.index(cadence)] for key in keys.get(other, [])]
        return build_dbt_assets(
            source,
            cadence,
            manifest=manifest,
            translator=translator,
            partitions=partitions[cadence],
            refuse_open_gates=_refuse_open_gates(source.name, finer),
        )

    proven = _proven(source.name, keys)
    proofs = {
        cadence: build_proof_asset(
            source,
            cadence,
            found,
            partitions[cadence],
            [finer for finer in CADENCES[: CADENCES.index(cadence) + 1] if finer in models],
        )
        for cadence, found in proven.items()
        if cadence is not HOURLY
    }
    gates = [build_raw_in_gate(source), *build_marts_out_gates(source, keys)]
    freshness = build_freshness(
        source.name,
        {
            cadence: [*([raw] if cadence is HOURLY else []), *keys.get(cadence, [])]
            for cadence in CADENCES
            if cadence in {HOURLY, *keys}
        },
    )
    landing_job = build_landing_job(source.name)
    retention_job = build_retention_job(source.name)
    jobs = {
        cadence: build_partitioned_job(
            source.name,
            cadence,
            [
                *([raw] if cadence is HOURLY else []),
                *keys.get(cadence, []),
                *([proof_key(source.name, cadence)] if cadence in proofs else []),
            ],
            freshness.checks,
        )
        for cadence in CADENCES
        if cadence in {HOURLY, *keys, *proofs}
    }
    sensors, schedules = sensor_status(settings.environment), schedule_status(settings.environment)
    return dg.Definitions(
        assets=[
            build_landing_asset(source, settings.partitions_from),
            build_raw_asset(source, partitions[HOURLY]),
            *views,
            *map(dbt_models, models),
            *proofs.values(),
            build_retention_asset(source),
        ],
        asset_checks=[*gates, *freshness.checks],
        jobs=[landing_job, *jobs.values(), freshness.job, retention_job],
        schedules=[
            *build_schedules(source.name, jobs, schedules),
            freshness.schedule(schedules),
            build_retention_schedule(source.name, retention_job, settings.retention_apply, schedules),
        ],
        sensors=[
            build_landing_sensor(source.name, landing_job, sensors),
            build_touched_hours_sensor(source.name, jobs[HOURLY], settings.partitions_from, sensors),
            *(
                build_restated_sensor(source.name, cadence, jobs, proof_key(source.name, cadence), sensors)
                for cadence in proofs
            ),
        ],
    )


def _proven(source: str, keys: Mapping[Cadence, Sequence[dg.AssetKey]]) -> dict[Cadence, list[dg.AssetKey]]:
    """The marts that the second engine recomputes, by cadence; those of an hour are proved with its day.

    Raises:
        ValueError: when the proof compares a mart's rows before the mart is rebuilt: they would be differences.
    """
    known = {mart.name: mart for mart in load_proof(source).marts}
    found = {
        cadence: [key for key in made if key.path[0] == source and key.path[-1] in known]
        for cadence, made in keys.items()
    }
    units = [cadence.unit for cadence in CADENCES]
    for cadence, marts in found.items():
        for key in marts:
            every = known[key.path[-1]].every
            if units.index(every) < units.index(cadence.unit):
                raise ValueError(
                    f"{key.to_user_string()} is rebuilt every {cadence.unit}, but its proof compares every {every}"
                )
    return found | {DAILY: [*found.get(HOURLY, []), *found.get(DAILY, [])]}


def _refuse_open_gates(source: str, upstream: Sequence[dg.AssetKey]) -> Callable[[Any], None]:
    """What the dbt models of a source wait for: raw-in, and marts-out of the models upstream of theirs."""

    def refuse(client: Any) -> None:
        raw_in, marts = suites_of(source)
        refuse_open_violations(client, source, [raw_in])
        if upstream:
            refuse_open_violations(client, source, [marts], [".".join(key.path) for key in upstream])

    return refuse
