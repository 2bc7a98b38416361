"""Which tests need the stack, which must run on one worker, and in which order the workers take them.

All three follow from the fixtures that a test uses, so that nobody has to remember to say them.
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
    """Mark tests that need the stack, tie those together that share a fixture of their module, and sort them."""
    for item in items:
        if any(_names(function) & STARTS_A_STACK for function in _functions(item)):
            item.add_marker(pytest.mark.stack)
        shared = _shared(item)
        if shared is not None and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(shared))
    items.sort(
        key=lambda item: next(n for n, start in enumerate(HEAVY_FIRST) if item.nodeid.startswith(start))
    )


def _fixtures(item: pytest.Item) -> Iterator[tuple[str, Any]]:
    definitions = item._fixtureinfo.name2fixturedefs if hasattr(item, "_fixtureinfo") else {}
    for name, found in definitions.items():
        yield name, found[-1]


def _functions(item: pytest.Item) -> Iterator[Any]:
    yield getattr(item, "function", None)
    for _, fixture in _fixtures(item):
        yield fixture.func


def _names(function: Any) -> frozenset[str]:
    code = getattr(inspect.unwrap(function), "__code__", None) if function is not None else None
    return frozenset(code.co_names) if code is not None else frozenset()


def _shared(item: pytest.Item) -> str | None:
    """Name the fixtures of its module that a test shares with others, by their parameters; None where it shares none."""
    names = [name for name, fixture in _fixtures(item) if fixture.scope in ("module", "class", "package")]
    if not names:
        return None
    given = getattr(item, "callspec", None)
    parameters = [str(given.params[name]) for name in sorted(names) if given and name in given.params]
    return "-".join([item.nodeid.partition("::")[0], *parameters])
