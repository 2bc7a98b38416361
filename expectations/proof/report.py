"""What a verification found, as values, as plain text and as JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lake.manifest import Counts

SHOWN = 50
UNPROVED = "no mart is proved: a second engine knows none of them"


@dataclass(frozen=True)
class Difference:
    """One value on which the two engines disagree.

    `expected` is what the second engine computed from the lake, `actual` what was found; None is null.
    `grain` names the row. A column in parentheses is about the row or the table as a whole.
    """

    mart: str
    grain: dict[str, str | None]
    column: str
    expected: str | None
    actual: str | None

    def __str__(self) -> str:
        """Return one line that names mart, grain, column and both values."""
        place = ", ".join(f"{name}={_text(value)}" for name, value in self.grain.items())
        where = f"{self.mart}[{place}]" if place else self.mart
        return f"{where}.{self.column}: expected {_text(self.expected)}, found {_text(self.actual)}"


@dataclass(frozen=True)
class ConservationLine:
    """What became of the rows of one load, or of all of them (`load_id` None); every count is in rows.

    `repeated` are the accepted rows that an earlier delivery had brought already; marts count them once.
    """

    load_id: str | None
    input: str | None
    read: int
    accepted: int
    duplicate: int
    quarantined: int
    suppressed: int
    skipped: int
    folded: int
    expanded: int
    repeated: int

    @property
    def counts(self) -> Counts:
        """What became of the rows read."""
        return Counts(**{name: getattr(self, name) for name in Counts.__dataclass_fields__})

    @property
    def balances(self) -> bool:
        """Whether every row read is accounted for."""
        return self.counts.balances

    def __str__(self) -> str:
        """Return the equation in words."""
        name = f"load {self.load_id[:12]}" if self.load_id else "total"
        return f"{name}: {self.counts} ({self.repeated:,} of the accepted delivered before)"


@dataclass(frozen=True)
class MartResult:
    """How much of one mart was compared: `values` counts the compared cells, `different` the unequal ones."""

    mart: str
    rows: int
    values: int
    different: int


@dataclass(frozen=True)
class VerifyReport:
    """The outcome of one verification.

    `events` counts the events of the compared days that the marts measure. `differences` holds the first ones
    of every mart; `different` counts them all. `pending` names loads that were left out because the warehouse
    has not taken their hour yet and it lies behind the window.
    """

    source: str
    window: tuple[datetime, datetime] | None
    conservation: tuple[ConservationLine, ...]
    total: ConservationLine
    marts: tuple[MartResult, ...]
    differences: tuple[Difference, ...]
    different: int
    events: int
    pending: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()
    """What retention took away on purpose, and what could not be compared for it."""
    seconds: float = 0.0

    @property
    def values(self) -> int:
        """How many values were compared in all marts."""
        return sum(result.values for result in self.marts)

    @property
    def ok(self) -> bool:
        """Whether everything balances and agrees; nothing checked is never ok while the lake has events."""
        return self.different == 0 and self.compared and self.total.balances

    @property
    def compared(self) -> bool:
        """Whether values were compared where there was something to compare."""
        return self.values > 0 or self.events == 0 or not self.marts

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain values for JSON."""
        return {
            "source": self.source,
            "window": [moment.isoformat() for moment in self.window] if self.window else None,
            "ok": self.ok,
            "events": self.events,
            "values": self.values,
            "different": self.different,
            "seconds": round(self.seconds, 3),
            "total": vars(self.total) | {"balances": self.total.balances},
            "conservation": [vars(line) | {"balances": line.balances} for line in self.conservation],
            "marts": [vars(result) for result in self.marts],
            "differences": [vars(difference) for difference in self.differences],
            "pending": list(self.pending),
            "retired": list(self.retired),
        }

    def to_json(self) -> str:
        """Return the report as one JSON document."""
        return json.dumps(self.to_dict(), indent=1)

    def to_text(self, loads: int = 20, differences: int = SHOWN) -> str:
        """Return the report as plain lines, showing at most so many loads and differences."""
        period = (
            f"{self.window[0]:%Y-%m-%d %H:%M} to {self.window[1]:%Y-%m-%d %H:%M}"
            if self.window
            else "everything"
        )
        lines = [f"verify {self.source}, {period}", "", "conservation"]
        lines += [f"  {line}" for line in self.conservation[:loads]]
        if len(self.conservation) > loads:
            lines.append(f"  … and {len(self.conservation) - loads} more loads")
        lines += [f"  {self.total}", "", "recomputed with DuckDB from the raw lake"]
        lines += [
            f"  {result.mart}: {result.rows:,} rows, {result.values:,} values, {result.different:,} different"
            for result in self.marts
        ]
        if not self.marts:
            lines.append(f"  {UNPROVED}")
        if self.pending:
            lines += ["", f"not materialised yet, left out: {len(self.pending)} loads of later hours"]
        if self.retired:
            lines += ["", "past retention", *(f"  {sentence}" for sentence in self.retired)]
        if self.different:
            lines += ["", f"differences ({self.different:,})"]
            lines += [f"  {difference}" for difference in self.differences[:differences]]
            if self.different > differences:
                lines.append(f"  … and {self.different - min(differences, len(self.differences)):,} more")
        agreement = f"{self.values:,} values agree" if self.marts else "rows are conserved"
        verdict = f"ok: {agreement}" if self.ok else self._failure()
        return "\n".join([*lines, "", f"{verdict} ({self.seconds:.1f} s)"])

    def _failure(self) -> str:
        if self.different:
            return f"FAILED: {self.different:,} differences in {self.values:,} values"
        if not self.total.balances:
            return "FAILED: rows are not conserved"
        return f"FAILED: the lake holds {self.events:,} events to measure, but no value could be compared"


def _text(value: str | None) -> str:
    return "null" if value is None else value
