"""How the command line talks: answers on standard output, progress and errors on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from lake.errors import WrongUseError

if TYPE_CHECKING:
    from lake.manifest import Counts
    from orchestration.run import JobReport
    from orchestration.run import Progress as RunProgress

ERRORS = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
WIDE = 220
"""Columns of a table that does not go to a terminal."""


def say(text: str) -> None:
    """Tell the person what happens, beside the answer."""
    ERRORS.print(text)


def answer(text: str) -> None:
    """Print a line of the answer."""
    sys.stdout.write(f"{text}\n")


def answer_json(value: Any) -> None:
    """Print one line of JSON."""
    answer(json.dumps(value, default=str))


def answer_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> None:
    """Print rows as a table; None shows as nothing."""
    table = Table(*columns, title=title, title_justify="left", header_style="bold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else WIDE).print(table)


def fail(message: str, code: int) -> NoReturn:
    """Say what was wrong in one sentence and end with the exit code."""
    say(f"error: {message}")
    sys.exit(code)


def moment(text: str | None, flag: str) -> datetime | None:
    """Read a UTC time: a day, an hour or a full ISO 8601 time.

    Raises:
        WrongUseError: when it is none of them.
    """
    if text is None:
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise WrongUseError(
            f"{flag} {text!r} is no time; write 2026-11-18, 2026-11-18T13 or 2026-11-18T13:00:00+00:00"
        ) from None
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def window(start: str | None, end: str | None) -> tuple[datetime, datetime] | None:
    """Read --from and --to; None when neither is given.

    Raises:
        WrongUseError: when one is missing or the window ends before it starts.
    """
    first, last = moment(start, "--from"), moment(end, "--to")
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise WrongUseError("--from and --to go together: give both, or neither")
    if last <= first:
        raise WrongUseError(
            f"the window ends ({end}) before it starts ({start}): --to must be later than --from"
        )
    return first, last


def counts_line(name: str, counts: Counts, codes: Mapping[str, int] | None = None) -> str:
    """Say in one line what became of every row read."""
    line = f"{name}: {counts}"
    listed = ", ".join(f"{code} {rows:,}" for code, rows in sorted((codes or {}).items()))
    return f"{line} ({listed})" if listed else line


def answer_run(jobs: Iterable[JobReport]) -> None:
    """Print a line for each job of a run."""
    for job in jobs:
        answer(
            f"{job.job}: {'succeeded' if job.success else 'failed'} in {job.seconds:.1f} s, "
            f"{len(job.materialised)} assets, {job.checks_passed} checks passed, "
            f"{len(job.failed_checks)} failed"
        )


@contextmanager
def progress_bar(description: str) -> Iterator[tuple[Progress, Any]]:
    """Show a bar on a terminal and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERRORS, transient=True, disable=not ERRORS.is_terminal) as bar:
        yield bar, bar.add_task(description, total=None)


def show_progress(event: RunProgress) -> None:
    """Tell what happens in a run; checks that pass are only counted at its end."""
    if event.kind != "check_passed":
        say(f"  {event.kind.replace('_', ' ')}: {event.subject} {event.message}".rstrip())
