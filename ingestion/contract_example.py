"""An example payload for a contract: what the catalogue shows."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from ingestion.contract import Contract
from ingestion.schema_types import is_open, types_of, value_schema

_regex = import_module("re._parser")


def example_payload(contract: Contract) -> dict[str, Any]:
    """Return a payload with every declared field, the same at every call.

    A property's `x-example` is taken where there is one; the rest is made from its constraints.
    """
    result: dict[str, Any] = _value("", contract.schema)
    return result


def example_json(contract: Contract) -> str:
    """Return the example payload as indented JSON."""
    return json.dumps(example_payload(contract), indent=2, ensure_ascii=False)


def _value(name: str, schema: Mapping[str, Any]) -> Any:
    if "x-example" in schema:
        return schema["x-example"]
    named = [schema["const"]] if "const" in schema else [v for v in schema.get("enum", ()) if v is not None]
    return named[0] if named else _made(name, schema)


def _made(name: str, schema: Mapping[str, Any]) -> Any:
    match types_of(schema)[0]:
        case "object" if is_open(schema):
            return {"key": _value("value", value_schema(schema) or {"type": "string"})}
        case "object":
            return {key: _value(key, sub) for key, sub in schema["properties"].items()}
        case "array":
            return [_value(name, schema["items"])] * max(schema.get("minItems", 1), 1)
        case "string":
            return _text(name, schema)
        case "boolean":
            return True
        case kind:
            return _number(schema, integer=kind == "integer")


def _text(name: str, schema: Mapping[str, Any]) -> str:
    if "format" in schema:
        return {"date": "2026-11-16", "date-time": "2026-11-16T09:30:00Z"}[schema["format"]]
    if name.endswith("currency"):
        return "EUR"
    if "pattern" in schema:
        text = _match(_regex.parse(schema["pattern"]))
    else:
        text = f"{name.removesuffix('_id')}_1" if name.endswith("_id") else name
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema.get("maxLength", len(text))]


def _number(schema: Mapping[str, Any], *, integer: bool) -> int | float:
    margin = 1 if integer else 0
    low: int | float = max(
        schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf) + margin
    )
    high: int | float = min(
        schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf) - margin
    )
    preferred = 1 if integer else 49.9
    value: int | float = max(low, min(preferred, high))
    if integer or low < value < high:
        return value
    # On a bound, which may be exclusive: half of the way to the other one, or a little inside.
    if math.isfinite(low) and math.isfinite(high):
        return (low + high) / 2
    return low + 0.25 if math.isfinite(low) else high - 0.25


def _match(parsed: Any) -> str:
    """Return one text that a parsed pattern of the supported kind matches."""
    return "".join(_MATCHES[str(operation)](argument) for operation, argument in parsed)


def _member(choices: Any) -> str:
    """Return one character of a class."""
    operation, argument = str(choices[0][0]), choices[0][1]
    if operation == "NEGATE":
        return next(
            c for c in map(chr, range(33, 127)) if not any(_holds(choice, c) for choice in choices[1:])
        )
    if operation == "CATEGORY":
        return next(c for c in map(chr, range(33, 127)) if _holds(choices[0], c))
    return chr(argument[0] if operation == "RANGE" else argument)


def _holds(choice: Any, character: str) -> bool:
    operation, argument = str(choice[0]), choice[1]
    if operation == "RANGE":
        return bool(argument[0] <= ord(character) <= argument[1])
    if operation == "CATEGORY":
        name = str(argument)
        inside = character.isdigit() if "DIGIT" in name else character.isalnum() or character == "_"
        return inside != ("NOT" in name)
    return bool(ord(character) == argument)


_MATCHES: Mapping[str, Callable[[Any], str]] = {
    "LITERAL": chr,
    "NOT_LITERAL": lambda code: "b" if chr(code) == "a" else "a",
    "IN": _member,
    "MAX_REPEAT": lambda argument: _match(argument[2]) * argument[0],
    "MIN_REPEAT": lambda argument: _match(argument[2]) * argument[0],
    "SUBPATTERN": lambda argument: _match(argument[-1]),
    "BRANCH": lambda argument: _match(argument[1][0]),
    "AT": lambda _: "",
}
