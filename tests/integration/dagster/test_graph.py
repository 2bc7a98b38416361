"""The graph: what it holds, and that it loads while nothing runs."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from orchestration.assets.marts import ManifestMissingError, read_manifest
from orchestration.assets.names import GROUPS, STAGING
from orchestration.definitions import build_definitions
from orchestration.resources import Platform
from orchestration.settings import PROJECT_ROOT, Settings
from tests.integration.dagster import graph

READABLE = 20
"""Assets of a group that still make a picture; the views of staging stand in a list, one per kind of event."""

STEPS_OF_SOURCE = {
    "bilten_warehouse": 6,
    "insights_warehouse": 4,
    "pocm_warehouse": 6,
    "studyin_warehouse": 4,
}
"""Raw, the staging views, and the dbt models of every cadence that the source has."""


def test_the_graph_is_the_reviewed_one(definitions: dg.Definitions) -> None:
    reviewed = graph.SNAPSHOT.read_text().splitlines()
    advice = "write it with `python -m tests.integration.dagster.graph` and review the difference"
    assert graph.lines(definitions) == reviewed, advice


def test_groups_read_like_the_architecture(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph()
    groups = Counter(assets.get(key).group_name for key in assets.get_all_asset_keys())
    layers = {group.partition("_")[0] for group in groups}
    assert layers == set(GROUPS)
    assert set(groups) >= {"staging_pocm", "facts_pocm", "kpi_pocm_growth", "kpi_pocm_cohorts"}
    pictures = {group: size for group, size in groups.items() if not group.startswith(STAGING)}
    assert [group for group, size in pictures.items() if size > READABLE] == []


def test_every_asset_says_what_it_is_and_who_answers_for_it(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph()
    nodes = [assets.get(key) for key in assets.get_all_asset_keys()]
    assert [node.key for node in nodes if not node.owners or len(node.description or "") < 30] == []


def test_every_partitioned_asset_is_backfilled_in_a_single_run(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph()
    nodes = [assets.get(key) for key in assets.get_all_asset_keys()]
    policies = {node.backfill_policy for node in nodes if node.partitions_def is not None}
    assert policies == {dg.BackfillPolicy.single_run()}


def test_every_step_that_rebuilds_partitions_of_a_source_is_in_its_pool(definitions: dg.Definitions) -> None:
    built = set(definitions.get_repository_def().assets_defs_by_key.values())
    pools = Counter(asset.op.pool for asset in built if asset.keys & rebuilt(definitions))
    assert pools == STEPS_OF_SOURCE


def rebuilt(definitions: dg.Definitions) -> set[dg.AssetKey]:
    assets = definitions.resolve_asset_graph()
    groups = {key: assets.get(key).group_name for key in assets.get_all_asset_keys()}
    return {key for key, group in groups.items() if group not in ("landing", "quality", "reports")}


def test_gates_block_what_is_downstream(definitions: dg.Definitions) -> None:
    assets = definitions.resolve_asset_graph()
    gates = [
        assets.get_check_spec(key)
        for key in assets.asset_check_keys
        if key.name.endswith("_gate") or key.asset_key.path[0] == "quality"
    ]
    assert len(gates) > 10
    assert [gate.key for gate in gates if not gate.blocking] == []


def test_loading_opens_no_connection(definitions: dg.Definitions, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    build_definitions(Platform(Settings(clickhouse_port=9, s3_port=9)))


def run_alone(code: str) -> None:
    """Run code in a process of its own, which must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_importing_reads_nothing_but_code() -> None:
    code = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import orchestration.definitions
data = (".yaml", ".yml", ".json", ".sql", ".key")
own = [name for name in opened if name.endswith(data) and "site-packages" not in name]
assert own == [], own
"""
    run_alone(code)


def test_the_code_location_holds_no_engine_that_only_a_run_needs(definitions: dg.Definitions) -> None:
    heavy = {
        "pyarrow",
        "duckdb",
        "numpy",
        "pandas",
        "matplotlib",
        "great_expectations",
        "clickhouse_connect",
        "chdb",
    }
    code = f"""
import sys
import orchestration.definitions as code_location
code_location.build_definitions(code_location.Platform())
held = {heavy} & set(sys.modules)
assert not held, held
"""
    run_alone(code)


def test_the_file_that_assembles_stays_short() -> None:
    source = (PROJECT_ROOT / "orchestration" / "definitions.py").read_text().splitlines()
    assert len(source) <= 45


def test_the_workspace_names_the_code_location() -> None:
    workspace = yaml.safe_load((PROJECT_ROOT / "workspace.yaml").read_text())
    (entry,) = workspace["load_from"]
    assert entry["python_module"]["module_name"] == build_definitions.__module__


@pytest.mark.parametrize("content", [None, "{", '{"metadata": {}}'])
def test_a_missing_or_broken_dbt_manifest_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "manifest.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ManifestMissingError, match="millrace up") as caught:
        read_manifest(path)
    assert str(path) in str(caught.value)
