"""The services of docker-compose.yml that are ours, as processes of this machine."""

from __future__ import annotations

import os
import re
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import yaml

from orchestration.settings import PROJECT_ROOT

INSTANCE_FILE = PROJECT_ROOT / "deploy" / "dagster" / "dagster.yaml"
WORKSPACE = "deploy/dagster/workspace.yaml"
POSTGRES = {
    "DAGSTER_POSTGRES_HOST": "127.0.0.1",
    "DAGSTER_POSTGRES_USER": "dagster",
    "DAGSTER_POSTGRES_PASSWORD": "a-password",
    "DAGSTER_POSTGRES_DB": "dagster",
}
"""As the fixture `postgres` is made."""


def write_instance_file(folder: Path, port: int) -> None:
    """Write production's; the compose network has a standard port for each service, here PostgreSQL's is a free one."""
    text = INSTANCE_FILE.read_text()
    (folder / "dagster.yaml").write_text(
        text.replace("      db_name:", f"      port: {port}\n      db_name:")
    )


class Services:
    """Starts services with their own commands and environment, on other ports and below another folder."""

    def __init__(self, folder: Path, ports: dict[str, int], environment: dict[str, str]) -> None:
        """Put the free `ports` in place of those of the compose file; `environment` wins over its own."""
        self._services: dict[str, Any] = yaml.safe_load((PROJECT_ROOT / "docker-compose.yml").read_text())[
            "services"
        ]
        self._ports = ports
        self._workspace = folder / "workspace.yaml"
        text = (PROJECT_ROOT / WORKSPACE).read_text()
        self._workspace.write_text(self._here(text.replace("host: code-server", "host: 127.0.0.1")))
        self._environment = {
            **os.environ,
            "PATH": f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}",
            **environment,
        }

    def environment(self, name: str) -> dict[str, str]:
        """What the service's processes find in their environment."""
        own = self._services[name]["environment"]
        given = {key: value for key, value in own.items() if "${" not in value}
        return {**given, **self._environment}

    def start(self, name: str, command: list[str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a service, or another command in its place."""
        words = [self._here(word) for word in command or self._services[name]["command"]]
        return subprocess.Popen(
            words, cwd=PROJECT_ROOT, env=self.environment(name), text=True, start_new_session=True, **options
        )

    def healthy(self, name: str) -> bool:
        """Ask the service's own health check once."""
        check = self._services[name]["healthcheck"]["test"]
        assert check[0] == "CMD"
        return self.start(name, check[1:], stderr=subprocess.DEVNULL).wait() == 0

    def _here(self, text: str) -> str:
        for standard, port in self._ports.items():
            text = re.sub(rf"\b{standard}\b", str(port), text)
        return text.replace(WORKSPACE, str(self._workspace))
