"""The DDL as text."""

from __future__ import annotations

import re

from orchestration.warehouse.schema import statements


def test_every_statement_may_be_repeated() -> None:
    assert [statement for statement in statements() if "if not exists" not in statement] == []


def test_every_column_says_what_it_holds() -> None:
    tables = [statement for statement in statements() if statement.startswith("create table")]
    bodies = [table.split("(\n", 1)[1].split("\n)\n", 1)[0] for table in tables]
    columns = [line.strip() for body in bodies for line in body.splitlines()]
    assert len(columns) > 50
    assert [column for column in columns if not re.search(r" comment '.+'", column)] == []


def test_what_is_replaced_by_hour_is_partitioned_by_source_and_hour() -> None:
    clause = "partition by (source, received_hour)"
    partitioned = [statement for statement in statements() if clause in statement]
    names = [re.search(r"if not exists (\S+)", statement) for statement in partitioned]
    assert [name[1] for name in names if name] == ["raw.events", "ops.loads", "ops.quarantine"]
