"""What the services are, how busy an hour is, and how a frame of their events is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator.columns import (
    Kind,
    concatenated,
    constant,
    identifiers,
    json_objects,
    json_string,
    text_array,
)
from ingestion.simulator.model import DAY_MS, ENVELOPE, HOUR_MS, EventBatch, Ints

SERVICES = ("billing", "catalog", "checkout")
HOSTS = ("a", "b")
PAYLOAD: Mapping[str, Kind] = {"attributes": "json", "metadata": "json"}
UNITS = 10_000
"""Measured values are counted in 1/10,000: exact in every engine, and short in JSON."""
MINUTE_MS = 60_000


def midnight(index: int, start: date) -> int:
    """Return the first moment of a day, milliseconds since 1970."""
    return int(datetime(start.year, start.month, start.day, tzinfo=UTC).timestamp()) * 1000 + index * DAY_MS


def busyness(moments: Ints) -> npt.NDArray[np.float64]:
    """Return how busy services are, around 1: by day more than by night, at the weekend half."""
    hour = moments % DAY_MS / HOUR_MS
    weekday = (moments // DAY_MS + 3) % 7
    daily = 1 - 0.7 * np.cos((hour - 3) / 24 * 2 * np.pi)
    return np.asarray(daily * np.where(weekday >= 5, 0.5, 1.0), dtype=np.float64)


def generator(seed: int, index: int, part: int) -> np.random.Generator:
    """Return the random numbers of one part of the world on one day."""
    return np.random.default_rng([seed, index, part])


def dimensions(**values: Sequence[str] | npt.NDArray[np.object_]) -> tuple[pa.Array, pa.Array]:
    """Return dimensions as JSON objects and as the text `name=value,…` in the order of their names."""
    texts = {name: text_array(np.asarray(values[name], dtype=object)) for name in sorted(values)}
    size = len(next(iter(texts.values())))
    parts = [part for name, text in texts.items() for part in (constant(f",{name}="), text)]
    return (
        json_objects({name: (json_string(text), False) for name, text in texts.items()}, size),
        pc.utf8_slice_codeunits(concatenated(*parts), 1),
    )


def batch(
    event_type: str,
    tenants: npt.NDArray[np.object_],
    moments: Ints,
    attributes: Mapping[str, pa.Array],
    *,
    index: int,
    seed: int,
    part: int,
    **columns: Any,
) -> EventBatch:
    """Return events of one type in the order of time.

    Args:
        event_type: as in the contracts.
        tenants: the service of each event.
        moments: when each happened.
        attributes: JSON texts by key; null drops the key.
        index: the day.
        seed: the world.
        part: tells the batches of a day apart; below 16.
        columns: further columns of the frame, for the envelope or for the truth.
    """
    size = len(moments)
    key = (np.uint64(seed) << np.uint64(40)) + np.uint64((index << 24) + (part << 20))
    ids = identifiers("ev_", key + np.arange(size, dtype=np.uint64))
    versions = json_string(text_array(np.where(moments % 2 == 0, "1.4.2", "1.5.0").astype(object)))
    metadata = json_objects(
        {
            "sourceIp": (json_string(concatenated(constant("203.0.113."), _byte(moments))), False),
            "userAgent": (json_string(pa.array(["service-client/2.1"] * size, pa.large_string())), False),
            "batchId": (json_string(concatenated(constant("batch_"), _minute(moments))), False),
            "serviceVersion": (versions, False),
        },
        size,
    )
    frame = pd.DataFrame(
        {
            **{name: pd.Series([None] * size, dtype=object) for name in ENVELOPE},
            "event_id": ids.to_pylist(),
            "wire_type": event_type,
            "tenant_id": tenants,
            "occurred_at": moments,
            "service": tenants,
            "service_version": "1.5.0",
            "attributes": json_objects({k: (v, False) for k, v in attributes.items()}, size).to_pylist(),
            "metadata": metadata.to_pylist(),
            **columns,
        }
    )
    return EventBatch(event_type, frame.sort_values(["occurred_at", "event_id"]), PAYLOAD)


def _byte(moments: Ints) -> pa.Array:
    return text_array(pd.Series(moments // MINUTE_MS % 250 + 1).astype(str))


def _minute(moments: Ints) -> pa.Array:
    return text_array(pd.Series(moments // MINUTE_MS).astype(str))
