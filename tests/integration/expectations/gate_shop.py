"""A small shop: raw events of one received hour, and the marts that dbt builds of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from clickhouse_connect.driver.client import Client

from expectations.model import GateWindow, SuiteResult
from expectations.runner import Warehouse
from lake.manifest import Counts, HourEntry, InputEntry, Manifest
from orchestration.connections import gate_warehouse
from orchestration.settings import Settings
from orchestration.warehouse import schema

HOUR = datetime(2026, 11, 16, 10, tzinfo=UTC)
WINDOW = GateWindow(HOUR, HOUR.replace(hour=11))
LOAD_ID = "0123456789abcdef0123456789abcdef"
PERSON = "a" * 32
TABLES = ("raw.events", "raw.touched_dates", "ops.loads", "ops.quarantine", "ops.validation_results")


@dataclass(frozen=True)
class Shop:
    """The warehouse, and how to reach it."""

    client: Client
    settings: Settings

    @property
    def warehouse(self) -> Warehouse:
        return gate_warehouse(self.settings)

    def fill(self) -> None:
        """Put the shop's events and their load into empty tables."""
        schema.apply(self.client)
        for table in TABLES:
            self.client.command(f"truncate table {table}")
        self.put(*EVENTS)
        hour = f"{HOUR:%Y-%m-%d %H:%M:%S}"
        self.client.command(
            "insert into ops.loads (source, load_id, received_hour, revision, input_uri, read, accepted) "
            f"values ('pocm', '{LOAD_ID}', '{hour}', 1, 'file:///shop.ndjson', {len(EVENTS)}, {len(EVENTS)})"
        )
        self.client.command(f"insert into raw.touched_dates values ('pocm', '{hour}', 'self', '2026-11-16')")

    def put(self, *events: dict[str, Any], first_row: int = 1) -> None:
        """Add accepted events to raw.events, without a word to ops.loads."""
        rows = [_raw(event, number) for number, event in enumerate(events, first_row)]
        self.client.insert_arrow("raw.events", pa.Table.from_pylist(rows, RAW_SCHEMA))

    def accept(self, *events: dict[str, Any]) -> None:
        """Add accepted events in the place of the last ones of the load, so that its counts still hold."""
        last = len(EVENTS) - len(events)
        self.client.command(f"delete from raw.events where row_number > {last}")
        self.put(*events, first_row=last + 1)

    @contextmanager
    def changed(self, table: str, *statements: str) -> Iterator[None]:
        """Run statements, and put the table back as it was afterwards."""
        self.client.command(f"create table {table}_kept clone as {table}")
        try:
            for statement in statements:
                self.client.command(statement, settings={"mutations_sync": "1"})
            yield
        finally:
            self.client.command(f"exchange tables {table} and {table}_kept")
            self.client.command(f"drop table {table}_kept")


def load() -> Manifest:
    """The load that the shop's events came with."""
    counts = Counts(read=len(EVENTS), accepted=len(EVENTS))
    return Manifest(
        load_id=LOAD_ID,
        source="pocm",
        input=InputEntry("file:///shop.ndjson", "0" * 64, 1, "ndjson", len(EVENTS)),
        received_at=HOUR,
        contracts_fingerprint="0" * 64,
        tag="0" * 8,
        counts=counts,
        hours=(HourEntry(HOUR, counts),),
    )


def broken(result: SuiteResult) -> dict[str, int | None]:
    """The failed rules, without the suite's name, and their rows."""
    return {found.rule.removeprefix(f"{result.suite}."): found.unexpected_count for found in result.failures}


def event(event_type: str, minute: int, payload: dict[str, Any], **envelope: Any) -> dict[str, Any]:
    """One accepted event at 09:<minute> of the shop's day."""
    return {
        "event_type": event_type,
        "event_id": f"{event_type}-{minute}",
        "occurred_at": datetime(2026, 11, 16, 9, minute, tzinfo=UTC),
        "session_id": "s1",
        "user_key": PERSON,
        "payload": payload,
        **envelope,
    }


ITEM = {"product_id": "p1", "quantity": 2, "unit_price": 10.5, "unit_cost": 4}
PAYMENT = {
    "payment_id": "pay1",
    "order_id": "o1",
    "amount": 21,
    "currency": "EUR",
    "gateway": "stripe",
    "method": "card",
    "latency_ms": 120,
    "risk_score": 0.1,
}
ORDER = {"order_id": "o1", "cart_id": "c1", "amount": 21, "currency": "EUR", "items": [ITEM]}
REGISTERED = {"region": "north", "city": "Oslo", "channel": "web", "email": "b" * 32, "phone": "c" * 32}
EVENTS = (
    event(
        "PRODUCT_UPSERTED",
        0,
        {
            "product_id": "p1",
            "name": "Patch",
            "category": "patch",
            "brand": "B",
            "is_patch": True,
            "unit_cost": 4,
            "currency": "EUR",
        },
        session_id=None,
    ),
    event("USER_REGISTERED", 1, REGISTERED, session_id=None),
    event("SEARCH", 2, {"search_id": "q1", "query": "patch", "results_count": 1}),
    event("PRODUCT_VIEWED", 3, {"product_id": "p1", "price": 10.5, "currency": "EUR", "channel": "web"}),
    event("CART_CREATED", 4, {"cart_id": "c1"}),
    event(
        "CART_ITEM_ADDED",
        5,
        {"cart_id": "c1", "product_id": "p1", "quantity": 2, "unit_price": 10.5, "currency": "EUR"},
    ),
    event("CHECKOUT_STARTED", 6, {"cart_id": "c1", "amount": 21, "currency": "EUR"}),
    event("ORDER_PLACED", 7, ORDER, order_id="o1"),
    event("PAYMENT_FAILED", 8, PAYMENT, order_id="o1"),
    event("PAYMENT_CAPTURED", 9, PAYMENT, order_id="o1"),
    event(
        "REFUND_ISSUED",
        20,
        {
            "refund_id": "r1",
            "payment_id": "pay1",
            "order_id": "o1",
            "amount": 1,
            "currency": "EUR",
            "reason": "late",
        },
        order_id="o1",
        session_id=None,
    ),
)

TEXT = pa.string()
MOMENT = pa.timestamp("ms", tz="UTC")
RAW_SCHEMA = pa.schema(
    [
        *(
            (name, TEXT)
            for name in ("source", "event_type", "contract_version", "event_id", "idempotency_key")
        ),
        ("tenant_id", TEXT),
        ("occurred_at", MOMENT),
        ("received_at", MOMENT),
        *(
            (name, TEXT)
            for name in ("user_key", "session_id", "device_id", "order_id", "trace_id", "producer")
        ),
        ("load_id", TEXT),
        ("row_number", pa.uint64()),
        ("payload", TEXT),
        ("received_hour", pa.timestamp("s", tz="UTC")),
        ("is_duplicate", pa.bool_()),
    ]
)


def _raw(values: dict[str, Any], number: int) -> dict[str, Any]:
    payload = values["payload"]
    return {
        "source": "pocm",
        "contract_version": "1.0",
        "tenant_id": "t1",
        "received_at": HOUR.replace(minute=30),
        "received_hour": HOUR,
        "load_id": LOAD_ID,
        "row_number": number,
        "is_duplicate": False,
        **values,
        "payload": payload if isinstance(payload, str) else json.dumps(payload),
    }
