"""dbt as a part of the platform: its project, its environment from the settings, parsing and building.

Every invocation of dbt is a process of its own, see dbt_server.py: dbt keeps global state, and a crash of it must not
take Dagster along.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

from lake.errors import MillraceError
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse import dbt_server

PROJECT_DIR = PROJECT_ROOT / "dbt_project"
MANIFEST_PATH = PROJECT_DIR / "target" / "manifest.json"
PARSED_PATH = MANIFEST_PATH.with_name("partial_parse.msgpack")
"""The project as dbt takes it without parsing."""
FINGERPRINT_FILE = "fingerprint.txt"
PARTIAL_PARSE_FILE = PARSED_PATH.name
INPUTS = ("*.sql", "*.yml", "*.md", "*.csv")
WRITE_MANIFEST = {"DBT_WRITE_JSON": "true"}
FAILED = ("error", "fail", "runtime error")
WINDOW_VARIABLES = {"window_from": "MILLRACE_WINDOW_FROM", "window_to": "MILLRACE_WINDOW_TO"}


class DbtError(MillraceError):
    """dbt could not parse the project, or nodes failed; the message names each with its reason."""


@dataclass(frozen=True)
class DbtResult:
    """What a dbt invocation did: results as in dbt's run_results.json, and the wall time in seconds."""

    results: tuple[Mapping[str, Any], ...]
    seconds: float


