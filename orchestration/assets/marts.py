"""Staging, facts and KPI marts: the dbt models of a source as assets, one dbt invocation per run."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets
from dagster_dbt.asset_utils import get_updated_cli_invocation_params_for_context
from dagster_dbt.core.dbt_cli_invocation import DbtCliInvocation
from dagster_shared.record import replace
from packaging.version import Version

from expectations.raw_in import NEVER_SHOWN, tagged_names
from ingestion.contract import Source
from lake.errors import MillraceError
from orchestration.assets.names import FACTS, KPI, STAGING, owner_of, raw_key, warehouse_pool
from orchestration.assets.tables import Plot, plot_metadata, table_metadata
from orchestration.partitions import CADENCES, HOURLY, Cadence, dbt_vars
from orchestration.places import Place, place_of, told_once
from orchestration.resources import Platform
from orchestration.retries import RETRY, is_transient
from orchestration.suspects import way_out
from orchestration.warehouse import dbt as dbt_project
from orchestration.warehouse import dbt_server
from orchestration.warehouse.builds import note_builds
from orchestration.warehouse.restore import restore_hours
from orchestration.warehouse.stamps import (
    contracts_hold,
    ensure_views,
    note_contracts,
    note_views,
    project_and_engine,
    select_staging,
    staging_models,
)

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

Manifest = Mapping[str, Any]
COMES_BACK = "the next try brings them back"
"""What a model says that lacks events which retention took out, see macros/retention.sql."""
SECONDS_KEY = "Execution Duration"
SHOWN_ROWS = 5
"""Rows that fail a test, as its check shows them."""


class ManifestMissingError(MillraceError):
    """dbt has not parsed the project yet; the message says how to."""


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest that `dbt parse` left: a build artefact, as the code itself.

    Raises:
        ManifestMissingError: when it is not there or is no manifest.
    """
    advice = "run `millrace up`, which parses the dbt project (in production the image holds it)"
    try:
        manifest = json.loads(path.read_text())
    except FileNotFoundError:
        raise ManifestMissingError(f"{path} does not exist: {advice}") from None
    except json.JSONDecodeError as error:
        raise ManifestMissingError(f"{path} is not JSON ({error}): {advice}") from error
    if "nodes" not in manifest:
        raise ManifestMissingError(f"{path} is no dbt manifest: {advice}")
    return dict(manifest)


