"""Compiles a contract's JSON Schema into DuckDB SQL that finds every violated rule of a payload.

The SQL works on the columns of `members`: `payload`, a valid JSON object as text, `x1`, `x2` ..., the JSON texts at the
compiled paths, and `has_more`, whether it has keys that are not declared or there more than once. `ingestion.oracle` says
the same through the `jsonschema` library; a property test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ingestion.contract import Contract, PiiRule
from ingestion.schema_types import (
    CODE_OF_KEYWORD,
    DATE_PATTERN,
    DATE_TIME_PATTERN,
    DEPTH_LIMIT,
    INTEGER_LIMIT,
    MONEY_LIMIT,
    conditions_of,
    has_fields,
    is_nullable,
    is_open,
    types_of,
    value_schema,
)
from ingestion.sql import (
    any_of,
    holds_infinite,
    is_array,
    is_deeper_than,
    is_number,
    is_object,
    is_text,
    json_path,
    literal,
    literals,
    number,
    path_list,
    unquoted,
)

MONEY_PATTERN = r"-?[0-9]{1,11}(\.[0-9]{1,4})?"
WHOLE_PAYLOAD = "payload"
"""The field that a violation names when it concerns the payload itself."""
_FORMATS = {"date": DATE_PATTERN, "date-time": DATE_TIME_PATTERN}


@dataclass(frozen=True)
class Rule:
    """One rule of a contract as SQL."""

    code: str
    field: str
    """Dotted path inside the payload, array positions left out."""
    violated: str
    """SQL that is true or false, never NULL."""
    group: str | None = None
    """SQL that is true wherever this rule or one of its neighbours is violated though the declared scalars are plainly
    valid, and may be elsewhere; None for a rule that stands for itself."""


@dataclass(frozen=True)
class PayloadCheck:
    """A compiled contract."""

    paths: tuple[tuple[str, ...], ...]
    """What `x1`, `x2` ... hold, in order."""
    rules: tuple[Rule, ...]
    plainly_valid: str
    """SQL that is true only where no rule is violated, and for most of those: the question that every row is asked."""
    declared: str
    """SQL of how many of the payload's keys are declared: what `members` compares with all of them. No number of keys
    where undeclared ones can lie deeper down and nobody counts them."""

    @property
    def extract(self) -> str:
        """SQL of the list of JSON texts at the paths."""
        return f"json_extract(payload, {path_list(self.paths)})"

    @property
    def violations(self) -> str:
        """SQL: the list of structs (code, field) of all violated rules; asked of rejected rows only."""
        return violations_of(self.rules)


def members(rows: str, extract: str, declared: str, paths: int) -> str:
    """Return a query that adds `has_more` and `x1`, `x2` ... to rows with a payload.

    Args:
        rows: a query with the column `payload`, which may be NULL.
        extract: SQL of the list of JSON texts.
        declared: SQL of how many of the payload's keys are declared.
        paths: the length of the longest list.
    """
    columns = ", ".join(f"x[{number}]::varchar as x{number}" for number in range(1, paths + 1))
    return (
        f"(select *, keys <> ({declared}) as has_more from "
        f"(select * exclude (x), {columns} from "
        f"(select *, len(json_keys(payload)) as keys, {extract} as x from {rows})))"
    )


def violations_of(rules: Sequence[Rule]) -> str:
    """SQL: the list of structs (code, field) of the violated ones of some rules."""
    found = ", ".join(
        f"case when {rule.violated} then {{'code': {literal(rule.code)}, 'field': {literal(rule.field)}}} end"
        for rule in rules
    )
    return f"list_sort(list_distinct(list_filter([{found}], lambda v: v is not null)))"


def compile_contract(contract: Contract) -> PayloadCheck:
    """Compile a contract's payload schema."""
    compiler = _Compiler()
    rules = list(compiler.object(contract.schema, ()))
    properties = contract.schema["properties"]
    plain = [
        plainly_valid(sub, compiler.value((name,)), required=name in contract.schema.get("required", ()))
        for name, sub in properties.items()
        if types_of(sub) not in (("object",), ("array",))
    ]
    plainly = {name for name, sub in properties.items() if types_of(sub) not in (("object",), ("array",))}
    others = dict.fromkeys(
        rule.group or rule.violated for rule in rules if rule.field not in plainly or rule.group is not None
    )
    if others:
        plain.append(f"not {any_of(list(others))}")
    declared = compiler.present(()) if _is_flat(contract.schema) else "-1"
    return PayloadCheck(tuple(compiler.paths), tuple(rules), " and ".join(plain) or "true", declared)


