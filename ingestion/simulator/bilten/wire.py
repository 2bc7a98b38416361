"""The two shapes in which `bilten` sends events."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.simulator.columns import (
    concatenated,
    constant,
    json_objects,
    json_string,
    text_array,
    timestamps,
)
from ingestion.simulator.model import Ints

TRACKER = r'^\{(?:"eventName":(?P<name>"[^"]*"),)?"context":(?P<context>\{[^}]*\}),?(?P<rest>.*)\}$'
CHANGED = r'^\{"version":(?P<version>[0-9]+),"operation":(?P<operation>"[a-z]+"),(?P<rest>.*)\}$'


def _text(values: pd.Series) -> pa.Array:
    return json_string(text_array(values))


def _object(members: pa.Array) -> pa.Array:
    return concatenated(constant("{"), members, constant("}"))


class TrackingForm:
    """The body of `POST /events/...`: the payload is spread over eventName, properties and context."""

    name = "tracking"

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per event; every other one has its time at an offset, as browsers do."""
        found = pc.extract_regex(payload, TRACKER)
        name = found.field("name")
        moments = envelope["occurred_at"].to_numpy()
        local = pa.array((moments // 1000) % 2 == 0)
        times = pc.if_else(local, timestamps(moments), timestamps(moments, 2))
        return json_objects(
            {
                "eventId": (_text(envelope["event_id"]), False),
                "sessionId": (_text(envelope["session_id"]), True),
                "userId": (_text(envelope["user_id"]), True),
                "eventType": (_text(envelope["wire_type"]), False),
                "eventName": (pc.if_else(pc.equal(name, ""), pa.scalar(None, name.type), name), True),
                "timestamp": (json_string(times), False),
                "properties": (_object(found.field("rest")), False),
                "context": (found.field("context"), False),
                "idempotencyKey": (_text(envelope["idempotency_key"]), False),
                "traceId": (_text(envelope["trace_id"]), False),
                "sdk": (_text(envelope["service"] + "/" + envelope["service_version"]), False),
                "schemaVersion": (json_string(pa.array(["1.0"] * len(envelope), pa.large_string())), False),
            },
            len(envelope),
        )


class ChangeForm:
    """A version of a row, as the database's change feed exports it."""

    name = "change"

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per version with the time at which the feed handed it over."""
        found = pc.extract_regex(payload, CHANGED)
        user = _text(envelope["user_id"])
        key = pc.if_else(
            pc.is_valid(user), concatenated(constant('"user_id":'), user, constant(",")), constant("")
        )
        return json_objects(
            {
                "change_id": (_text(envelope["event_id"]), False),
                "table": (_text(envelope["wire_type"]), False),
                "version": (found.field("version"), False),
                "operation": (found.field("operation"), False),
                "changed_at": (json_string(timestamps(envelope["occurred_at"].to_numpy())), False),
                "received_at": (json_string(timestamps(received)), False),
                "database": (_text(envelope["service"]), False),
                "database_version": (_text(envelope["service_version"]), False),
                "schema_version": (json_string(pa.array(["1.0"] * len(envelope), pa.large_string())), False),
                "row": (_object(concatenated(key, found.field("rest"))), False),
            },
            len(envelope),
        )
