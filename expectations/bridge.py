"""Gate results in the shape that an orchestrator shows: no orchestrator is imported here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from expectations.model import ExpectationResult, SuiteResult

MESSAGE_RULES = 10


@dataclass(frozen=True)
class CheckOutcome:
    """One asset check: verdict, a sentence and what a person wants to see beside it."""

    passed: bool
    description: str
    metadata: dict[str, str | int | float | list[dict[str, str]]]
    """Plain values; the list holds one row of text for each broken rule."""


def check_outcome(result: SuiteResult, *, evidence_key: str | None = None) -> CheckOutcome:
    """Return the outcome of a whole suite."""
    return _outcome(result, result.results, evidence_key)


def outcomes_by_table(result: SuiteResult, *, evidence_key: str | None = None) -> dict[str, CheckOutcome]:
    """Return one outcome for each `database.table` that the suite checked."""
    tables = dict.fromkeys(found.table for found in result.results)
    return {
        table: _outcome(result, [found for found in result.results if found.table == table], evidence_key)
        for table in tables
    }


def _outcome(
    result: SuiteResult, results: Sequence[ExpectationResult], evidence_key: str | None
) -> CheckOutcome:
    failures = [found for found in results if not found.success]
    passed = bool(results) and not failures
    metadata: dict[str, str | int | float | list[dict[str, str]]] = {
        "suite": result.suite,
        "partition": result.partition,
        "window": result.window,
        "checks": len(results),
        "failed": len(failures),
        "unexpected_rows": sum(found.unexpected_count or 0 for found in failures),
        "seconds": result.duration_s,
    }
    if failures:
        metadata["broken"] = [_row(found) for found in failures]
    if result.data_docs is not None:
        metadata["data_docs"] = str(result.data_docs)
    if evidence_key is not None:
        metadata["evidence"] = evidence_key
    return CheckOutcome(passed, _description(result, results, failures), metadata)


def _description(
    result: SuiteResult, results: Sequence[ExpectationResult], failures: Sequence[ExpectationResult]
) -> str:
    if not results:
        return f"{result.suite} evaluated nothing for partition {result.partition}: that is a failure"
    if not failures:
        return f"All {len(results)} checks of {result.suite} hold for partition {result.partition}"
    lines = [
        f"{len(failures)} of {len(results)} checks of {result.suite} failed for partition {result.partition}"
    ]
    lines += [f"- {failure.message}" for failure in failures[:MESSAGE_RULES]]
    if len(failures) > MESSAGE_RULES:
        lines.append(f"- and {len(failures) - MESSAGE_RULES} more")
    return "\n".join(lines)


def _row(found: ExpectationResult) -> dict[str, str]:
    rows = "could not run" if found.unexpected_count is None else str(found.unexpected_count)
    return {
        "rule": found.rule,
        "table": found.table,
        "rows": rows,
        "example": found.error or (json.dumps(dict(found.sample[0]), default=str) if found.sample else ""),
        "owner": found.owner,
        "reason": found.reason,
    }
