"""Open violations: a partition that a gate rejected stops its source until that partition passes.

Inside one run Dagster's blocking checks stop what is downstream. Between runs they do not: the next hour's
run rebuilds the same occurred days, and would carry the rejected rows into the marts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.partitions import Cadence, Window, cadence_of_label, contiguous, window_of_label
from orchestration.suspects import way_out

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MAX_NAMED = 5


@dataclass(frozen=True)
class Verdict:
    """What one run of a gate found for one partition or range; no broken rule means it passed."""

    partition: str
    checked_at: datetime
    broken: tuple[tuple[str, int | None], ...] = ()

    @property
    def window(self) -> Window:
        """The received hours that were judged."""
        return window_of_label(self.partition)

    @property
    def message(self) -> str:
        """Which partition, which rules, how many rows."""
        rules = ", ".join(
            f"{rule} ({'could not run' if rows is None else f'{rows} rows'})"
            for rule, rows in self.broken[:MAX_NAMED]
        )
        more = f" and {len(self.broken) - MAX_NAMED} more" if len(self.broken) > MAX_NAMED else ""
        return f"partition {self.partition} broke {rules}{more}"


def suites_of(source: str) -> tuple[str, str]:
    """The suites of a source whose rejections stop it: the one behind raw, and the one behind the marts."""
    return f"{source}_raw_in", f"{source}_marts"


def still_open(verdicts: Iterable[Verdict]) -> list[tuple[Verdict, set[datetime]]]:
    """The rejections that no later passing verdict covers hour by hour, oldest first, with the hours that are left."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.checked_at)
    rejected: list[tuple[Verdict, set[datetime]]] = []
    for verdict in ordered:
        hours = set(verdict.window.hours)
        if verdict.broken:
            rejected.append((verdict, hours))
        else:
            for _, left in rejected:
                left.difference_update(hours)
    return [(verdict, left) for verdict, left in rejected if left]


def open_periods(client: Client, source: str) -> dict[Cadence, list[Window]]:
    """The periods of a source that a gate has rejected and that have not passed it since, by the gate's cadence."""
    left: dict[Cadence, set[datetime]] = defaultdict(set)
    for suite in suites_of(source):
        rejecting = client.query(
            "select distinct asset from ops.validation_results where suite = {suite:String} and not success",
            parameters={"suite": suite},
        ).result_rows
        for (table,) in rejecting:
            for verdict, hours in still_open(_verdicts(client, [suite], [table])):
                left[cadence_of_label(verdict.partition)] |= hours
    return {cadence: contiguous(hours) for cadence, hours in left.items()}


def refuse_open_violations(
    client: Client, source: str, suites: Sequence[str], tables: Sequence[str] | None = None
) -> None:
    """Stop when a gate has rejected a partition that has not passed since.

    Args:
        client: connection to the warehouse.
        source: whose data is judged.
        suites: suites whose verdicts count.
        tables: `database.table` names whose checks count; None means all of the suites.

    Raises:
        dagster.Failure: not to be tried again; names partition, rules and rows.
    """
    found = [verdict for verdict, _ in still_open(_verdicts(client, suites, tables))]
    if found:
        text = "; ".join(verdict.message for verdict in found[:MAX_NAMED])
        raise dg.Failure(
            f"stopped by {len(found)} open gate violations: {text}. {_way_out(client, source, suites, found[0])}",
            allow_retries=False,
        )


def _way_out(client: Client, source: str, suites: Sequence[str], first: Verdict) -> str:
    """What lifts the oldest violation, and so mostly those behind it."""
    mend = "mend the data and materialise that partition again"
    rows = client.query(
        "select expectation, unexpected_count, sample from ops.validation_results "
        "where suite in {suites:Array(String)} and partition = {partition:String} and not success "
        "and checked_at = {at:DateTime64(3, 'UTC')}",
        parameters={"suites": list(suites), "partition": first.partition, "at": first.checked_at},
    ).result_rows
    found = way_out(
        client, source, first.window, [(rule, count, json.loads(sample)) for rule, count, sample in rows]
    )
    return f"{found}; or {mend}" if found else mend.capitalize()


def _verdicts(client: Client, suites: Sequence[str], tables: Sequence[str] | None) -> list[Verdict]:
    condition = "suite in {suites:Array(String)}" + (
        " and asset in {tables:Array(String)}" if tables is not None else ""
    )
    bound = {"suites": list(suites), "tables": list(tables or [])}
    rejected_since = client.query(
        f"select min(checked_at) from ops.validation_results where {condition} and not success having "
        "count() > 0",
        parameters=bound,
    ).result_rows
    if not rejected_since:
        return []
    rows = client.query(
        "select partition, checked_at, groupArrayIf((expectation, unexpected_count), not success) "
        f"from ops.validation_results where {condition} and checked_at >= {{since:DateTime64(3, 'UTC')}} "
        "group by partition, checked_at",
        parameters=bound | {"since": rejected_since[0][0]},
    ).result_rows
    return [Verdict(partition, checked_at, tuple(broken)) for partition, checked_at, broken in rows]
