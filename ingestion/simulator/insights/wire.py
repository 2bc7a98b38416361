"""The shape in which services send events."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa

from ingestion.simulator.columns import json_objects, json_string, text_array, timestamps
from ingestion.simulator.model import Ints


def _text(values: pd.Series) -> pa.Array:
    return json_string(text_array(values))


class EventForm:
    """The body of `POST /api/v1/events`; keys without a value are left out."""

    name = "event"

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per event; the collector's arrival time is not part of it."""
        rows = len(envelope)
        version = json_string(pa.array(["1.0"] * rows, pa.large_string()))
        return json_objects(
            {
                "id": (_text(envelope["event_id"]), False),
                "type": (_text(envelope["wire_type"]), False),
                "source": (_text(envelope["tenant_id"]), False),
                "timestamp": (json_string(timestamps(envelope["occurred_at"].to_numpy())), False),
                "userId": (_text(envelope["user_id"]), False),
                "sessionId": (_text(envelope["session_id"]), False),
                "idempotencyKey": (_text(envelope["idempotency_key"]), False),
                "data": (payload, False),
                "version": (version, False),
            },
            rows,
        )
