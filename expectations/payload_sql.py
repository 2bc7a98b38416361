"""ClickHouse SQL that checks a payload against its contract, written apart from the loader's DuckDB SQL."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ingestion.schema_types import (
    DATE_PATTERN,
    DATE_TIME_PATTERN,
    INTEGER_LIMIT,
    MONEY_LIMIT,
    MONEY_SCALE,
    has_fields,
    is_nullable,
    types_of,
    value_schema,
)

PSEUDONYM_PATTERN = "^[0-9a-f]{32}([0-9a-f]{32})?$"
"""What the loader leaves of a pseudonymised value: hex of an HMAC, whole or its first half."""

_OF_TYPE = {
    "string": "startsWith({raw}, '\"')",
    "integer": "(match({raw}, '^-?[0-9]') and toFloat64OrZero({raw}) = round(toFloat64OrZero({raw})))",
    "number": "match({raw}, '^-?[0-9]')",
    "boolean": "{raw} in ('true', 'false')",
    "array": "startsWith({raw}, '[')",
    "object": "startsWith({raw}, '{{')",
}


def literal(text: str) -> str:
    """Return a ClickHouse string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def violations(schema: Mapping[str, Any], pii: Mapping[str, str], payload: str = "payload") -> str:
    """Return an expression of type Array(String): the fields of a payload that break their contract.

    Each entry reads `<path>: <keyword>`, the keyword being the first that the field breaks. A field that the
    loader pseudonymises must hold a pseudonym, a field that it drops must be gone.

    Args:
        schema: JSON Schema of the payload.
        pii: names that are personal in every payload of the source, with their action.
        payload: the expression that holds the JSON text.
    """
    return f"arrayDistinct(arrayFilter(v -> v != '', {_object(schema, pii, _members(payload), '', 0)}))"


def _members(raw: str) -> str:
    # One parse for the whole object; JSONExtract* of each field would parse the text once per call.
    return f"cast(JSONExtractKeysAndValuesRaw({raw}) as Map(String, String))"


def _object(schema: Mapping[str, Any], pii: Mapping[str, str], members: str, prefix: str, depth: int) -> str:
    required = schema.get("required", ())
    own: list[str] = []
    nested: list[str] = []
    for name, sub in schema.get("properties", {}).items():
        raw, label = f"{members}[{literal(name)}]", f"{prefix}{name}"
        action = sub.get("x-pii", {}).get("action") or pii.get(name)
        if action is not None:
            own.append(_personal(raw, label, action))
            continue
        own.append(_field(sub, raw, label, name in required))
        types = types_of(sub)
        values = value_schema(sub)
        if has_fields(sub):
            inner = _object(sub, pii, _members(raw), f"{label}.", depth)
            nested.append(f"if(startsWith({raw}, '{{'), {inner}, [])")
        elif values is not None:
            nested.append(_values(values, pii, raw, f"{label}{{}}", depth + 1))
        elif types == ("array",) and "items" in sub:
            nested.append(_elements(sub["items"], pii, raw, f"{label}[]", depth + 1))
    parts = [f"[{', '.join(own)}]", *nested] if own else nested
    return f"arrayConcat({', '.join(parts)})" if parts else "emptyArrayString()"


def _elements(items: Mapping[str, Any], pii: Mapping[str, str], raw: str, label: str, depth: int) -> str:
    element = f"e{depth}"
    found = f"[{_field(items, element, label, True)}]"
    if has_fields(items):
        members = f"m{depth}"
        inner = _object(items, pii, members, f"{label}.", depth)
        found = f"arrayConcat({found}, arrayFlatten(arrayMap({members} -> {inner}, [{_members(element)}])))"
    return f"arrayFlatten(arrayMap({element} -> {found}, JSONExtractArrayRaw({raw})))"


def _values(values: Mapping[str, Any], pii: Mapping[str, str], raw: str, label: str, depth: int) -> str:
    """Check the values of an open object; those under a personal name are gone or blanked, whatever they should be."""
    pair = f"e{depth}"
    checked = _field(values, f"{pair}.2", label, True)
    if pii:
        checked = f"if({pair}.1 in ({', '.join(map(literal, sorted(pii)))}), '', {checked})"
    return f"arrayMap({pair} -> {checked}, JSONExtractKeysAndValuesRaw({raw}))"