def environment(settings: Settings, window: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment in which dbt runs: this process's, and the connection of the settings.

    Args:
        settings: where the warehouse is.
        window: window_from and window_to. Given here and not as `--vars`, they leave the parsed project
            valid, which saves two seconds of parsing in every run.
    """
    variables = {
        "MILLRACE_CLICKHOUSE_HOST": settings.clickhouse_host,
        "MILLRACE_CLICKHOUSE_PORT": str(settings.clickhouse_port),
        "MILLRACE_CLICKHOUSE_USER": settings.clickhouse_user,
        "MILLRACE_CLICKHOUSE_PASSWORD": settings.clickhouse_password.get_secret_value(),
        "MILLRACE_CLICKHOUSE_SECURE": str(settings.clickhouse_secure),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        # Its log of every query, at debug, took a tenth of a run; the warehouse's query log has them.
        "DBT_LOG_LEVEL_FILE": "info",
        # Not the tables of every source.
        "DBT_CACHE_SELECTED_ONLY": "true",
        "DBT_PROFILES_DIR": str(PROJECT_DIR),
        # The manifest again, a quarter of a second; what nodes did is written by dbt_server.py.
        "DBT_WRITE_JSON": "false",
        # They judge the SQL, not the data: `make test` runs them, no run in production does.
        "DBT_EXCLUDE_RESOURCE_TYPES": "unit_test",
    }
    inherited = {name: value for name, value in os.environ.items() if name not in WINDOW_VARIABLES.values()}
    return inherited | variables | {WINDOW_VARIABLES[name]: value for name, value in (window or {}).items()}


def project_fingerprint(project_dir: Path | None = None) -> str:
    """Return the sha256 over every file that dbt parses, and over dbt's own version."""
    from dbt.version import __version__  # noqa: PLC0415  importing dbt costs a second that most commands need not pay

    project_dir = project_dir or PROJECT_DIR
    digest = hashlib.sha256(__version__.encode())
    ignored = {project_dir / "target", project_dir / "logs"}
    paths = sorted(path for pattern in INPUTS for path in project_dir.rglob(pattern))
    for path in paths:
        if not ignored & set(path.parents):
            digest.update(str(path.relative_to(project_dir)).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def prepare_manifest(settings: Settings, manifest_path: Path = MANIFEST_PATH) -> Path:
    """Parse the project into `manifest.json`, unless it was parsed as it is now. Opens no connection.

    Returns:
        The manifest's path; the parsed project lies beside it.

    Raises:
        DbtError: when the project does not parse.
    """
    target = manifest_path.parent
    fingerprint = project_fingerprint()
    stamp = target / FINGERPRINT_FILE
    if manifest_path.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return manifest_path
    target.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    # Not in place: another process may be reading the one that is there.
    with TemporaryDirectory(dir=target) as made:
        if (target / PARTIAL_PARSE_FILE).exists():
            shutil.copy2(target / PARTIAL_PARSE_FILE, made)
        done = _dbt(environment(settings) | WRITE_MANIFEST, Path(made), ["parse"])
        if done.returncode != 0:
            raise DbtError(f"the dbt project does not parse:\n{_tail(done)}")
        for name in (PARTIAL_PARSE_FILE, manifest_path.name):
            Path(made, name).replace(target / name)
    stamp.write_text(fingerprint)
    return manifest_path


def parsed_project(settings: Settings) -> Path:
    """The project as dbt takes it without parsing, which it does here if needed."""
    return prepare_manifest(settings, MANIFEST_PATH).with_name(PARTIAL_PARSE_FILE)


def run_dbt(
    settings: Settings,
    args: Sequence[str],
    window: Mapping[str, str] | None = None,
    *,
    log_comment: Mapping[str, str] | None = None,
    target_dir: Path | None = None,
    project_dir: Path | None = None,
    unit_tests: bool = False,
) -> DbtResult:
    """Run one dbt command, such as `["build", "--select", "tag:hourly"]`, and wait for it.

    Args:
        settings: where the warehouse is.
        args: dbt's arguments.
        window: window_from and window_to bound the received hours whose dates are rebuilt.
        log_comment: run, asset and partition, written into the query log with every build of a model.
        target_dir: where dbt writes, its manifest too; by default a folder of its own below the state directory, so
            that two runs do not disturb each other.
        project_dir: another project than the platform's, which dbt then parses.
        unit_tests: whether the command's selection includes unit tests of models.

    Raises:
        DbtError: when dbt or one of its nodes fails; names the nodes.
    """
    target = target_dir or settings.state_dir / "dbt" / uuid4().hex[:12]
    env = environment(settings, window)
    if unit_tests:
        del env["DBT_EXCLUDE_RESOURCE_TYPES"]
    if target_dir is not None:
        env |= WRITE_MANIFEST
    if log_comment is not None:
        env["MILLRACE_LOG_COMMENT"] = json.dumps(log_comment, sort_keys=True)
    parsed = parsed_project(settings) if project_dir is None else None
    done = _dbt(env, target, args, parsed, project_dir)
    path = target / "run_results.json"
    written = json.loads(path.read_text()) if path.exists() else {"results": [], "elapsed_time": 0.0}
    failed = [result for result in written["results"] if result["status"] in FAILED]
    if failed:
        lines = [f"{node['unique_id']}: {(node['message'] or node['status']).strip()}" for node in failed]
        raise DbtError(f"{len(failed)} of {len(written['results'])} dbt nodes failed\n" + "\n".join(lines))
    if done.returncode != 0:
        raise DbtError(f"dbt {args[0]} failed:\n{_tail(done)}")
    return DbtResult(tuple(written["results"]), float(written["elapsed_time"]))


def _dbt(
    env: Mapping[str, str],
    target: Path,
    args: Sequence[str],
    parsed: Path | None = None,
    project_dir: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    project_dir = project_dir or PROJECT_DIR
    folders = ["--project-dir", str(project_dir), "--profiles-dir", str(PROJECT_DIR)]
    places = {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(target), "DBT_USE_COLORS": "false"}
    process = dbt_server.start([*args, *folders], {**env, **places}, project_dir, parsed)
    with process.stdout:
        printed = process.stdout.read().decode(errors="replace")
    return subprocess.CompletedProcess(process.args, process.wait(), printed)


def _tail(done: subprocess.CompletedProcess[str], lines: int = 20) -> str:
    return "\n".join(done.stdout.strip().splitlines()[-lines:])
