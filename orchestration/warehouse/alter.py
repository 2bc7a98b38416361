"""Changing a table partition by partition, however many there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

PARTITIONS_PER_STATEMENT = 50
"""ClickHouse reads 256 KiB of a statement; a partition takes up to 150 bytes of it."""


def alter_partitions(
    client: Client, table: str, commands: Sequence[str], settings: Mapping[str, Any] | None = None
) -> None:
    """Run the commands of an ALTER one after the other, in their order, in statements of bounded length.

    ClickHouse commits each command by itself, those of one statement too: a reader sees every partition as it was or as
    it becomes, and what is killed has done the first of them.

    Args:
        client: connection to the warehouse.
        table: the table's qualified name.
        commands: one for each partition, such as `drop partition id '20261116'`.
        settings: of each statement.
    """
    for start in range(0, len(commands), PARTITIONS_PER_STATEMENT):
        some = ", ".join(commands[start : start + PARTITIONS_PER_STATEMENT])
        client.command(f"alter table {table} {some}", settings=dict(settings or {}))
