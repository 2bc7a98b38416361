"""Compiles what happens to the personal fields of a payload before it is written anywhere.

The contract decides about declared fields, the source's list about names wherever they turn up, declared or not, at
any depth. A personal name that holds an object or an array never gets here: the compiled contract rejects the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ingestion.compile import PayloadCheck, where_undeclared
from ingestion.contract import Contract, PiiRule
from ingestion.pseudonym import pseudonym_sql
from ingestion.sql import is_text, json_path, literal, unquoted

_SCALAR = r'(?:"(?:[^"\\]|\\.)*"|[-+0-9.eE]+|true|false|null)'
"""A scalar in compact JSON. Inside a JSON string every quote has a backslash before it, so that `{"name":` and
`,"name":` occur as keys only."""


@dataclass(frozen=True)
class Masking:
    """The compiled masking of one contract."""

    needed: str
    """SQL over the columns of `compile.members`: whether a declared field of the payload is personal and has a value."""
    masked: str
    """SQL over `payload`: the payload without it."""


def compile_masking(contract: Contract, check: PayloadCheck, pii: Mapping[str, PiiRule]) -> Masking:
    """Compile the personal fields of a contract and of its source."""
    declared = {
        field.path: PiiRule(field.pii_class or "", field.pii_action)
        for field in contract.fields
        if field.pii_action is not None
    }
    needed = [
        f"coalesce(x{check.paths.index(path) + 1} <> 'null', false)"
        for path in declared
        if path in check.paths
    ]
    return Masking(" or ".join(needed) or "false", _masked(declared, pii))


def holds_personal(pii: Mapping[str, PiiRule]) -> str:
    """SQL over the columns of `compile.members`: whether the payload carries a name that is personal anywhere."""
    if not pii:
        return "false"
    return where_undeclared(f"regexp_matches(payload, {literal('[{,]' + _names(pii) + ':')})")


def without(payload: str, names: Sequence[str]) -> str:
    """SQL of a payload without the scalars of some names, at any depth."""
    key = f"{_names(names)}:{_SCALAR}"
    result = f"regexp_replace({payload}, {literal(',' + key)}, '', 'g')"
    result = f"regexp_replace({result}, {literal('[{]' + key + ',')}, '{{', 'g')"
    return f"regexp_replace({result}, {literal('[{]' + key + '[}]')}, '{{}}', 'g')"


def _masked(declared: Mapping[tuple[str, ...], PiiRule], pii: Mapping[str, PiiRule]) -> str:
    """Return the nested calls that first blank every personal name, then write pseudonyms where they belong."""
    dropped = [name for name, rule in pii.items() if rule.action == "drop"]
    replaced = [name for name, rule in pii.items() if rule.action != "drop"]
    result = "payload"
    if dropped:
        result = without(result, dropped)
    if replaced:
        key = f"([{{,]{_names(replaced)}:){_SCALAR}"
        result = f"regexp_replace({result}, {literal(key)}, '\\1null', 'g')"
    places = {(name,): pii[name] for name in replaced} | {
        path: rule for path, rule in declared.items() if path[-1] not in pii or rule.action != "drop"
    }
    for path, rule in places.items():
        place = literal(json_path(path))
        if rule.action == "drop":
            result = f"json_remove({result}, {place})::varchar"
            continue
        original = f"json_extract(payload, {place})::varchar"
        text = f"case when {is_text(original)} then {unquoted(original)} else {original} end"
        pseudonym = pseudonym_sql(f"{literal(rule.pii_class + ':')} || ({text})")
        result = (
            f"case when coalesce({original} <> 'null', false) "
            f"then json_replace({result}, {place}, to_json({pseudonym}))::varchar else {result} end"
        )
    return result


def _names(names: Iterable[str]) -> str:
    return '"(?:' + "|".join(sorted(names)) + ')"'
