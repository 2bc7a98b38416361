"""How long the table of a dbt model keeps its rows, by what the model says of itself.

A model that replaces rows by date keeps them by what a row stands for: `date_column` minute or hour makes a rollup of
that grain, anything else one of days, as facts are; an intermediate table is kept as long as the day rollups that are
rebuilt from it. A model that replaces rows by key keeps them until something replaces them, and so must what they
follow from. Views and tables that every run builds anew hold what their inputs hold. `meta.retention` says otherwise:
`state` for rows that hold until something replaces them, a grain (`minute`, `hour`, `day`), or, with the column that
says when a row was received, `{keeps: raw_events, by: received_at}`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lake.errors import MillraceError
from lake.policy import Kept

STATE: Final = "state"
INPUTS: Final = "inputs"
GRAINS: Final[Mapping[str, Kept]] = {
    "minute": "minute_rollups",
    "hour": "hour_rollups",
    "day": "day_rollups",
}
RAW: Final = "raw_events"
REPLACED: Final = "partition_replace"
BY_KEY: Final = "key_replace"
REBUILT: Final = frozenset({"view", "exchanged_table", "table", "ephemeral", "materialized_view"})
VALID: Final = f"{', '.join(GRAINS)}, {STATE}, {{keeps: {RAW}, by: <column>}}"

Node = Mapping[str, Any]


class LifetimeError(MillraceError):
    """Models that do not say how long their rows are kept; the message names each, and what can be said."""


@dataclass(frozen=True)
class Lifetime:
    """One table that retention cuts: `kept` names its line of the policy, `ended` is when a row's period was over.

    `ended` is a ClickHouse expression of type DateTime.
    """

    source: str
    database: str
    table: str
    kept: Kept
    ended: str

    @property
    def store(self) -> str:
        """The table's qualified name."""
        return f"{self.database}.{self.table}"


def lifetimes(manifest: Mapping[str, Any], source: str) -> list[Lifetime]:
    """Return the tables of a source that lose rows by age, in the order of their names.

    Raises:
        LifetimeError: when a model does not say how long its rows are kept.
    """
    if problems := lint(manifest, source):
        raise LifetimeError("\n".join(problems))
    found = [lifetime for node in _models(manifest, source) if (lifetime := _lifetime(node, source))]
    return sorted(found, key=lambda lifetime: lifetime.store)


def followers(manifest: Mapping[str, Any], source: str) -> list[str]:
    """Return the marts without an age of their own: they hold what their inputs hold."""
    return sorted(
        f"{node['schema']}.{node['alias']}"
        for node in _models(manifest, source)
        if node["fqn"][1] == "marts" and _said(node) == INPUTS
    )


def lint(manifest: Mapping[str, Any], source: str) -> list[str]:
    """Return what is wrong with what the models of a source say, one sentence each."""
    return [problem for node in _models(manifest, source) for problem in _problems(manifest, node)]


def _problems(manifest: Mapping[str, Any], node: Node) -> Iterator[str]:
    said = _said(node)
    if said is None:
        yield (
            f"{node['name']} ({node['config']['materialized']}) does not say how long its rows are kept: "
            f"say meta.retention, one of {VALID}"
        )
    elif said not in {*GRAINS, STATE, INPUTS, RAW}:
        yield f"{node['name']}: meta.retention is {said!r}; valid: {VALID}"
    elif said == RAW and not node["config"]["meta"]["retention"].get("by"):
        yield f"{node['name']}: meta.retention keeps {RAW} and needs `by`, the column that says when a row was received"
    elif said in GRAINS and not node["config"].get("date_column"):
        yield f"{node['name']}: meta.retention is {said}, but the model has no date_column"
    elif node["config"]["materialized"] == BY_KEY and (aging := _changes_that_age(manifest, node)):
        yield (
            f"{node['name']} restates the whole history of a key from {aging}, which loses rows by age: "
            f"say meta.retention, {STATE}, of {aging}"
        )
    elif said == INPUTS and node["fqn"][1] == "marts" and (view := _events_behind(manifest, node)):
        yield (
            f"{node['name']} is built anew from {view}, which loses events when raw.events does: "
            f"materialise it (or what it reads) as {REPLACED}, or say meta.retention, {{keeps: {RAW}, by: <column>}}"
        )


def _events_behind(manifest: Mapping[str, Any], node: Node) -> str | None:
    """Return the staging view of events that a model reads, itself or through views and rebuilt tables."""
    for parent_id in sorted(node["depends_on"]["nodes"]):
        parent = manifest["nodes"].get(parent_id)
        if parent is None or parent["resource_type"] != "model":
            continue
        if parent["fqn"][1] == "staging":
            if any(read.endswith(".raw.events") for read in parent["depends_on"]["nodes"]):
                return str(parent["name"])
        elif parent["config"]["materialized"] in REBUILT and (found := _events_behind(manifest, parent)):
            return found
    return None


def _changes_that_age(manifest: Mapping[str, Any], node: Node) -> str | None:
    """Return what a model by key follows from, unless that is kept as long as its own rows."""
    changes = node["config"].get("changed_in")
    kept = next((_said(parent) for parent in manifest["nodes"].values() if parent["name"] == changes), None)
    return None if kept == STATE else str(changes)


def _models(manifest: Mapping[str, Any], source: str) -> list[Node]:
    return [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] != "staging" and node["fqn"][2] == source
    ]


def _said(node: Node) -> str | None:
    """What a model says, or what follows from how it is built; None when neither tells."""
    config = node["config"]
    declared = (config.get("meta") or {}).get("retention")
    if isinstance(declared, Mapping):
        return str(declared.get("keeps"))
    if declared is not None:
        return str(declared)
    if config["materialized"] in REBUILT:
        return INPUTS
    if config["materialized"] == BY_KEY:
        return STATE
    if config["materialized"] != REPLACED:
        return None
    grain = str(config.get("date_column"))
    return grain if grain in GRAINS and node["fqn"][1] == "marts" else "day"


def _lifetime(node: Node, source: str) -> Lifetime | None:
    said = _said(node)
    if said == RAW:
        column = node["config"]["meta"]["retention"]["by"]
        ended = f"toStartOfHour(toDateTime({column}, 'UTC')) + interval 1 hour"
        return Lifetime(source, node["schema"], node["alias"], "raw_events", ended)
    if said is None or said not in GRAINS:
        return None
    day = f"toDate({node['config']['date_column']})"
    tags = set(node["tags"])
    after = f"{day} + 1"
    if "monthly" in tags:
        after = f"addMonths(toStartOfMonth({day}), 1)"
    elif "weekly" in tags:
        after = f"{day} + 7"
    return Lifetime(source, node["schema"], node["alias"], GRAINS[said], f"toDateTime({after}, 'UTC')")
