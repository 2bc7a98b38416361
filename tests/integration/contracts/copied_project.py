"""A copy of the project that a test may add files to, and commands run in it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from orchestration.settings import PROJECT_ROOT

SECTION = (
    (PROJECT_ROOT / "README.md").read_text().partition("## Bring your own system\n")[2].partition("\n## ")[0]
)
BLOCKS: list[tuple[str, str]] = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)
"""What the README's section says, by language."""
FILES = {
    found[1]: text
    for _, text in BLOCKS
    if (found := re.match(r"(?:#|--) ((?:ingestion|dbt_project)/\S+)\n", text))
}
"""The files of its source, by their paths."""
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

    def contents(self) -> dict[str, bytes]:
        """Return every file of contracts, models and documents by its path."""
        folders = ("ingestion/contracts", "dbt_project/models", "dbt_project/macros", "docs")
        paths = [path for folder in folders for path in (self.root / folder).rglob("*") if path.is_file()]
        return {str(path.relative_to(self.root)): path.read_bytes() for path in paths}

    def leave_out(self, *sources: str) -> None:
        """Remove the contracts, models, suites and proofs of sources, which take their time."""
        for source in sources:
            for folder in [
                path for path in self.root.rglob(source) if path.is_dir() and "simulator" not in path.parts
            ]:
                shutil.rmtree(folder)

    def millrace(self, *arguments: str, code: int = 0) -> str:
        """Run a command; what it prints, and with a code that is not 0 what it says was wrong."""
        return self.python("-m", "orchestration.cli", *arguments, code=code)

    def python(self, *arguments: str, code: int = 0) -> str:
        """Run Python in the copy; what it prints."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + (done.stderr if code else "")
