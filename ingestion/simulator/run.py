"""Simulating a source day by day, with memory bounded by the day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ingestion.contract import load_source
from ingestion.simulator.bilten import Bilten
from ingestion.simulator.faults import Rows, deliver
from ingestion.simulator.insights import Insights
from ingestion.simulator.landing import LANDING_FILE, TRUTH_FILE, LandingWriter, empty_folder, write_json
from ingestion.simulator.layout import Layout
from ingestion.simulator.model import (
    CLOSING_MS,
    DAY_MS,
    Delivery,
    EventBatch,
    Faults,
    SimulationSummary,
    SimulatorError,
    SourceModel,
    UnknownSourceError,
)
from ingestion.simulator.pocm import Pocm
from ingestion.simulator.studyin import Studyin

DEFAULT_START = date(2026, 3, 2)
"""A Monday in the past: the same seed gives the same bytes on every day, and nothing lies in the future."""
MODELS: Mapping[str, Callable[[], SourceModel]] = {
    "bilten": Bilten,
    "insights": Insights,
    "pocm": Pocm,
    "studyin": Studyin,
}
NOT_FOR_TRUTH = (
    "trace_id",
    "idempotency_key",
    "service",
    "service_version",
    "wire_type",
)


def simulate(
    source: str,
    days: int,
    seed: int,
    out: Path,
    *,
    start: date | None = None,
    scale: float = 1.0,
    faults: Faults | None = None,
    delivery: Delivery | None = None,
    with_truth: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationSummary:
    """Write the files that a source's producers would drop, `landing.json` and `truth.json`.

    The same arguments give the same bytes.

    Args:
        source: name of a simulated source.
        days: whole UTC days; all files are received within them.
        seed: chooses one of the possible worlds, 0 or more.
        out: folder to write to; an earlier simulation in it is replaced.
        start: the first day; `DEFAULT_START` unless given.
        scale: size of the world; 1 is about 6,000 events a day for `pocm`, 2,000 to 3,000 for the others.
        faults: what goes wrong; the defaults hold a little of everything.
        delivery: how files are cut and written.
        with_truth: keep the events and compute the true KPI values; without, memory is bounded by the day.
        progress: called after each day with (days done, days).

    Raises:
        UnknownSourceError: there is no such simulated source.
        SimulatorError: an argument is out of range, or `out` holds foreign files.
    """
    start = start or DEFAULT_START
    faults, delivery = faults or Faults(), delivery or Delivery()
    model = _model(source)
    if days < 1:
        raise SimulatorError(f"days must be at least 1, is {days}")
    if seed < 0:
        raise SimulatorError(f"seed must be 0 or more, is {seed}")
    if not scale > 0:
        raise SimulatorError(f"scale must be more than 0, is {scale}")
    contracts = load_source(source)
    begin = int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000
    layout = Layout(
        source, begin, begin + days * DAY_MS - CLOSING_MS, delivery, [form.name for form in model.forms]
    )
    empty_folder(out)
    writer = LandingWriter(out, layout, np.random.default_rng([seed, 1_000_002]), faults.out_of_order_files)
    waiting, events, clean = Rows.none(), 0, _CleanEvents(with_truth)
    for index in range(days):
        batches = _within(model.day(index, days, start, scale, seed), layout)
        rng = np.random.default_rng([seed, index, 1_000_001])
        rows, counted = deliver(
            batches,
            model=model,
            source=contracts,
            layout=layout,
            faults=faults,
            first_event=events,
            rng=rng,
        )
        events += sum(len(batch.frame) for batch in batches)
        clean.add(counted)
        until = begin + (index + 1) * DAY_MS - CLOSING_MS
        rows = Rows.joined([waiting, rows])
        writer.write(rows.chosen(rows.arrival < until), until)
        waiting = rows.chosen(rows.arrival >= until)
        if progress:
            progress(index + 1, days)
    totals = _totals(writer)
    marts = model.truth(clean.frames()) if with_truth else {}
    header = {"source": source, "seed": seed, "start": start.isoformat(), "days": days, "scale": scale}
    write_json(out / LANDING_FILE, writer.landing)
    write_json(out / TRUTH_FILE, {**header, "totals": totals, "files": writer.truth, **marts})
    return SimulationSummary(
        source=source,
        out=out,
        files=len(writer.landing),
        rows=totals["read"],
        events=totals["events"],
        duplicates=totals["duplicate"] + totals["duplicate_across_files"],
        quarantined=totals["quarantined"],
        bytes=sum(entry["bytes"] for entry in writer.landing),
    )


def _model(source: str) -> SourceModel:
    if source not in MODELS:
        raise UnknownSourceError(f"no simulator for source {source!r}; valid: {', '.join(sorted(MODELS))}")
    return MODELS[source]()


def _within(batches: Sequence[EventBatch], layout: Layout) -> list[EventBatch]:
    inside = [replace(batch, frame=batch.frame[batch.frame["occurred_at"] < layout.end]) for batch in batches]
    return [batch for batch in inside if len(batch.frame)]


class _CleanEvents:
    """The events that count, by type, with the columns that a truth can need."""

    def __init__(self, keep: bool) -> None:
        self._keep = keep
        self._parts: dict[str, list[pd.DataFrame]] = {}

    def add(self, batches: Sequence[EventBatch]) -> None:
        """Keep the batches."""
        if self._keep:
            for batch in batches:
                columns = [name for name in batch.frame.columns if name not in NOT_FOR_TRUTH]
                self._parts.setdefault(batch.event_type, []).append(batch.frame[columns])

    def frames(self) -> dict[str, pd.DataFrame]:
        """Return all events so far."""
        return {name: pd.concat(parts, ignore_index=True) for name, parts in self._parts.items()}


def _totals(writer: LandingWriter) -> dict[str, Any]:
    """Add the files up; what is accepted in more than one file is a duplicate across files."""
    totals: dict[str, Any] = {
        name: sum(entry[name] for entry in writer.truth)
        for name in ("read", "accepted", "duplicate", "quarantined")
    }
    codes: Counter[str] = Counter()
    for entry in writer.truth:
        codes.update(entry["codes"])
    events = writer.distinct_events()
    return {
        **totals,
        "codes": dict(sorted(codes.items())),
        "duplicate_across_files": totals["accepted"] - events,
        "events": events,
    }
