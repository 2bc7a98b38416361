"""The code location: assembles the graph of every source; loading it opens no connection."""

from __future__ import annotations

import dagster as dg

from ingestion.contract import load_sources
from orchestration.alerts import build_failure_alert
from orchestration.assets.marts import Translator, read_manifest
from orchestration.assets.reports import build_report
from orchestration.graph import build_source_graph, schedule_status, sensor_status
from orchestration.reports import load_reports
from orchestration.resources import Platform
from orchestration.warehouse.dbt import MANIFEST_PATH


def build_definitions(platform: Platform) -> dg.Definitions:
    """Assemble everything from two build artefacts, the contracts and the parsed dbt manifest."""
    sources = load_sources()
    manifest = read_manifest(MANIFEST_PATH)
    translator = Translator(sources)
    settings = platform.settings
    shared = dg.Definitions(
        sensors=[build_failure_alert(sensor_status(settings.environment))],
        resources={"platform": platform},
        executor=dg.in_process_executor,
    )
    graphs = [build_source_graph(source, manifest, translator, settings) for source in sources.values()]
    status = schedule_status(settings.environment)
    reports = [
        build_report(report, sources[report.source], status) for report in load_reports(manifest).values()
    ]
    return dg.Definitions.merge(shared, *graphs, *reports)


@dg.definitions
def definitions() -> dg.Definitions:
    """Load the code location."""
    return build_definitions(Platform())
