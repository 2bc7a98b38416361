"""Great Expectations: the one module that imports it.

Importing it takes about two seconds, so everything else in this package imports this module inside functions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import great_expectations
import sqlalchemy
from great_expectations.checkpoint.actions import UpdateDataDocsAction
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.execution_engine.sqlalchemy_execution_engine import SqlAlchemyExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.query_metric_provider import QueryMetricProvider
from great_expectations.render.components import LegacyDiagnosticRendererType, RenderedTableContent
from great_expectations.render.renderer.renderer import renderer

from expectations.model import Check, Table
from expectations.redact import redact_json
from expectations.scope import escape

SITE = "millrace"
RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 5}

# GX is typed for pydantic 1 and re-exports without saying so.
gx: Any = great_expectations

_ONE_AT_A_TIME = threading.Lock()

logging.getLogger("great_expectations").setLevel(logging.ERROR)


class BrokenRows(QueryMetricProvider):
    """How many rows break each rule of a table, and a few of them as JSON: one query for all rules.

    The expectations of a table ask for the same metric, which GX then computes once.
    """

    metric_name = "broken_rows.table"
    value_keys = ("rules",)

    queries: ClassVar[dict[str, str]] = {}
    """By the name under which expectations ask. Named and not handed on: GX writes the arguments of every expectation
    into its results, and a query of many rules is long."""

    @metric_value(engine=SqlAlchemyExecutionEngine)
    def _sqlalchemy(
        cls,  # noqa: N805  GX calls it on the class
        execution_engine: Any,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> dict[str, tuple[int, list[str]]]:
        query = sqlalchemy.text(escape(cls.queries[metric_value_kwargs["rules"]]))
        rows = execution_engine.execute_query(query).fetchall()
        return {rule: (int(count), list(sample)) for rule, count, sample in rows}


class ExpectNoRowsThatBreakRule(BatchExpectation):
    """No row of the batch breaks a rule.

    GX's own expectations run one or two queries each; these share one, which keeps no more than a sample.
    """

    rules: str
    """Names the query in `BrokenRows.queries`."""
    rule: str
    personal_columns: list[str] = []  # noqa: RUF012  pydantic copies it per instance

    metric_dependencies: ClassVar[tuple[str, ...]] = ("broken_rows.table",)
    args_keys: ClassVar[tuple[str, ...]] = ("rule", "personal_columns")
    success_keys: ClassVar[tuple[str, ...]] = ("rules",)

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        count, found = metrics["broken_rows.table"][self.rule]
        sample = redact_json(list(dict.fromkeys(found)), self.personal_columns)
        return {"success": count == 0, "result": {"observed_value": count, "details": {"sample": sample}}}

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.OBSERVED_VALUE)
    def _diagnostic_observed_value_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> str:
        count = result.result.get("observed_value")
        return "--" if count is None else f"{count:,} row{'' if count == 1 else 's'}"

    @classmethod
    @renderer(renderer_type=LegacyDiagnosticRendererType.UNEXPECTED_TABLE)
    def _diagnostic_unexpected_table_renderer(
        cls, configuration: Any = None, result: Any = None, runtime_configuration: Any = None
    ) -> list[Any] | None:
        sample = ((result.result or {}).get("details") or {}).get("sample") if result is not None else None
        if not sample:
            return None
        header = list(sample[0])
        return [
            RenderedTableContent(
                content_block_type="table",
                table=[[str(row.get(name)) for name in header] for row in sample],
                header_row=header,
                styling={"body": {"classes": ["table-bordered", "table-sm", "mt-3"]}},
            )
        ]


@dataclass(frozen=True)
class Outcome:
    """What GX says about one check."""

    success: bool
    unexpected_count: int | None
    sample: tuple[Mapping[str, Any], ...]
    observed: str
    error: str | None


def _expectation(check: Check, rules: str, personal_columns: Sequence[str]) -> Any:
    return ExpectNoRowsThatBreakRule(
        rules=rules,
        rule=check.rule,
        personal_columns=list(personal_columns),
        meta={"rule": check.rule, "owner": check.owner, "reason": check.reason},
        # Data Docs show this sentence; meta properties, GX's own way to do it, fail in 1.24.
        description=f"{check.rule}: {check.reason} (owner: {check.owner})",
    )


class Validator:
    """A GX context over one warehouse, for one run of one suite.

    Stores are in memory: the connection string with its password is never written. Data Docs are written
    below the given folder, a page per table and run.
    """

    def __init__(self, url: str, data_docs: Path | None) -> None:
        """Open a context; nothing is read yet. Waits for other threads: GX has one context a process."""
        _ONE_AT_A_TIME.acquire()
        try:
            self._open(url, data_docs)
        except BaseException:
            _ONE_AT_A_TIME.release()
            raise

    def _open(self, url: str, data_docs: Path | None) -> None:
        config = DataContextConfig(
            analytics_enabled=False,
            progress_bars=ProgressBarsConfig(globally=False, metric_calculations=False),
            store_backend_defaults=InMemoryStoreBackendDefaults(),
        )
        self._context = gx.get_context(mode="ephemeral", project_config=config)
        self._context.enable_analytics(False)
        self._data_docs = data_docs
        if data_docs is not None:
            self._context.add_data_docs_site(site_name=SITE, site_config=_site(data_docs))
        self._source = self._context.data_sources.add_sql(
            "warehouse", connection_string=url, create_temp_table=False
        )

    def close(self) -> None:
        """Close the connections."""
        BrokenRows.queries.clear()
        try:
            self._source.get_execution_engine().engine.dispose()
        finally:
            _ONE_AT_A_TIME.release()

    def prepare(
        self,
        suite: str,
        table: Table,
        batch_query: str,
        queries: Iterable[tuple[Sequence[Check], str]],
        personal_columns: Sequence[str],
        label: str = "",
    ) -> Any:
        """Return the GX validation definition of the touched rows of one table.

        Args:
            suite: its name.
            table: which.
            batch_query: its touched rows.
            queries: checks, and the query that finds for each of them what breaks it, see scope.broken_rows_query.
            personal_columns: whose values are never shown.
            label: what tells this definition from another of the same table.
        """
        name = f"{suite}.{table.name}{label}"
        expectations = []
        for number, (checks, query) in enumerate(queries):
            BrokenRows.queries[f"{name} {number}"] = query
            expectations += [_expectation(check, f"{name} {number}", personal_columns) for check in checks]
        asset = self._source.add_query_asset(f"{table.qualified}{label}", query=batch_query)
        batch = asset.add_batch_definition_whole_table("touched rows")
        gx_suite = self._context.suites.add(gx.ExpectationSuite(name=name, expectations=expectations))
        return self._context.validation_definitions.add(
            gx.ValidationDefinition(name=name, data=batch, suite=gx_suite)
        )

    def validate(self, name: str, definitions: Sequence[Any], run_name: str) -> dict[str, Outcome]:
        """Run validation definitions in one GX checkpoint; return the outcomes by rule.

        Args:
            name: of the checkpoint; unique within this validator.
            definitions: from `prepare`.
            run_name: folder of the run in Data Docs.
        """
        actions = (
            [UpdateDataDocsAction(name="docs", site_names=[SITE])] if self._data_docs is not None else []
        )
        checkpoint = gx.Checkpoint(
            name=name, validation_definitions=list(definitions), actions=actions, result_format=RESULT_FORMAT
        )
        self._context.checkpoints.add(checkpoint)
        outcome = checkpoint.run(run_id=RunIdentifier(run_name=run_name))
        return {
            result.expectation_config.meta["rule"]: _outcome(result)
            for run in outcome.run_results.values()
            for result in run.results
        }


def _site(folder: Path) -> dict[str, Any]:
    view = {"view": {"module_name": "expectations.gx_view", "class_name": "OfflinePageView"}}
    return {
        "class_name": "SiteBuilder",
        "store_backend": {
            "class_name": "TupleFilesystemStoreBackend",
            "base_directory": str(folder.resolve()),
        },
        "site_index_builder": {"module_name": "expectations.gx_view", "class_name": "NoIndex"},
        "site_section_builders": {"expectations": view, "validations": view, "profiling": "None"},
    }


def _outcome(result: Any) -> Outcome:
    error = _exception(result.exception_info or {})
    values = result.result or {}
    if error is not None:
        return Outcome(False, None, (), "not evaluated", error)
    count, sample = int(values["observed_value"]), tuple(values["details"]["sample"])
    return Outcome(bool(result.success), count, sample, f"{count:,} row{'' if count == 1 else 's'}", None)


def _exception(info: Mapping[str, Any]) -> str | None:
    """GX gives one exception, or one for each metric that raised."""
    entries = [info] if "raised_exception" in info else list(info.values())
    raised = [
        str(e.get("exception_message"))
        for e in entries
        if isinstance(e, Mapping) and e.get("raised_exception")
    ]
    return raised[0] if raised else None


VERSION: str = gx.__version__
