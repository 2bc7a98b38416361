"""What a gate checks and what it found: plain values, free of any validation library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from lake.errors import MillraceError

Boundary = Literal["raw_in", "marts_out", "lineage"]
Grain = Literal["received_hour", "hour", "day", "week", "month", "whole"]
Kind = Literal["columns", "not_null", "in_set", "between", "unique", "rows", "personal_data"]

EVIDENCE_TIME = "%Y-%m-%dT%H:%M:%SZ"


class SuiteError(MillraceError):
    """A suite that cannot be used; the message names the file, the place and what is valid."""


@dataclass(frozen=True)
class GateWindow:
    """Received hours from `start` (inclusive) to `end` (exclusive), aware, UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse a window that holds no hour.

        Raises:
            ValueError: a bound has no time zone or is not on the hour, or the end is not after the start.
        """
        for bound in (self.start, self.end):
            if bound.tzinfo is None:
                raise ValueError(f"{bound.isoformat()} has no time zone")
            if (bound.minute, bound.second, bound.microsecond) != (0, 0, 0):
                raise ValueError(f"{bound.isoformat()} is not on the hour")
        if self.end <= self.start:
            raise ValueError(
                f"the window ends ({self.end.isoformat()}) before it starts ({self.start.isoformat()})"
            )

    @property
    def sql_bounds(self) -> tuple[str, str]:
        """Both bounds as ClickHouse literals, with their zone."""
        return tuple(f"toDateTime('{_utc(b):%Y-%m-%d %H:%M:%S}', 'UTC')" for b in (self.start, self.end))  # type: ignore[return-value]

    def __str__(self) -> str:
        """Return `start/end` as ISO 8601 writes an interval."""
        return f"{_utc(self.start).strftime(EVIDENCE_TIME)}/{_utc(self.end).strftime(EVIDENCE_TIME)}"


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


@dataclass(frozen=True)
class Table:
    """A table that checks read, and which part of it a window touches."""

    database: str
    name: str
    grain: Grain
    column: str | None = None
    """The column that holds the period; None for a table that is checked whole."""

    @property
    def qualified(self) -> str:
        """Return `database.table`."""
        return f"{self.database}.{self.name}"


@dataclass(frozen=True)
class Check:
    """One expectation on one table."""

    rule: str
    """Identifies the check in results, alerts and history, such as `pocm_marts.kpi_daily.grain`."""
    table: str
    """Key into the suite's tables."""
    kind: Kind
    owner: str
    reason: str
    column: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """By kind: `columns` and `unique` take `columns`; `in_set` takes `values`; `between` takes `min`, `max`;
    `rows` takes `query`, which returns the rows that break the rule and reads tables by their suite keys.
    """


@dataclass(frozen=True)
class Rows:
    """Rows that the warehouse does not have: `columns` maps names to ClickHouse types, in the order of the values."""

    columns: Mapping[str, str]
    values: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True)
class Suite:
    """The checks of one boundary."""

    name: str
    source: str
    boundary: Boundary
    tables: Mapping[str, Table]
    checks: tuple[Check, ...]
    relations: Mapping[str, str] = field(default_factory=dict)
    """Further relations that `rows` queries may read, by name, each a SELECT."""
    brought: Mapping[str, Rows] = field(default_factory=dict)
    """Further such relations whose rows come with the suite: they stand in a table while it runs."""
    personal_columns: frozenset[str] = frozenset()
    """Columns whose values are never shown."""

    def only(self, tables: Iterable[str]) -> Suite:
        """Return the suite with the checks of some of its tables, such as the marts that a run has built.

        Raises:
            SuiteError: the suite has no such table.
        """
        wanted = set(tables)
        if unknown := wanted - set(self.tables):
            valid = ", ".join(sorted(self.tables))
            raise SuiteError(f"{self.name} checks no {', '.join(sorted(unknown))}; valid: {valid}")
        return replace(self, checks=tuple(check for check in self.checks if check.table in wanted))


@dataclass(frozen=True)
class ExpectationResult:
    """What one check found."""

    rule: str
    table: str
    """`database.table`, or the model for the lineage gate."""
    column: str | None
    success: bool
    unexpected_count: int | None
    """Rows that break the rule; None when the check could not run."""
    sample: tuple[Mapping[str, Any], ...]
    """A few of those rows, personal values masked."""
    owner: str
    reason: str
    observed: str
    """One sentence: what was seen."""
    error: str | None = None
    """Why the check could not run; then it has failed."""

    @property
    def message(self) -> str:
        """Which rule, how many rows, and an example."""
        if self.error is not None:
            return f"{self.rule} could not run: {self.error}"
        if self.success:
            return f"{self.rule} holds"
        text = f"{self.rule}: {self.observed} in {self.table}"
        return f"{text}; for example {dict(self.sample[0])}" if self.sample else text


@dataclass(frozen=True)
class SuiteResult:
    """What a gate found for one partition."""

    suite: str
    source: str
    boundary: Boundary
    partition: str
    window: str
    run_id: str
    checked_at: datetime
    results: tuple[ExpectationResult, ...]
    duration_s: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)
    data_docs: Path | None = None
    """Entry page of Data Docs, where they were written."""

    @property
    def success(self) -> bool:
        """Whether at least one check ran and every check passed."""
        return bool(self.results) and all(result.success for result in self.results)

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        """The checks that failed or could not run."""
        return tuple(result for result in self.results if not result.success)

    @property
    def message(self) -> str:
        """One line for a person: verdict, partition and, for a failure, every broken rule with its rows."""
        if not self.results:
            return f"{self.suite} evaluated nothing for {self.partition}: that is a failure"
        if self.success:
            return f"{self.suite}: all {len(self.results)} checks hold for {self.partition}"
        broken = "\n".join(f"- {failure.message}" for failure in self.failures)
        failed = f"{len(self.failures)} of {len(self.results)} checks failed"
        return f"{self.suite}: {failed} for {self.partition}\n{broken}"
