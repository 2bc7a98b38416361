"""One simulated day of every source, from its files to marts that the second engine agrees on: `make test-fast`."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from pipeline import Days, Pipeline

from expectations.proof import verify
from ingestion.contract import source_names
from orchestration.settings import Settings

pytestmark = pytest.mark.smoke


@pytest.mark.parametrize("source", source_names())
def test_a_day_of_a_source_becomes_marts_that_are_proved(
    stack: Settings, source: str, tmp_path: Path
) -> None:
    landing = Days(source, 1, 0.1, 7, date(2026, 3, 2)).simulate(tmp_path)
    pipeline = Pipeline.fresh(stack, source)
    results = pipeline.run(landing, landing.files)
    assert (
        sum(result.manifest.counts.accepted for result in results) == landing.truth["totals"]["accepted"] > 0
    )
    report = verify(pipeline.store, pipeline.client, source)
    assert report.differences == ()
    assert report.ok
