"""Mappings: YAML files that bring foreign rows into a source's wire format, each value a DuckDB SQL expression.

source: pocm
format: {delimiter: ";"}                # CSV: delimiter, quote, header, columns
                                        # plain text: lines, a regular expression whose named groups become columns
input: select ... from input            # optional: group, filter or multiply rows first
lookups: {modules: modules.csv}         # optional: files beside the input that `input` joins by these names
rules:                                  # the first rule whose `when` holds decides
  - when: event_type = 'view'
    event_type: PRODUCT_VIEWED
    envelope: {event_id: md5(...), occurred_at: event_time::timestamp, tenant_id: "'shop'"}
    payload: {product_id: product_id, price: price::decimal(18, 4)}

Every expression may ask `input_name()`: the name of the file, without its folders.

`input` has a column `millrace_row` beside the file's own: the number of the row in the file. Where the query's result
carries it on, as `select *` does, it says which row of the file each row of the result comes from; where rows are
grouped, `list(millrace_row)` says which ones. Rows of the file that the result does not name count as skipped, those
beyond the first of a group as folded, rows of the result beyond the first of one row of the file as expanded:
read + expanded = accepted + duplicate + quarantined + suppressed + skipped + folded. A result without the column is
counted by its sum: fewer rows than the file has are folded, more are expanded.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import yaml

from ingestion.contract import ContractError, Source, WireFormat
from ingestion.envelope import IN_PAYLOAD, TEXT_COLUMNS
from ingestion.errors import LoadError
from ingestion.inputs import Format, Input
from ingestion.sql import literal

LEDGER = "ledger"
INPUT_NAME = "input_name"
"""The SQL function that tells an expression the name of the file."""
ROW = "millrace_row"
"""The column of `input` that holds the number of each row in the file."""
LINE = "line"
"""The column that holds a line of plain text."""
REQUIRED = ("event_id", "occurred_at", "tenant_id")
MAPPED_COLUMNS = tuple(name for name in TEXT_COLUMNS if name not in ("event_type", "contract_version"))
_KEYS = ("source", "description", "format", "input", "lookups", "rules")
_RELATION = re.compile("[a-z][a-z0-9_]*")
_RESERVED = ("input", "incoming", "mapping_rows", "mentions")
_RULE_KEYS = ("when", "event_type", "envelope", "payload")


@dataclass(frozen=True)
class CsvFormat:
    """How a CSV file is written."""

    delimiter: str = ","
    quote: str = '"'
    """Empty: quotes mean nothing."""
    header: bool = True
    columns: tuple[str, ...] = ()
    """Names of the columns, where the file has no header or one that names them badly."""


@dataclass(frozen=True)
class LineFormat:
    """How the lines of a plain text are read."""

    pattern: str | None
    """A regular expression (RE2) that every line matches; its named groups become columns beside `line`, empty ones
    NULL. None: every line is a row as it is."""


@dataclass(frozen=True)
class Rule:
    """What rows of one kind become."""

    when: str
    event_type: str
    envelope: Mapping[str, str]
    payload: Mapping[str, str]


@dataclass(frozen=True)
class SourceMapping:
    """A mapping file."""

    path: Path
    sha256: str
    """Of the file, and of the lookups once they are there."""
    asks_name: bool
    """Whether what a row becomes depends on the name of its file."""
    csv: CsvFormat
    lines: LineFormat | None
    """How the input is read where it is plain text; None where it is a table."""
    input: str | None
    lookups: Mapping[str, str]
    """Relation to the name of a file beside the input."""
    rules: tuple[Rule, ...]
    tables: Mapping[str, Input] = field(default_factory=dict)
    """The lookups' files, once they are there."""

    def with_tables(self, tables: Mapping[str, Input]) -> SourceMapping:
        """Return the mapping with the files of its lookups, which are part of what it says."""
        parts = [self.sha256, *(f"{name} {tables[name].sha256}" for name in sorted(tables))]
        digest = hashlib.sha256("\n".join(parts).encode()).hexdigest() if tables else self.sha256
        return replace(self, sha256=digest, tables=tables)

    @property
    def format(self) -> Format | None:
        """The format of the input, where the mapping decides it."""
        return "lines" if self.lines is not None else None

    def wire(self, connection: duckdb.DuckDBPyConnection, relation: str, source: Source) -> str:
        """Return the SQL of a row's wire text; NULL where no rule holds.

        Args:
            connection: knows the relation.
            relation: a table or view with the input's columns.
            source: decides the wire format.

        Raises:
            LoadError: when an expression is wrong; names the rule, the field and the columns there are.
        """
        wire = ledger_format(source)
        cases = []
        for number, rule in enumerate(self.rules, start=1):
            where = f"{self.path.name}: rule {number} ({rule.event_type})"
            type_of(connection, relation, rule.when, f"{where}: when")
            values: dict[tuple[str, ...], str] = {_path(wire, "event_type"): literal(rule.event_type)}
            for name, expression in rule.envelope.items():
                kind = type_of(connection, relation, expression, f"{where}: envelope.{name}")
                values[_path(wire, name)] = f"({rendered(expression, kind)})::varchar"
            fields = {}
            for name, expression in rule.payload.items():
                kind = type_of(connection, relation, expression, f"{where}: payload.{name}")
                fields[name] = rendered(expression, kind)
            values |= _payload(wire, fields)
            cases.append(f"when {rule.when} then json_strip_nulls({_object(values)})::varchar")
        return f"case {' '.join(cases)} end"


