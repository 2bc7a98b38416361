"""Hand-made deliveries in the raw lake's form, and the second engine run over them."""

import json
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from expectations.proof.lake_events import count_once, create_deliveries, open_engine, read_parquet_files
from expectations.proof.marts import load_proof

SCHEMA = pa.schema(
    [
        ("source", pa.string()),
        ("event_type", pa.string()),
        ("contract_version", pa.string()),
        ("event_id", pa.string()),
        ("idempotency_key", pa.string()),
        ("tenant_id", pa.string()),
        ("occurred_at", pa.timestamp("ms", "UTC")),
        ("received_at", pa.timestamp("ms", "UTC")),
        ("user_key", pa.string()),
        ("session_id", pa.string()),
        ("device_id", pa.string()),
        ("order_id", pa.string()),
        ("trace_id", pa.string()),
        ("producer", pa.string()),
        ("load_id", pa.string()),
        ("row_number", pa.uint64()),
        ("payload", pa.string()),
    ]
)
MIDNIGHT = datetime(2026, 11, 16, tzinfo=UTC)


def moment(text: str) -> datetime:
    """Read `HH:MM[:SS[.mmm]]` on 16 November 2026, or a full ISO time."""
    return datetime.fromisoformat(f"2026-11-16T{text}" if len(text) < 16 else text).replace(tzinfo=UTC)


@dataclass
class Shop:
    """Collects deliveries; `events` become one load unless they say otherwise."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    source: str = "pocm"

    def sends(self, event_type: str, at: str, **fields: Any) -> "Shop":
        envelope = {
            name: fields.pop(name)
            for name in (
                *("event_id", "idempotency_key", "user_key", "session_id", "device_id"),
                *("load_id", "received_at"),
            )
            if name in fields
        }
        number = len(self.rows) + 1
        occurred = moment(at)
        self.rows.append(
            {
                "source": self.source,
                "event_type": event_type,
                "contract_version": "1.0",
                "event_id": f"event-{number:04}",
                "tenant_id": fields.pop("tenant", "north"),
                "load_id": "a" * 32,
                "row_number": number,
                **envelope,
                "occurred_at": occurred,
                "received_at": moment(envelope["received_at"])
                if "received_at" in envelope
                else occurred + timedelta(seconds=5),
                "payload": json.dumps(fields),
            }
        )
        return self

    def orders(self, at: str, order_id: str, amount: Any, quantity: int = 1, **fields: Any) -> "Shop":
        items = [{"product_id": "p", "quantity": quantity, "unit_price": 1}]
        return self.sends(
            "ORDER_PLACED",
            at,
            **({"currency": "EUR"} | fields),
            order_id=order_id,
            amount=amount,
            items=items,
        )

    def pays(self, at: str, payment_id: str, amount: Any, *, captured: bool = True, **fields: Any) -> "Shop":
        defaults = {
            "currency": "EUR",
            "gateway": "adyen",
            "method": "card",
            "order_id": "o",
            "latency_ms": 10,
        }
        return self.sends(
            "PAYMENT_CAPTURED" if captured else "PAYMENT_FAILED",
            at,
            **(defaults | fields),
            payment_id=payment_id,
            amount=amount,
        )

    def refunds(self, at: str, payment_id: str, amount: Any, **fields: Any) -> "Shop":
        defaults = {"currency": "EUR", "order_id": "o", "refund_id": f"r-{at}"}
        return self.sends("REFUND_ISSUED", at, **(defaults | fields), payment_id=payment_id, amount=amount)

    def parquet(self, path: Path) -> Path:
        """Write the deliveries as the loader does: sorted by type, time and id."""
        rows = sorted(self.rows, key=lambda row: (row["event_type"], row["occurred_at"], row["event_id"]))
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), path)
        return path


def recomputed(shop: Shop, mart: str, folder: Path, source: str = "pocm") -> list[dict[str, Any]]:
    """Return the rows of a mart as the second engine computes them, in the order of their grain."""
    folder = Path(tempfile.mkdtemp(dir=folder))
    connection = open_engine(folder)
    try:
        create_deliveries(connection)
        read_parquet_files(connection, [shop.parquet(folder / "deliveries.parquet")])
        count_once(connection)
        proof = load_proof(shop.source)
        for statement in proof.relations:
            connection.execute(statement)
        found = next(item for item in proof.marts if item.name == mart)
        answer = connection.execute(f"select * from ({found.sql}) order by {', '.join(found.grain)}")
        names = [column[0] for column in answer.description or []]
        return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
    finally:
        connection.close()
