"""Rows of ops.validation_results."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa

from expectations.model import ExpectationResult, SuiteResult

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

TABLE = "ops.validation_results"
SCHEMA = pa.schema(
    [
        ("suite", pa.string()),
        ("boundary", pa.string()),
        ("asset", pa.string()),
        ("partition", pa.string()),
        ("expectation", pa.string()),
        ("column", pa.string()),
        ("success", pa.bool_()),
        ("unexpected_count", pa.uint64()),
        ("sample", pa.string()),
        ("details", pa.string()),
        ("run_id", pa.string()),
        ("checked_at", pa.timestamp("ms", tz="UTC")),
        ("owner", pa.string()),
        ("reason", pa.string()),
    ]
)


def validation_rows(result: SuiteResult) -> pa.Table:
    """Return one row for each check of a gate run, passed or not."""
    return pa.Table.from_pylist([_row(result, found) for found in result.results], schema=SCHEMA)


def store_results(client: Client, result: SuiteResult) -> int:
    """Append a gate run to ops.validation_results; return the number of rows."""
    rows = validation_rows(result)
    client.insert_arrow(TABLE, rows)
    return int(rows.num_rows)


def _row(result: SuiteResult, found: ExpectationResult) -> dict[str, object]:
    details = {
        "window": result.window,
        "observed": found.observed,
        "error": found.error,
        "versions": dict(result.versions),
    }
    return {
        "suite": result.suite,
        "boundary": result.boundary.replace("_", "-"),
        "asset": found.table,
        "partition": result.partition,
        "expectation": found.rule,
        "column": found.column,
        "success": found.success,
        "unexpected_count": found.unexpected_count,
        "sample": json.dumps([dict(row) for row in found.sample], default=str),
        "details": json.dumps(details),
        "run_id": result.run_id,
        "checked_at": result.checked_at,
        "owner": found.owner,
        "reason": found.reason,
    }
