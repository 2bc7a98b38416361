"""What a JSON Schema property becomes in ClickHouse, and which dates and numbers a contract accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MONEY_TYPE = "Decimal(18, 4)"
MONEY_SCALE = 4
MONEY_LIMIT = 99_999_999_999
"""Largest absolute amount: ClickHouse reads a decimal of this size with four decimals from JSON exactly."""

INTEGER_LIMIT = 9_007_199_254_740_991
"""Largest absolute integer (2^53 - 1, RFC 7493): every engine that reads JSON numbers agrees up to here."""

DEPTH_LIMIT = 512
"""How deep objects and arrays of a payload may stand inside each other; ClickHouse reads about 1,000 levels."""
DATE_PATTERN = r"(190[1-9]|19[1-9][0-9]|2[01][0-9]{2})-[0-9]{2}-[0-9]{2}"
"""`format: date`, matched in full; the day must exist in the calendar too.

The years 1901 to 2199 fit every date type of the warehouse, whatever the offset.
"""

TIME_PATTERN = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"

DATE_TIME_PATTERN = DATE_PATTERN + "T" + TIME_PATTERN
"""`format: date-time`, matched in full: RFC 3339 with upper-case T and Z, no leap second."""

SCALAR_TYPES = ("string", "integer", "number", "boolean")

CODE_OF_KEYWORD: Mapping[str, str] = {
    "required": "field_missing",
    "type": "field_type",
    "enum": "field_enum",
    "const": "field_enum",
    "minimum": "field_range",
    "maximum": "field_range",
    "exclusiveMinimum": "field_range",
    "exclusiveMaximum": "field_range",
    "minLength": "field_range",
    "maxLength": "field_range",
    "minItems": "field_range",
    "maxItems": "field_range",
    "pattern": "field_format",
    "format": "field_format",
    "x-type": "field_range",
    "x-finite": "field_range",
    "x-safe-integer": "field_range",
}
"""The quarantine code of a violated keyword; the three `x-` keywords are the rules that JSON Schema lacks."""


@dataclass(frozen=True)
class RequiredWhen:
    """Fields that a payload must have where one of its texts has a certain value."""

    field: str
    value: str
    required: tuple[str, ...]


def required_when(body: Any) -> RequiredWhen | None:
    """Read an element of a payload's `allOf`; None for one of another form than `RequiredWhen` stands for."""
    match body:
        case {"if": {"properties": dict(tested), "required": [name], **extra}, "then": dict(then), **more}:
            pass
        case _:
            return None
    wanted = then.get("required")
    if extra or more or set(tested) != {name} or set(then) != {"required"} or not isinstance(wanted, list):
        return None
    match tested[name]:
        case {"const": str(value), **rest} if not rest and wanted:
            return RequiredWhen(str(name), value, tuple(map(str, wanted)))
    return None


def conditions_of(schema: Mapping[str, Any]) -> tuple[RequiredWhen, ...]:
    """Return what a payload must have under which condition."""
    return tuple(found for body in schema.get("allOf", ()) if (found := required_when(body)) is not None)


def types_of(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the JSON types a schema allows, `null` left out."""
    declared = schema.get("type", ())
    names = (declared,) if isinstance(declared, str) else tuple(declared)
    return tuple(name for name in names if name != "null")


def has_fields(schema: Mapping[str, Any]) -> bool:
    """Return whether the schema is an object whose members are declared: fields of their own, not one field."""
    return types_of(schema) == ("object",) and not is_open(schema)


def is_open(schema: Mapping[str, Any]) -> bool:
    """Return whether the schema is an object that declares no member: producers choose the keys."""
    return types_of(schema) == ("object",) and "properties" not in schema and "additionalProperties" in schema


def value_schema(schema: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return what every value of an open object must be; None where any JSON will do."""
    values = schema.get("additionalProperties")
    return values if is_open(schema) and isinstance(values, Mapping) else None


def is_nullable(schema: Mapping[str, Any]) -> bool:
    """Return whether the schema accepts an explicit null."""
    declared = schema.get("type", ())
    return declared == "null" or (not isinstance(declared, str) and "null" in declared)


def base_clickhouse_type(schema: Mapping[str, Any]) -> str:
    """Return the ClickHouse type of a present, non-null value.

    Raises:
        ValueError: the schema is of no shape that a column can hold.
    """
    types = types_of(schema)
    if len(types) != 1:
        raise ValueError(f"needs exactly one type beside null, has {list(types)}")
    match types[0]:
        case "string":
            return {"date-time": "DateTime64(3, 'UTC')", "date": "Date32"}.get(
                schema.get("format", ""), "String"
            )
        case "integer":
            return "Int64"
        case "number":
            return MONEY_TYPE if schema.get("x-type") == "money" else "Float64"
        case "boolean":
            return "Bool"
        case "array":
            items = schema.get("items", {})
            inner = tuple_type(items) if types_of(items) == ("object",) else base_clickhouse_type(items)
            return f"Array({inner})"
        case "object" if is_open(schema):
            values = value_schema(schema)
            return "String" if values is None else f"Map(String, {clickhouse_type(values, required=True)})"
        case other:
            raise ValueError(f"{other} is no column type")


def tuple_type(schema: Mapping[str, Any]) -> str:
    """Return the named tuple of an object that is an array's element; optional elements are Nullable."""
    required = schema.get("required", ())
    elements = (
        f"{name} {clickhouse_type(sub, required=name in required)}"
        for name, sub in schema["properties"].items()
    )
    return f"Tuple({', '.join(elements)})"


def clickhouse_type(schema: Mapping[str, Any], *, required: bool) -> str:
    """Return a property's column type: Nullable when it may be missing or null; such an array or map is empty."""
    base = base_clickhouse_type(schema)
    if base.startswith(("Array(", "Map(")) or (required and not is_nullable(schema)):
        return base
    return f"Nullable({base})"
