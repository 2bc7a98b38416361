"""A second opinion on payloads: the `jsonschema` library plus the rules that JSON Schema cannot say.

The loader validates in SQL; the property tests hold that SQL against this module.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, cast

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from ingestion.schema_types import (
    CODE_OF_KEYWORD,
    DATE_PATTERN,
    DATE_TIME_PATTERN,
    DEPTH_LIMIT,
    INTEGER_LIMIT,
    MONEY_LIMIT,
    MONEY_SCALE,
    types_of,
    value_schema,
)
from lake.errors import MillraceError

if TYPE_CHECKING:
    from ingestion.contract import Contract, PayloadParts


class NotJsonError(MillraceError):
    """The text is no JSON object with distinct keys."""


def parse(text: str) -> Any:
    """Parse a payload as the loader reads it: fractions exact, no NaN or Infinity, no repeated key.

    Raises:
        NotJsonError: the text is not that.
    """
    try:
        return json.loads(
            text,
            parse_float=_fraction,
            parse_int=_integer,
            parse_constant=_refuse_constant,
            object_pairs_hook=_distinct_pairs,
        )
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error


def validator(contract: Contract) -> Validator:
    """Return a `jsonschema` validator of the contract's payloads.

    It takes values of `parse`. Beyond JSON Schema it holds that

    - an amount (`x-type: money`) has at most four decimals and lies within 99,999,999,999 either way,
    - an integer lies within 2^53 - 1 either way, and 1.0 is an integer,
    - any other number is finite as a double, and its bounds are compared as doubles,
    - `date` and `date-time` match `DATE_PATTERN` and `DATE_TIME_PATTERN` on a day of the calendar,
    - `$` in a pattern is the end of the text, and `\\d` and `\\w` are ASCII.
    """
    return schema_validator(contract.schema)


def schema_validator(schema: Mapping[str, Any]) -> Validator:
    """Return a validator of one schema, a payload's or a property's, as `validator` describes."""
    checker = FormatChecker(formats=())
    checker.checks("date")(_is_date)
    checker.checks("date-time")(_is_date_time)
    return cast(Validator, _Validator(_with_implied_rules(schema), format_checker=checker))


def violations(contract: Contract, payload: Any) -> set[tuple[str, str]]:
    """Return every violated rule of a parsed payload as (quarantine code, dotted field).

    Array positions are left out of the field: `items.quantity` names the quantity of any line. So are the keys of an
    open object, which are data.
    """
    found: set[tuple[str, str]] = set()
    for error in validator(contract).iter_errors(payload):
        keyword = str(error.validator)
        path = _declared(contract.schema, error.absolute_path)
        if keyword == "required":
            present = cast(Mapping[str, Any], error.instance)
            missing = [name for name in cast(list[str], error.validator_value) if name not in present]
            found |= {(CODE_OF_KEYWORD[keyword], ".".join([*path, name])) for name in missing}
        else:
            found.add((CODE_OF_KEYWORD[keyword], ".".join(path)))
    levels = list(_levels(payload))
    numbers = [value for level in levels for value in level if _is_number(value)]
    if any(math.isinf(_as_compared(number, {})) for number in numbers):
        found.add(("field_range", "payload"))
    if sum(any(isinstance(value, dict | list) for value in level) for level in levels) > DEPTH_LIMIT:
        found.add(("field_format", "payload"))
    return found


def assembled(parts: PayloadParts, event: Mapping[str, Any]) -> tuple[list[tuple[str, Any]], str | None]:
    """Put together a payload that the wire spreads over several places.

    Args:
        parts: the places of one wire format.
        event: a parsed event in it.

    Returns:
        The payload's members, in no particular order and with repeated names; and the quarantine code of a payload
        that cannot be put together, or None.
    """
    objects: dict[str, Any] = {}
    for path in parts.objects:
        found = _found(event, path)
        if isinstance(found, str):
            try:
                found = parse(found)
            except NotJsonError:
                return [], "json_invalid"
        if found is not None and not isinstance(found, dict):
            return [], "field_type"
        if found is not None:
            objects[path] = found
    if not objects:
        return [], "envelope_missing"
    members = [
        (names.get(key, key), value)
        for path, names in parts.objects.items()
        for key, value in objects.get(path, {}).items()
        if f"{path}.{key}" not in objects
    ]
    for name, paths in parts.values.items():
        given = [value for path in paths if (value := _found(event, path)) is not None]
        members += [(name, value) for value in given[:1]]
    return members, None


def _found(event: Any, path: str) -> Any:
    for key in path.split("."):
        event = event.get(key) if isinstance(event, dict) else None
    return event


def _declared(schema: Mapping[str, Any], place: Iterable[str | int]) -> list[str]:
    """Return the declared names on the way to a value."""
    names = []
    for part in place:
        values = value_schema(schema)
        if isinstance(part, int):
            schema = schema["items"]
        elif values is not None:
            schema = values
        else:
            names.append(part)
            schema = schema["properties"][part]
    return names


def _levels(payload: Any) -> Iterator[list[Any]]:
    """Yield the values that stand equally deep, level by level."""
    level = [payload]
    while level:
        yield level
        nested = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [member for members in nested for member in members]


def _fraction(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that even Decimal cannot hold
        mantissa, exponent = text.lower().split("e")
        if exponent.startswith("-") or not mantissa.strip("-0."):
            return Decimal(0)
        return Decimal("-Infinity" if text.startswith("-") else "Infinity")


def _integer(text: str) -> int | Decimal:
    # int() refuses more than 4,300 digits.
    return int(text) if len(text) < 400 else Decimal(text)


def _refuse_constant(name: str) -> None:
    raise NotJsonError(f"{name} is no JSON")


def _distinct_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise NotJsonError("a key is given twice")
    return content


def _with_implied_rules(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Write the rules that a type implies into the schema, as keywords of their own."""
    result = dict(schema)
    if "integer" in types_of(schema):
        result["x-safe-integer"] = True
    if "number" in types_of(schema) and schema.get("x-type") != "money":
        result["x-finite"] = True
    if "properties" in schema:
        result["properties"] = {name: _with_implied_rules(sub) for name, sub in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _with_implied_rules(schema["items"])
    values = value_schema(schema)
    if values is not None:
        result["additionalProperties"] = _with_implied_rules(values)
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_integer(value: Any) -> bool:
    if isinstance(value, Decimal):
        return value.is_infinite() or value == value.to_integral_value()
    return _is_number(value) and (isinstance(value, int) or value.is_integer())


def _as_compared(value: Any, schema: Mapping[str, Any]) -> Decimal | float:
    """Return a number in the arithmetic that the loader uses: amounts and integers exact, the rest double."""
    exact = schema.get("x-type") == "money" or "integer" in types_of(schema)
    if exact:
        return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _money(_: Any, kind: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if not _is_number(instance):
        return
    value = _as_compared(instance, schema)
    assert isinstance(value, Decimal)
    if not -MONEY_LIMIT <= value <= MONEY_LIMIT:
        yield ValidationError(f"{instance} is beyond {MONEY_LIMIT}")
    elif _decimals(value) > MONEY_SCALE:
        yield ValidationError(f"{instance} has more than {MONEY_SCALE} decimals")


def _decimals(value: Decimal) -> int:
    """Count the decimals that matter; not with `normalize`, which rounds to the context's 28 digits."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).rstrip("0")
    return -exponent - (len(digits) - len(significant)) if significant else 0


def _safe_integer(_: Any, __: Any, instance: Any, ___: Any) -> Iterator[ValidationError]:
    if _is_number(instance) and _is_integer(instance) and not -INTEGER_LIMIT <= instance <= INTEGER_LIMIT:
        yield ValidationError(f"{instance} is beyond {INTEGER_LIMIT}")


def _finite(_: Any, __: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
    if _is_number(instance) and abs(_as_compared(instance, schema)) == float("inf"):
        yield ValidationError(f"{instance} is beyond the range of a double")


def _bound(keyword: str) -> Any:
    def check(_: Any, bound: Any, instance: Any, schema: Mapping[str, Any]) -> Iterator[ValidationError]:
        if not _is_number(instance):
            return
        value, limit = _as_compared(instance, schema), _as_compared(bound, schema)
        within = {
            "minimum": value >= limit,
            "maximum": value <= limit,
            "exclusiveMinimum": value > limit,
            "exclusiveMaximum": value < limit,
        }[keyword]
        if not within:
            yield ValidationError(f"{instance} breaks {keyword} {bound}")

    return check


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and re.search(_end_anchored(pattern), instance, re.ASCII) is None:
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _end_anchored(pattern: str) -> str:
    r"""Make `$` the very end (`\Z`): Python's `$` also matches before a last newline."""
    return re.sub(
        r"\\.|\[\^?\]?(?:\\.|[^\\\]])*\]|\$",
        lambda m: r"\Z" if m[0] == "$" else m[0],
        pattern,
        flags=re.DOTALL,
    )


def _is_date(value: object) -> bool:
    return not isinstance(value, str) or (re.fullmatch(DATE_PATTERN, value) is not None and _exists(value))


def _is_date_time(value: object) -> bool:
    return not isinstance(value, str) or (
        re.fullmatch(DATE_TIME_PATTERN, value) is not None and _exists(value[:10])
    )


def _exists(day: str) -> bool:
    try:
        date.fromisoformat(day)
    except ValueError:
        return False
    return True


_Validator = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    validators={
        "x-type": _money,
        "x-safe-integer": _safe_integer,
        "x-finite": _finite,
        "pattern": _pattern,
        **{key: _bound(key) for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")},
    },
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many(
        {
            "number": lambda _, value: _is_number(value),
            "integer": lambda _, value: _is_number(value) and _is_integer(value),
        }
    ),
)
