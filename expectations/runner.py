"""Run a suite: every check is answered, a check that could not run has failed."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode
from uuid import uuid4

from expectations.data_docs import publish
from expectations.model import Check, ExpectationResult, GateWindow, Suite, SuiteResult, Table
from expectations.redact import redact_text
from expectations.scope import batch_query, broken_rows_query, state_columns

ONE_BY_ONE = " one by one"

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from expectations.gx_engine import Outcome, Validator


@dataclass(frozen=True)
class Warehouse:
    """How to reach ClickHouse."""

    host: str
    port: int
    user: str = "default"
    password: str = field(default="", repr=False)
    secure: bool = False
    log_comment: str = ""
    """Carried by every query, so that the query log says which gate ran it."""

    @property
    def settings(self) -> dict[str, str]:
        """ClickHouse settings of every query.

        One that asks for all rules of a table is longer than the defaults allow: it grows with the rules, not with the
        window. Long windows group on disk.
        """
        comment = {"log_comment": self.log_comment} if self.log_comment else {}
        return {
            "max_query_size": "16777216",
            "max_ast_elements": "1000000",
            "max_expanded_ast_elements": "10000000",
            "max_bytes_before_external_group_by": "1000000000",
            **comment,
        }

    @property
    def url(self) -> str:
        """The SQLAlchemy URL; holds the password."""
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        options = urlencode({**({"secure": "true"} if self.secure else {}), **self.settings})
        return f"clickhousedb+connect://{login}@{self.host}:{self.port}/default?{options}"

    def client(self) -> Client:
        """Connect."""
        import clickhouse_connect  # noqa: PLC0415  half a second that importers need not pay

        return clickhouse_connect.get_client(
            host=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            secure=self.secure,
            settings=self.settings,
            autogenerate_session_id=False,
        )


def run_suite(
    warehouse: Warehouse,
    suite: Suite,
    window: GateWindow,
    *,
    partition: str,
    run_id: str,
    data_docs: Path | None = None,
) -> SuiteResult:
    """Check what a window of received hours touched.

    Never raises for what it finds or cannot find: a missing table or column, a query that fails and an engine
    that does not start are failed results that say why.

    Args:
        warehouse: where the tables are.
        suite: what to check.
        window: received hours; marts are checked on the occurred days that these hours touch.
        partition: the label of the Dagster partition, for messages.
        run_id: identifies the run in results and Data Docs.
        data_docs: folder of the Data Docs site; None writes none.
    """
    started, checked_at = time.monotonic(), datetime.now(UTC)
    outcomes: dict[str, ExpectationResult] = {}
    versions: dict[str, str] = {}
    run_name = _run_name(partition, checked_at)
    try:
        with _standing(warehouse, suite) as whole:
            _run(
                warehouse=warehouse,
                suite=whole,
                window=window,
                run_name=run_name,
                data_docs=data_docs,
                outcomes=outcomes,
                versions=versions,
            )
    except Exception as error:  # a gate that could not run has failed: whatever it was, it is a result
        why = _reason(error)
        for check in suite.checks:
            outcomes.setdefault(check.rule, _not_run(suite, check, why))
    results = [
        outcomes.get(check.rule, _not_run(suite, check, "it was not evaluated")) for check in suite.checks
    ]
    if not results:
        results = [_empty(suite)]
    result = SuiteResult(
        suite=suite.name,
        source=suite.source,
        boundary=suite.boundary,
        partition=partition,
        window=str(window),
        run_id=run_id,
        checked_at=checked_at,
        results=tuple(results),
        duration_s=round(time.monotonic() - started, 3),
        versions=versions,
    )
    return result if data_docs is None else replace(result, data_docs=publish(data_docs, result, run_name))


def _run(
    *,
    warehouse: Warehouse,
    suite: Suite,
    window: GateWindow,
    run_name: str,
    data_docs: Path | None,
    outcomes: dict[str, ExpectationResult],
    versions: dict[str, str],
) -> None:
    if not suite.checks:
        return
    client = warehouse.client()
    try:
        versions["clickhouse"] = str(client.server_version)
        columns = _columns(client, suite)
    finally:
        client.close()

    from expectations import gx_engine  # noqa: PLC0415  two seconds that importers need not pay

    versions["great_expectations"] = gx_engine.VERSION
    validator = gx_engine.Validator(warehouse.url, data_docs)
    try:
        prepared: dict[str, Any] = {}
        for key, table in suite.tables.items():
            checks = [check for check in suite.checks if check.table == key]
            if checks and table.qualified not in columns:
                why = f"table {table.qualified} does not exist"
                outcomes.update({check.rule: _not_run(suite, check, why) for check in checks})
            elif checks:
                prepared[key] = _Asked(suite, table, checks, window, columns[table.qualified])
        found = _validate(validator, suite, prepared, run_name, outcomes)
        for check in suite.checks:
            if check.rule in found:
                outcomes[check.rule] = _result(suite, check, found[check.rule])
    finally:
        validator.close()


@dataclass(frozen=True)
class _Asked:
    """The checks of one table."""

    suite: Suite
    table: Table
    checks: Sequence[Check]
    window: GateWindow
    columns: Mapping[str, str]

    def prepare(self, validator: Validator, *, together: bool) -> Any:
        """Ask by one query, or by one for each check."""
        suite, window = self.suite, self.window
        groups = [self.checks] if together else [[check] for check in self.checks]
        return validator.prepare(
            suite.name,
            self.table,
            batch_query(self.table, suite.source, window, state_columns(self.columns)),
            [(group, broken_rows_query(group, suite, window, self.columns)) for group in groups],
            sorted(suite.personal_columns),
            "" if together else ONE_BY_ONE,
        )


@contextmanager
def _standing(warehouse: Warehouse, suite: Suite) -> Iterator[Suite]:
    """Put what a suite brought into tables for the length of the block, and give the suite that reads them."""
    if not suite.brought:
        yield suite
        return
    # Named as what a raw load stages: the next load drops what a killed gate left.
    tables = {key: f"stage__gate_{key}_{uuid4().hex[:12]}" for key in suite.brought}
    client = warehouse.client()
    try:
        for key, rows in suite.brought.items():
            columns = ", ".join(f"{name} {kind}" for name, kind in rows.columns.items())
            client.command(f"create table raw.{tables[key]} ({columns}) engine = MergeTree order by tuple()")
            if rows.values:
                client.insert(tables[key], rows.values, list(rows.columns), database="raw")
        standing = {key: f"select * from raw.{table}" for key, table in tables.items()}
        yield replace(suite, relations={**suite.relations, **standing})
    finally:
        for table in tables.values():
            client.command(f"drop table if exists raw.{table} sync")
        client.close()


def _validate(
    validator: Validator,
    suite: Suite,
    asked: Mapping[str, _Asked],
    run_name: str,
    outcomes: dict[str, ExpectationResult],
) -> dict[str, Outcome]:
    """Validate all tables at once, each by one query; where that breaks off, check by check: none hides the others."""
    if not asked:
        return {}
    found: dict[str, Outcome] = {}
    with suppress(Exception):  # whatever stopped the whole will name itself below
        together = [table.prepare(validator, together=True) for table in asked.values()]
        found = validator.validate(suite.name, together, run_name)
    for key, table in asked.items():
        if all(check.rule in found and found[check.rule].error is None for check in table.checks):
            continue
        try:
            alone = table.prepare(validator, together=False)
            found |= validator.validate(f"{suite.name} {key}{ONE_BY_ONE}", [alone], run_name)
        except Exception as error:
            outcomes.update({check.rule: _not_run(suite, check, _reason(error)) for check in table.checks})
    return found


def _columns(client: Client, suite: Suite) -> dict[str, dict[str, str]]:
    """Column types by column, by qualified table, for the tables of the suite that exist."""
    pairs = ", ".join(f"('{t.database}', '{t.name}')" for t in suite.tables.values())
    query = (
        "select database, table, name, type from system.columns "
        f"where (database, table) in ({pairs}) order by position"
    )
    found: dict[str, dict[str, str]] = {}
    for database, table, name, kind in client.query(query).result_rows:
        found.setdefault(f"{database}.{table}", {})[name] = kind
    return found


def _result(suite: Suite, check: Check, outcome: Outcome) -> ExpectationResult:
    if outcome.error is not None:
        return _not_run(suite, check, redact_text(outcome.error))
    return ExpectationResult(
        rule=check.rule,
        table=suite.tables[check.table].qualified,
        column=check.column,
        success=outcome.success,
        unexpected_count=outcome.unexpected_count,
        sample=outcome.sample,
        owner=check.owner,
        reason=check.reason,
        observed=outcome.observed,
    )


def _not_run(suite: Suite, check: Check, why: str) -> ExpectationResult:
    return ExpectationResult(
        rule=check.rule,
        table=suite.tables[check.table].qualified if check.table in suite.tables else check.table,
        column=check.column,
        success=False,
        unexpected_count=None,
        sample=(),
        owner=check.owner,
        reason=check.reason,
        observed="could not run",
        error=why,
    )


def _empty(suite: Suite) -> ExpectationResult:
    return ExpectationResult(
        rule=f"{suite.name}.not_empty",
        table="",
        column=None,
        success=False,
        unexpected_count=None,
        sample=(),
        owner="platform",
        reason="a gate that checks nothing stops nothing",
        observed="could not run",
        error="the suite has no checks",
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or repr(error)
    return redact_text(f"{type(error).__name__}: {text}")


def _run_name(partition: str, checked_at: datetime) -> str:
    """A file name that sorts by time; GX makes folders of it."""
    return f"{checked_at:%Y%m%dT%H%M%S%f}-{re.sub(r'[^0-9A-Za-z]+', '-', partition)}"
