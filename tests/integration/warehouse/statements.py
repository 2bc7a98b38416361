"""How long the statements are that a piece of work sends to the warehouse, by the engine's own log."""

from __future__ import annotations

from collections.abc import Callable

from clickhouse_connect.driver.client import Client

KIND = r"replaceRegexpAll(replaceRegexpAll(query, '\'/[^\']*\'|[0-9a-f]{12,}|[0-9]+', '#'), '\\s+', ' ')"
"""A statement without what differs between two of the same kind: numbers, dates, names of staging tables, paths."""


def longest(client: Client, work: Callable[[], object]) -> dict[str, int]:
    """Do some work; return the length in bytes of its longest statement of each kind, by how the kind begins."""
    (since,) = client.query("select toString(now64(6, 'UTC'))").first_row
    work()
    client.command("system flush logs")
    rows = client.query(
        f"""
        select substring({KIND}, 1, 220) as kind, max(length(query)) from system.query_log
        where type != 'QueryFinish' and query not like 'SET %'
        and event_time_microseconds >= {{since:DateTime64(6, 'UTC')}}
        group by kind
        """,
        parameters={"since": since},
    ).result_rows
    return {str(kind): int(length) for kind, length in rows}


def grown(few: dict[str, int], many: dict[str, int]) -> dict[str, tuple[int, int]]:
    """Return the kinds whose longest statement grew, with both lengths; a number may be some digits longer.

    A kind that only one of the two sent (a library may order its columns by chance) may be as long as the longest.
    """
    assert len(many) > 5, "the engine's log says what was sent"
    before = {kind: few.get(kind, max(few.values())) for kind in many}
    return {kind: (before[kind], length) for kind, length in many.items() if length > before[kind] + 64}
