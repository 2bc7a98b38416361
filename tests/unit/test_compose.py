"""The compose file is valid, pinned and without default secrets."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from orchestration.embedded.engine import write_config
from orchestration.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
ONE_SHOT = "prepare"
ROLES = {"clickhouse", "minio", "postgres", "webserver", "daemon", "code-server", ONE_SHOT}
SERVER = PurePosixPath("/etc/clickhouse-server")
OF_THE_IMAGE = {SERVER / "config.d/docker_related_config.xml", SERVER / "users.d/default-user.xml"}
"""Files in the two folders that the ClickHouse image brings, or writes when it starts."""
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


def mounted_files(service: dict[str, Any]) -> dict[PurePosixPath, Path]:
    """What a service sees of this folder: path in the container → path here."""
    parts = [volume.split(":") for volume in service.get("volumes", [])]
    return {
        PurePosixPath(target): ROOT / source for source, target, *_ in parts if source.startswith((".", "/"))
    }


def test_only_single_files_are_mounted_and_all_of_them_exist() -> None:
    # A folder would hide what the image has there, and what its entrypoint writes there, read-only, ends the start.
    for name, service in services().items():
        for target, source in mounted_files(service).items():
            assert source.is_file(), f"{name}: {target}"
            assert target not in OF_THE_IMAGE


def test_clickhouse_reads_every_file_that_is_mounted() -> None:
    targets = mounted_files(services()["clickhouse"])
    assert {target.parent for target in targets} == {SERVER / "config.d", SERVER / "users.d"}
    assert {ElementTree.parse(source).getroot().tag for source in targets.values()} == {"clickhouse"}
    shared = {
        path for folder in ("config.d", "users.d") for path in (ROOT / "deploy/clickhouse" / folder).iterdir()
    }
    assert shared <= {source.resolve() for source in targets.values()}, (
        "the laptop reads more than production"
    )


def listened_to(paths: list[Path]) -> set[str]:
    """The addresses that these configuration files tell ClickHouse to listen on."""
    return {str(element.text) for path in paths for element in ElementTree.parse(path).iter("listen_host")}


def test_clickhouse_listens_for_the_other_containers() -> None:
    assert listened_to(list(mounted_files(services()["clickhouse"]).values())) == {"::", "0.0.0.0"}


def test_the_embedded_engine_listens_nowhere(tmp_path: Path) -> None:
    assert listened_to([write_config(ROOT / "deploy/clickhouse", tmp_path)]) == set()


def test_the_database_is_healthy_when_other_containers_can_reach_it() -> None:
    # The image starts a first server that answers on its socket only, and ends it.
    check = services()["postgres"]["healthcheck"]["test"]
    assert check[check.index("--host") + 1] == "127.0.0.1"


SECRETS = [".env", ".env.production", "deploy/.env", "deploy/.env.local"]


def in_image(path: str) -> bool:
    """Say whether `COPY . .` takes a file: by .dockerignore, the last pattern that matches it or a folder above it."""
    taken = True
    whole = PurePosixPath(path)
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.strip()
        if pattern and not pattern.startswith("#"):
            negated = pattern.startswith("!")
            matcher = _matcher(pattern.removeprefix("!").strip("/"))
            if any(matcher.fullmatch(str(part)) for part in (whole, *whole.parents)):
                taken = negated
    return taken


def _matcher(pattern: str) -> re.Pattern[str]:
    """A pattern of a .dockerignore: anchored at the root, `*` within one folder, `**` across folders."""
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))


@pytest.mark.parametrize("path", SECRETS)
def test_no_secret_goes_into_the_image(path: str) -> None:
    assert not in_image(path)


@pytest.mark.parametrize("path", SECRETS)
def test_no_secret_goes_into_git(path: str) -> None:
    found = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT, check=False)
    assert found.returncode == 0


@pytest.mark.parametrize(
    "path", ["deploy/env.example", "orchestration/settings.py", "dbt_project/dbt_project.yml", "README.md"]
)
def test_the_image_and_git_hold_the_rest(path: str) -> None:
    assert in_image(path)
    found = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT, check=False)
    assert found.returncode == 1


def test_what_the_image_starts_with_exists() -> None:
    assert (ROOT / "deploy/Dockerfile").exists()
    assert (ROOT / "deploy/dagster/workspace.yaml").exists()
    assert (ROOT / "deploy/dagster/dagster.yaml").exists()
