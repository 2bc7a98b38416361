"""The compliance gate on the models of this project, as dbt compiled them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from expectations.lineage import run_lineage
from expectations.model import SuiteResult
from ingestion.contract import Source, load_source, source_names

pytestmark = pytest.mark.stack


def changed_manifest(dbt_target: Path, folder: Path, model: str, old: str, new: str) -> Path:
    """A copy of the manifest in which one model's compiled SQL reads differently."""
    manifest: dict[str, Any] = json.loads((dbt_target / "manifest.json").read_text())
    node = manifest["nodes"][f"model.millrace.{model}"]
    assert old in node["compiled_code"]
    node["compiled_code"] = node["compiled_code"].replace(old, new)
    path = folder / "manifest.json"
    path.write_text(json.dumps(manifest))
    return path


def failures(result: SuiteResult) -> dict[str, list[str]]:
    return {found.table: [leak["path"] for leak in found.sample] for found in result.failures}


def test_no_personal_field_reaches_a_mart_undeclared(dbt_target: Path, source: Source) -> None:
    result = run_lineage(source, dbt_target / "manifest.json")

    assert result.success, result.message
    assert {found.table for found in result.results} >= {
        "pocm.kpi_daily",
        "pocm.dim_users",
        "pocm.recent_events",
    }


@pytest.mark.parametrize("name", source_names())
def test_every_source_declares_what_personal_its_marts_hold(dbt_target: Path, name: str) -> None:
    result = run_lineage(load_source(name), dbt_target / "manifest.json")

    assert result.success, result.message
    assert result.results


def test_address_planted_in_a_mart_is_found_with_its_path(
    dbt_target: Path, source: Source, tmp_path: Path
) -> None:
    old, new = "cast(users.channel, 'Nullable(String)')", "cast(users.email, 'Nullable(String)')"
    manifest = changed_manifest(dbt_target, tmp_path, "int_pocm__users_changed", old, new)

    assert failures(run_lineage(source, manifest)) == {
        "pocm.dim_users": [
            "USER_REGISTERED.email -> staging.stg_pocm__users.email"
            " -> intermediate.int_pocm__users_changed.channel -> pocm.dim_users.channel"
        ]
    }


def test_payload_planted_in_a_mart_is_found(dbt_target: Path, source: Source, tmp_path: Path) -> None:
    manifest = changed_manifest(dbt_target, tmp_path, "stg_pocm__events", "trace_id,", "payload as trace_id,")

    found = failures(run_lineage(source, manifest))

    assert set(found) == {"pocm.recent_events"}
    assert any(path.startswith("USER_REGISTERED.email") for path in found["pocm.recent_events"])
