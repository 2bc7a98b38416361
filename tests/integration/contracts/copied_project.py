"""A copy of the project that a test may add files to, and commands run in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestration.settings import PROJECT_ROOT

FOLDERS = ("ingestion", "lake", "expectations", "orchestration", "dbt_project", "docs", "deploy")


class Project:
    """The copy, with a stack of its own."""

    def __init__(self, root: Path, state_dir: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS, "workspace.yaml"],
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        for name in listed.stdout.splitlines():
            self.write(name, (PROJECT_ROOT / name).read_bytes())
        self.environment = {**os.environ, "MILLRACE_STATE_DIR": str(state_dir), "PYTHONPATH": str(root)}

    def write(self, name: str, content: bytes) -> Path:
        """Write a file by its path in the project."""
        target = self.root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        return target

    def millrace(self, *arguments: str) -> str:
        """Run a command; what it prints."""
        return self.python("-m", "orchestration.cli", *arguments)

    def python(self, *arguments: str) -> str:
        """Run Python in the copy; what it prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout
