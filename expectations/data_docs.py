"""The index of Data Docs, and how much history the site keeps."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from expectations.model import SuiteResult

KEPT_PER_SUITE = 100
RUNS = "runs"
TEMPLATES = Path(__file__).resolve().parent / "templates"


def publish(folder: Path, result: SuiteResult, run_name: str, *, kept: int = KEPT_PER_SUITE) -> Path:
    """Put a run on the site's index, drop the pages of runs beyond the newest, and return the index.

    Args:
        folder: the site.
        result: what the run found.
        run_name: the folder name of the run's pages.
        kept: runs that each suite keeps.
    """
    runs = folder / RUNS
    runs.mkdir(parents=True, exist_ok=True)
    record = {
        "suite": result.suite,
        "partition": result.partition,
        "checked_at": f"{result.checked_at:%Y-%m-%d %H:%M:%S.%f}"[:-3],
        "checks": len(result.results),
        "failures": [failure.message for failure in result.failures],
        "run_name": run_name,
        "pages": _pages(folder, result.suite, run_name),
    }
    _write(runs / f"{result.suite} {run_name}.json", json.dumps(record))
    shown = None
    # Another run may add itself between the listing and the writing: the last to write must have seen all.
    while shown != (present := sorted(path.name for path in runs.glob("*.json"))):
        shown = present
        index = _index(folder, _prune(folder, kept))
    return index


def _pages(folder: Path, suite: str, run_name: str) -> list[dict[str, str]]:
    root = folder / "validations" / suite
    return [
        {"table": page.relative_to(root).parts[0], "href": page.relative_to(folder).as_posix()}
        for page in sorted(root.glob(f"*/{run_name}/*/*.html"))
    ]


def _prune(folder: Path, kept: int) -> list[dict[str, Any]]:
    """Remove old runs; return the records that stay, newest first."""
    records = sorted(_records(folder), key=lambda item: item[1]["checked_at"], reverse=True)
    seen: dict[str, int] = {}
    stay = []
    for path, record in records:
        suite = record["suite"]
        seen[suite] = seen.get(suite, 0) + 1
        if seen[suite] <= kept:
            stay.append(record)
            continue
        path.unlink(missing_ok=True)
        for pages in (folder / "validations" / suite).glob(f"*/{record['run_name']}"):
            shutil.rmtree(pages, ignore_errors=True)
    return stay


def _records(folder: Path) -> Iterable[tuple[Path, dict[str, Any]]]:
    for path in (folder / RUNS).glob("*.json"):
        try:
            yield path, json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # another run removed it just now
            continue


def _index(folder: Path, records: list[dict[str, Any]]) -> Path:
    from jinja2 import Environment, FileSystemLoader  # noqa: PLC0415  only runs that write docs need it

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True)
    style = (TEMPLATES / "style.css").read_text(encoding="utf-8")
    page = environment.get_template("index.j2").render(runs=records, style=style)
    _write(folder / "index.html", page)
    return folder / "index.html"


def _write(path: Path, text: str) -> None:
    # Gates of several partitions run at once: a reader must never meet half a page.
    part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