def general_rules(pii: Mapping[str, PiiRule], anonymous: Sequence[str] = ()) -> list[Rule]:
    """Return the rules on any payload: on keys that stand twice, and on what nobody declared.

    Declared fields are bounded by rules of their own; what is left must be readable further on, and must not hide a
    personal field.

    Args:
        pii: the source's names that are personal wherever they turn up.
        anonymous: the names that events lose which name nobody (column `is_anonymous`).
    """
    return [
        Rule("field_format", WHOLE_PAYLOAD, _has_repeated_key("json_keys(payload)")),
        Rule("field_format", WHOLE_PAYLOAD, is_deeper_than(DEPTH_LIMIT, WHOLE_PAYLOAD)),
        Rule("field_range", WHOLE_PAYLOAD, holds_infinite(WHOLE_PAYLOAD)),
        *(
            Rule("field_type", name, holds_structure([name]), holds_structure(sorted(pii)))
            for name in sorted(pii)
        ),
        *(
            Rule(
                "field_type",
                name,
                f"(is_anonymous and {holds_structure([name])})",
                f"(is_anonymous and {holds_structure(sorted(anonymous))})",
            )
            for name in sorted(anonymous)
        ),
    ]


def generally_valid(pii: Mapping[str, PiiRule], anonymous: Sequence[str] = ()) -> str:
    """SQL: whether no general rule is violated; asked of every row, answered at once where all keys are declared."""
    rules = dict.fromkeys(rule.group or rule.violated for rule in general_rules(pii, anonymous))
    return f"not {where_undeclared(any_of(list(rules)))}"


def where_undeclared(condition: str) -> str:
    """SQL of a condition that only payloads with more keys than the declared ones can meet."""
    return f"case when has_more then {condition} else false end"


def holds_structure(names: Sequence[str]) -> str:
    """SQL: whether a personal name holds an object or an array anywhere: nothing could mask it."""
    return f"""regexp_matches(payload, '[{{,]"(?:{"|".join(names)})":[{{\\[]')"""


def plainly_valid(schema: Mapping[str, Any], value: str, *, required: bool) -> str:
    """SQL that is true only where a scalar property breaks no rule, at the cost of one or two comparisons.

    It may be NULL or false for valid values too: those that are written unusually, such as a text with an escape.
    """
    terms = [_plain_value(schema, value)]
    if not required:
        terms.append(f"{value} is null")
    if is_nullable(schema):
        terms.append(f"{value} = 'null'")
    return any_of(terms)


def _plain_value(schema: Mapping[str, Any], value: str) -> str:
    """SQL that is true only for valid, present values other than null."""
    double = number(value)
    bounds = "".join(
        f" and {double} {operator} {float(schema[keyword])!r}::double"
        for keyword, operator in (
            ("minimum", ">="),
            ("maximum", "<="),
            ("exclusiveMinimum", ">"),
            ("exclusiveMaximum", "<"),
        )
        if keyword in schema and (keyword, schema[keyword]) != ("minimum", 0)
    )
    if "enum" in schema or "const" in schema:
        return _is_one_of(schema.get("enum", [schema.get("const")]), value)
    match types_of(schema)[0]:
        case "string":
            return _plain_text(schema, value)
        case "integer":
            sign = "" if schema.get("minimum", -1) >= 0 else "-?"
            return f"(regexp_full_match({value}, '{sign}[0-9]{{1,15}}'){bounds})"
        case "number":
            if schema.get("x-type") == "money":
                sign = "" if schema.get("minimum") == 0 else "-?"
                return f"(regexp_full_match({value}, '{sign}[0-9]{{1,10}}([.][0-9]{{1,4}})?'){bounds})"
            least = f" and {double} >= 0" if schema.get("minimum") == 0 else ""
            return f"({is_number(value)} and isfinite({double}){least}{bounds})"
        case _:
            return f"{value} in ('true', 'false')"


