"""The generated staging models on a real ClickHouse."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from ingestion.codegen import STAGING_FOLDER, generated_files
from ingestion.contract import load_source
from ingestion.contract_example import example_payload
from orchestration.warehouse.schema import statements

pytestmark = pytest.mark.stack

PROJECT = Path(__file__).resolve().parents[3]
POCM = load_source("pocm")
START = datetime(2026, 11, 1, tzinfo=UTC)
COLUMNS = [
    "source",
    "event_type",
    "event_id",
    "tenant_id",
    "occurred_at",
    "order_id",
    "payload",
    "is_duplicate",
]


class Staging:
    """A raw.events of its own with the staging models of pocm as views on it."""

    def __init__(self, client: Client, database: str) -> None:
        """Create the table and the views in a new database."""
        self.client = client
        self.database = database
        client.command(f"create database {database}")
        create = next(s for s in statements() if s.startswith("create table if not exists raw.events "))
        client.command(create.replace("raw.events", f"{database}.events", 1))
        folder = STAGING_FOLDER / "pocm"
        for path, text in generated_files(PROJECT).items():
            if path.parent == folder and path.suffix == ".sql":
                sql = re.sub(r"{#.*?#}", "", text).replace(
                    "{{ source('raw', 'events') }}", f"{database}.events"
                )
                client.command(f"create view {database}.{path.stem} as {sql}")

    def add(self, event_type: str, payload: Any, **values: Any) -> None:
        """Add one event; a payload that is no text is written as JSON."""
        row = {
            "source": "pocm",
            "event_type": event_type,
            "event_id": uuid.uuid4().hex,
            "tenant_id": "t",
            "occurred_at": START,
            "order_id": None,
            "payload": payload if isinstance(payload, str) else json.dumps(payload),
            "is_duplicate": False,
        } | values
        self.client.insert("events", [[row[c] for c in COLUMNS]], COLUMNS, database=self.database)

    def rows(self, entity: str, columns: str, where: str = "1") -> list[tuple[Any, ...]]:
        """Some columns of a staging model, in the order of occurrence."""
        query = f"select {columns} from {self.database}.stg_pocm__{entity} where {where} order by occurred_at"
        return [tuple(row) for row in self.client.query(query).result_rows]


@pytest.fixture
def staging(clickhouse: Client) -> Iterator[Staging]:
    """Empty staging models."""
    database = f"staging_{uuid.uuid4().hex[:12]}"
    yield Staging(clickhouse, database)
    clickhouse.command(f"drop database {database}")


def test_every_event_arrives_in_the_staging_model_of_its_entity(staging: Staging) -> None:
    for contract in POCM.contracts:
        staging.add(contract.event_type, example_payload(contract))
    for entity, contracts in POCM.entities().items():
        assert sorted(staging.rows(entity, "event_type")) == sorted((c.event_type,) for c in contracts)
    assert len(staging.rows("events", "event_id")) == len(POCM.contracts)


def test_every_column_has_the_type_that_is_documented(staging: Staging) -> None:
    text = generated_files(PROJECT)[STAGING_FOLDER / "pocm" / "_staging_pocm__models.yml"]
    models = yaml.safe_load(text)["models"]
    expected = {(m["name"], c["name"]): c["data_type"] for m in models for c in m["columns"]}
    found = staging.client.query(
        "select table, name, type from system.columns "
        "where database = {database:String} and table like 'stg_%'",
        parameters={"database": staging.database},
    ).result_rows
    assert {(table, name): kind for table, name, kind in found} == expected


@pytest.mark.parametrize(
    "amount", ["0.29", "99999999998.9999", "1e2", "12.3400000", "-0.0", "1.25e1", "8.8888"]
)
def test_an_amount_comes_out_exact(staging: Staging, amount: str) -> None:
    staging.add(
        "ORDER_PLACED", f'{{"order_id": "o", "amount": {amount}, "items": [{{"unit_price": {amount}}}]}}'
    )
    found = staging.rows("orders", "amount, tupleElement(items[1], 'unit_price')")
    assert found == [(Decimal(amount), Decimal(amount))]


def test_what_a_producer_leaves_out_or_sends_as_null_is_null(staging: Staging) -> None:
    staging.add(
        "ORDER_PLACED", {"order_id": "o", "amount": 1, "currency": "EUR", "city": None, "items": [{}]}
    )
    assert staging.rows("orders", "city, region, tupleElement(items[1], 'batch_id')") == [(None, None, None)]


def test_unknown_fields_of_any_shape_do_no_harm(staging: Staging) -> None:
    odd = '"x": {"y": 1}, "x.y": 2, "z": 1, "z": [1, "a", {"k": [null]}], "": 0, "amount.k": 1, "n": 1e30'
    staging.add(
        "ORDER_PLACED", f'{{"order_id": "o", "amount": 1.5, "items": [{{"quantity": 1.0, {odd}}}], {odd}}}'
    )
    assert staging.rows("orders", "order_id, amount, tupleElement(items[1], 'quantity')") == [
        ("o", Decimal("1.5"), 1)
    ]


def test_the_payloads_identifier_wins_over_the_envelopes(staging: Staging) -> None:
    staging.add("ORDER_PLACED", {"order_id": "payload", "items": []}, order_id="envelope")
    assert staging.rows("orders", "order_id") == [("payload",)]


def test_a_duplicate_is_not_seen(staging: Staging) -> None:
    staging.add("LOGIN", {"method": "password", "success": True}, is_duplicate=True)
    assert staging.rows("logins", "event_id") == []
    assert staging.rows("events", "event_id") == []


def test_a_payload_that_is_no_json_is_an_error_and_not_a_row_of_zeros(staging: Staging) -> None:
    staging.add("LOGIN", '{"success": tru')
    with pytest.raises(DatabaseError, match=r"a payload in raw\.events is no JSON"):
        staging.rows("logins", "success")


@pytest.mark.parametrize(
    "where",
    [
        "occurred_at >= '2026-11-05 00:00:00' and occurred_at < '2026-11-05 01:00:00'",
        "occurred_date = '2026-11-05'",
        "occurred_date in (select toDate('2026-11-05'))",
    ],
)
def test_a_window_of_occurred_time_reads_only_its_granules(staging: Staging, where: str) -> None:
    payload = json.dumps(example_payload(POCM.contract("PAYMENT_CAPTURED")))
    staging.client.command(
        f"insert into {staging.database}.events (source, event_type, event_id, occurred_at, payload) "
        "select 'pocm', 'PAYMENT_CAPTURED', toString(number), "
        "toDateTime64('2026-11-01', 3, 'UTC') + number * 10, {payload:String} from numbers(100000)",
        parameters={"payload": payload},
    )
    plan = staging.client.query(
        f"explain indexes = 1 select sum(amount) from {staging.database}.stg_pocm__payments where {where}"
    ).result_rows
    key = "\n".join(line for (line,) in plan).partition("PrimaryKey")[2]
    granules = re.search(r"Granules: (\d+)/(\d+)", key)
    assert granules is not None
    read, total = map(int, granules.groups())
    assert total > 10
    assert read <= 3


def test_days_are_those_of_utc(staging: Staging) -> None:
    staging.add(
        "LOGIN", {"method": "m", "success": True}, occurred_at=START + timedelta(hours=23, minutes=59)
    )
    staging.add("LOGIN", {"method": "m", "success": True}, occurred_at=START + timedelta(days=1))
    assert staging.rows("logins", "toString(occurred_date)") == [("2026-11-01",), ("2026-11-02",)]
