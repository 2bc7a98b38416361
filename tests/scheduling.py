"""Which tests need the stack, and in which order the workers take them.

The first follows from the fixtures that a test uses, so that nobody has to remember to say it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

STARTS_A_STACK = frozenset({"running_stack", "start_server", "server_command", "settings_for"})
"""Who names one of these in a test or a fixture starts ClickHouse or S3."""
HEAVY_FIRST = (
    "tests/golden/",
    "tests/integration/warehouse/",
    "tests/integration/real_data/",
    "tests/integration/",
    "",
)
"""Long work last would leave the other workers idle."""


def arrange(items: list[pytest.Item]) -> None:
    """Mark tests that need the stack, and sort them."""
    for item in items:
        if any(_names(function) & STARTS_A_STACK for function in _functions(item)):
            item.add_marker(pytest.mark.stack)
    items.sort(
        key=lambda item: next(n for n, start in enumerate(HEAVY_FIRST) if item.nodeid.startswith(start))
    )


def _functions(item: pytest.Item) -> Iterator[Any]:
    yield getattr(item, "function", None)
    if hasattr(item, "_fixtureinfo"):
        yield from (found[-1].func for found in item._fixtureinfo.name2fixturedefs.values())


def _names(function: Any) -> frozenset[str]:
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return frozenset(code.co_names) if code is not None else frozenset()
