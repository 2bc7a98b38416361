"""A lock between the processes of one machine, so that two loads of one input do not both commit.

Machines are kept apart by the store's conditional write; the laptop's store has none.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(name: str) -> Iterator[None]:
    """Hold the lock of a name; wait while another process or thread of this user holds it."""
    folder = Path(tempfile.gettempdir()) / f"millrace-locks-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / hashlib.sha256(name.encode()).hexdigest()[:32]
    while True:
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # The holder before removes its file: whoever waited for that one starts again.
            try:
                current = path.stat().st_ino == os.fstat(file.fileno()).st_ino
            except FileNotFoundError:
                current = False
            if not current:
                continue
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return
