"""What a report is: one YAML file per report in a folder of its source, checked against the marts' columns.

Loading needs project files only: the definitions and dbt's manifest. Whatever a definition names that does not
exist is refused here, with the names there are, and not at night when the report is due.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from lake.errors import MillraceError
from orchestration.reports.periods import UNITS, LastPeriods

DEFINITIONS = Path(__file__).resolve().parent
Format = Literal["csv", "parquet", "html"]
Aggregate = Literal["sum", "min", "max", "ratio"]

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in")
"""What a filter may ask of a column."""
APART = ("currency", "unit", "grain")
"""Columns whose values are never added to each other: a sum names each, or a filter keeps to one."""
WORDS = frozenset(
    {
        *("title", "description", "owner", "mart", "time", "every", "metrics", "dimensions"),
        *("filters", "time_range", "format", "schedule"),
    }
)
REQUIRED = ("title", "description", "mart", "metrics", "time_range", "format")

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_EXACT = re.compile(r"(U?Int\d+|Decimal\(.*\))")
_NUMBER = re.compile(r"(U?Int\d+|Float\d+|Decimal\(.*\))")
_TIME = re.compile(r"Date(32)?|DateTime.*")
_PLAIN = re.compile(r"String|Bool|Enum.*|U?Int\d+|Date(32)?|DateTime.*|Decimal\(.*\)")
_CRON = re.compile(r"\S+( \S+){4}")


class ReportError(MillraceError):
    """A report's definition cannot be used, or it was asked for wrongly; the message says what there is."""


@dataclass(frozen=True)
class Metric:
    """A number of a report: an aggregate over columns of its mart; a ratio is that of two sums."""

    name: str
    aggregate: Aggregate
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Dimension:
    """What a report's rows are about: a column, or one key of a column of the type Map."""

    column: str
    key: str | None = None
    type: str = "String"
    """ClickHouse type of the column, or of the values under the key; neither Nullable nor LowCardinality."""

    @property
    def name(self) -> str:
        """As the definition writes it, and the report's column."""
        return self.column if self.key is None else f"{self.column}.{self.key}"


@dataclass(frozen=True)
class Filter:
    """Rows that a report keeps to."""

    field: Dimension
    operator: str
    value: Any


@dataclass(frozen=True)
class Report:
    """A checked definition."""

    source: str
    name: str
    title: str
    description: str
    owner: str
    mart: str
    time: str
    every: str | None
    metrics: tuple[Metric, ...]
    dimensions: tuple[Dimension, ...]
    filters: tuple[Filter, ...]
    time_range: LastPeriods
    format: Format
    schedule: str | None
    fingerprint: str
    """sha256 of the definition's bytes."""

    @property
    def id(self) -> str:
        """Source and name, as people type them: `pocm/daily_sales`."""
        return f"{self.source}/{self.name}"


@dataclass(frozen=True)
class MartColumns:
    """Columns of a mart as the manifest has them: types by name, which are personal, and the column of its days."""

    types: Mapping[str, str]
    personal: frozenset[str]
    time: str | None


def load_reports(manifest: Mapping[str, Any], folder: Path = DEFINITIONS) -> dict[str, Report]:
    """Read every report's definition, by id.

    Args:
        manifest: dbt's parsed project, whose marts the reports read.
        folder: holds one folder of definitions per source.

    Raises:
        ReportError: a definition breaks rules; the message names every broken one.
    """
    reports: dict[str, Report] = {}
    problems: list[str] = []
    for path in sorted(folder.glob("*/*.yaml")):
        source = path.parent.name
        found, wrong = read_report(path.read_bytes(), source, path.stem, marts_of(manifest, source))
        problems += [f"{source}/{path.name}: {problem}" for problem in wrong]
        if found is not None:
            reports[found.id] = found
    if problems:
        raise ReportError("\n".join(problems))
    return reports


def marts_of(manifest: Mapping[str, Any], source: str) -> dict[str, MartColumns]:
    """Return the marts of a source with their columns, by table name."""
    return {
        node["alias"]: MartColumns(
            {name: column["data_type"] for name, column in node["columns"].items()},
            frozenset(name for name, column in node["columns"].items() if _meta(column).get("pii")),
            node["config"].get("date_column"),
        )
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] == "marts" and node["fqn"][2] == source
    }


def _meta(column: Mapping[str, Any]) -> Mapping[str, Any]:
    meta: Mapping[str, Any] = column.get("config", {}).get("meta") or column.get("meta") or {}
    return meta


