"""The loop of somebody who writes SQL: build and unit-test the models that changed since the last commit.

On the running stack, which is warm, and on the data that lies in it: `make test-models`, or for models of one's choice
`make test-models SELECT="+pocm__kpi_daily"`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import time
from collections import Counter
from io import BytesIO
from pathlib import Path

from lake.errors import MillraceError
from orchestration import settings as settings_module
from orchestration.embedded import stack
from orchestration.settings import PROJECT_ROOT, Settings
from orchestration.warehouse.dbt import FAILED, PROJECT_DIR, run_dbt

CHANGED = "state:modified+"
FOLDER = PROJECT_DIR.name


def main(selected: list[str]) -> int:
    """Build and test, print a line per node and what is slow or wrong; 1 when anything is."""
    settings = settings_module.load()
    if not stack.status(settings)["clickhouse"].ready:
        print("the stack is not running: `make demo` starts it with data, `.venv/bin/millrace up` without")
        return 2
    started = time.monotonic()
    choice = ["--select", *(selected or [CHANGED])]
    try:
        state = committed_state(settings)
        done = run_dbt(settings, ["build", *choice, "--state", str(state)], unit_tests=True)
    except MillraceError as error:
        print(error)
        return 1
    for node in done.results:
        print(f"{node['status']:<8} {node['execution_time']:6.2f} s  {node['unique_id']}")
    kinds = Counter(str(node["unique_id"]).partition(".")[0] for node in done.results)
    if not kinds:
        print(
            f"{' '.join(selected)!r} selects nothing"
            if selected
            else "no model has changed since the last commit"
        )
        return 2 if selected else 0
    told = ", ".join(f"{number} {kind}s" for kind, number in sorted(kinds.items()))
    print(f"{told}: {time.monotonic() - started:.1f} s")
    return int(any(node["status"] in FAILED for node in done.results))


def committed_state(settings: Settings) -> Path:
    """Return the folder with the manifest of the committed project, which is parsed once per commit of it."""
    tree = _git("rev-parse", f"HEAD:{FOLDER}").decode().strip()
    folder = settings.state_dir / "dbt" / f"committed-{tree[:16]}"
    if not (folder / "manifest.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        project = folder / "project"
        with tarfile.open(fileobj=BytesIO(_git("archive", "HEAD", FOLDER))) as archive:
            archive.extractall(project, filter="data")
        run_dbt(settings, ["parse"], target_dir=folder, project_dir=project / FOLDER)
        shutil.rmtree(project)
    return folder


def _git(*arguments: str) -> bytes:
    return subprocess.run(["git", *arguments], cwd=PROJECT_ROOT, capture_output=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
