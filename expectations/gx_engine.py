"""Great Expectations: the one module that imports it.

Importing it takes about two seconds, so everything else in this package imports this module inside functions.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import great_expectations
import great_expectations.expectations
from great_expectations.checkpoint.actions import UpdateDataDocsAction
from great_expectations.core.run_identifier import RunIdentifier
from great_expectations.data_context.types.base import (
    DataContextConfig,
    InMemoryStoreBackendDefaults,
    ProgressBarsConfig,
)
from great_expectations.expectations.core.unexpected_rows_expectation import UnexpectedRowsExpectation
from great_expectations.render.components import LegacyDiagnosticRendererType, RenderedTableContent
from great_expectations.render.renderer.renderer import renderer

from expectations.model import Check, Table
from expectations.redact import redact_json

SITE = "millrace"
RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 5}

# GX is typed for pydantic 1 and re-exports without saying so.
gx: Any = great_expectations
gxe: Any = great_expectations.expectations

_ONE_AT_A_TIME = threading.Lock()

logging.getLogger("great_expectations").setLevel(logging.ERROR)


class ExpectNoRowsThatBreakRule(UnexpectedRowsExpectation):
    """No row of the batch breaks a rule that is written in SQL.

    Its query returns one row: how many rows break the rule, and a few of them as JSON. GX's own expectation
    runs a rule's query twice, once to count and once to fetch; this one reads the data once and keeps no more
    than the sample in memory.
    """

    personal_columns: list[str] = []  # noqa: RUF012  pydantic copies it per instance

    metric_dependencies: ClassVar[tuple[str, ...]] = ("unexpected_rows_query.table",)
    args_keys: ClassVar[tuple[str, ...]] = ("unexpected_rows_query", "personal_columns")

    def _validate(
        self,
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any] | None = None,
        execution_engine: Any = None,
    ) -> dict[str, Any]:
        (row,) = metrics["unexpected_rows_query.table"]
        count = int(row["unexpected_rows"])
        sample = redact_json(row["sample"], self.personal_columns)
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


def expectation(check: Check, query: str | None, personal_columns: Sequence[str]) -> Any:
    """Return the GX expectation of a check."""
    common: dict[str, Any] = {
        "meta": {"rule": check.rule, "owner": check.owner, "reason": check.reason},
        # Data Docs show this sentence; meta properties, GX's own way to do it, fail in 1.24.
        "description": f"{check.rule}: {check.reason} (owner: {check.owner})",
    }
    match check.kind:
        case "columns":
            columns = set(check.arguments["columns"])
            return gxe.ExpectTableColumnsToMatchSet(column_set=columns, exact_match=False, **common)
        case "not_null":
            return gxe.ExpectColumnValuesToNotBeNull(column=check.column, **common)
        case "in_set":
            values = list(check.arguments["values"])
            return gxe.ExpectColumnValuesToBeInSet(column=check.column, value_set=values, **common)
        case "between":
            bounds = {"min_value": check.arguments.get("min"), "max_value": check.arguments.get("max")}
            return gxe.ExpectColumnValuesToBeBetween(column=check.column, **bounds, **common)
        case _:
            return ExpectNoRowsThatBreakRule(
                unexpected_rows_query=query or "",
                personal_columns=list(personal_columns),
                **common,
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
        try:
            self._source.get_execution_engine().engine.dispose()
        finally:
            _ONE_AT_A_TIME.release()

    def prepare(self, suite: str, table: Table, batch_query: str, expectations: Sequence[Any]) -> Any:
        """Return the GX validation definition of the touched rows of one table."""
        name = f"{suite}.{table.name}"
        asset = self._source.add_query_asset(table.qualified, query=batch_query)
        batch = asset.add_batch_definition_whole_table("touched rows")
        gx_suite = self._context.suites.add(gx.ExpectationSuite(name=name, expectations=list(expectations)))
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
    details = values.get("details") or {}
    if "sample" in details:
        count, sample = int(values["observed_value"]), tuple(details["sample"])
    elif "mismatched" in details:
        missing = details["mismatched"].get("missing", [])
        return Outcome(
            bool(result.success),
            len(missing),
            tuple({"missing": m} for m in missing),
            f"columns missing: {', '.join(missing)}",
            None,
        )
    elif "unexpected_count" in values:
        count = int(values["unexpected_count"])
        column = result.expectation_config.kwargs.get("column", "value")
        seen = dict.fromkeys(str(v) for v in values.get("partial_unexpected_list") or ())
        sample = tuple({column: value} for value in seen)
    elif values.get("element_count") == 0 or result.success:
        count, sample = 0, ()
    else:
        return Outcome(False, None, (), "failed without a count", "GX reported a failure and no count")
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
