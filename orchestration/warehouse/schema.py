"""The warehouse's own tables: databases, raw and ops. The marts are dbt's."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from ingestion.contract import source_names

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
    """Create what is missing of the databases and tables; what is there stays as it is.

    The marts of a source have a database of its name, whoever added the source.
    """
    marts = [f"create database if not exists `{name}`" for name in source_names()]
    for statement in [*statements(), *marts]:
        client.command(statement.rstrip(";"))
