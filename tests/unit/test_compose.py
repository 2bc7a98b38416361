"""The compose file is valid, pinned and without default secrets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from orchestration.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
ONE_SHOT = "prepare"
ROLES = {"clickhouse", "minio", "postgres", "webserver", "daemon", "code-server", ONE_SHOT}
SECRET_WORDS = ("PASSWORD", "SECRET", "ACCESS_KEY", "PSEUDONYM_KEY", "ROOT_USER")


def schema_check(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def services() -> dict[str, dict[str, Any]]:
    return yaml.safe_load(COMPOSE.read_text())["services"]


def test_it_validates_against_the_compose_specification() -> None:
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(COMPOSE),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_schema_check_refuses_a_broken_file(tmp_path: Path) -> None:
    broken = tmp_path / "docker-compose.yml"
    broken.write_text("services: {clickhouse: {imagee: x}}\n")
    command = [
        sys.executable,
        "-m",
        "check_jsonschema",
        "--builtin-schema",
        "vendor.compose-spec",
        str(broken),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1


def test_every_part_of_the_stack_is_there() -> None:
    assert set(services()) == ROLES


def test_every_image_is_pinned() -> None:
    for name, service in services().items():
        tag = service["image"].rpartition(":")[2]
        assert tag not in {"", "latest"} and any(part.isdigit() for part in tag), (
            f"{name}: {service['image']}"
        )


def test_every_service_that_stays_has_a_health_check() -> None:
    assert [name for name, service in services().items() if "healthcheck" not in service] == [ONE_SHOT]


def test_no_secret_has_a_default() -> None:
    for name, service in services().items():
        for variable, value in service["environment"].items() if "environment" in service else ():
            if any(word in variable for word in SECRET_WORDS):
                assert value.startswith("${") and ":?" in value, f"{name}: {variable} has a default"


def test_published_ports_stay_on_loopback() -> None:
    published = [port for service in services().values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_millrace_variable_is_a_setting() -> None:
    named = {variable for service in services().values() for variable in service.get("environment", {})}
    unknown = {
        variable
        for variable in named
        if variable.startswith("MILLRACE_")
        and variable.removeprefix("MILLRACE_").lower() not in Settings.model_fields
    }
    assert unknown == set()


def test_every_file_the_stack_mounts_or_starts_exists() -> None:
    for service in services().values():
        for volume in service.get("volumes", []):
            local = volume.split(":")[0]
            assert not local.startswith("./") or (ROOT / local).exists(), volume
    assert (ROOT / "deploy/Dockerfile").exists()
    assert (ROOT / "deploy/dagster/workspace.yaml").exists()
    assert (ROOT / "deploy/dagster/dagster.yaml").exists()
