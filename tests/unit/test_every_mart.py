"""What every mart has, whoever adds it: expectations at the gate, and a second engine that recomputes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from expectations.marts_out import load_suite
from expectations.proof.marts import load_proof
from ingestion.contract import load_source, source_names

MARTS = Path(__file__).resolve().parents[2] / "dbt_project" / "models" / "marts"
ROWS = ("fact_", "dim_")
"""Marts that hold rows rather than measures: what is counted of them is proved in the marts that count."""


def marts_of(source: str) -> set[str]:
    return {path.stem.removeprefix(f"{source}__") for path in (MARTS / source).rglob("*.sql")}


@pytest.mark.parametrize("source", source_names())
def test_every_mart_has_expectations(source: str) -> None:
    guarded = {check.table for check in load_suite(load_source(source)).checks}
    assert sorted(marts_of(source) - guarded) == []


@pytest.mark.parametrize("source", source_names())
def test_every_mart_of_measures_is_recomputed(source: str) -> None:
    proved = {mart.name for mart in load_proof(source).marts}
    measures = {mart for mart in marts_of(source) if not mart.startswith(ROWS)}
    assert sorted(measures - proved) == []
