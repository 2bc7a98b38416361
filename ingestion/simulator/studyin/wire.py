"""The shape in which the app's events arrive."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator.columns import json_objects, json_string, text_array, timestamps
from ingestion.simulator.model import Ints


def _text(values: pd.Series) -> pa.Array:
    return json_string(text_array(values))


class TrackForm:
    """The body of `POST /api/analytics/events/track`; keys without a value are left out.

    One event in ten, by its id, looks like a row of the app's own table: the properties are a string.
    """

    name = "api"

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per event; the collector's arrival time is not part of it."""
        rows = len(envelope)
        as_text = pc.is_in(
            pc.utf8_slice_codeunits(text_array(envelope["event_id"]), -2),
            value_set=pa.array([f"{n:02x}" for n in range(26)], pa.large_string()),
        )
        return json_objects(
            {
                "event_id": (_text(envelope["event_id"]), False),
                "event_type": (_text(envelope["wire_type"]), False),
                "schema_version": (json_string(pa.array(["1.0"] * rows, pa.large_string())), False),
                "app": (_text(envelope["tenant_id"]), False),
                "user_id": (_text(envelope["user_id"]), False),
                "session_id": (_text(envelope["session_id"]), False),
                "device_id": (_text(envelope["device_id"]), False),
                "trace_id": (_text(envelope["trace_id"]), False),
                "idempotency_key": (_text(envelope["idempotency_key"]), False),
                "timestamp": (json_string(timestamps(envelope["occurred_at"].to_numpy())), False),
                "producer": (_text(envelope["service"]), False),
                "producer_version": (_text(envelope["service_version"]), False),
                "properties": (pc.if_else(as_text, json_string(payload), payload), False),
            },
            rows,
        )
