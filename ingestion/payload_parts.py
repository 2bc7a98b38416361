"""Compiles payloads that the wire spreads over several places into DuckDB SQL that puts them together.

The members of the objects are written one after the other, as they came: a field that two places give stands twice,
and the rule on repeated keys finds it. Nothing is dropped, and nothing decides silently which of the two counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestion.contract import PayloadParts
from ingestion.sql import is_object, is_text, lenient, literal

NO_OBJECT = "false"
"""JSON text that stands for a place which holds something else than an object."""
NO_JSON = '"?"'
"""JSON text that stands for a place which holds a text that is no JSON."""


@dataclass(frozen=True)
class CompiledParts:
    """The places of one wire format's payload, as SQL over a list of what `json_extract` found at `paths`."""

    paths: tuple[tuple[str, ...], ...]
    """What the list holds, in order: the objects, then the paths of the values."""
    objects: tuple[tuple[int, Mapping[str, str], Mapping[str, int]], ...]
    """Place of each object, its new names, and its members that are objects of their own with their places."""
    values: tuple[tuple[str, tuple[int, ...]], ...]
    """Each further field and the places that may hold it."""

    def read(self, found: str) -> str:
        """SQL of the list with its objects as compact JSON, whether they came as objects or as texts that hold one."""
        count = len(self.objects)
        others = f" || {found}[{count + 1}:]" if len(self.paths) > count else ""
        return f"[{', '.join(_as_object(f'{found}[{place}]') for place in range(1, count + 1))}]{others}"

    def payload(self, read: str) -> str:
        """SQL of the payload: NULL where no object is there, `NO_OBJECT` or `NO_JSON` where one of them is none."""
        places = [f"{read}[{place}]" for place in range(1, len(self.objects) + 1)]
        wrong = " ".join(f"when not {is_object(place)} then {place}" for place in places)
        members = [_members(read, place, names, own) for place, names, own in self.objects]
        for name, tries in self.values:
            value = ", ".join(f"nullif({read}[{place}], 'null')" for place in tries)
            members.append(f"{literal(f'{chr(34)}{name}{chr(34)}:')} || coalesce({value}, null)")
        return (
            f"case {wrong} when coalesce({', '.join(places)}, null) is not null "
            f"then '{{' || concat_ws(',', {', '.join(members)}) || '}}' end"
        )


def compile_parts(parts: PayloadParts) -> CompiledParts:
    """Compile the places of a payload."""
    paths = [tuple(path.split(".")) for path in parts.objects]
    places = {path: place for place, path in enumerate(paths, start=1)}
    objects = []
    for path, names in zip(paths, parts.objects.values(), strict=True):
        own = {other[-1]: place for other, place in places.items() if other[:-1] == path}
        objects.append((places[path], names, own))
    values = []
    for name, tries in parts.values.items():
        values.append((name, tuple(range(len(paths) + 1, len(paths) + 1 + len(tries)))))
        paths += [tuple(path.split(".")) for path in tries]
    return CompiledParts(tuple(paths), tuple(objects), tuple(values))


def _as_object(value: str) -> str:
    """SQL of an object as JSON text, NULL for nothing; what is neither becomes `NO_OBJECT` or `NO_JSON`."""
    text = f"json_extract_string({value}, '$')"
    is_json = f"json_valid({text}) and not {lenient(text)}"
    return f"""case
        when {value} is null or {value} = 'null' then null
        when {is_object(value)} then {value}
        when not {is_text(value)} then {literal(NO_OBJECT)}
        when not ({is_json}) then {literal(NO_JSON)}
        when {is_object(f"json_extract({text}, '$')::varchar")} then json_extract({text}, '$')::varchar
        else {literal(NO_OBJECT)} end"""


def _members(read: str, place: int, names: Mapping[str, str], own: Mapping[str, int]) -> str:
    """SQL of an object's members under the payload's names, comma-separated; NULL where there are none.

    In an object that holds no other and no escape, `"name":` is a key wherever it stands. Others are taken apart.
    """
    value = f"{read}[{place}]"
    plain = f"substr({value}, 2, length({value}) - 2)"
    for wire, name in names.items():
        plain = f"replace({plain}, {literal(f'{chr(34)}{wire}{chr(34)}:')}, {literal(f'{chr(34)}{name}{chr(34)}:')})"
    is_plain = f"not contains({value}, '\\') and not contains(substr({value}, 2), '{{')"
    return f"nullif(case when {is_plain} then {plain} else {_apart(read, value, names, own)} end, '')"


def _apart(read: str, value: str, names: Mapping[str, str], own: Mapping[str, int]) -> str:
    key = "m[1]"
    if names:
        cases = " ".join(f"when {literal(wire)} then {literal(name)}" for wire, name in names.items())
        key = f"case m[1] {cases} else m[1] end"
    pairs = f"list_zip(json_keys({value}), json_extract({value}, '$.*')::varchar[])"
    if own:
        given = " ".join(f"when {literal(name)} then {read}[{place}] is null" for name, place in own.items())
        pairs = f"list_filter({pairs}, lambda m: case m[1] {given} else true end)"
    written = f"list_transform({pairs}, lambda m: to_json({key})::varchar || ':' || m[2])"
    return f"array_to_string({written}, ',')"
