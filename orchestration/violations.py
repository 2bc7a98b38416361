"""Open violations: a partition that a gate rejected stops its source until that partition passes.

Inside one run Dagster's blocking checks stop what is downstream. Between runs they do not: the next hour's
run rebuilds the same occurred days, and would carry the rejected rows into the marts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import dagster as dg

from orchestration.partitions import Window, window_of_label

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


def still_open(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """The rejections that no later passing verdict covers hour by hour, oldest first."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.checked_at)
    rejected: list[tuple[Verdict, set[datetime]]] = []
    for verdict in ordered:
        hours = set(verdict.window.hours)
        if verdict.broken:
            rejected.append((verdict, hours))
        else:
            for _, left in rejected:
                left.difference_update(hours)
    return [verdict for verdict, left in rejected if left]


def refuse_open_violations(
    client: Client, suites: Sequence[str], tables: Sequence[str] | None = None
) -> None:
    """Stop when a gate has rejected a partition that has not passed since.

    Args:
        client: connection to the warehouse.
        suites: suites whose verdicts count.
        tables: `database.table` names whose checks count; None means all of the suites.

    Raises:
        dagster.Failure: not to be tried again; names partition, rules and rows.
    """
    found = still_open(_verdicts(client, suites, tables))
    if found:
        text = "; ".join(verdict.message for verdict in found[:MAX_NAMED])
        raise dg.Failure(
            f"stopped by {len(found)} open gate violations: {text}. Mend the data and materialise that "
            "partition again",
            allow_retries=False,
        )


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