def read_report(
    content: bytes, source: str, name: str, marts: Mapping[str, MartColumns]
) -> tuple[Report | None, list[str]]:
    """Return the report that a file defines, or None, and every rule that it breaks."""
    try:
        declared = yaml.safe_load(content)
    except yaml.YAMLError as error:
        return None, [f"is no readable YAML: {error}"]
    if not isinstance(declared, dict):
        return None, ["is no mapping"]
    checker = _Checker(declared, marts)
    problems = list(checker.problems(source, name))
    if problems:
        return None, problems
    mart = marts[declared["mart"]]
    return (
        Report(
            source=source,
            name=name,
            title=declared["title"],
            description=" ".join(declared["description"].split()),
            owner=declared.get("owner", ""),
            mart=declared["mart"],
            time=declared.get("time") or mart.time or "",
            every=declared.get("every"),
            metrics=tuple(_metric(key, value) for key, value in declared["metrics"].items()),
            dimensions=tuple(checker.typed(text) for text in declared.get("dimensions", [])),
            filters=tuple(
                Filter(checker.typed(item["field"]), item["operator"], item["value"])
                for item in declared.get("filters", [])
            ),
            time_range=LastPeriods(declared["time_range"]["last"], declared["time_range"]["unit"]),
            format=declared["format"],
            schedule=declared.get("schedule"),
            fingerprint=hashlib.sha256(content).hexdigest(),
        ),
        [],
    )


