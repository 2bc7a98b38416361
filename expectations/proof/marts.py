"""Which marts of a source are proven, and by which SQL: `<source>/proof.yaml` and the files beside it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

PROOF_ROOT = Path(__file__).resolve().parent
Period = Literal["hour", "day", "week", "month"]
DELIVERED = "events"
"""The relation of every event that counts, whatever its type."""
Lasts = Literal["raw_events", "quarantine"]
WORDS = frozenset({"grain", "day", "every", "restates", "uncompared", "lasts"})


@dataclass(frozen=True)
class Mart:
    """One proven mart.

    `sql` is a DuckDB select over the proof's relations that yields the whole mart; `grain` names the columns
    that identify a row; `day` is an expression, valid in both engines, for the first occurred day of a row;
    `every` is the period that a row stands for and after which the mart is rebuilt; `restates` says which later
    days an event restates beside those that it touches: so many, or every one; `uncompared` maps columns that
    hold no value of their own to the reason; `lasts` names what its rows stand on and go with, where that is kept
    for a shorter time than the mart or the lake.
    """

    name: str
    sql: str
    grain: tuple[str, ...]
    day: str
    every: Period = "day"
    restates: int | Literal["later"] = 0
    uncompared: dict[str, str] = field(default_factory=dict)
    lasts: Lasts | None = None

    @property
    def last_day(self) -> str:
        """The expression for the last occurred day of a row, valid in both engines."""
        ends = {"week": f"{self.day} + 6", "month": f"last_day({self.day})"}
        return ends.get(self.every, self.day)


@dataclass(frozen=True)
class Proof:
    """Everything the second engine needs to know about a source.

    `relations` are DuckDB statements; `measured` names the relation of the events that the marts measure. Without
    marts nothing is recomputed: rows are still counted, from the lake to the warehouse.
    """

    source: str
    relations: tuple[str, ...]
    measured: str
    marts: tuple[Mart, ...]

    def only(self, marts: Collection[str]) -> Proof:
        """The same proof of some marts; names that it does not prove are passed over."""
        return replace(self, marts=tuple(mart for mart in self.marts if mart.name in marts))


def load_proof(source: str, root: Path = PROOF_ROOT) -> Proof:
    """Read the proof of a source; one without `proof.yaml` proves no mart.

    Raises:
        ValueError: when it says of a mart what cannot be.
        FileNotFoundError: when a mart's file is missing.
    """
    folder = root / source
    description = folder / "proof.yaml"
    if not description.is_file():
        return Proof(source, (), DELIVERED, ())
    declared = yaml.safe_load(description.read_text())
    relations = tuple((folder / "relations" / f"{name}.sql").read_text() for name in declared["relations"])
    return Proof(
        source,
        relations,
        declared["measured"],
        tuple(
            _mart(name, (folder / f"{name}.sql").read_text(), mart)
            for name, mart in declared["marts"].items()
        ),
    )


def _mart(name: str, sql: str, declared: Mapping[str, Any]) -> Mart:
    if unknown := set(declared) - WORDS:
        raise ValueError(f"{name}: unknown {', '.join(sorted(unknown))}; valid: {', '.join(sorted(WORDS))}")
    every, restates = declared.get("every", "day"), declared.get("restates", 0)
    if every not in get_args(Period):
        raise ValueError(f"{name}: every is {every!r}; valid: {', '.join(get_args(Period))}")
    if restates != "later" and not (isinstance(restates, int) and restates >= 0):
        raise ValueError(f"{name}: restates is {restates!r}; valid: a number of days, later")
    lasts = declared.get("lasts")
    if lasts is not None and lasts not in get_args(Lasts):
        raise ValueError(f"{name}: lasts is {lasts!r}; valid: {', '.join(get_args(Lasts))}")
    grain = tuple(declared["grain"])
    return Mart(name, sql, grain, declared["day"], every, restates, declared.get("uncompared", {}), lasts)
