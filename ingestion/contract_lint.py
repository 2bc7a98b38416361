"""The rules that contract files keep: what the loader enforces, and nothing that it would ignore."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from ingestion.derive import KINDS
from ingestion.oracle import schema_validator
from ingestion.schema_types import (
    SCALAR_TYPES,
    base_clickhouse_type,
    has_fields,
    is_nullable,
    is_open,
    required_when,
    types_of,
    value_schema,
)

SOURCE_FILE = "_source.yaml"
METASCHEMA = "https://json-schema.org/draft/2020-12/schema"
FORMATS = ("date-time", "date")
PII_ACTIONS = ("pseudonymise", "drop")

KEYWORDS_OF_TYPE: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format", "enum", "const"}),
    "integer": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "enum", "const"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "x-type"}),
    "boolean": frozenset({"enum", "const"}),
    "array": frozenset({"minItems", "maxItems", "items"}),
    "object": frozenset({"properties", "required", "additionalProperties"}),
}
"""The constraints that mean something for a type, beside those of every property."""
COMMON_KEYWORDS = frozenset(
    {"type", "description", "title", "x-unit", "x-pii", "x-derive", "x-example", "x-column"}
)
TOP_KEYWORDS = frozenset({"$schema", "x-version", "x-entity", "x-aliases", "x-owner", "allOf"})
OF_FIELDS = frozenset({"x-pii", "x-derive", "x-column"})
"""What is said of a field of the payload, neither of the payload nor of an element."""

SOURCE_KEYS: Mapping[str, bool] = {
    "description": True,
    "owner": True,
    "wire_formats": True,
    "future_tolerance_minutes": True,
    "max_event_bytes": True,
    "correlations": False,
    "pii": False,
    "anonymous": False,
    "tenants": False,
    "user_id_scope": False,
}
"""Keys of a source file, and whether they are required."""
ENVELOPE_KEYS: Mapping[str, bool] = {
    "event_id": True,
    "event_type": True,
    "contract_version": False,
    "tenant_id": True,
    "occurred_at": True,
    "received_at": False,
    "user_id": False,
    "session_id": False,
    "device_id": False,
    "order_id": False,
    "trace_id": False,
    "idempotency_key": False,
    "producer": False,
    "payload": True,
}
"""What a wire format maps, and whether it must."""

DEFAULT_COLUMNS = ("tenant_id", "contract_version", "producer")
"""Envelope columns that a wire format may give one value for all events that bring none."""
CORRELATION_COLUMNS = frozenset({"session_id", "device_id", "order_id", "trace_id"})
"""Envelope columns that a payload may carry too: the same identifier."""
IDENTIFYING_COLUMNS = frozenset({"user_id", *CORRELATION_COLUMNS})
"""Envelope columns that an event which names nobody goes without."""
CONDITION_COLUMNS = frozenset({"event_type", "producer"})
"""Envelope columns that can tell such an event."""
PAYLOAD_PREFIX = "payload."
OWN_DATE = "self"
"""How an event touches its own date: no correlation may be named so."""
RESERVED_NAMES = frozenset(
    {
        *("event_id", "idempotency_key", "source", "event_type", "contract_version", "tenant_id"),
        *("occurred_at", "occurred_date", "received_at", "received_hour", "user_key", "producer", "load_id"),
        *("row_number", "payload", "parsed", "is_duplicate", "null"),
    }
)
RESERVED_ENTITIES = frozenset({"events"})

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LOWER_NAME = re.compile(r"[a-z][a-z0-9_]*")
_DOTTED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")
_FILE_NAME = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\.v([1-9][0-9]*)\.yaml")
_PATTERN_TOKEN = re.compile(
    r"""\\[dDwW]                              # classes that mean the same in RE2 and in ASCII Python
      | \\[^A-Za-z0-9]                        # an escaped punctuation mark
      | \[\^?\]?(?:\\[dDwW]|\\[^A-Za-z0-9]|[^\\\[\]])*\]
      | \((?!\?) | \(\?: | \) | \|
      | (?:[*+?] | \{[0-9]{1,3}(?:,[0-9]{0,3})?\})\??(?![*+?{])
      | [\^$]
      | [^\\\[\](){}|*+?.^$]""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class Document:
    """A parsed contract or source file."""

    path: Path
    """Relative to the folder of all contracts."""
    content: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """A broken rule."""

    file: Path
    where: str
    """Path inside the file, or empty."""
    message: str

    def __str__(self) -> str:
        """Return `file: where: message`."""
        return ": ".join(part for part in (self.file.as_posix(), self.where, self.message) if part)


@dataclass(frozen=True)
class _Property:
    """A declared property and where it stands."""

    where: str
    column: str
    """Name of the column it becomes, or of the tuple element inside an array."""
    schema: Mapping[str, Any]
    in_array: bool
    has_currency: bool
    """Whether a currency stands beside it or further out."""


@dataclass
class _Collector:
    """Gathers the problems of one file."""

    file: Path
    problems: list[Problem] = field(default_factory=list)

    def add(self, where: str, message: str) -> None:
        """Note a broken rule."""
        self.problems.append(Problem(self.file, where, message))

    def add_unless(self, valid: bool, where: str, message: str) -> None:
        """Note a broken rule unless the condition holds."""
        if not valid:
            self.add(where, message)


def lint_documents(source: str, documents: Sequence[Document]) -> list[Problem]:
    """Return every rule that a source's files break, the source file's first."""
    if not _LOWER_NAME.fullmatch(source):
        return [Problem(Path(source), "", f"a source's folder is named [a-z][a-z0-9_]*, not {source!r}")]
    problems: list[Problem] = []
    pii: Mapping[str, Any] = {}
    header: Document | None = None
    for document in documents:
        if document.path.name == SOURCE_FILE:
            found = _lint_source_file(document)
            problems += found
            header = None if found else document
            pii = {} if found else document.content.get("pii", {})
    sound: list[Document] = []
    for document in documents:
        if document.path.name != SOURCE_FILE:
            found = _lint_contract(document, pii)
            problems += found
            if not found:
                sound.append(document)
    problems += _lint_event_names(sound)
    problems += _lint_shared_names(sound)
    if header is not None:
        problems += _lint_correlated_fields(header, sound)
        problems += _lint_anonymous_fields(header, sound)
    return problems


# the source file


def _lint_source_file(document: Document) -> list[Problem]:
    report = _Collector(document.path)
    content = document.content
    _check_keys(report, "", content, SOURCE_KEYS)
    for key in ("description", "owner", "user_id_scope"):
        if key in content:
            report.add_unless(_is_text(content[key]), key, f"must be a text, is {content[key]!r}")
    for key, least in (("future_tolerance_minutes", 0), ("max_event_bytes", 1)):
        if key in content:
            report.add_unless(
                _is_integer(content[key]) and content[key] >= least,
                key,
                f"must be an integer of at least {least}, is {content[key]!r}",
            )
    tenants = content.get("tenants", [])
    report.add_unless(_is_text_list(tenants), "tenants", f"must be a list of texts, is {tenants!r}")
    _lint_source_pii(report, content.get("pii", {}))
    _lint_correlations(report, content.get("correlations", {}))
    if "anonymous" in content:
        _lint_anonymous(report, content["anonymous"])
    formats = content.get("wire_formats", {})
    if not isinstance(formats, dict) or not formats:
        report.add("wire_formats", "must name at least one wire format")
        return report.problems
    for name, body in formats.items():
        _lint_wire_format(report, f"wire_formats.{name}", body)
    return report.problems


def _lint_source_pii(report: _Collector, pii: Any) -> None:
    if not isinstance(pii, dict):
        report.add("pii", f"must map names to {{class, action}}, is {pii!r}")
        return
    for name, rule in pii.items():
        report.add_unless(_is_name(name), f"pii.{name}", f"{name!r} is no field name")
        _lint_pii_rule(report, f"pii.{name}", rule)


def _lint_correlations(report: _Collector, correlations: Any) -> None:
    if not isinstance(correlations, dict):
        report.add("correlations", f"must map names to the paths of their keys, is {correlations!r}")
        return
    for name, declared in correlations.items():
        where = f"correlations.{name}"
        columns = CORRELATION_COLUMNS
        paths = declared
        if isinstance(declared, dict):
            _check_keys(report, where, declared, {"first_of": True, "around": True, "unless": False})
            around, unless, paths = (declared.get(key) for key in ("around", "unless", "first_of"))
            report.add_unless(around == "midnight", f"{where}.around", f"must be midnight, is {around!r}")
            report.add_unless(
                unless is None or unless in CORRELATION_COLUMNS,
                f"{where}.unless",
                _not_one_of(unless, sorted(CORRELATION_COLUMNS)),
            )
            # Of a key that lives for months, as a user's, only what happens around one midnight is tied together.
            columns = columns | {"user_key"}
        valid_name = isinstance(name, str) and bool(_LOWER_NAME.fullmatch(name)) and name != OWN_DATE
        report.add_unless(
            valid_name, where, f"must be a word of [a-z][a-z0-9_]* and not {OWN_DATE}, is {name!r}"
        )
        listed = [paths] if isinstance(paths, str) else paths
        if not _is_text_list(listed) or not listed:
            report.add(where, f"must be a path or a list of them, is {paths!r}")
            continue
        for path in listed:
            is_payload = path.startswith(PAYLOAD_PREFIX) and bool(_DOTTED.fullmatch(path))
            report.add_unless(
                is_payload or path in columns,
                where,
                f"{path!r} holds no key; valid: {', '.join(sorted(columns))}, {PAYLOAD_PREFIX}<field>",
            )


def _lint_anonymous(report: _Collector, body: Any) -> None:
    if not isinstance(body, dict):
        report.add("anonymous", f"must be {{when, drop, drop_payload}}, is {body!r}")
        return
    _check_keys(report, "anonymous", body, {"when": True, "drop": True, "drop_payload": False})
    when = body.get("when")
    if not isinstance(when, dict) or not when:
        report.add("anonymous.when", f"must name at least one condition, is {when!r}")
        when = {}
    for name, condition in when.items():
        _lint_condition(report, f"anonymous.when.{name}", condition)
    drop, names = body.get("drop", []), body.get("drop_payload", [])
    valid = _is_text_list(drop) and set(drop) <= IDENTIFYING_COLUMNS and "user_id" in drop
    report.add_unless(
        valid,
        "anonymous.drop",
        f"must list user_id and what else of {', '.join(sorted(IDENTIFYING_COLUMNS))} to drop, is {drop!r}",
    )
    report.add_unless(
        _is_text_list(names) and all(_is_name(name) for name in names),
        "anonymous.drop_payload",
        f"must be a list of field names, is {names!r}",
    )


def _lint_condition(report: _Collector, where: str, condition: Any) -> None:
    keys = {"description": True, "fields": True, "matches": True}
    if not isinstance(condition, dict):
        report.add(where, f"must be {{{', '.join(keys)}}}, is {condition!r}")
        return
    _check_keys(report, where, condition, keys)
    report.add_unless(
        _is_text(condition.get("description")), f"{where}.description", "must say why nobody is named"
    )
    fields = condition.get("fields")
    listed = [fields] if isinstance(fields, str) else fields
    if not _is_text_list(listed) or not listed:
        report.add(f"{where}.fields", f"must be a field or a list of them, is {fields!r}")
        listed = []
    for path in listed:
        report.add_unless(
            path in CONDITION_COLUMNS or (path.startswith(PAYLOAD_PREFIX) and bool(_DOTTED.fullmatch(path))),
            f"{where}.fields",
            f"{path!r} tells nothing; valid: {', '.join(sorted(CONDITION_COLUMNS))}, {PAYLOAD_PREFIX}<field>",
        )
    pattern = condition.get("matches", "")
    fault = _pattern_fault(pattern) if _is_text(pattern) else "is no regular expression"
    if fault:
        report.add(f"{where}.matches", f"{pattern!r} {fault}")


def _lint_pii_rule(report: _Collector, where: str, rule: Any) -> bool:
    if not isinstance(rule, dict) or set(rule) != {"class", "action"}:
        report.add(where, f"must be {{class: <word>, action: {' | '.join(PII_ACTIONS)}}}, is {rule!r}")
        return False
    valid_class = isinstance(rule["class"], str) and bool(_LOWER_NAME.fullmatch(rule["class"]))
    report.add_unless(
        valid_class, f"{where}.class", f"must be a word of [a-z][a-z0-9_]*, is {rule['class']!r}"
    )
    valid_action = rule["action"] in PII_ACTIONS
    report.add_unless(valid_action, f"{where}.action", _not_one_of(rule["action"], PII_ACTIONS))
    return valid_class and valid_action


def _lint_wire_format(report: _Collector, where: str, body: Any) -> None:
    if not isinstance(body, dict):
        report.add(where, f"must be {{description, detect, envelope}}, is {body!r}")
        return
    keys = {"description": True, "detect": True, "envelope": True, "defaults": False}
    _check_keys(report, where, body, keys)
    detect = body.get("detect")
    report.add_unless(
        _is_text_list(detect) and bool(detect),
        f"{where}.detect",
        f"must be a list of top-level keys, is {detect!r}",
    )
    envelope = body.get("envelope")
    if not isinstance(envelope, dict):
        report.add(f"{where}.envelope", f"must map envelope columns to paths, is {envelope!r}")
        return
    _check_keys(report, f"{where}.envelope", envelope, ENVELOPE_KEYS)
    is_spread = isinstance(envelope.get("payload"), dict)
    for column, paths in envelope.items():
        if column == "payload" and is_spread:
            _lint_payload_parts(report, f"{where}.envelope.payload", paths)
        elif _lint_paths(report, f"{where}.envelope.{column}", paths) and is_spread:
            inside = [path for path in _listed(paths) if path.startswith(PAYLOAD_PREFIX)]
            report.add_unless(
                not inside,
                f"{where}.envelope.{column}",
                f"{', '.join(inside)} goes on inside a payload that is put together: name the path on the wire",
            )
    _lint_defaults(report, f"{where}.defaults", body.get("defaults", {}))


def _lint_payload_parts(report: _Collector, where: str, parts: Mapping[str, Any]) -> None:
    _check_keys(report, where, parts, {"objects": True, "values": False})
    objects, values = parts.get("objects"), parts.get("values", {})
    if not isinstance(objects, dict) or not objects or not isinstance(values, dict):
        report.add(
            where,
            "must be {objects: {<dotted path>: {<wire name>: <field>}}, values: {<field>: <dotted path>}}",
        )
        return
    for path, names in objects.items():
        place = f"{where}.objects.{path}"
        report.add_unless(isinstance(path, str) and bool(_DOTTED.fullmatch(path)), place, "is no dotted path")
        if not isinstance(names, dict) or not all(_is_name(n) for n in (*names, *names.values())):
            report.add(place, f"must map names on the wire to fields, {{}} for none; is {names!r}")
            continue
        twice = sorted({field for field in names.values() if list(names.values()).count(field) > 1})
        report.add_unless(
            not twice, place, f"two names become {', '.join(twice)}: every event would repeat it"
        )
    for name, paths in values.items():
        report.add_unless(_is_name(name), f"{where}.values.{name}", f"{name!r} is no field name")
        _lint_paths(report, f"{where}.values.{name}", paths)


def _lint_defaults(report: _Collector, where: str, defaults: Any) -> None:
    if not isinstance(defaults, dict):
        report.add(where, f"must map envelope columns to texts, is {defaults!r}")
        return
    for column, value in defaults.items():
        report.add_unless(
            column in DEFAULT_COLUMNS, f"{where}.{column}", _not_one_of(column, DEFAULT_COLUMNS)
        )
        report.add_unless(_is_text(value), f"{where}.{column}", f"must be a text, is {value!r}")


def _lint_paths(report: _Collector, where: str, paths: Any) -> bool:
    listed = _listed(paths)
    valid = _is_text_list(listed) and bool(listed) and all(_DOTTED.fullmatch(path) for path in listed)
    report.add_unless(valid, where, f"must be a dotted path or a list of them, is {paths!r}")
    return valid


def _listed(paths: Any) -> Any:
    return [paths] if isinstance(paths, str) else paths


# one contract


def _lint_contract(document: Document, source_pii: Mapping[str, Any]) -> list[Problem]:
    report = _Collector(document.path)
    content = document.content
    if not _keys_are_texts(content):
        report.add("", "every key must be a text; quote keys such as on, no and 1")
        return report.problems
    if not _FILE_NAME.fullmatch(document.path.name):
        report.add("", "a contract's file is named <EVENT_TYPE>.v<major>.yaml")
    # A schema that is none cannot be walked: its other faults show when this one is mended.
    for error in Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(content):
        report.add(".".join(str(part) for part in error.absolute_path), f"is no JSON Schema: {error.message}")
    if report.problems:
        return report.problems
    _lint_header(report, content)
    properties = list(_walk(report, content))
    for prop in properties:
        _lint_property(report, prop, source_pii)
    _lint_columns(report, properties)
    _lint_derivations(report, content)
    _lint_conditions(report, content)
    if not report.problems:
        _lint_examples(report, properties)
    return report.problems


def _lint_header(report: _Collector, content: Mapping[str, Any]) -> None:
    version = content.get("x-version")
    match = _FILE_NAME.fullmatch(report.file.name)
    major = match[2] if match else "?"
    report.add_unless(
        isinstance(version, str) and bool(re.fullmatch(rf"{major}\.(0|[1-9][0-9]*)", version)),
        "x-version",
        f'must be "{major}.<minor>" as the file name says, is {version!r}',
    )
    entity = content.get("x-entity")
    report.add_unless(
        isinstance(entity, str) and bool(_LOWER_NAME.fullmatch(entity)) and entity not in RESERVED_ENTITIES,
        "x-entity",
        f"must be a plural of [a-z][a-z0-9_]* such as payments, and not events; is {entity!r}",
    )
    aliases = content.get("x-aliases", [])
    report.add_unless(
        _is_text_list(aliases) and all(_is_name(alias) for alias in aliases),
        "x-aliases",
        f"must be a list of event names, is {aliases!r}",
    )
    if "x-owner" in content:
        report.add_unless(
            _is_text(content["x-owner"]), "x-owner", f"must be a text, is {content['x-owner']!r}"
        )
    schema = content.get("$schema", METASCHEMA)
    report.add_unless(schema == METASCHEMA, "$schema", _not_one_of(schema, (METASCHEMA,)))
    report.add_unless(_is_text(content.get("description")), "description", "an event needs a description")
    report.add_unless(
        content.get("type") == "object",
        "type",
        f"a payload is an object: must be object, is {content.get('type')!r}",
    )
    _check_keywords(
        report,
        "",
        content,
        KEYWORDS_OF_TYPE["object"] | TOP_KEYWORDS | COMMON_KEYWORDS - OF_FIELDS,
    )


def _walk(report: _Collector, top: Mapping[str, Any]) -> Iterator[_Property]:
    yield from _walk_object(report, "", "", top, in_array=False, has_currency=False)


def _walk_object(
    report: _Collector,
    where: str,
    column_prefix: str,
    schema: Mapping[str, Any],
    *,
    in_array: bool,
    has_currency: bool,
) -> Iterator[_Property]:
    """Yield the properties of an object and of the objects inside it, and check the object itself."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    report.add_unless(
        bool(properties), f"{where}.properties".lstrip("."), "an object declares at least one property"
    )
    for name in schema.get("required", ()):
        report.add_unless(
            name in properties,
            f"{where}.required".lstrip("."),
            f"{name!r} is no property of it; valid: {', '.join(properties) or 'none'}",
        )
    report.add_unless(
        schema.get("additionalProperties", True) is True,
        f"{where}.additionalProperties".lstrip("."),
        "must be true or absent: unknown fields are kept",
    )
    has_currency = has_currency or any(
        (name == "currency" or name.endswith("_currency"))
        and isinstance(sub, dict)
        and types_of(sub) == ("string",)
        for name, sub in properties.items()
    )
    for name, sub in properties.items():
        path = f"{where}.properties.{name}".lstrip(".")
        if not isinstance(sub, dict):
            report.add(path, f"must be a schema with a type and a description, is {sub!r}")
            continue
        if not _is_name(name):
            report.add(path, f"{name!r} cannot be a column name; valid: [A-Za-z_][A-Za-z0-9_]*")
            continue
        column = column_prefix + name
        own_name = sub.get("x-column", column) if not in_array and not has_fields(sub) else column
        yield _Property(path, own_name, sub, in_array, has_currency)
        if has_fields(sub) and not in_array:
            yield from _walk_object(
                report, path, f"{column}_", sub, in_array=False, has_currency=has_currency
            )
        element = sub.get("items")
        if isinstance(element, dict) and types_of(element) == ("object",):
            yield from _walk_object(
                report, f"{path}.items", "", element, in_array=True, has_currency=has_currency
            )


def _lint_property(report: _Collector, prop: _Property, source_pii: Mapping[str, Any]) -> None:
    where, schema = prop.where, prop.schema
    report.add_unless(
        _is_text(schema.get("description")), f"{where}.description", "every property needs a description"
    )
    if "x-unit" in schema:
        report.add_unless(
            _is_text(schema["x-unit"]), f"{where}.x-unit", f"must be a text, is {schema['x-unit']!r}"
        )
    types = types_of(schema)
    if len(types) != 1:
        report.add(
            f"{where}.type",
            f"must be one type, or one and null; is {schema.get('type')!r}; valid: {_types()}",
        )
        return
    kind = types[0]
    _check_keywords(report, where, schema, KEYWORDS_OF_TYPE[kind] | COMMON_KEYWORDS)
    if kind == "array":
        _lint_array(report, prop)
    elif kind == "object" and prop.in_array:
        report.add(f"{where}.type", "an array's element holds scalars only, is object")
    elif is_open(schema):
        _lint_open(report, prop)
    else:
        _lint_constraints(report, where, schema, kind)
    if schema.get("x-type") == "money":
        report.add_unless(
            prop.has_currency,
            where,
            "an amount needs a currency beside it, or around it: a string property named currency",
        )
    if "x-column" in schema:
        report.add_unless(
            _is_name(schema["x-column"]) and not prop.in_array and not has_fields(schema),
            f"{where}.x-column",
            f"must name the column of a field outside arrays, [A-Za-z_][A-Za-z0-9_]*, is {schema['x-column']!r}",
        )
    _lint_pii(report, prop, kind, source_pii)


def _lint_open(report: _Collector, prop: _Property) -> None:
    where, schema = prop.where, prop.schema
    report.add_unless("required" not in schema, f"{where}.required", "an open object declares no member")
    values = value_schema(schema)
    if values is None:
        report.add_unless(
            schema["additionalProperties"] is True,
            f"{where}.additionalProperties",
            "must say what the values are, or be true where any JSON will do",
        )
        return
    inner, types = f"{where}.additionalProperties", types_of(values)
    if len(types) != 1 or types[0] not in SCALAR_TYPES:
        report.add(f"{inner}.type", f"must be one of {', '.join(SCALAR_TYPES)}, is {values.get('type')!r}")
        return
    # An amount needs its currency beside it, and here nobody says which key that would be.
    allowed = KEYWORDS_OF_TYPE[types[0]] | COMMON_KEYWORDS - OF_FIELDS
    _check_keywords(report, inner, values, allowed - {"x-type"})
    _lint_constraints(report, inner, values, types[0])


def _lint_array(report: _Collector, prop: _Property) -> None:
    where, element = prop.where, prop.schema.get("items")
    if prop.in_array:
        report.add(f"{where}.type", "an array's element holds scalars only, is array")
        return
    if not isinstance(element, dict):
        report.add(f"{where}.items", "an array says what its elements are")
        return
    types = types_of(element)
    if len(types) != 1 or types[0] not in (*SCALAR_TYPES, "object") or is_nullable(element):
        report.add(
            f"{where}.items.type",
            f"must be one of {', '.join(SCALAR_TYPES)}, object and never null; is {element.get('type')!r}",
        )
        return
    allowed = KEYWORDS_OF_TYPE[types[0]] | COMMON_KEYWORDS - OF_FIELDS
    _check_keywords(report, f"{where}.items", element, allowed)
    if types[0] != "object":
        _lint_constraints(report, f"{where}.items", element, types[0])
        if element.get("x-type") == "money":
            report.add_unless(
                prop.has_currency, f"{where}.items", "an amount needs a currency beside it: property currency"
            )


def _lint_constraints(report: _Collector, where: str, schema: Mapping[str, Any], kind: str) -> None:
    for keyword in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
        if keyword in schema:
            value = schema[keyword]
            valid = _is_integer(value) if kind == "integer" else math.isfinite(value)
            report.add_unless(valid, f"{where}.{keyword}", f"must be a finite {kind}, is {value!r}")
    for low, high in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if low in schema and high in schema and schema[low] > schema[high]:
            report.add(
                f"{where}.{low}", f"{schema[low]} is above {high} {schema[high]}: nothing could be valid"
            )
    if "format" in schema:
        report.add_unless(
            schema["format"] in FORMATS, f"{where}.format", _not_one_of(schema["format"], FORMATS)
        )
    if "pattern" in schema:
        fault = _pattern_fault(schema["pattern"])
        if fault:
            report.add(f"{where}.pattern", f"{schema['pattern']!r} {fault}")
    if "x-type" in schema:
        report.add_unless(
            schema["x-type"] == "money", f"{where}.x-type", _not_one_of(schema["x-type"], ("money",))
        )
    _lint_values(report, where, schema, kind)


def _lint_values(report: _Collector, where: str, schema: Mapping[str, Any], kind: str) -> None:
    values = [schema["const"]] if "const" in schema else []
    values += schema.get("enum", [])
    keyword = "enum" if "enum" in schema else "const"
    if not values:
        report.add_unless("enum" not in schema, f"{where}.enum", "must name at least one value")
        return
    for value in values:
        if value is None:
            report.add_unless(
                is_nullable(schema), f"{where}.{keyword}", "names null, which the type does not allow"
            )
        elif not _is_of_type(value, kind):
            report.add(f"{where}.{keyword}", f"{value!r} is no {kind}")
    if is_nullable(schema) and None not in values:
        report.add(f"{where}.{keyword}", "the type allows null, so the values must name null too")
    report.add_unless(
        len({repr(value) for value in values}) == len(values), f"{where}.{keyword}", "names a value twice"
    )


def _lint_pii(report: _Collector, prop: _Property, kind: str, source_pii: Mapping[str, Any]) -> None:
    where, name, rule = prop.where, prop.where.rsplit(".", 1)[-1], prop.schema.get("x-pii")
    if name in source_pii and rule != source_pii[name]:
        report.add(
            where, f"{name} is personal in the whole source: x-pii must be {source_pii[name]!r}, is {rule!r}"
        )
    if rule is None or not _lint_pii_rule(report, f"{where}.x-pii", rule):
        return
    if kind not in SCALAR_TYPES or prop.in_array:
        report.add(
            f"{where}.x-pii", "only a scalar outside arrays can be personal: move it out, or do not send it"
        )
    elif rule["action"] == "pseudonymise" and base_clickhouse_type(prop.schema) != "String":
        report.add(f"{where}.x-pii.action", f"a pseudonym is a text and the field is a {kind}; valid: drop")


def _lint_columns(report: _Collector, properties: Sequence[_Property]) -> None:
    seen: dict[str, str] = {}
    for prop in properties:
        if prop.in_array or has_fields(prop.schema):
            continue
        if prop.column in RESERVED_NAMES:
            report.add(prop.where, f"{prop.column} is a column of every event; choose another name")
        elif prop.column in CORRELATION_COLUMNS and (
            types_of(prop.schema) != ("string",) or {"format", "x-pii"} & set(prop.schema)
        ):
            report.add(prop.where, f"{prop.column} is an identifier of every event: must be a plain string")
        if prop.column in seen:
            report.add(prop.where, f"becomes the column {prop.column}, as does {seen[prop.column]}")
        seen[prop.column] = prop.where


def _lint_derivations(report: _Collector, content: Mapping[str, Any]) -> None:
    properties = content.get("properties", {})
    top = {f"properties.{name}" for name in properties}
    for prop in _walk(_Collector(report.file), content):
        if "x-derive" not in prop.schema:
            continue
        where, rule = f"{prop.where}.x-derive", prop.schema["x-derive"]
        if not isinstance(rule, dict) or set(rule) != {"from", "as"}:
            report.add(where, f"must be {{from: <field>, as: <kind>.<fact>}}, is {rule!r}")
            continue
        if prop.where not in top:
            report.add(where, "only a field at the top of the payload can be derived")
            continue
        facts = {
            f"{kind}.{fact}": type_ for kind, told in KINDS.items() for fact, type_ in told.facts.items()
        }
        if rule["as"] not in facts:
            report.add(f"{where}.as", _not_one_of(rule["as"], sorted(facts)))
        elif types_of(prop.schema) != (facts[rule["as"]],):
            report.add(prop.where, f"{rule['as']} is a {facts[rule['as']]}")
        report.add_unless(
            is_nullable(prop.schema) and prop.column not in content.get("required", ()),
            prop.where,
            "a derived field may be missing: its type must allow null, and it must not be required",
        )
        report.add_unless("x-pii" not in prop.schema, prop.where, "a derived field cannot be personal")
        _lint_origin(report, f"{where}.from", rule["from"], properties)


def _lint_origin(report: _Collector, where: str, name: Any, properties: Mapping[str, Any]) -> None:
    origin = properties.get(name) if isinstance(name, str) else None
    if not isinstance(origin, dict) or types_of(origin) != ("string",) or "x-derive" in origin:
        texts = [
            key
            for key, sub in properties.items()
            if isinstance(sub, dict) and types_of(sub) == ("string",) and "x-derive" not in sub
        ]
        report.add(where, f"{name!r} is no text that is sent; valid: {', '.join(texts) or 'none'}")
    elif "x-pii" in origin:
        report.add(where, f"{name} is personal: what is derived from it would be too")


def _lint_conditions(report: _Collector, content: Mapping[str, Any]) -> None:
    properties = content.get("properties", {})
    for place, body in enumerate(content.get("allOf", ())):
        where = f"allOf.{place}"
        condition = required_when(body)
        if condition is None:
            report.add(
                where,
                "must be {if: {properties: {<field>: {const: <text>}}, required: [<field>]}, "
                "then: {required: [<field>, ...]}}",
            )
            continue
        report.add_unless(
            types_of(properties.get(condition.field, {})) == ("string",),
            f"{where}.if",
            f"{condition.field} must be a text of the payload",
        )
        for name in condition.required:
            report.add_unless(
                name in properties,
                f"{where}.then.required",
                f"{name!r} is no property; valid: {', '.join(properties)}",
            )


def _lint_examples(report: _Collector, properties: Sequence[_Property]) -> None:
    for prop in properties:
        if "x-example" in prop.schema:
            for error in schema_validator(prop.schema).iter_errors(prop.schema["x-example"]):
                report.add(f"{prop.where}.x-example", f"is not valid itself: {error.message}")


# the whole source


def _lint_event_names(documents: Sequence[Document]) -> list[Problem]:
    taken: dict[str, tuple[str, Path]] = {
        event_type: (event_type, document.path)
        for document in documents
        for event_type in [document.path.name.split(".")[0]]
    }
    problems = []
    for document in documents:
        event_type = document.path.name.split(".")[0]
        for alias in document.content.get("x-aliases", ()):
            owner, path = taken.setdefault(alias, (event_type, document.path))
            if owner != event_type or alias == event_type:
                problems.append(
                    Problem(document.path, "x-aliases", f"{alias} already names the event of {path.name}")
                )
    return problems


def _lint_shared_names(documents: Sequence[Document]) -> list[Problem]:
    """A name means one thing in a source: one type, one description, one rule for personal data."""
    meanings: dict[str, tuple[Path, dict[str, Any]]] = {}
    problems = []
    for document in documents:
        for prop in _walk(_Collector(document.path), document.content):
            if has_fields(prop.schema):
                continue
            meaning = {
                "ClickHouse type": base_clickhouse_type(prop.schema),
                "description": prop.schema["description"],
                "unit": prop.schema.get("x-unit"),
                "x-pii": prop.schema.get("x-pii"),
                "x-derive": prop.schema.get("x-derive"),
                "place in the payload": None if prop.in_array else prop.where.replace(".properties.", "."),
            }
            path, first = meanings.setdefault(prop.column, (document.path, meaning))
            for aspect, value in meaning.items():
                if value != first[aspect] and not (
                    aspect.startswith("place") and None in (value, first[aspect])
                ):
                    problems.append(
                        Problem(
                            document.path,
                            prop.where,
                            f"{aspect} of {prop.column} is {value!r}, but {first[aspect]!r} in {path.name}: "
                            "one name means one thing in a source",
                        )
                    )
    return problems


def _lint_correlated_fields(header: Document, documents: Sequence[Document]) -> list[Problem]:
    """A path that no event declares as a text never correlates anything."""
    fields = _text_fields(documents)
    correlations: Mapping[str, Any] = header.content.get("correlations", {})
    return [
        Problem(header.path, f"correlations.{name}", f"no event has the text field {path}")
        for name, declared in correlations.items()
        for paths in [declared.get("first_of", []) if isinstance(declared, dict) else declared]
        for path in ([paths] if isinstance(paths, str) else paths)
        if path.startswith(PAYLOAD_PREFIX) and path not in fields
    ]


def _lint_anonymous_fields(header: Document, documents: Sequence[Document]) -> list[Problem]:
    """Conditions look at what is declared, and nothing that is dropped is left in the payload, or needed there."""
    body: Mapping[str, Any] = header.content.get("anonymous", {"when": {}, "drop": []})
    fields, names = _text_fields(documents), body.get("drop_payload", [])
    problems = [
        Problem(header.path, f"anonymous.when.{name}.fields", f"no event has the text field {path}")
        for name, condition in body["when"].items()
        for path in ([condition["fields"]] if isinstance(condition["fields"], str) else condition["fields"])
        if path.startswith(PAYLOAD_PREFIX) and path not in fields
    ]
    dropped = {name for name, rule in header.content.get("pii", {}).items() if rule["action"] == "drop"}
    for format_name, wire in header.content["wire_formats"].items():
        for column in body["drop"]:
            paths = wire["envelope"].get(column, [])
            for path in [paths] if isinstance(paths, str) else paths:
                if path.startswith(PAYLOAD_PREFIX) and path.rsplit(".", 1)[-1] not in dropped.union(names):
                    message = f"{column} stays in the payload as {path} of {format_name}: name it here"
                    problems.append(Problem(header.path, "anonymous.drop_payload", message))
    for document in documents:
        needed = {
            required
            for schema in _objects(document.content)
            for required in schema.get("required", ())
            if required in names
        }
        problems += [
            Problem(document.path, "required", f"{name} is dropped from events that name nobody")
            for name in sorted(needed)
        ]
        problems += [
            Problem(
                document.path, prop.where, "is dropped from events that name nobody: only a scalar can be"
            )
            for prop in _walk(_Collector(document.path), document.content)
            if prop.where.rsplit(".", 1)[-1] in names and types_of(prop.schema)[0] not in SCALAR_TYPES
        ]
    return problems


def _text_fields(documents: Sequence[Document]) -> set[str]:
    return {
        PAYLOAD_PREFIX + prop.where.replace("properties.", "")
        for document in documents
        for prop in _walk(_Collector(document.path), document.content)
        if not prop.in_array and types_of(prop.schema) == ("string",)
    }


def _objects(schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield an object and the objects inside it, those in arrays too."""
    yield schema
    for sub in schema.get("properties", {}).values():
        yield from _objects(sub)
        yield from _objects(sub.get("items", {}))


# small things


def _pattern_fault(pattern: str) -> str | None:
    """Return what DuckDB's RE2 and Python would not read alike, or None."""
    at = 0
    while at < len(pattern):
        token = _PATTERN_TOKEN.match(pattern, at)
        if token is None:
            return (
                f"has {pattern[at : at + 6]!r} at {at}: valid are literals, classes, \\d, \\w, groups, "
                "alternatives, repetitions, ^ and $"
            )
        at = token.end()
    try:
        re.compile(pattern, re.ASCII)
    except re.error as error:
        return f"is no regular expression: {error}"
    return None


def _check_keys(report: _Collector, where: str, content: Mapping[str, Any], keys: Mapping[str, bool]) -> None:
    for key in content:
        if key not in keys:
            report.add(f"{where}.{key}".lstrip("."), f"unknown key; valid: {', '.join(keys)}")
    for key, is_required in keys.items():
        if is_required and key not in content:
            report.add(where, f"{key} is missing")


def _check_keywords(
    report: _Collector, where: str, schema: Mapping[str, Any], allowed: frozenset[str]
) -> None:
    for keyword in schema:
        if keyword not in allowed:
            message = f"is not supported here and would not be enforced; valid: {', '.join(sorted(allowed))}"
            report.add(f"{where}.{keyword}".lstrip("."), message)


def _keys_are_texts(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _keys_are_texts(sub) for key, sub in value.items())
    return all(_keys_are_texts(sub) for sub in value) if isinstance(value, list) else True


def _not_one_of(value: Any, valid: Sequence[str]) -> str:
    return f"{value!r} is not supported; valid: {', '.join(valid)}"


def _types() -> str:
    return ", ".join(KEYWORDS_OF_TYPE)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(item) for item in value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(_NAME.fullmatch(value))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_of_type(value: Any, kind: str) -> bool:
    if kind == "string":
        return isinstance(value, str)
    if kind == "boolean":
        return isinstance(value, bool)
    return _is_integer(value)
