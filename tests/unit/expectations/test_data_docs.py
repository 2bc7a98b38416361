"""Data Docs keep the newest runs and say on their first page how each ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from expectations.data_docs import publish
from expectations.model import ExpectationResult, SuiteResult

START = datetime(2026, 11, 16, 12, tzinfo=UTC)
HOLDS = ExpectationResult("s.a.grain", "pocm.a", None, True, 0, (), "analytics", "one row a day", "0 rows")
BROKEN = ExpectationResult("s.a.<b>", "pocm.a", None, False, 3, (), "analytics", "sums", "3 rows")


def run(folder: Path, number: int, found: ExpectationResult = HOLDS, suite: str = "s", kept: int = 2) -> Path:
    result = SuiteResult(
        suite, "pocm", "marts_out", f"hour {number}", "w", "r", START + timedelta(minutes=number), (found,)
    )
    page = folder / "validations" / suite / "a" / f"run-{number}" / "time" / "batch.html"
    page.parent.mkdir(parents=True)
    page.write_text("page")
    return publish(folder, result, f"run-{number}", kept=kept)


def pages(folder: Path) -> list[str]:
    return sorted(path.parts[-3] for path in folder.glob("validations/*/*/*/*/*.html"))


def test_pages_of_old_runs_are_removed(tmp_path: Path) -> None:
    for number in range(4):
        run(tmp_path, number)

    assert pages(tmp_path) == ["run-2", "run-3"]


def test_each_suite_keeps_its_own_runs(tmp_path: Path) -> None:
    run(tmp_path, 0, suite="other")
    for number in (1, 2, 3):
        run(tmp_path, number)

    assert pages(tmp_path) == ["run-0", "run-2", "run-3"]


def test_index_links_every_page_that_stays(tmp_path: Path) -> None:
    index = run(tmp_path, 7).read_text()

    assert "validations/s/a/run-7/time/batch.html" in index
    assert "hour 7" in index


def test_index_shows_broken_rules_as_text(tmp_path: Path) -> None:
    index = run(tmp_path, 1, BROKEN).read_text()

    assert "1 of 1 failed" in index
    assert "s.a.&lt;b&gt;" in index


def test_index_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    assert "http" not in run(tmp_path, 1).read_text()
