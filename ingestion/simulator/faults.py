"""From events that happened to rows that arrive: late, twice, retried, broken; the same for all sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contract import Source
from ingestion.simulator.breaking import CODES, STRUCTURAL, broken_line
from ingestion.simulator.columns import TEXT, concatenated, constant, json_objects, json_value
from ingestion.simulator.layout import Layout
from ingestion.simulator.model import DAY_MS, ENVELOPE, HOUR_MS, EventBatch, Faults, Ints, SourceModel

Mask = npt.NDArray[np.bool_]
LINE = pa.large_binary()
TOO_LARGE_PER_DAY = 1
"""Rows beyond the size limit are a megabyte each: one a day is enough."""


@dataclass(frozen=True)
class Rows:
    """Rows on their way into files."""

    lines: pa.Array
    """The rows' bytes without line end."""
    arrival: Ints
    """When the collector received each, milliseconds since 1970."""
    form: Ints
    """Index of the wire form."""
    event: Ints
    """Number of the event that the row delivers; -1 for a broken row."""
    code: Ints
    """Index into `CODES` of a broken row; -1 otherwise."""
    shuffle: npt.NDArray[np.float64]
    """Sort key inside a file that is out of order: a repetition always sorts after what it repeats."""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.arrival)

    def chosen(self, rows: Mask | Ints) -> Rows:
        """Return some of the rows."""
        index = np.flatnonzero(rows) if rows.dtype == bool else rows
        return Rows(
            self.lines.take(pa.array(index)),
            self.arrival[index],
            self.form[index],
            self.event[index],
            self.code[index],
            self.shuffle[index],
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Rows:
        """Return the parts one after the other."""

        def column(name: str) -> Ints:
            return np.concatenate([getattr(part, name) for part in parts])

        return cls(
            pa.concat_arrays([part.lines for part in parts]),
            column("arrival"),
            column("form"),
            column("event"),
            column("code"),
            np.concatenate([part.shuffle for part in parts]),
        )

    @classmethod
    def none(cls) -> Rows:
        """Return no rows."""
        empty = np.empty(0, np.int64)
        return cls(pa.array([], LINE), empty, empty, empty, empty, np.empty(0))


def deliver(
    batches: Sequence[EventBatch],
    *,
    model: SourceModel,
    source: Source,
    layout: Layout,
    faults: Faults,
    first_event: int,
    rng: np.random.Generator,
) -> tuple[Rows, list[EventBatch]]:
    """Turn events into rows that arrive.

    Args:
        batches: events inside the layout's time, by type.
        first_event: number of the first event; the others follow in order.

    Returns:
        The rows, and the events that a warehouse must count: all but those of which only broken rows arrive.
    """
    envelope = pd.concat([batch.frame[list(ENVELOPE)] for batch in batches], ignore_index=True)
    event_types = pd.Series(np.repeat([b.event_type for b in batches], [len(b.frame) for b in batches]))
    payload = _with_unknown_field(pa.concat_arrays([_payload(batch) for batch in batches]), faults, rng)
    size = len(envelope)
    form = layout.allowed_form(model.form_of(event_types, rng))
    occurred = envelope["occurred_at"].to_numpy()
    arrival = np.minimum(occurred + _delay(size, faults, rng), layout.end - 1)
    shuffle = rng.random(size)

    is_broken = rng.random(size) < faults.broken
    is_lost = is_broken & ~(rng.random(size) < faults.repaired)
    repair = arrival + rng.integers(HOUR_MS // 6, 6 * HOUR_MS, size)
    good_arrival = np.where(is_broken, np.minimum(repair, layout.end - 1), arrival)

    has_key = envelope["idempotency_key"].notna().to_numpy()
    wait = np.exp(rng.uniform(np.log(1_000), np.log(40 * 60_000), size)).astype(np.int64)
    is_retried = ~is_broken & has_key & (rng.random(size) < faults.retried) & (arrival + wait < layout.end)
    retried = np.flatnonzero(is_retried)
    retry = envelope.iloc[retried].assign(
        event_id=_retry_ids(envelope["event_id"].iloc[retried]), occurred_at=occurred[retried] + wait[retried]
    )

    kept = np.flatnonzero(~is_lost)
    origin = np.concatenate([kept, retried])
    sent = pd.concat([envelope.iloc[kept], retry], ignore_index=True)
    sent_arrival = np.concatenate([good_arrival[kept], arrival[retried] + wait[retried]])
    sent_shuffle = np.concatenate([shuffle[kept], _after(shuffle[retried], rng)])

    row, row_arrival, row_shuffle = _repeat(sent_arrival, sent_shuffle, faults, layout, rng)
    number = origin[row]
    good = Rows(
        _render(model, sent.iloc[row], payload.take(pa.array(number)), form[number], row_arrival),
        row_arrival,
        form[number],
        first_event + number,
        np.full(len(row), -1),
        row_shuffle,
    )
    damaged = np.flatnonzero(is_broken)
    clean = Rows(
        _render(
            model, envelope.iloc[damaged], payload.take(pa.array(damaged)), form[damaged], arrival[damaged]
        ),
        arrival[damaged],
        form[damaged],
        np.full(len(damaged), -1),
        np.full(len(damaged), -1),
        shuffle[damaged],
    )
    broken = _break(
        clean, event_types.iloc[damaged].tolist(), model=model, source=source, layout=layout, rng=rng
    )
    return Rows.joined([good, broken]), _without(batches, is_lost)


def _payload(batch: EventBatch) -> pa.Array:
    columns = {
        name: (json_value(batch.frame[name], kind), name in batch.sends_null)
        for name, kind in batch.payload.items()
    }
    return json_objects(columns, len(batch.frame))


def _with_unknown_field(payload: pa.Array, faults: Faults, rng: np.random.Generator) -> pa.Array:
    chosen = pa.array(rng.random(len(payload)) < faults.unknown_fields)
    longer = concatenated(pc.utf8_slice_codeunits(payload, 0, -1), constant(',"ui_variant":"B2"}'))
    return pc.if_else(pc.and_(chosen, pc.not_equal(payload, constant("{}"))), longer, payload)


def _delay(size: int, faults: Faults, rng: np.random.Generator) -> Ints:
    usual = rng.lognormal(np.log(1_500), 0.9, size)
    late = np.clip(rng.lognormal(np.log(5), 1.1, size), 0.5, 72) * HOUR_MS
    return np.where(rng.random(size) < faults.late, late, usual).astype(np.int64)


def _retry_ids(event_ids: pd.Series) -> pd.Series:
    """Ids of another look than those they repeat, so that the two can be told apart by eye."""
    return "retry_" + event_ids.str.slice(-16)


def _after(shuffle: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float64]:
    return 1 - (1 - shuffle) * rng.random(len(shuffle))


def _repeat(
    arrival: Ints, shuffle: npt.NDArray[np.float64], faults: Faults, layout: Layout, rng: np.random.Generator
) -> tuple[Ints, Ints, npt.NDArray[np.float64]]:
    """Return which rows are delivered, when, and their sort keys: all of them, and some a second time."""
    size = len(arrival)
    same = np.flatnonzero(rng.random(size) < faults.repeated_in_file)
    later = arrival + rng.integers(60_000, 2 * DAY_MS, size)
    other = np.flatnonzero((rng.random(size) < faults.repeated_across_files) & (later < layout.end))
    again = np.concatenate([same, other])
    return (
        np.concatenate([np.arange(size), again]),
        np.concatenate([arrival, arrival[same], later[other]]),
        np.concatenate([shuffle, _after(shuffle[again], rng)]),
    )


def _render(
    model: SourceModel, envelope: pd.DataFrame, payload: pa.Array, form: Ints, arrival: Ints
) -> pa.Array:
    lines, places = [pa.array([], TEXT)], [np.empty(0, np.int64)]
    for index, wire in enumerate(model.forms):
        mine = np.flatnonzero(form == index)
        if len(mine):
            lines.append(wire.lines(envelope.iloc[mine], payload.take(pa.array(mine)), arrival[mine]))
            places.append(mine)
    order = np.argsort(np.concatenate(places), kind="stable")
    return pa.concat_arrays(lines).take(pa.array(order)).cast(LINE)


def _break(
    rows: Rows,
    event_types: list[str],
    *,
    model: SourceModel,
    source: Source,
    layout: Layout,
    rng: np.random.Generator,
) -> Rows:
    """Break each row in one way; the ways take turns, one that does not fit is left out."""
    formats = {wire.name: wire for wire in source.wire_formats}
    turn = int(rng.integers(len(CODES)))
    in_document = layout.is_document(rows.form, layout.batch(rows.arrival))
    huge = 0
    lines, codes = [], []
    for line, form, event_type, document in zip(
        rows.lines.to_pylist(), rows.form, event_types, in_document, strict=True
    ):
        wire = formats[model.forms[int(form)].name]
        contract = source.contract(event_type)
        for attempt in range(len(CODES)):
            code = CODES[(turn + attempt) % len(CODES)]
            if (document and code in STRUCTURAL) or (code == "too_large" and huge >= TOO_LARGE_PER_DAY):
                continue
            text = broken_line(line, code, source=source, form=wire, contract=contract, rng=rng)
            if text is not None:
                break
        huge += code == "too_large"
        turn = (turn + attempt + 1) % len(CODES)
        lines.append(text)
        codes.append(CODES.index(code))
    return Rows(
        pa.array(lines, LINE), rows.arrival, rows.form, rows.event, np.array(codes, np.int64), rows.shuffle
    )


def _without(batches: Sequence[EventBatch], lost: Mask) -> list[EventBatch]:
    bounds = np.cumsum([len(batch.frame) for batch in batches])[:-1]
    return [
        replace(batch, frame=batch.frame[~mine])
        for batch, mine in zip(batches, np.split(lost, bounds), strict=True)
    ]
