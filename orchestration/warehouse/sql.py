"""ClickHouse literals: the one place that quotes values into SQL."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime


def text(value: str) -> str:
    """Return a string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def second(moment: datetime) -> str:
    """Return an aware moment as `YYYY-MM-DD HH:MM:SS` in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def moments(values: Iterable[datetime]) -> str:
    """Return a list of DateTime('UTC') literals."""
    return ", ".join(f"toDateTime('{second(value)}', 'UTC')" for value in values)


def enum(names: Iterable[tuple[str, int]]) -> str:
    """Return the type Enum8 over names and numbers."""
    return "Enum8(" + ", ".join(f"{text(name)} = {number}" for name, number in names) + ")"
