"""The one resource of every asset, check and sensor: where connections come from.

It is a plain object made from the settings, so that no secret becomes run configuration, which the UI shows.
Nothing is read or opened before a step asks for it: the code location loads while every server is down.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from lake.store import ObjectStore
from orchestration import connections
from orchestration import settings as settings_module
from orchestration.settings import Settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


class Platform:
    """Opens the object store and the warehouse for a step."""

    def __init__(self, settings: Settings | None = None) -> None:
        """Use these settings, or read them from the environment at first use."""
        self._given = settings
        self._idle: list[Client] = []

    @cached_property
    def settings(self) -> Settings:
        """The settings, read once per process.

        Raises:
            orchestration.settings.SettingsError: when a value is not valid.
        """
        return self._given or settings_module.load()

    @property
    def ui_url(self) -> str:
        """Address of the Dagster UI, for links in alerts."""
        url = self.settings.dagster_url or f"http://127.0.0.1:{self.settings.dagster_port}"
        return url.rstrip("/")

    @cached_property
    def store(self) -> ObjectStore:
        """The lake's bucket; it connects at first use."""
        return connections.object_store(self.settings)

    @contextmanager
    def warehouse(self, log_comment: str) -> Iterator[Client]:
        """A ClickHouse client whose every query carries `log_comment`.

        Raises:
            orchestration.connections.WarehouseUnreachableError: when nothing answers.
        """
        client = self._idle.pop() if self._idle else connections.warehouse(self.settings)
        client.set_client_setting("log_comment", log_comment)
        try:
            yield client
        except BaseException:
            client.close()
            raise
        # The next step takes it up: a new client reads all settings of the server first.
        self._idle.append(client)