def _personal(raw: str, label: str, action: str) -> str:
    absent = f"{raw} in ('', 'null')"
    if action == "drop":
        return f"if({absent}, '', {literal(label + ': personal value was not dropped')})"
    masked = f"match(JSONExtractString({raw}), {literal(PSEUDONYM_PATTERN)})"
    return f"if({absent} or {masked}, '', {literal(label + ': personal value is no pseudonym')})"


def _field(schema: Mapping[str, Any], raw: str, label: str, required: bool) -> str:
    branches = [(f"{raw} = ''", f"{label}: required" if required else "")]
    branches.append(
        (f"{raw} = 'null'", "" if is_nullable(schema) or "type" not in schema else f"{label}: type")
    )
    types = types_of(schema)
    if types:
        of_type = " or ".join(_OF_TYPE[name].format(raw=raw) for name in types)
        branches.append((f"not ({of_type})", f"{label}: type"))
    branches += [(condition, f"{label}: {keyword}") for keyword, condition in _broken(schema, raw)]
    return f"multiIf({', '.join(f'{condition}, {literal(text)}' for condition, text in branches)}, '')"


def _broken(schema: Mapping[str, Any], raw: str) -> list[tuple[str, str]]:
    types = types_of(schema)
    rules: list[tuple[str, str]] = []
    if "enum" in schema:
        rules.append(("enum", f"not ({_one_of(schema['enum'], raw)})"))
    if "const" in schema:
        rules.append(("const", f"not ({_one_of([schema['const']], raw)})"))
    if "string" in types:
        rules += _broken_text(schema, f"JSONExtractString({raw})")
    if "integer" in types or "number" in types:
        rules += _broken_number(schema, raw, types)
    if "array" in types:
        for keyword, sign in (("minItems", "<"), ("maxItems", ">")):
            if keyword in schema:
                rules.append((keyword, f"length(JSONExtractArrayRaw({raw})) {sign} {int(schema[keyword])}"))
    return rules


def _one_of(values: list[Any], raw: str) -> str:
    texts = [literal(v) for v in values if isinstance(v, str)]
    others = [v for v in values if not isinstance(v, str)]
    numbers = [repr(float(v)) for v in others if isinstance(v, int | float) and not isinstance(v, bool)]
    words = [literal(json.dumps(v)) for v in others if isinstance(v, bool) or v is None]
    tests = []
    if texts:
        tests.append(f"(startsWith({raw}, '\"') and JSONExtractString({raw}) in ({', '.join(texts)}))")
    if numbers:
        tests.append(f"(match({raw}, '^-?[0-9]') and toFloat64OrZero({raw}) in ({', '.join(numbers)}))")
    if words:
        tests.append(f"{raw} in ({', '.join(words)})")
    return " or ".join(tests) or "false"


def _broken_text(schema: Mapping[str, Any], text: str) -> list[tuple[str, str]]:
    rules = []
    for keyword, sign in (("minLength", "<"), ("maxLength", ">")):
        if keyword in schema:
            rules.append((keyword, f"lengthUTF8({text}) {sign} {int(schema[keyword])}"))
    if "pattern" in schema:
        # ClickHouse lets `.` match a line feed; JSON Schema does not.
        rules.append(("pattern", f"not match({text}, {literal('(?-s)' + schema['pattern'])})"))
    pattern = {"date": DATE_PATTERN, "date-time": DATE_TIME_PATTERN}.get(schema.get("format", ""))
    if pattern:
        day = f"substring({text}, 1, 10)"
        exists = f"ifNull(toString(toDate32OrNull({day})) = {day}, false)"
        rules.append(("format", f"not (match({text}, {literal(f'^(?:{pattern})$')}) and {exists})"))
    return rules


def _broken_number(schema: Mapping[str, Any], raw: str, types: tuple[str, ...]) -> list[tuple[str, str]]:
    number = f"toFloat64OrZero({raw})"
    rules = [
        (keyword, f"{number} {sign} {float(schema[keyword])!r}")
        for keyword, sign in (
            ("minimum", "<"),
            ("maximum", ">"),
            ("exclusiveMinimum", "<="),
            ("exclusiveMaximum", ">="),
        )
        if keyword in schema
    ]
    if schema.get("x-type") == "money":
        finer = f"match({raw}, '\\\\.[0-9]{{{MONEY_SCALE + 1},}}') or match({raw}, '[eE]-')"
        rules.append(("x-type", f"abs({number}) > {MONEY_LIMIT} or {finer}"))
    elif types == ("integer",):
        rules.append(("x-safe-integer", f"abs({number}) > {INTEGER_LIMIT}"))
    return rules