def read_mapping(path: Path, source: Source) -> SourceMapping:
    """Read a mapping file.

    Raises:
        LoadError: when it is missing, no YAML, for another source, or names what there is not.
    """
    try:
        content = path.read_bytes()
        body = yaml.safe_load(content)
    except OSError as error:
        raise LoadError(f"mapping {path} cannot be read: {error.strerror or error}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LoadError(f"mapping {path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(body, dict):
        raise LoadError(f"mapping {path} must be a YAML mapping with the keys {', '.join(_KEYS)}")
    _only(path.name, body, _KEYS)
    if body.get("source") != source.name:
        raise LoadError(f"mapping {path} is for source {body.get('source')!r}, not {source.name!r}")
    rules = body.get("rules")
    if not isinstance(rules, list) or not rules:
        raise LoadError(f"mapping {path}: rules must be a list of at least one rule")
    query = body.get("input")
    if query is not None and not isinstance(query, str):
        raise LoadError(f"mapping {path}: input must be a SQL query over the relation `input`, is {query!r}")
    lines = _line_format(path.name, body.get("format"))
    lookups = _lookups(f"mapping {path}: lookups", body.get("lookups") or {})
    if lookups and query is None:
        raise LoadError(f"mapping {path}: lookups are for input to join, and there is no input")
    return SourceMapping(
        path,
        hashlib.sha256(content).hexdigest(),
        f"{INPUT_NAME}(".encode() in content,
        _csv_format(path.name, (body.get("format") or {}) if lines is None else {}),
        lines,
        query,
        lookups,
        tuple(_rule(f"{path.name}: rule {n}", rule, source) for n, rule in enumerate(rules, start=1)),
    )


def ledger_format(source: Source) -> WireFormat:
    """Return the wire format that tables are brought into: `ledger`, or the source's first."""
    formats = source.wire_formats
    return next((wire for wire in formats if wire.name == LEDGER), formats[0])


def type_of(connection: duckdb.DuckDBPyConnection, relation: str, expression: str, where: str) -> str:
    """Return the DuckDB type of an expression over a relation.

    Raises:
        LoadError: when the expression is wrong.
    """
    try:
        return str(connection.sql(f"select ({expression}) from {relation} limit 0").types[0])
    except duckdb.Error as error:
        reason = str(error).splitlines()[0].removeprefix("Binder Error: ").removeprefix("Parser Error: ")
        columns = ", ".join(column_names(connection, relation))
        raise LoadError(f"{where}: {expression!r} is wrong: {reason} (columns: {columns})") from error


def column_names(connection: duckdb.DuckDBPyConnection, relation: str) -> list[str]:
    """Return the columns of a relation."""
    return list(connection.sql(f"select * from {relation} limit 0").columns)


def rendered(expression: str, kind: str) -> str:
    """Return the SQL of a value as JSON holds it: times in RFC 3339, everything else by its type."""
    if kind.startswith("TIMESTAMP WITH TIME ZONE"):
        expression, kind = f"make_timestamp(epoch_us({expression}))", "TIMESTAMP"
    if kind.startswith("TIMESTAMP"):
        return f"strftime(({expression})::timestamp, '%Y-%m-%dT%H:%M:%S.%g') || 'Z'"
    if kind == "DATE":
        return f"strftime({expression}, '%Y-%m-%d')"
    return f"({expression})"


def _path(wire: WireFormat, name: str) -> tuple[str, ...]:
    for path in wire.envelope.get(name, ()):
        if not path.startswith(IN_PAYLOAD):
            return tuple(path.split("."))
    valid = ", ".join(
        key for key, paths in wire.envelope.items() if any(not path.startswith(IN_PAYLOAD) for path in paths)
    )
    raise LoadError(f"the {wire.name} form has no place for {name}; valid: {valid}")


def _payload(wire: WireFormat, fields: Mapping[str, str]) -> dict[tuple[str, ...], str]:
    """Return where the wire has a payload's fields: one object, or the places that it is put together from."""
    if wire.parts is None:
        members = ", ".join(f"{literal(name)}, {sql}" for name, sql in fields.items())
        return {_path(wire, "payload"): f"json_object({members})"}
    first = tuple(next(iter(wire.parts.objects)).split("."))
    apart = {name: tuple(paths[0].split(".")) for name, paths in wire.parts.values.items()}
    placed = {apart.get(name, (*first, name)): sql for name, sql in fields.items()}
    return placed if any(path[:-1] == first for path in placed) else {first: "json_object()"} | placed


def _object(values: Mapping[tuple[str, ...], str]) -> str:
    """Return the `json_object` call that puts values at their paths."""
    heads = list(dict.fromkeys(path[0] for path in values))
    members = []
    for head in heads:
        inner = {path[1:]: sql for path, sql in values.items() if path[0] == head}
        members.append(f"{literal(head)}, {inner[()] if () in inner else _object(inner)}")
    return f"json_object({', '.join(members)})"


def _line_format(where: str, body: Any) -> LineFormat | None:
    if not isinstance(body, dict) or "lines" not in body:
        return None
    _only(f"{where}: format of lines", body, ("lines",))
    pattern = body["lines"]
    if pattern is True:
        return LineFormat(None)
    if not isinstance(pattern, str) or not pattern:
        raise LoadError(f"{where}: format.lines must be a regular expression, or true for lines as they are")
    try:
        found = pc.extract_regex(pa.array([""]), pattern).type
    except pa.ArrowInvalid as error:
        raise LoadError(f"{where}: format.lines cannot be used: {str(error).splitlines()[0]}") from error
    if LINE in {column.name.lower() for column in found}:
        raise LoadError(f"{where}: format.lines names a group {LINE}, which is the whole line")
    return LineFormat(pattern)


def _csv_format(where: str, body: Any) -> CsvFormat:
    if not isinstance(body, dict):
        raise LoadError(
            f"{where}: format must be a mapping with delimiter, quote, header, columns, or with lines"
        )
    _only(f"{where}: format", body, ("delimiter", "quote", "header", "columns"))
    columns = tuple(map(str, body.get("columns") or ()))
    options = CsvFormat(
        str(body.get("delimiter", ",")),
        str(body.get("quote", '"') or ""),
        bool(body.get("header", not columns)),
        columns,
    )
    if len(options.delimiter.encode()) != 1:
        raise LoadError(f"{where}: format.delimiter must be one byte, is {options.delimiter!r}")
    if len(options.quote.encode()) > 1:
        raise LoadError(f"{where}: format.quote must be one byte or empty, is {options.quote!r}")
    return options


def _lookups(where: str, body: Any) -> dict[str, str]:
    if not isinstance(body, dict):
        raise LoadError(f"{where} must map names of relations to files beside the input, is {body!r}")
    for name, file in body.items():
        if not isinstance(name, str) or not _RELATION.fullmatch(name) or name in _RESERVED:
            raise LoadError(
                f"{where}: {name!r} is no name for a relation: [a-z][a-z0-9_]*, and not {_RESERVED[0]}"
            )
        if not isinstance(file, str) or not file or Path(file).name != file:
            raise LoadError(f"{where}.{name}: must be the name of a file beside the input, is {file!r}")
    return body


def _rule(where: str, body: Any, source: Source) -> Rule:
    if not isinstance(body, dict):
        raise LoadError(f"{where} must be a mapping with {', '.join(_RULE_KEYS)}")
    _only(where, body, _RULE_KEYS)
    try:
        event_type = source.contract(str(body.get("event_type"))).event_type
    except ContractError as error:
        raise LoadError(f"{where}: {error}") from error
    envelope = _expressions(f"{where}: envelope", body.get("envelope"))
    _only(f"{where}: envelope", envelope, MAPPED_COLUMNS)
    missing = [name for name in REQUIRED if name not in envelope]
    if missing:
        raise LoadError(f"{where}: envelope lacks {', '.join(missing)}")
    return Rule(
        str(body.get("when", "true")),
        event_type,
        envelope,
        _expressions(f"{where}: payload", body.get("payload")),
    )


def _expressions(where: str, body: Any) -> dict[str, str]:
    if not isinstance(body, dict) or not all(isinstance(name, str) for name in body):
        raise LoadError(f"{where} must map names to SQL expressions")
    return {name: _expression(value) for name, value in body.items()}


def _expression(value: Any) -> str:
    """Return a YAML value as SQL: `true` and `1.5` are written without quotes and mean themselves."""
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _only(where: str, body: Mapping[Any, Any], valid: Sequence[str]) -> None:
    for key in body:
        if key not in valid:
            raise LoadError(f"{where}: unknown key {key!r}; valid: {', '.join(valid)}")
