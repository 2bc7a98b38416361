"""Mixed events of the simulator, as one file for the loader or hour by hour for the warehouse."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO

from ingestion.simulator import Delivery, Faults, simulate

BLOCK = 500


def one_file(folder: Path, events: int) -> tuple[Path, int]:
    """Write about so many events of both wire forms as one NDJSON file; return it and its lines.

    The forms take turns, because a peer that guesses a schema looks at the first lines only.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "events.ndjson"
    per_scale = _lines(_simulated(folder / "probe", scale=1.0))
    parts = _simulated(folder / "parts", scale=events / per_scale)
    with target.open("wb") as whole, ExitStack() as stack:
        for block in _taking_turns([stack.enter_context(part.open("rb")) for part in parts]):
            whole.writelines(block)
    for name in ("probe", "parts"):
        shutil.rmtree(folder / name)
    return target, _lines([target])


def _simulated(folder: Path, scale: float) -> list[Path]:
    """Simulate two days as a few files of both wire forms; late and repeated events included."""
    whole_days = Delivery(batch_minutes=1440, compressed=False, documents=False)
    # The peer cannot read past a line that is no JSON.
    readable = replace(Faults(), broken=0.0)
    simulate("pocm", 2, 7, folder, scale=scale, delivery=whole_days, faults=readable, with_truth=False)
    return sorted(path for path in folder.rglob("*") if path.suffix in {".ndjson", ".jsonl", ".log"})


def _taking_turns(files: list[IO[bytes]]) -> Iterator[list[bytes]]:
    while files:
        blocks = [(file, list(islice(file, BLOCK))) for file in files]
        yield from (block for _, block in blocks)
        files = [file for file, block in blocks if block]


def _lines(files: list[Path]) -> int:
    total = 0
    for file in files:
        with file.open("rb") as content:
            while block := content.read(8 << 20):
                total += block.count(b"\n")
    return total
