"""Breaking single events so that each ends in quarantine under a chosen code, driven by the contracts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ingestion.contract import Contract, Field, PayloadParts, Source, WireFormat
from ingestion.schema_types import types_of

STRUCTURAL = ("encoding_invalid", "json_invalid")
"""Codes of rows that are no JSON: they cannot stand inside a document."""
CODES = (
    *STRUCTURAL,
    "too_large",
    "envelope_missing",
    "type_unknown",
    "version_unsupported",
    "field_missing",
    "field_type",
    "field_range",
    "field_enum",
    "field_format",
    "timestamp_invalid",
    "timestamp_future",
    "tenant_unknown",
)
REQUIRED = ("event_id", "occurred_at", "tenant_id")
FAR_FUTURE = "2099-01-01T00:00:00.000Z"


def broken_line(
    line: bytes,
    code: str,
    *,
    source: Source,
    form: WireFormat,
    contract: Contract,
    rng: np.random.Generator,
) -> bytes | None:
    """Return the event broken so that it violates the rule of `code` only; None where it offers no way."""
    if code == "encoding_invalid":
        middle = line.index(b'":"') + 3
        return line[:middle] + b"\xff\xfe" + line[middle:]
    if code == "json_invalid":
        return line[: int(len(line) * rng.uniform(0.3, 0.95))]
    event = json.loads(line)
    if code == "too_large":
        event["padding"] = "x" * source.max_event_bytes
        return _text(event)
    if code in _ENVELOPE:
        return _text(event) if _ENVELOPE[code](event, source, form, rng) else None
    fields = [field for field in contract.fields if _applies(field, code)]
    if not fields:
        return None
    field = fields[int(rng.integers(len(fields)))]
    return _text(_with_payload(event, form, lambda payload: _spoil(payload, field, code)))


def _applies(field: Field, code: str) -> bool:
    schema, kinds = field.schema, types_of(field.schema)
    closed = "enum" in schema or "const" in schema
    if code == "field_missing":
        return field.required
    if code == "field_type":
        return not closed and "array" not in kinds
    if code == "field_range":
        return "minimum" in schema or "maximum" in schema
    if code == "field_enum":
        return "enum" in schema
    return "pattern" in schema or "format" in schema


def _spoil(payload: dict[str, Any], field: Field, code: str) -> None:
    schema = field.schema
    holder = payload
    for name in field.path[:-1]:
        holder = holder.setdefault(name, {})
    name = field.path[-1]
    if code == "field_missing":
        holder.pop(name, None)
    elif code == "field_type":
        holder[name] = 4711 if "string" in types_of(schema) else "a lot"
    elif code == "field_range":
        holder[name] = schema["maximum"] + 1 if "maximum" in schema else schema["minimum"] - 1
    else:
        holder[name] = "no such value" if code == "field_enum" else "???"


def _with_payload(
    event: dict[str, Any], form: WireFormat, change: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    if form.parts is not None:
        return _with_parts(event, form.parts, change)
    holder, key = _holder(event, form.envelope["payload"][0])
    is_text = isinstance(holder[key], str)
    payload = json.loads(holder[key]) if is_text else holder[key]
    change(payload)
    holder[key] = _text(payload).decode() if is_text else payload
    return event


def _with_parts(
    event: dict[str, Any], parts: PayloadParts, change: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Change a payload that the wire spreads over several places, each field where it stands."""
    places: dict[str, tuple[dict[str, Any], str]] = {}
    for path, names in parts.objects.items():
        parent, key = _holder(event, path)
        for name in parent.get(key) or {}:
            places.setdefault(names.get(name, name), (parent[key], name))
    for field_name, paths in parts.values.items():
        places.setdefault(field_name, _holder(event, paths[0]))
    before = {name: holder[key] for name, (holder, key) in places.items() if key in holder}
    after = dict(before)
    change(after)
    parent, first = _holder(event, next(iter(parts.objects)))
    for name in before.keys() - after.keys():
        holder, key = places[name]
        del holder[key]
    for name, value in after.items():
        holder, key = places.get(name, (parent.setdefault(first, {}), name))
        holder[key] = value
    return event


def _holder(event: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    *parents, key = path.split(".")
    for name in parents:
        event = event.setdefault(name, {})
    return event, key


def _paths(form: WireFormat, column: str) -> Iterator[str]:
    return (path for path in form.envelope.get(column, ()) if not path.startswith("payload."))


def _replace(event: dict[str, Any], form: WireFormat, column: str, value: Any) -> bool:
    """Put a value into an envelope column, or take the column away where the value is None."""
    found = False
    for path in _paths(form, column):
        holder, key = _holder(event, path)
        found = found or holder.get(key) is not None
        if value is not None:
            holder[key] = value
            return True
        holder.pop(key, None)
    return found


_Break = Callable[[dict[str, Any], Source, WireFormat, np.random.Generator], bool]
_ENVELOPE: dict[str, _Break] = {
    "envelope_missing": lambda event, _, form, rng: _replace(
        event, form, _drawn(rng, [name for name in REQUIRED if name not in form.defaults]), None
    ),
    "type_unknown": lambda event, _, form, __: _replace(event, form, "event_type", "ORDER_TELEPORTED"),
    "version_unsupported": lambda event, _, form, __: _replace(event, form, "contract_version", "99.0"),
    "timestamp_invalid": lambda event, _, form, __: _replace(event, form, "occurred_at", "yesterday at noon"),
    "timestamp_future": lambda event, _, form, __: _replace(event, form, "occurred_at", FAR_FUTURE),
    # A source that names no tenants takes every one.
    "tenant_unknown": lambda event, source, form, _: (
        bool(source.tenants) and _replace(event, form, "tenant_id", "nobody-we-know")
    ),
}


def _drawn(rng: np.random.Generator, names: Sequence[str]) -> str:
    return names[int(rng.integers(len(names)))]


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
