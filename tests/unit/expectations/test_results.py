"""What a gate found, as the orchestrator, the warehouse and the lake get it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from expectations.bridge import check_outcome, outcomes_by_table
from expectations.evidence import digest, evidence_key, evidence_record
from expectations.model import ExpectationResult, SuiteResult
from expectations.records import SCHEMA, validation_rows

HOLDS = ExpectationResult("s.a.grain", "pocm.a", None, True, 0, (), "analytics", "one row a day", "0 rows")
BROKEN = ExpectationResult(
    "s.b.money", "pocm.b", "gmv", False, 3, ({"day": "2026-11-16"},), "analytics", "sums", "3 rows"
)
CRASHED = replace(BROKEN, rule="s.b.grain", unexpected_count=None, sample=(), error="no such table")


def result(*results: ExpectationResult) -> SuiteResult:
    checked_at = datetime(2026, 11, 16, 12, tzinfo=UTC)
    return SuiteResult(
        "s", "pocm", "marts_out", "2026-11-16", "w", "run 1", checked_at, results, 1.5, {"gx": "1.24"}
    )


def test_gate_without_results_has_failed() -> None:
    assert not result().success
    assert not check_outcome(result()).passed
    assert "evaluated nothing for partition 2026-11-16" in check_outcome(result()).description


def test_check_that_could_not_run_fails_the_gate() -> None:
    assert not result(HOLDS, CRASHED).success
    assert "s.b.grain could not run: no such table" in result(HOLDS, CRASHED).message


def test_message_says_which_rule_how_many_rows_and_which_partition() -> None:
    description = check_outcome(result(HOLDS, BROKEN)).description

    assert "1 of 2 checks of s failed for partition 2026-11-16" in description
    assert "s.b.money: 3 rows in pocm.b; for example {'day': '2026-11-16'}" in description


def test_long_message_names_how_many_more_rules_are_broken() -> None:
    many = [replace(BROKEN, rule=f"s.b.{number}") for number in range(12)]

    assert check_outcome(result(*many)).description.endswith("- and 2 more")


def test_outcome_of_a_table_holds_its_own_checks_only() -> None:
    outcomes = outcomes_by_table(result(HOLDS, BROKEN))

    assert outcomes["pocm.a"].passed
    assert not outcomes["pocm.b"].passed
    assert outcomes["pocm.b"].metadata["unexpected_rows"] == 3


def test_metadata_lists_owner_and_reason_of_every_broken_rule() -> None:
    (row,) = check_outcome(result(HOLDS, BROKEN)).metadata["broken"]  # type: ignore[misc]

    assert row == {
        "rule": "s.b.money",
        "table": "pocm.b",
        "rows": "3",
        "example": '{"day": "2026-11-16"}',
        "owner": "analytics",
        "reason": "sums",
    }


def test_every_check_is_a_row_of_validation_results() -> None:
    rows = validation_rows(result(HOLDS, BROKEN, CRASHED))

    assert rows.schema == SCHEMA
    assert rows.column("success").to_pylist() == [True, False, False]
    assert rows.column("unexpected_count").to_pylist() == [0, 3, None]
    assert set(rows.column("boundary").to_pylist()) == {"marts-out"}


def test_evidence_is_sealed_by_a_hash_over_its_content() -> None:
    record = json.loads(json.dumps(evidence_record(result(HOLDS, BROKEN))))

    assert record["sha256"] == digest(record)
    assert digest({**record, "success": True}) != record["sha256"]


def test_evidence_carries_no_sample() -> None:
    assert "2026-11-16'" not in json.dumps(evidence_record(result(BROKEN))["results"])
    assert all("sample" not in found for found in evidence_record(result(BROKEN))["results"])


def test_evidence_key_names_source_suite_day_and_run() -> None:
    assert evidence_key(result(HOLDS)) == (
        "evidence/source=pocm/suite=s/checked_date=2026-11-16/20261116T120000000000-run-1.json"
    )
