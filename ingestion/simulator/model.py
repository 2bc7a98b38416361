"""What a simulated source provides, and what the caller chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ingestion.simulator.columns import Kind
from lake.errors import WrongUseError

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
CLOSING_MS = 10_000
"""A batch closes ten seconds before its period ends, so that it is received within the period."""

Ints = npt.NDArray[np.int64]
Frames = Mapping[str, pd.DataFrame]
Rows = list[dict[str, Any]]


class SimulatorError(WrongUseError):
    """Something that cannot be simulated was asked for; the message names the value and what is valid."""


class UnknownSourceError(SimulatorError):
    """There is no simulator for the source; the message names those there are."""


@dataclass(frozen=True)
class Faults:
    """How much goes wrong, each as a share of the events unless its description says otherwise."""

    repeated_in_file: float = 0.01
    """Delivered twice in the same file."""
    repeated_across_files: float = 0.01
    """Delivered again, minutes to two days later."""
    retried: float = 0.01
    """Sent again under the same idempotency key with a new event id and later time; of events with a key."""
    late: float = 0.03
    """Received hours to days after they happened."""
    out_of_order_files: float = 0.25
    """Share of the files whose rows are shuffled."""
    broken: float = 0.008
    """Rows that must end in quarantine."""
    repaired: float = 0.4
    """Share of the broken rows whose producer later sends the event in order; the others never count."""
    unknown_fields: float = 0.02
    """Payloads with a field that no contract knows."""

    def __post_init__(self) -> None:
        """Refuse shares outside 0 to 1."""
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise SimulatorError(f"faults: {field.name} must be a share from 0 to 1, is {value}")

    @classmethod
    def none(cls) -> Faults:
        """Return faults that never happen."""
        return cls(**{field.name: 0.0 for field in fields(cls)})


@dataclass(frozen=True)
class Delivery:
    """How the files are cut and written."""

    batch_minutes: int = 60
    """Length of the period that one file of a wire form covers: divides a day, or is whole days."""
    compressed: bool = True
    """Write some of the files as `.gz`."""
    documents: bool = True
    """Write some of the files of the first wire form as `.json` arrays."""
    forms: tuple[str, ...] = ()
    """Names of the wire forms to use; empty means all."""

    def __post_init__(self) -> None:
        """Refuse periods that would not end with a day."""
        if self.batch_minutes <= 0 or (1440 % self.batch_minutes and self.batch_minutes % 1440):
            raise SimulatorError(
                f"delivery: batch_minutes must divide 1440 or be a multiple of it, is {self.batch_minutes}"
            )


@dataclass(frozen=True)
class EventBatch:
    """Events of one type.

    `frame` holds the envelope columns (`ENVELOPE`, times as milliseconds since 1970) and the payload columns;
    it may hold more for the truth's use. `payload` says which columns are sent and how.
    """

    event_type: str
    frame: pd.DataFrame
    payload: Mapping[str, Kind]
    sends_null: frozenset[str] = frozenset()
    """Payload columns that are sent as null where they have no value; the others are then left out."""


ENVELOPE = (
    "event_id",
    "idempotency_key",
    "wire_type",
    "tenant_id",
    "occurred_at",
    "user_id",
    "device_id",
    "session_id",
    "order_id",
    "trace_id",
    "service",
    "service_version",
)
"""Envelope columns of a batch; `wire_type` is the name that the producer sends, which may be an alias."""


class WireForm(Protocol):
    """One shape in which a source's producers send events."""

    @property
    def name(self) -> str:
        """Name of the wire format in the source's contract."""

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per event.

        Args:
            envelope: the `ENVELOPE` columns.
            payload: the payloads as JSON objects.
            received: arrival at the collector, milliseconds since 1970.
        """


class SourceModel(Protocol):
    """A source system that can be simulated."""

    @property
    def name(self) -> str:
        """The source's name, as in its contracts."""

    @property
    def forms(self) -> Sequence[WireForm]:
        """The wire forms; `form_of` gives indexes into them."""

    def form_of(self, event_types: pd.Series, rng: np.random.Generator) -> Ints:
        """Return the index of the wire form in which each event is sent."""

    def day(self, index: int, days: int, start: date, scale: float, seed: int) -> list[EventBatch]:
        """Return the events caused on day `index` of `days` from `start`; they may happen on later days."""

    def truth(self, events: Frames) -> dict[str, Rows]:
        """Return the true values by mart, out of the events that count, by event type."""


@dataclass(frozen=True)
class SimulationSummary:
    """What a simulation wrote."""

    source: str
    out: Path
    files: int
    rows: int
    events: int
    """Distinct valid events: what a warehouse must count."""
    duplicates: int
    quarantined: int
    bytes: int
