"""Suites in YAML are refused when they break a rule, and become checks when they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from expectations.marts_out import SUITES_ROOT, lint, load_suite
from expectations.model import SuiteError
from ingestion.contract import Source, load_source

GOOD = {"id": "grain", "unique": ["day"], "owner": "analytics", "reason": "one row a day"}


@pytest.fixture(scope="module")
def source() -> Source:
    return load_source("pocm")


def suite_with(expectation: dict[str, Any], **table: Any) -> dict[str, Any]:
    return {
        "database": "pocm",
        "tables": {"kpi_daily": {"period": "day", "expectations": [expectation], **table}},
    }


def without(word: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != word}


def test_shipped_suites_break_no_rule() -> None:
    shipped = list(SUITES_ROOT.glob("*/*.yml"))
    assert shipped
    for path in shipped:
        assert lint(yaml.safe_load(path.read_text())) == [], path.name


@pytest.mark.parametrize("word", ["id", "owner", "reason"])
def test_expectation_without_a_required_word_is_refused(word: str) -> None:
    assert lint(suite_with(without(word))) == [f"tables.kpi_daily: expectations[1]: has no {word}"]


def test_expectation_with_an_empty_reason_is_refused() -> None:
    assert lint(suite_with({**GOOD, "reason": "  "})) == ["tables.kpi_daily: expectations[1]: has no reason"]


@pytest.mark.parametrize(
    ("expectation", "why"),
    [
        (without("unique"), "needs exactly one of"),
        ({**GOOD, "not_null": ["day"]}, "needs exactly one of"),
        ({**GOOD, "uniqe": ["day"]}, "unknown ['uniqe']"),
        ({**without("unique"), "between": ["gmv"]}, "needs min, max or both"),
        ({**without("unique"), "between": "gmv", "min": 0}, "takes a list of columns"),
        ({**without("unique"), "in_set": ["step"]}, "needs values"),
        ({**without("unique"), "in_set": ["user_key"], "values": ["a"]}, "may not be shown"),
        ({**without("unique"), "rows": "drop table x"}, "takes a SELECT"),
    ],
)
def test_expectation_that_asks_nothing_clear_is_refused(expectation: dict[str, Any], why: str) -> None:
    (problem,) = lint(suite_with(expectation))

    assert why in problem


def test_table_needs_its_period_or_to_be_whole() -> None:
    table = {"expectations": [GOOD]}

    assert "needs `period`" in lint({"database": "pocm", "tables": {"kpi_daily": table}})[0]
    assert lint({"database": "pocm", "tables": {"kpi_daily": {**table, "grain": "whole"}}}) == []


def test_table_without_expectations_is_refused() -> None:
    content = {"database": "pocm", "tables": {"kpi_daily": {"period": "day", "expectations": []}}}

    assert lint(content) == ["tables.kpi_daily: has no expectations"]


def test_repeated_id_is_refused() -> None:
    content = suite_with(GOOD)
    content["tables"]["kpi_daily"]["expectations"].append(dict(GOOD))

    assert "given twice" in lint(content)[0]


def folder_with(folder: Path, **files: dict[str, Any]) -> Path:
    for name, content in files.items():
        (folder / f"{name}.yml").write_text(yaml.safe_dump(content))
    return folder


def test_several_columns_become_one_check_each(source: Source, tmp_path: Path) -> None:
    folder = folder_with(
        tmp_path, shop=suite_with({**without("unique"), "between": ["aov", "arpu"], "min": 0})
    )

    assert [check.rule for check in load_suite(source, folder).checks] == [
        "pocm_marts.kpi_daily.grain.aov",
        "pocm_marts.kpi_daily.grain.arpu",
    ]


def test_the_files_of_a_folder_are_one_suite(source: Source, tmp_path: Path) -> None:
    stock = {"database": "pocm", "tables": {"dim_batches": {"grain": "whole", "expectations": [GOOD]}}}
    suite = load_suite(source, folder_with(tmp_path, shop=suite_with(GOOD), stock=stock))

    assert set(suite.tables) == {"kpi_daily", "dim_batches"}
    assert {check.rule for check in suite.checks} == {
        "pocm_marts.kpi_daily.grain",
        "pocm_marts.dim_batches.grain",
    }


def test_a_table_in_two_files_is_refused(source: Source, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, shop=suite_with(GOOD), stock=suite_with(GOOD))

    with pytest.raises(SuiteError, match=r"stock\.yml: tables\.kpi_daily: has its expectations in shop\.yml"):
        load_suite(source, folder)


def test_a_broken_rule_names_its_file(source: Source, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, shop=suite_with(GOOD), stock=suite_with(without("owner")))

    with pytest.raises(SuiteError, match=r"stock\.yml: tables\.kpi_daily: expectations\[1\]: has no owner"):
        load_suite(source, folder)


def test_a_source_without_files_has_nothing_to_check(source: Source, tmp_path: Path) -> None:
    suite = load_suite(source, tmp_path / "pocm")

    assert (suite.checks, suite.tables) == ((), {})


def test_choosing_a_table_that_no_check_looks_at_is_refused(source: Source) -> None:
    with pytest.raises(SuiteError, match=r"checks no kpi_weekly; valid: .*active_users"):
        load_suite(source).only(["kpi_weekly"])
