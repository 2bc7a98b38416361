"""What a gate run leaves behind: Data Docs, rows of ops.validation_results, evidence in the lake."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from gate_shop import REGISTERED, WINDOW, Shop, event, load

from expectations.evidence import digest, write_evidence
from expectations.model import SuiteResult
from expectations.raw_in import raw_in_suite
from expectations.records import store_results
from expectations.runner import run_suite
from ingestion.contract import Source
from lake.store import ObjectStore
from orchestration.connections import object_store

pytestmark = pytest.mark.stack


def leaky_gate(shop: Shop, source: Source, data_docs: Path | None = None) -> SuiteResult:
    shop.accept(event("USER_REGISTERED", 30, {**REGISTERED, "email": "eve@example.com", "city": ""}))
    suite = raw_in_suite(source, [load()], WINDOW)
    return run_suite(
        shop.warehouse, suite, WINDOW, partition="2026-11-16-10:00", run_id="run-1", data_docs=data_docs
    )


@pytest.fixture
def lake(shop: Shop) -> ObjectStore:
    store = object_store(shop.settings)
    store.ensure_bucket()
    return store


def test_data_docs_name_rule_owner_and_reason_and_need_no_network(
    shop: Shop, source: Source, tmp_path: Path
) -> None:
    result = leaky_gate(shop, source, tmp_path / "docs")

    assert result.data_docs is not None
    index = result.data_docs.read_text()
    link = re.search(r'href="([^"]+raw\.events\.html)"', index)
    assert link is not None
    page = (result.data_docs.parent / link[1]).read_text()
    assert "pocm_raw_in.USER_REGISTERED.v1: every accepted USER_REGISTERED keeps contract 1.0" in page
    assert "(owner: identity-team)" in page
    assert "city: minLength" in page
    assert not re.search(r'(src|href)="https?:', page + index)


def test_data_docs_show_no_personal_value_and_no_password(shop: Shop, source: Source, tmp_path: Path) -> None:
    leaky_gate(shop, source, tmp_path / "docs")

    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.suffix in {".html", ".json"})
    assert "eve@example.com" not in written
    assert "clickhousedb+connect" not in written


def test_every_result_is_stored_with_its_owner_and_reason(shop: Shop, source: Source) -> None:
    result = leaky_gate(shop, source)

    stored = store_results(shop.client, result)

    rows = shop.client.query(
        "select expectation, unexpected_count, owner, partition, asset from ops.validation_results "
        "where not success order by expectation"
    ).result_rows
    assert stored == len(result.results)
    assert rows == [
        ("pocm_raw_in.USER_REGISTERED.v1", 2, "identity-team", "2026-11-16-10:00", "raw.events"),
        ("pocm_raw_in.payload.personal", 1, "commerce-data", "2026-11-16-10:00", "raw.events"),
    ]


def test_evidence_in_the_lake_is_what_the_gate_found(shop: Shop, source: Source, lake: ObjectStore) -> None:
    result = leaky_gate(shop, source)

    record = json.loads(lake.get_bytes(write_evidence(lake, result)))

    assert record["success"] is False
    assert record["sha256"] == digest(record)
    assert len(record["results"]) == len(result.results)
    assert record["versions"]["great_expectations"].startswith("1.")


def test_a_gate_asks_each_table_once_and_says_in_the_query_log_which_run_asks(
    shop: Shop, source: Source
) -> None:
    suite = raw_in_suite(source, [load()], WINDOW)
    warehouse = replace(shop.warehouse, log_comment='{"run": "run-77"}')
    result = run_suite(warehouse, suite, WINDOW, partition="p", run_id="run-77")

    shop.client.command("system flush logs")
    logged = [
        query
        for (query,) in shop.client.query(
            "select query from system.query_log where type = 'QueryFinish' "
            'and log_comment = \'{"run": "run-77"}\''
        ).result_rows
    ]
    asking = [query for query in logged if "as unexpected_rows" in query]
    assert len(asking) == len(suite.tables)
    # What a suite brings along stands in a table of its own meanwhile.
    assert len(logged) < 4 * (len(suite.tables) + len(suite.brought))
    assert len(result.results) > len(source.contracts)
