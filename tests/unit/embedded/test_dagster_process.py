"""Dagster still has the intervals that the laptop's stack changes, and they are shorter than ours."""

from __future__ import annotations

from importlib import import_module

import pytest

from orchestration.embedded.dagster_process import COMPONENTS


@pytest.mark.parametrize(
    ("place", "constant", "seconds"),
    sorted({interval for _, _, intervals in COMPONENTS.values() for interval in intervals}),
)
def test_an_interval_that_upstream_has_is_made_longer(place: str, constant: str, seconds: int) -> None:
    assert 0 < getattr(import_module(place), constant) < seconds


def test_the_process_with_the_code_lives_longer_than_its_heartbeat() -> None:
    from dagster._cli.code_server import get_default_grpc_proxy_heartbeat_ttl

    ((_, _, seconds),) = COMPONENTS["code-server"][2]
    assert 2 * seconds < get_default_grpc_proxy_heartbeat_ttl()


@pytest.mark.parametrize("component", sorted(COMPONENTS))
def test_every_component_has_a_command_line(component: str) -> None:
    module, _, _ = COMPONENTS[component]
    assert callable(import_module(module).main)