class _Checker:
    """The rules of a definition."""

    def __init__(self, declared: Mapping[str, Any], marts: Mapping[str, MartColumns]) -> None:
        self.declared = declared
        self.marts = marts
        self.mart = marts.get(str(declared.get("mart")), MartColumns({}, frozenset(), None))

    def problems(self, source: str, name: str) -> Iterator[str]:
        if not _NAME.fullmatch(name):
            yield f"the file's name {name!r} is none: lower-case letters, digits and _"
        if unknown := sorted(set(self.declared) - WORDS):
            yield f"unknown {', '.join(unknown)}; valid: {', '.join(sorted(WORDS))}"
        if missing := [word for word in REQUIRED if not self.declared.get(word)]:
            yield f"has no {', '.join(missing)}"
            return
        for word in ("title", "description"):
            if not isinstance(self.declared[word], str):
                yield f"{word}: is no text"
        if self.declared["mart"] not in self.marts:
            yield f"mart: {source} has no mart {self.declared['mart']!r}; {_there_are(self.marts)}"
            return
        yield from self._time()
        yield from self._metrics()
        yield from self._dimensions()
        yield from self._filters()
        yield from self._kept_apart()
        if self.declared["format"] not in get_args(Format):
            yield f"format: {self.declared['format']!r} is none; {_there_are(get_args(Format))}"
        yield from self._schedule()

    def type_of(self, dimension: Dimension) -> str | None:
        """Return the bare type of a column or of the values under a key; None where there is no such thing."""
        kind = self.mart.types.get(dimension.column)
        if kind is None or (dimension.key is None) == kind.startswith("Map("):
            return None
        return "String" if dimension.key is not None else _bare(kind)

    def typed(self, text: str) -> Dimension:
        """Return a dimension that was checked, with its type."""
        dimension = _dimension(text)
        return replace(dimension, type=self.type_of(dimension) or "String")

    def _time(self) -> Iterator[str]:
        times = [name for name, kind in self.mart.types.items() if _TIME.fullmatch(_bare(kind))]
        time = self.declared.get("time") or self.mart.time
        if time not in times:
            yield f"time: {time!r} is no column with a time; {_there_are(times)}"
        every = self.declared.get("every")
        if every is not None and every not in UNITS:
            yield f"every: {every!r} is no period; {_there_are(UNITS)}"
        elif every == "hour" and _bare(self.mart.types.get(str(time), "")) in ("Date", "Date32"):
            yield f"every: {time} is a day and has no hours"
        span = self.declared["time_range"]
        if not isinstance(span, dict) or set(span) != {"last", "unit"}:
            yield "time_range: has exactly `last`, a number, and `unit`"
        elif span["unit"] not in UNITS:
            yield f"time_range: {span['unit']!r} is no unit; {_there_are(UNITS)}"
        elif isinstance(span["last"], bool) or not isinstance(span["last"], int) or span["last"] < 1:
            yield f"time_range: last is {span['last']!r}, not a number of {span['unit']}s"

    def _metrics(self) -> Iterator[str]:
        metrics = self.declared["metrics"]
        if not isinstance(metrics, dict):
            yield "metrics: maps the name of each to its aggregate, as `revenue: {sum: gmv}`"
            return
        for name, declared in metrics.items():
            if not _NAME.fullmatch(str(name)):
                yield f"metrics.{name}: the name has other than lower-case letters, digits and _"
            if not isinstance(declared, dict) or len(declared) != 1:
                yield f"metrics.{name}: has exactly one aggregate; {_there_are(get_args(Aggregate))}"
                continue
            aggregate, columns = next(iter(declared.items()))
            if aggregate not in get_args(Aggregate):
                yield f"metrics.{name}: {aggregate!r} is no aggregate; {_there_are(get_args(Aggregate))}"
            elif aggregate == "ratio" and not (isinstance(columns, list) and len(columns) == 2):
                yield f"metrics.{name}: ratio takes [numerator, denominator]"
            else:
                for column in columns if aggregate == "ratio" else [columns]:
                    yield from self._column(str(name), aggregate, column)

    def _column(self, metric: str, aggregate: str, column: Any) -> Iterator[str]:
        adds = aggregate in ("sum", "ratio")
        fitting = [
            name
            for name, kind in self.mart.types.items()
            if (_EXACT if adds else _NUMBER).fullmatch(_bare(kind)) and name not in self.mart.personal
        ]
        kind = self.mart.types.get(str(column))
        if kind is None:
            yield f"metrics.{metric}: {self.declared['mart']} has no column {column!r}; {_there_are(fitting)}"
        elif column not in fitting:
            why = "which does not add up" if adds else "which is no number"
            yield f"metrics.{metric}: {column} is {kind}, {why}; {_there_are(fitting)}"

    def _dimensions(self) -> Iterator[str]:
        dimensions = self.declared.get("dimensions", [])
        if not isinstance(dimensions, list) or not all(isinstance(item, str) for item in dimensions):
            yield "dimensions: takes a list of columns"
            return
        for text in dimensions:
            yield from self._field(f"dimensions: {text}", _dimension(text))
        names = [*dimensions, *self.declared["metrics"], *(["period"] if self.declared.get("every") else [])]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            yield f"{', '.join(repeated)}: two columns of the report have this name"

    def _field(self, where: str, field: Dimension) -> Iterator[str]:
        kind = self.type_of(field)
        plain = [
            f"{name}.<key>" if kind.startswith("Map(String, String)") else name
            for name, kind in self.mart.types.items()
            if name not in self.mart.personal
            and (kind.startswith("Map(String, String)") or _PLAIN.fullmatch(_bare(kind)))
        ]
        if field.column in self.mart.personal:
            yield f"{where} is personal and leaves the warehouse in no report; {_there_are(plain)}"
        elif kind is None or not _PLAIN.fullmatch(kind):
            yield f"{where} is no dimension of {self.declared['mart']}; {_there_are(plain)}"

    def _filters(self) -> Iterator[str]:
        filters = self.declared.get("filters", [])
        if not isinstance(filters, list):
            yield "filters: takes a list"
            return
        for number, item in enumerate(filters, 1):
            where = f"filters[{number}]"
            if not isinstance(item, dict) or set(item) != {"field", "operator", "value"}:
                yield f"{where}: has exactly `field`, `operator` and `value`"
                continue
            yield from self._field(f"{where}: {item['field']}", _dimension(str(item["field"])))
            if item["operator"] not in OPERATORS:
                yield f"{where}: {item['operator']!r} is no operator; {_there_are(OPERATORS)}"
            elif (item["operator"] in ("in", "not in")) != isinstance(item["value"], list):
                yield f"{where}: {item['operator']} takes {'a list' if 'in' in item['operator'] else 'one value'}"

    def _kept_apart(self) -> Iterator[str]:
        fixed = {
            item.get("field")
            for item in self.declared.get("filters") or []
            if isinstance(item, dict) and item.get("operator") == "="
        }
        mixed = [
            name
            for name in APART
            if name in self.mart.types
            and name not in (self.declared.get("dimensions") or [])
            and name not in fixed
        ]
        if mixed:
            yield (
                f"{', '.join(mixed)}: values of different ones do not add up; "
                "make it a dimension, or keep to one with a filter `=`"
            )

    def _schedule(self) -> Iterator[str]:
        from dagster._utils.schedules import is_valid_cron_string  # noqa: PLC0415  only reports need it

        cron = self.declared.get("schedule")
        if cron is None:
            return
        if not isinstance(cron, str) or not _CRON.fullmatch(cron) or not is_valid_cron_string(cron):
            yield f"schedule: {cron!r} is no cron of five fields, such as '15 6 * * *', in UTC"


def _bare(kind: str) -> str:
    while found := re.fullmatch(r"(?:Nullable|LowCardinality)\((.*)\)", kind):
        kind = found[1]
    return kind


def _dimension(text: str) -> Dimension:
    column, _, key = text.partition(".")
    return Dimension(column, key or None)


def _metric(name: str, declared: Mapping[Aggregate, Any]) -> Metric:
    aggregate, columns = next(iter(declared.items()))
    return Metric(name, aggregate, tuple(columns) if isinstance(columns, list) else (columns,))


def _there_are(names: Iterator[str] | Sequence[str] | Mapping[str, Any]) -> str:
    return f"there are {', '.join(names) or 'none'}"
