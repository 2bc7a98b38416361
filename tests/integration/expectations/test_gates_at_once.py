"""Gates of several partitions run at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gate_shop import WINDOW, Shop, load

from expectations.model import SuiteResult
from expectations.raw_in import raw_in_suite
from expectations.runner import run_suite
from ingestion.contract import Source

pytestmark = pytest.mark.stack


def test_gates_in_two_threads_do_not_disturb_each_other(shop: Shop, source: Source, tmp_path: Path) -> None:
    def gate(number: int) -> SuiteResult:
        suite = raw_in_suite(source, [load()], WINDOW)
        return run_suite(
            shop.warehouse, suite, WINDOW, partition=f"part-{number}", run_id="r", data_docs=tmp_path / "docs"
        )

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(gate, range(2)))

    assert [result.message for result in results if not result.success] == []
    index = (tmp_path / "docs" / "index.html").read_text()
    assert "part-0" in index
    assert "part-1" in index