def _plain_text(schema: Mapping[str, Any], value: str) -> str:
    """SQL that is true only for valid texts without escapes, told by their bytes: never fewer than characters."""
    longest = f" and strlen({value}) <= {schema['maxLength'] + 2}" if "maxLength" in schema else ""
    shortest = schema.get("minLength", 0)
    pattern = schema.get("pattern")
    if "format" in schema:
        return f"({_is_written_as(schema['format'], value)})"
    if shortest > 1:
        return "false"
    if pattern is None:
        return f"({is_text(value)} and strlen({value}) >= {shortest + 2}{longest})"
    if not (pattern.startswith("^") and pattern.endswith("$")) or "|" in pattern or pattern.endswith("\\$"):
        return "false"
    quoted = literal(f'"(?:{pattern[1:-1]})"')
    return (
        f"(regexp_full_match({value}, {quoted}) and not contains({value}, '\\') "
        f"and strlen({value}) >= {shortest + 2}{longest})"
    )


class _Compiler:
    """Collects the paths of one contract while its rules are written."""

    def __init__(self) -> None:
        self.paths: list[tuple[str, ...]] = []

    def value(self, path: tuple[str, ...]) -> str:
        """Return the SQL of the JSON text at a path."""
        if path not in self.paths:
            self.paths.append(path)
        return f"x{self.paths.index(path) + 1}"

    def present(self, parent: tuple[str, ...]) -> str:
        """Return the SQL of how many declared members an object has."""
        depth = len(parent) + 1
        members = [path for path in self.paths if len(path) == depth and path[:-1] == parent]
        return "(" + " + ".join(f"({self.value(path)} is not null)::int" for path in members) + ")"

    def object(self, schema: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[Rule]:
        """Yield the rules of an object's members; at the top the payload itself."""
        is_there = is_object(self.value(path)) if path else None
        required = schema.get("required", ())
        for name, sub in schema.get("properties", {}).items():
            member = (*path, name)
            value, field = self.value(member), ".".join(member)
            if name in required:
                missing = f"{value} is null"
                yield Rule(
                    "field_missing", field, f"({is_there} and {missing})" if is_there else f"({missing})"
                )
            yield from _scalar_rules(sub, value, field)
            if has_fields(sub):
                yield from self.object(sub, member)
            if is_open(sub):
                yield from _open_rules(sub, value, field)
            if types_of(sub) == ("array",):
                yield from _array_rules(sub, value, field)
        if not path:
            for condition in conditions_of(schema):
                is_met = f"coalesce({_is_one_of([condition.value], self.value((condition.field,)))}, false)"
                for name in condition.required:
                    violated = f"({is_met} and {self.value((name,))} is null)"
                    yield Rule("field_missing", name, violated, violated)
        if path:
            keys = f"json_keys(payload, {literal(json_path(path))})"
            yield Rule(
                "field_format",
                ".".join(path),
                f"case when {is_there} and len({keys}) <> {self.present(path)} "
                f"then {_has_repeated_key(keys)} else false end",
            )


def _has_repeated_key(keys: str) -> str:
    return f"(len({keys}) <> list_unique({keys}))"


def _is_flat(schema: Mapping[str, Any]) -> bool:
    """Whether a payload without undeclared keys at the top has no place for undeclared ones."""
    return not any(
        types_of(sub) == ("object",) or types_of(sub.get("items", {})) == ("object",)
        for sub in schema.get("properties", {}).values()
    )


def _scalar_rules(schema: Mapping[str, Any], value: str, field: str) -> Iterator[Rule]:
    """Yield the rules on one value: its type, and the constraints that apply to whatever type it has."""

    def rule(keyword: str, violated: str) -> Rule:
        return Rule(CODE_OF_KEYWORD[keyword], field, f"({value} is not null and {violated})")

    types = types_of(schema)
    allowed = [_is_of_type(kind, value) for kind in types]
    if is_nullable(schema):
        allowed.append(f"{value} = 'null'")
    yield rule("type", f"not {any_of(allowed)}")
    if "enum" in schema:
        yield rule("enum", f"not {_is_one_of(schema['enum'], value)}")
    if "const" in schema:
        yield rule("const", f"not {_is_one_of([schema['const']], value)}")
    yield from _text_rules(schema, value, rule)
    yield from _number_rules(schema, value, rule)
    if "minItems" in schema:
        yield rule("minItems", f"{is_array(value)} and json_array_length({value}) < {schema['minItems']}")
    if "maxItems" in schema:
        yield rule("maxItems", f"{is_array(value)} and json_array_length({value}) > {schema['maxItems']}")


def _text_rules(schema: Mapping[str, Any], value: str, rule: Any) -> Iterator[Rule]:
    text = unquoted(value)
    if schema.get("minLength") == 1:
        yield rule("minLength", f"{value} = '\"\"'")
    elif schema.get("minLength"):
        yield rule("minLength", f"{is_text(value)} and length({text}) < {schema['minLength']}")
    if "maxLength" in schema:
        limit = schema["maxLength"]
        # A text of few bytes has few characters: only long ones are counted.
        yield rule(
            "maxLength",
            f"case when {is_text(value)} and strlen({value}) > {limit} + 2 then length({text}) > {limit} else false end",
        )
    if "pattern" in schema:
        yield rule(
            "pattern", f"{is_text(value)} and not regexp_matches({text}, {literal(schema['pattern'])})"
        )
    if "format" in schema:
        shape, exists = _FORMATS[schema["format"]], _is_a_date(value)
        good = f"case when regexp_full_match({text}, {literal(shape)}) then {exists} else false end"
        yield rule("format", f"{is_text(value)} and not {good}")


def _is_written_as(format_: str, value: str) -> str:
    """SQL that is true only for texts without escapes that have a format."""
    quoted = literal(f'"(?:{_FORMATS[format_]})"')
    return f"case when regexp_full_match({value}, {quoted}) then {_is_a_date(value)} end"


def _is_a_date(value: str) -> str:
    return f"try_cast(substr({value}, 2, 10) as date) is not null"


def _number_rules(schema: Mapping[str, Any], value: str, rule: Any) -> Iterator[Rule]:
    double = number(value)
    comparisons = {"minimum": "<", "maximum": ">", "exclusiveMinimum": "<=", "exclusiveMaximum": ">="}
    for keyword, operator in comparisons.items():
        if keyword in schema:
            yield rule(
                keyword, f"{is_number(value)} and {double} {operator} {float(schema[keyword])!r}::double"
            )
    if schema.get("x-type") == "money":
        exact = f"regexp_full_match({value}, {literal(MONEY_PATTERN)})"
        yield rule("x-type", f"{is_number(value)} and not ({exact} and abs({double}) <= {MONEY_LIMIT})")
    elif "number" in types_of(schema):
        yield rule("x-finite", f"{is_number(value)} and isinf({double})")
    if "integer" in types_of(schema):
        yield rule("x-safe-integer", f"{is_number(value)} and abs({double}) > {INTEGER_LIMIT}")


def _is_of_type(kind: str, value: str) -> str:
    match kind:
        case "string":
            return is_text(value)
        case "number":
            return is_number(value)
        case "integer":
            double = number(value)
            return (
                f"({is_number(value)} and case when not contains({value}, '.') and not contains({value}, 'e') "
                f"and not contains({value}, 'E') then true else isinf({double}) or {double} = trunc({double}) end)"
            )
        case "boolean":
            return f"{value} in ('true', 'false')"
        case "array":
            return is_array(value)
        case "object":
            return is_object(value)
    raise ValueError(f"{kind!r} is no type of a contract")


def _is_one_of(values: list[Any], value: str) -> str:
    numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
    texts = [json.dumps(v, ensure_ascii=False) for v in values if v not in numbers or isinstance(v, bool)]
    terms = []
    if texts:
        terms.append(f"{value} in ({literals(texts)})")
    if numbers:
        doubles = ", ".join(f"{float(v)!r}::double" for v in numbers)
        terms.append(f"({is_number(value)} and {number(value)} in ({doubles}))")
    return any_of(terms)


def _array_rules(schema: Mapping[str, Any], value: str, field: str) -> Iterator[Rule]:
    """Yield the rules on an array's elements; all of them together cost one pass over the elements."""
    element = schema["items"]
    members: Mapping[str, Any] = element.get("properties", {}) if types_of(element) == ("object",) else {}
    paths: list[tuple[str, ...]] = [(), *((name,) for name in members)]
    # The element itself is e[1], its members follow.
    rules = list(_scalar_rules(element, "e[1]", field))
    for position, (name, sub) in enumerate(members.items(), start=2):
        inner, inner_field = f"e[{position}]", f"{field}.{name}"
        if name in element.get("required", ()):
            rules.append(Rule("field_missing", inner_field, f"({is_object('e[1]')} and {inner} is null)"))
        rules.extend(_scalar_rules(sub, inner, inner_field))
    present = ""
    if members:
        present = " + ".join(f"(e[{position}] is not null)::int" for position in range(2, len(paths) + 1))
        rules.append(
            Rule(
                "field_format",
                field,
                f"case when {is_object('e[1]')} and len(json_keys(e[1])) <> {present} "
                f"then {_has_repeated_key('json_keys(e[1])')} else false end",
            )
        )
    elements = f"list_transform(json_extract({value}, '$[*]'), lambda v: json_extract(v, {path_list(paths)})::varchar[])"

    def some(violated: str) -> str:
        return _some(elements, violated, is_array(value))

    plain = [
        plainly_valid(sub, f"e[{position}]", required=name in element.get("required", ()))
        for position, (name, sub) in enumerate(members.items(), start=2)
    ]
    plain += (
        [is_object("e[1]"), f"len(json_keys(e[1])) = {present}"]
        if members
        else [_plain_value(element, "e[1]")]
    )
    group = some(f"not coalesce({' and '.join(plain)}, false)")
    for rule in rules:
        yield replace(rule, violated=some(rule.violated), group=group)


def _open_rules(schema: Mapping[str, Any], value: str, field: str) -> Iterator[Rule]:
    """Yield the rules on an object whose keys are the producer's: no key twice, and every value as declared.

    A violation names the object, not the key: keys are data.
    """
    keys = f"json_keys({value})"
    yield Rule(
        "field_format", field, f"case when {is_object(value)} then {_has_repeated_key(keys)} else false end"
    )
    values = value_schema(schema)
    if values is None:
        return
    elements = f"json_extract({value}, '$.*')::varchar[]"
    plain = plainly_valid(values, "e", required=True)
    group = _some(elements, f"not coalesce({plain}, false)", is_object(value))
    for rule in _scalar_rules(values, "e", field):
        yield replace(rule, violated=_some(elements, rule.violated, is_object(value)), group=group)


def _some(elements: str, violated: str, applies: str) -> str:
    """SQL: whether a condition over `e` holds for one of the elements of a list, where that list applies."""
    tested = f"list_bool_or(list_transform({elements}, lambda e: {violated}))"
    return f"case when {applies} then coalesce({tested}, false) else false end"
