"""Suites at marts-out: YAML files in suites/<source>/, one suite per source."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml

from expectations.model import Check, Grain, Suite, SuiteError, Table
from expectations.raw_in import NEVER_SHOWN, tagged_names
from ingestion.contract import Source

SUITES_ROOT = Path(__file__).resolve().parent / "suites"
KINDS: Mapping[str, frozenset[str]] = {
    "not_null": frozenset(),
    "in_set": frozenset({"values"}),
    "between": frozenset({"min", "max"}),
    "unique": frozenset(),
    "rows": frozenset(),
    "personal_data": frozenset(),
}
"""What an expectation may ask, with the words that go beside it."""
COMMON = frozenset({"id", "owner", "reason", "columns"})
GRAINS = tuple(g for g in get_args(Grain) if g != "received_hour")


def load_suite(source: Source, folder: Path | None = None) -> Suite:
    """Read the marts-out suite of a source: all files of its folder make one suite.

    A file may name any table of the suite in its queries; the expectations of one table stand in one file. A source
    without files has an empty suite: its marts have the tests of their dbt models only.

    Args:
        source: its contracts name the personal columns.
        folder: where the YAML files are; by default `suites/<source>`.

    Raises:
        SuiteError: files break rules; the message names every broken one.
    """
    folder = folder or SUITES_ROOT / source.name
    contents = {path.name: _read(path) for path in sorted(folder.glob("*.yml"))}
    personal = NEVER_SHOWN | frozenset(source.pii) | frozenset(tagged_names(source))
    problems = [
        f"{name}: {problem}" for name, content in contents.items() for problem in lint(content, personal)
    ]
    problems = problems or _lint_together(contents)
    if problems:
        raise SuiteError("\n".join(problems))
    return _build(contents.values(), f"{source.name}_marts", source.name, personal)


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise SuiteError(f"{path.name}: is no readable YAML: {error}") from error


def _lint_together(contents: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with sound files beside each other."""
    problems: list[str] = []
    home: dict[str, str] = {}
    for name, content in contents.items():
        problems += [
            f"{name}: tables.{table}: has its expectations in {home[table]} already"
            for table in content["tables"]
            if table in home
        ]
        home |= dict.fromkeys(content["tables"], name)
    return problems


def lint(content: Any, personal: frozenset[str] = NEVER_SHOWN) -> list[str]:
    """Return every rule that a suite's content breaks."""
    if not isinstance(content, dict) or set(content) != {"database", "tables"}:
        return ["a suite has exactly `database` and `tables`"]
    if not isinstance(content["tables"], dict) or not content["tables"]:
        return ["tables: names at least one mart"]
    problems: list[str] = []
    for name, table in content["tables"].items():
        problems += [f"tables.{name}: {problem}" for problem in _lint_table(table, personal)]
    return problems


def _lint_table(table: Any, personal: frozenset[str]) -> list[str]:
    if not isinstance(table, dict) or not table.get("expectations"):
        return ["has no expectations"]
    problems = []
    if unknown := set(table) - {"period", "grain", "expectations"}:
        problems.append(f"unknown {sorted(unknown)}; valid: period, grain, expectations")
    grain = table.get("grain", "day")
    if grain not in GRAINS:
        problems.append(f"grain {grain!r} is none of {', '.join(GRAINS)}")
    if (grain == "whole") == ("period" in table):
        problems.append(
            "needs `period`, the column that holds its day, hour, week or month, or `grain: whole`"
        )
    seen: set[str] = set()
    for number, item in enumerate(table["expectations"], 1):
        problems += [
            f"expectations[{number}]: {problem}" for problem in _lint_expectation(item, personal, seen)
        ]
    return problems


def _lint_expectation(item: Any, personal: frozenset[str], seen: set[str]) -> list[str]:
    if not isinstance(item, dict):
        return ["must be a mapping"]
    problems = [
        f"has no {word}" for word in ("id", "owner", "reason") if not str(item.get(word) or "").strip()
    ]
    if item.get("id") in seen:
        problems.append(f"id {item['id']!r} is given twice")
    seen.add(str(item.get("id")))
    kinds = [word for word in item if word in KINDS]
    if len(kinds) != 1:
        return [*problems, f"needs exactly one of {', '.join(KINDS)}, has {kinds}"]
    kind = kinds[0]
    if unknown := set(item) - COMMON - KINDS[kind] - {kind}:
        problems.append(f"unknown {sorted(unknown)}")
    columns = item[kind] if kind in {"not_null", "in_set", "between", "unique"} else None
    if columns is not None and (
        not isinstance(columns, list) or not all(isinstance(c, str) for c in columns)
    ):
        problems.append(f"{kind}: takes a list of columns")
    elif kind in {"in_set", "between"} and (shown := personal & set(columns or ())):
        problems.append(f"{kind}: values of {sorted(shown)} may not be shown; use rows")
    if kind == "between" and "min" not in item and "max" not in item:
        problems.append("between: needs min, max or both")
    if kind == "in_set" and not item.get("values"):
        problems.append("in_set: needs values")
    if kind == "rows" and not (
        isinstance(item["rows"], str) and re.match(r"\s*(select|with)\b", item["rows"], re.I)
    ):
        problems.append("rows: takes a SELECT of the rows that break the rule")
    return problems


def _build(contents: Iterable[Mapping[str, Any]], name: str, source: str, personal: frozenset[str]) -> Suite:
    tables: dict[str, Table] = {}
    checks: list[Check] = []
    for content in contents:
        for key, table in content["tables"].items():
            tables[key] = Table(content["database"], key, table.get("grain", "day"), table.get("period"))
            checks += [check for item in table["expectations"] for check in _checks(name, key, item)]
    return Suite(name, source, "marts_out", tables, tuple(checks), personal_columns=personal)


def _checks(suite: str, table: str, item: Mapping[str, Any]) -> list[Check]:
    rule, owner, reason = f"{suite}.{table}.{item['id']}", item["owner"], " ".join(item["reason"].split())
    kind = next(word for word in item if word in KINDS)
    if kind in ("not_null", "in_set", "between"):
        arguments = {word: item[word] for word in KINDS[kind] if word in item}
        several = len(item[kind]) > 1
        return [
            Check(f"{rule}.{column}" if several else rule, table, kind, owner, reason, column, arguments)  # type: ignore[arg-type]
            for column in item[kind]
        ]
    if kind == "unique":
        return [Check(rule, table, "unique", owner, reason, None, {"columns": tuple(item["unique"])})]
    if kind == "rows":
        return [Check(rule, table, "rows", owner, reason, None, {"query": item["rows"].strip()})]
    return [Check(rule, table, "personal_data", owner, reason)]