class Translator(DagsterDbtTranslator):
    """How a dbt model becomes an asset: its key is its table, its group its layer, its owner its source's."""

    def __init__(self, sources: Mapping[str, Source]) -> None:
        """Know the sources, whose owners the models inherit."""
        super().__init__(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))
        self._sources = sources

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """The database and the table, as analysts type them: `pocm/kpi_daily`."""
        if dbt_resource_props["resource_type"] == "source":
            return dg.AssetKey([dbt_resource_props["source_name"], dbt_resource_props["name"]])
        return dg.AssetKey([dbt_resource_props["schema"], dbt_resource_props["alias"]])

    def get_asset_spec(self, manifest: Manifest, unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """Replace dependencies on tables of raw and ops by the raw asset of the model's own source.

        What reads a staging view depends on raw too: the view is not built in the runs in which raw is.
        """
        spec = super().get_asset_spec(manifest, unique_id, project)
        props = self.get_resource_props(manifest, unique_id)
        if props["resource_type"] != "model":
            return spec
        tables = {
            self.get_asset_key(manifest["sources"][parent])
            for parent in props["depends_on"]["nodes"]
            if parent in manifest["sources"]
        }
        deps = [dep for dep in spec.deps if dep.asset_key not in tables]
        parents = (manifest["nodes"].get(parent) for parent in props["depends_on"]["nodes"])
        if tables or any(parent is not None and is_staging(parent) for parent in parents):
            deps.append(dg.AssetDep(raw_key(source_of(props))))
        return spec.replace_attributes(deps=deps)

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Manifest, unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        """A dbt test as a check that says what it asks."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        if spec is None:
            return None
        return replace(spec, description=describe_test(self.get_resource_props(manifest, unique_id)))

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
        """What `meta.group` says, else the layer, the source and the event group that the model's folder says."""
        if dbt_resource_props["resource_type"] != "model":
            return None
        return group_of(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        """What `meta.owner` says, else the owner of the model's source."""
        owner = meta_of(dbt_resource_props).get("owner")
        if owner:
            return [owner if "@" in owner or owner.startswith("team:") else f"team:{owner}"]
        source = self._sources.get(source_of(dbt_resource_props))
        return [owner_of(source)] if source else []

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The model's own words, then where its SQL is."""
        text = dbt_resource_props.get("description") or f"dbt model {dbt_resource_props['name']}"
        return f"{text}\n\nSQL: `dbt_project/{dbt_resource_props['original_file_path']}`"


def describe_test(props: Mapping[str, Any]) -> str:
    """A dbt test in words: its own description, else its kind and its arguments."""
    if props.get("description"):
        return str(props["description"])
    test = props.get("test_metadata") or {"name": props["name"], "kwargs": {}}
    arguments = [
        f"{name} {', '.join(value) if isinstance(value, list) else value}"
        for name, value in test["kwargs"].items()
        if name not in ("model", "date_column")
    ]
    return f"dbt test {test['name']}: {'; '.join(arguments)}" if arguments else f"dbt test {test['name']}"


def meta_of(props: Mapping[str, Any]) -> Mapping[str, Any]:
    """A model's `meta`, wherever this version of dbt keeps it."""
    meta: Mapping[str, Any] = props.get("config", {}).get("meta") or props.get("meta") or {}
    return meta


def source_of(props: Mapping[str, Any]) -> str:
    """The source a model belongs to: the folder below its layer."""
    return str(props["fqn"][2]) if len(props["fqn"]) > 3 else ""


def group_of(props: Mapping[str, Any]) -> str:
    """The group of a model: its layer (`staging`, `facts` with the intermediates, `kpi`), then its source.

    Those of an event group have its name too, which is the folder below the source's: `marts/pocm/stock` gives
    `facts_pocm_stock` and `kpi_pocm_stock`.
    """
    given = meta_of(props).get("group")
    if given:
        return str(given)
    folders = props["fqn"][3:-1]
    if is_staging(props):
        return f"{STAGING}_{source_of(props)}"
    is_fact = props["fqn"][1] == "intermediate" or str(props["alias"]).startswith(("fact_", "dim_"))
    return "_".join([FACTS if is_fact else KPI, source_of(props), *folders])


def is_staging(props: Mapping[str, Any]) -> bool:
    """Whether a model is a view over raw, which holds nothing of its own."""
    return str(props["fqn"][1]) == STAGING


def models_of(manifest: Manifest, source: str, cadence: Cadence) -> dict[str, Mapping[str, Any]]:
    """The models of a source with a cadence, by unique id; staging views have none."""
    return {
        unique_id: node
        for unique_id, node in manifest["nodes"].items()
        if node["resource_type"] == "model"
        and source_of(node) == source
        and cadence_of(node) is cadence
        and not is_staging(node)
    }


def cadence_of(props: Mapping[str, Any]) -> Cadence:
    """The coarsest cadence that a model is tagged with; what is not tagged is hourly."""
    return next((cadence for cadence in reversed(CADENCES) if cadence.name in props["tags"]), HOURLY)


def build_dbt_assets(
    source: Source,
    cadence: Cadence,
    *,
    manifest: Manifest,
    translator: Translator,
    partitions: dg.TimeWindowPartitionsDefinition,
    refuse_open_gates: Callable[["Client"], None],
) -> dg.AssetsDefinition:
    """Build the dbt assets of a source and a cadence.

    Args:
        source: whose models.
        cadence: of which cadence.
        manifest: dbt's parsed project.
        translator: how a model becomes an asset.
        partitions: received time in periods of the cadence.
        refuse_open_gates: raises when a gate upstream has an open violation, in whatever partition.
    """
    # By the folder's place in the tree of models; a path would depend on the folder this process runs in.
    folder = f"fqn:*.*.{source.name}.*"
    coarser = " ".join(f"tag:{other.name}" for other in CADENCES[CADENCES.index(cadence) + 1 :])
    select = folder if cadence is HOURLY else f"{folder},tag:{cadence.name}"
    views = [translator.get_asset_key(node) for node in staging_models(manifest, source.name)]

    @dbt_assets(
        manifest=manifest,
        select=select,
        exclude=f"{coarser} {select_staging(source.name)}".strip(),
        name=f"{source.name}_dbt_{cadence.name}",
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        dagster_dbt_translator=translator,
        retry_policy=RETRY,
        pool=warehouse_pool(source.name),
    )
    def models(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        key = next(iter(context.assets_def.keys))
        place = place_of(context, key, name=context.op.name)
        with platform.warehouse(place.log_comment) as client:
            began_at = datetime.now(UTC)
            refuse_open_gates(client)
            since = ensure_views(client, platform.settings, [source.name], place.labels)[source.name]
            _tell_views(context, views, since)
            _restore(context, client, platform, source, place)
            built_from = project_and_engine(client)
            known = contracts_hold(client, source.name, cadence.name, built_from)
            invocation = start_dbt(context, platform, place, manifest, translator, contracts_hold=known)
            try:
                yield from _described(context, client, invocation, source, place)
            except Exception as error:
                raise _failure(error, invocation.target_path) from error
            if context.selected_asset_keys == context.assets_def.keys:
                if not known:
                    note_contracts(client, source.name, cadence.name, built_from)
                note_builds(client, source.name, cadence.name, place.window.start, place.window.end, began_at)
        shutil.rmtree(invocation.target_path, ignore_errors=True)

    return models


def build_view_assets(source: Source, *, manifest: Manifest, translator: Translator) -> dg.AssetsDefinition:
    """Build the staging views of a source as assets: no partition, as they hold nothing and change with the project.

    Every run makes sure of them; these assets are for whoever wants to build them by hand, and to show them.
    """

    @dbt_assets(
        manifest=manifest,
        select=select_staging(source.name),
        name=f"{source.name}_dbt_{STAGING}",
        dagster_dbt_translator=translator,
        retry_policy=RETRY,
        pool=warehouse_pool(source.name),
    )
    def views(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> Iterator[Any]:
        place = Place(context.run.run_id, context.op.name, "")
        with platform.warehouse(place.log_comment) as client:
            fingerprint = dbt_project.project_fingerprint()
            invocation = start_dbt(context, platform, place, manifest, translator)
            try:
                yield from _described(context, client, invocation, source, place)
            except Exception as error:
                raise _failure(error, invocation.target_path) from error
            if context.selected_asset_keys == context.assets_def.keys:
                note_views(client, source.name, staging_models(manifest, source.name), fingerprint)
        shutil.rmtree(invocation.target_path, ignore_errors=True)

    return views


def _tell_views(context: dg.AssetExecutionContext, views: Sequence[dg.AssetKey], since: datetime) -> None:
    """Tell Dagster of staging views that were built outside of it, by `millrace up` or just now."""
    if not views:
        return
    event = context.instance.get_latest_materialization_event(views[-1])
    if event is None or event.timestamp < since.timestamp():
        for key in views:
            context.log_event(dg.AssetMaterialization(key, metadata={"built_at": since.isoformat()}))


def _restore(
    context: dg.AssetExecutionContext, client: "Client", platform: Platform, source: Source, place: Place
) -> None:
    """Have the events of every date that the run restates, those that retention took out too."""
    window, settings = place.window, platform.settings
    restored = restore_hours(
        client,
        platform.store,
        source.name,
        window.start,
        window.end,
        endpoint_url=settings.s3_url_for_clickhouse,
        log_comment=place.labels,
    )
    if restored:
        context.log.info(
            f"late events restate dates that raw.events no longer held: {len(restored)} received hours from "
            f"{HOURLY.key(restored[0].hour)} to {HOURLY.key(restored[-1].hour)} are back from the lake"
        )


def _described(
    context: dg.AssetExecutionContext,
    client: "Client",
    invocation: DbtCliInvocation,
    source: Source,
    place: Place,
) -> Iterator[Any]:
    """Pass dbt's events on, each model's with what a person wants to know about its table."""
    translator = invocation.dagster_dbt_translator
    models = [node for node in invocation.manifest["nodes"].values() if node["resource_type"] == "model"]
    by_key = {translator.get_asset_key(node): node for node in models}
    for event in invocation.stream():
        if isinstance(event, dg.Output):
            key = context.asset_key_for_output(event.output_name)
            told = told_once(context, key, place, _describe(client, by_key[key], source))
            yield event.with_metadata({**_kept(event.metadata), **told})
        elif isinstance(event, dg.AssetCheckResult) and not event.passed:
            test = _text_of(event.metadata.get("unique_id"))
            shown = failing_rows(client, test, invocation.manifest, invocation.target_path)
            rows = event.metadata.get("dagster_dbt/failed_row_count")
            broken = (str(event.check_name), None if rows is None else int(_text_of(rows)), ())
            yield _with_reason(event, place, shown, way_out(client, source.name, place.window, [broken]))
        else:
            yield event


def _with_reason(
    result: dg.AssetCheckResult, place: Place, shown: str, out: str | None
) -> dg.AssetCheckResult:
    """A failed dbt test that says how many rows failed it, in which partition, what they are of, and the way out."""
    rows = result.metadata.get("dagster_dbt/failed_row_count")
    count = "rows" if rows is None else f"{rows.value} rows"
    return dg.AssetCheckResult(
        passed=False,
        asset_key=result.asset_key,
        check_name=result.check_name,
        severity=result.severity,
        metadata=result.metadata,
        description="\n".join(
            [f"{count} do not pass it in partition {place.partition}{shown}", *([out] if out else [])]
        ),
    )


def failing_rows(client: "Client", test: str, manifest: Manifest, target: Path) -> str:
    """The first rows that fail a dbt test, in the columns that its `meta.shows` declares; no other is shown.

    Args:
        client: connection to the warehouse.
        test: unique id of the test.
        manifest: dbt's project.
        target: where dbt left the compiled SQL of the test.
    """
    props = manifest["nodes"].get(test)
    columns = meta_of(props).get("shows") if props else None
    if not props or not columns:
        return ""
    folder = target / "compiled" / props["package_name"] / props["original_file_path"]
    rows = client.query(
        f"select {', '.join(columns)} from ({(folder / props['path']).read_text()}) order by all limit {SHOWN_ROWS}"
    ).result_rows
    told = [", ".join(f"{name} {value}" for name, value in zip(columns, row, strict=True)) for row in rows]
    return f": {'; '.join(told)}"


def _text_of(value: Any) -> str:
    return str(getattr(value, "value", value))


def start_dbt(
    context: dg.AssetExecutionContext,
    platform: Platform,
    place: Place,
    manifest: Manifest,
    translator: Translator,
    *,
    contracts_hold: bool = False,
) -> DbtCliInvocation:
    """Start `dbt build` for what the step selects.

    `DbtCliResource.cli` is not used: before a run it asks `dbt --version` and loads the adapter, which takes
    two seconds, and it hands the environment on unchanged, where the connection belongs to the settings.
    """
    params = get_updated_cli_invocation_params_for_context(
        context=context, manifest=manifest, dagster_dbt_translator=translator
    )
    target = (
        platform.settings.state_dir / "dbt" / f"{context.run.run_id}-{context.op.name}-{context.retry_number}"
    )
    window = dbt_vars(place.window) if place.partition else None
    env = dbt_project.environment(platform.settings, window) | {
        "DAGSTER_DBT_CLI": "true",
        "PYTHONUNBUFFERED": "1",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_LOG_FORMAT": "json",
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
        "DBT_PROJECT_DIR": str(dbt_project.PROJECT_DIR),
        "MILLRACE_LOG_COMMENT": place.log_comment,
        "MILLRACE_CONTRACTS_HOLD": str(contracts_hold).lower(),
    }
    if params.indirect_selection:
        env["DBT_INDIRECT_SELECTION"] = params.indirect_selection
    return DbtCliInvocation(
        # It is used as the `Popen` that it stands for.
        process=dbt_server.start(  # type: ignore[arg-type]
            ["build", *params.selection_args],
            env,
            dbt_project.PROJECT_DIR,
            dbt_project.parsed_project(platform.settings),
        ),
        manifest=manifest,
        dagster_dbt_translator=translator,
        project_dir=dbt_project.PROJECT_DIR,
        target_path=target,
        raise_on_error=True,
        context=context,
        adapter=None,
        cli_version=Version(installed_version("dbt-core")),
    )


def _kept(metadata: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in metadata.items() if key.startswith("dagster/")}
    if SECONDS_KEY in metadata:
        kept["duration_seconds"] = metadata[SECONDS_KEY]
    return kept


def _describe(client: "Client", node: Mapping[str, Any], source: Source) -> dict[str, Any]:
    personal = NEVER_SHOWN | set(source.pii) | tagged_names(source)
    database, table = node["schema"], node["alias"]
    plot = Plot(**meta_of(node)["plot"]) if "plot" in meta_of(node) else None
    newest_by = plot.time if plot else None
    metadata = table_metadata(client, database, table, personal=personal, newest_by=newest_by)
    if plot:
        metadata |= plot_metadata(client, database, table, plot)
    return metadata


def _may_pass(message: str) -> bool:
    return is_transient(message) or COMES_BACK in message


def _failure(error: Exception, target: Path) -> Exception:
    """What went wrong in dbt: the nodes that failed, and whether another try can help."""
    results_path = target / "run_results.json"
    if not results_path.exists():
        return error if is_transient(error) else dg.Failure(str(error), allow_retries=False)
    failed = [
        result
        for result in json.loads(results_path.read_text())["results"]
        if result["status"] in ("error", "fail", "runtime error")
    ]
    lines = [f"{result['unique_id']}: {(result['message'] or result['status']).strip()}" for result in failed]
    return dg.Failure(
        "; ".join(lines) or str(error),
        metadata={"dbt_log": dg.MetadataValue.path(str(target / "dbt.log"))},
        allow_retries=bool(failed) and all(_may_pass(result["message"] or "") for result in failed),
    )
