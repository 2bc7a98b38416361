"""The two shapes in which the producers of `pocm` send events."""

from __future__ import annotations

import numpy as np
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
from ingestion.simulator.pocm.tables import TENANTS


def _text(values: pd.Series) -> pa.Array:
    return json_string(text_array(values))


class ApiForm:
    """The body of `POST /analytics/ingest`; keys without a value are left out."""

    name = "api"

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per event; the collector's arrival time is not part of it."""
        rows = len(envelope)
        version = json_string(pa.array(["1.0"] * rows, pa.large_string()))
        metadata = json_objects(
            {
                "source": (_text(envelope["service"]), False),
                "version": (_text(envelope["service_version"]), False),
                "schemaVersion": (version, False),
                "sessionId": (_text(envelope["session_id"]), False),
                "tenantId": (_text(envelope["tenant_id"]), False),
                "idempotencyKey": (_text(envelope["idempotency_key"]), False),
                "traceId": (_text(envelope["trace_id"]), False),
            },
            rows,
        )
        return json_objects(
            {
                "eventId": (_text(envelope["event_id"]), False),
                "type": (_text(envelope["wire_type"]), False),
                "userId": (_text(envelope["user_id"]), False),
                "deviceId": (_text(envelope["device_id"]), False),
                "timestamp": (json_string(timestamps(envelope["occurred_at"].to_numpy())), False),
                "data": (payload, False),
                "metadata": (metadata, False),
            },
            rows,
        )


class LedgerForm:
    """A row of the event ledger: nulls are written, times carry the tenant's offset, the payload is a string.

    One row in ten, by its event id, carries the payload as an object, as exports of newer services do.
    """

    name = "ledger"

    def lines(self, envelope: pd.DataFrame, payload: pa.Array, received: Ints) -> pa.Array:
        """Return one JSON text per event with the time at which the ledger received it."""
        rows = len(envelope)
        event_ids = text_array(envelope["event_id"])
        as_object = pc.is_in(
            pc.utf8_slice_codeunits(event_ids, -2),
            value_set=pa.array([f"{n:02x}" for n in range(26)], pa.large_string()),
        )
        service = text_array(envelope["service"])
        producer = concatenated(service, constant("@"), text_array(envelope["service_version"]))
        return json_objects(
            {
                "id": (json_string(event_ids), True),
                "type": (_text(envelope["wire_type"]), True),
                "occurred_at": (
                    json_string(_local(envelope["occurred_at"].to_numpy(), envelope["tenant_id"])),
                    True,
                ),
                "received_at": (json_string(timestamps(received)), True),
                "producer": (json_string(producer), True),
                "source_service": (json_string(service), True),
                "user_id": (_text(envelope["user_id"]), True),
                "device_id": (_text(envelope["device_id"]), True),
                "order_id": (_text(envelope["order_id"]), True),
                "session_id": (_text(envelope["session_id"]), True),
                "trace_id": (_text(envelope["trace_id"]), True),
                "idempotency_key": (_text(envelope["idempotency_key"]), True),
                "tenant_id": (_text(envelope["tenant_id"]), True),
                "data_json": (pc.if_else(as_object, payload, json_string(payload)), True),
            },
            rows,
        )


def _local(milliseconds: Ints, tenants: pd.Series) -> pa.Array:
    texts = timestamps(milliseconds)
    for tenant in TENANTS:
        mine = pa.array(np.asarray(tenants == tenant.tenant_id))
        texts = pc.if_else(mine, timestamps(milliseconds, tenant.utc_offset_hours), texts)
    return texts
