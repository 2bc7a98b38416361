"""Simulated days with files too many: unloaded, everything stands as if it had never come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from pipeline import TOUCHED, Pipeline, Snapshot, assert_same_tables, hours_of
from test_golden import CASES

from ingestion.loader import LoadResult
from ingestion.unload import unload
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings

pytestmark = pytest.mark.stack

GROWING = (TOUCHED, "raw.correlation_keys", "raw.linked_dates")
"""Say what may have to be rebuilt, and never less of it: rebuilding more leads to the same rows."""

EXTRA = (2, 5)
"""Files that hold first deliveries of others, and what spans days: prescriptions, sessions, carts."""


@pytest.fixture(params=["bilten", "pocm"])
def pipeline(request: pytest.FixtureRequest, stack: Settings) -> Iterator[Pipeline]:
    pipeline = Pipeline.fresh(stack, request.param)
    yield pipeline
    empty_warehouse(pipeline.client)


def test_what_is_unloaded_has_never_come(pipeline: Pipeline, tmp_path: Path) -> None:
    landing = CASES[pipeline.source].simulate(tmp_path)
    extra = [landing.files[number] for number in EXTRA]
    results = pipeline.run(landing, [file for file in landing.files if file not in extra])
    before = pipeline.snapshot()
    too_many = pipeline.run(landing, extra)
    newly_hidden = hidden(pipeline.snapshot(), results) - hidden(before, results)
    assert newly_hidden > 0, "it hid nothing, so that nothing could come back"

    take_back(pipeline, too_many)

    after = pipeline.snapshot()
    assert_same_tables(after, before, without=GROWING)
    assert all(set(after[table]) >= set(before[table]) for table in GROWING)

    take_back(pipeline, results)

    left = {table: len(rows) for table, rows in pipeline.snapshot().items() if rows}
    assert left.keys() <= set(GROWING)


def take_back(pipeline: Pipeline, results: Iterable[LoadResult]) -> None:
    results = list(results)
    for result in results:
        unload(pipeline.store, pipeline.source, result.manifest.load_id, by="ann")
    pipeline.take_in(hours_of(results))
    pipeline.build(hours_of(results))


def hidden(snapshot: Snapshot, results: Iterable[LoadResult]) -> int:
    """Deliveries of some loads that an earlier one makes count no more."""
    loads = {result.manifest.load_id for result in results}
    return sum(
        is_duplicate
        for *_, load_id, _number, _payload, _hour, is_duplicate in snapshot["raw.events"]
        if load_id in loads
    )
