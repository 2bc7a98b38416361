"""The warehouse's own tables: databases, raw and ops. The marts are dbt's."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def statements() -> list[str]:
    """Return the DDL in the order in which it is applied; every statement may be repeated."""
    folder = files("orchestration.warehouse").joinpath("ddl")
    scripts = sorted(
        (entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name
    )
    text = "\n".join(script.read_text(encoding="utf-8") for script in scripts)
    bare = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [statement.strip() for statement in bare.split(";\n") if statement.strip()]


def apply(client: Client) -> None:
    """Create what is missing of the databases and tables; what is there stays as it is."""
    for statement in statements():
        client.command(statement.rstrip(";"))
