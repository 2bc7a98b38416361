"""Which loads may have brought what a gate rejects, and how a load is taken back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from expectations.raw_in import is_reconciled
from orchestration.partitions import Window
from orchestration.warehouse import sql

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from expectations.model import SuiteResult

MAX_NAMED = 3
Broken = tuple[str, int | None, Sequence[Mapping[str, Any]]]
"""A rule, how many rows break it (None when it could not run), and a few of these rows."""


def broken_rules(result: SuiteResult) -> list[Broken]:
    """What a gate found."""
    return [(found.rule, found.unexpected_count, found.sample) for found in result.failures]


def way_out(client: Client, source: str, window: Window, broken: Iterable[Broken]) -> str | None:
    """Say which command takes back what a gate rejects, and which loads it may be about.

    Rows of raw tell their load. Those of a mart do not: then the loads received in the window are named, the one that
    was committed last first.

    Args:
        client: connection to the warehouse.
        source: whose gate.
        window: the received hours that were judged.
        broken: the rules that do not hold.

    Returns:
        A sentence; None where no row is at fault: a rule could not run, or lake and warehouse differ.
    """
    at_fault = [sample for rule, rows, sample in broken if rows is not None and not is_reconciled(rule)]
    if not at_fault:
        return None
    told = sorted({str(row["load_id"]) for sample in at_fault for row in sample if row.get("load_id")})
    found, total = _loads(client, source, window, told)
    if not found:
        return "`millrace loads` lists the loads, `millrace unload LOAD_ID` takes one back"
    names = ", ".join(f"{load_id} ({uri.rpartition('/')[2]})" for load_id, uri in found)
    more = f" and {total - len(found)} more" if total > len(found) else ""
    span = f"--from {window.start:%Y-%m-%dT%H:%M} --to {window.end:%Y-%m-%dT%H:%M}"
    return (
        f"{'brought' if told else 'received in these hours'} by load {names}{more} (`millrace loads --source {source} "
        f"{span}` lists them): `millrace unload LOAD_ID` takes a load back, out of every mart"
    )


def _loads(
    client: Client, source: str, window: Window, told: Sequence[str]
) -> tuple[list[tuple[str, str]], int]:
    """Return ids and inputs of the newest loads of a window, or of those told, and how many there are."""
    rows = client.query(
        "select load_id, any(input_uri), count() over () from ops.loads "
        "where source = {source:String} and received_hour >= {start:DateTime('UTC')} "
        "and received_hour < {end:DateTime('UTC')} and (load_id in {told:Array(String)} or empty({told:Array(String)})) "
        "group by load_id order by max(committed_at) desc, load_id limit {named:UInt8}",
        parameters={
            "source": source,
            "start": sql.second(window.start),
            "end": sql.second(window.end),
            "told": list(told),
            "named": MAX_NAMED,
        },
    ).result_rows
    return [(load_id, uri) for load_id, uri, _ in rows], rows[0][2] if rows else 0
