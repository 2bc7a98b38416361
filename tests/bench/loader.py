"""The loader against bare chDB converting the same file to parquet, in turns."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

from orchestration.embedded.testing import running_stack
from tests.bench.inputs import one_file
from tests.bench.measure import Run, in_own_process, summary


def loader_rate(folder: Path, events: int, rounds: int) -> dict[str, Any]:
    """Measure both on one file of about so many events; every round loads into an empty bucket."""
    file, lines = one_file(folder, events)
    peer: list[Run] = []
    own: list[Run] = []
    with running_stack(folder / "stack") as settings:
        access = [settings.s3_url, settings.s3_access_key, settings.s3_secret_key.get_secret_value()]
        for number in range(rounds):
            parquet = folder / f"peer-{number}.parquet"
            turns = [
                lambda to=parquet: peer.append(in_own_process("tests.bench.bare_chdb", str(file), str(to))),
                lambda n=number: own.append(
                    in_own_process("tests.bench.millrace_loader", *access, f"bench-{n}", str(file))
                ),
            ]
            for turn in turns[:: 1 if number % 2 else -1]:
                turn()
            parquet.unlink()
    if {run.events for run in (*peer, *own)} != {lines}:
        raise RuntimeError(f"not every line was read: {lines} lines, {[run.events for run in (*peer, *own)]}")
    return {
        "file": {"events": lines, "bytes": file.stat().st_size},
        "bare_chdb": summary(peer),
        "millrace": summary(own),
        "ratio": round(statistics.median([o.rate / p.rate for o, p in zip(own, peer, strict=True)]), 3),
        "cpu_ratio": round(
            statistics.median([p.cpu_seconds / o.cpu_seconds for o, p in zip(own, peer, strict=True)]), 3
        ),
    }
