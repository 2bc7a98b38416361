"""The catalogue page of a source: every event, its fields and an example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ingestion.contract import Anonymity, Contract, Field, PayloadParts, PiiRule, Source, WireFormat
from ingestion.contract_example import example_json
from ingestion.schema_types import conditions_of, is_nullable, is_open, types_of, value_schema

_CONSTRAINTS = {
    "minimum": "≥ {}",
    "exclusiveMinimum": "> {}",
    "maximum": "≤ {}",
    "exclusiveMaximum": "< {}",
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "minItems": "at least {} elements",
    "maxItems": "at most {} elements",
    "pattern": "matches `{}`",
    "format": "{}",
    "const": "is `{}`",
}


def catalogue(source: Source, mark: str) -> str:
    """Return the catalogue page as Markdown; `mark` says where it comes from."""
    sections = [
        f"<!-- {mark} -->\n# {source.name}\n\n{source.description}\n",
        f"Owner: {source.owner}. An event is at most {source.max_event_bytes:,} bytes and may lie at most "
        f"{source.future_tolerance_minutes} minutes after the clock of its arrival.\n",
        _index(source),
        "## Wire formats\n",
        *(_wire_format(wire) for wire in source.wire_formats),
        _pii(source.pii),
        _anonymous(source.anonymous),
        "## Events\n",
        *(_event(contract) for contract in source.contracts),
    ]
    return "\n".join(section for section in sections if section)


def _index(source: Source) -> str:
    rows = [
        (
            f"[`{c.event_type}`](#{_anchor(c)})",
            c.version,
            f"`stg_{source.name}__{c.entity}`",
            c.owner,
            c.description,
        )
        for c in source.contracts
    ]
    return _table(("event", "version", "staging model", "owner", "meaning"), rows)


def _wire_format(wire: WireFormat) -> str:
    keys = ", ".join(f"`{key}`" for key in wire.detect)
    rows = [
        (f"`{column}`", (" / " if column == "producer" else ", else ").join(f"`{path}`" for path in paths))
        for column, paths in wire.envelope.items()
    ]
    rows += [
        (f"`{column}`", f"`{value}` where nothing else is given") for column, value in wire.defaults.items()
    ]
    if wire.parts is not None:
        rows += list(_part_rows(wire.parts))
    head = f"### {wire.name}\n\n{wire.description} Recognised by its keys {keys}.\n\n"
    return head + _table(("envelope", "from"), rows)


def _part_rows(parts: PayloadParts) -> Iterator[tuple[str, str]]:
    for path, names in parts.objects.items():
        renamed = ", ".join(f"`{wire}` as `{name}`" for wire, name in names.items())
        yield "`payload`", f"the members of `{path}`" + (f"; {renamed}" if renamed else "")
    for name, paths in parts.values.items():
        yield f"`payload.{name}`", ", else ".join(f"`{path}`" for path in paths)


def _pii(rules: Mapping[str, PiiRule]) -> str:
    if not rules:
        return ""
    rows = [(f"`{name}`", rule.pii_class, rule.action) for name, rule in rules.items()]
    head = (
        "## Personal data\n\nThese names are personal wherever a payload carries them, declared or not.\n\n"
    )
    return head + _table(("name", "class", "action"), rows)


def _anonymous(rule: Anonymity) -> str:
    if not rule.conditions:
        return ""
    rows = [
        (name, ", ".join(f"`{field}`" for field in c.fields), f"`{c.matches}`", c.description)
        for name, c in rule.conditions.items()
    ]
    columns = ", ".join(f"`{name}`" for name in rule.drop)
    names = ", ".join(f"`{name}`" for name in rule.drop_payload) or "nothing"
    head = (
        "## Events that name nobody\n\nWhere one of these conditions holds, in any case of letters, the loader writes "
        f"none of {columns}, and leaves {names} out of the payload at any depth, whatever the producer sent.\n\n"
    )
    return head + _table(("condition", "looks at", "finds", "why"), rows)


def _anchor(contract: Contract) -> str:
    return f"{contract.event_type.lower()}-{contract.version.replace('.', '')}"


def _event(contract: Contract) -> str:
    facts = [f"Staging model `stg_{contract.source}__{contract.entity}`", f"owner {contract.owner}"]
    if contract.aliases:
        facts.append("also accepted as " + ", ".join(f"`{alias}`" for alias in contract.aliases))
    fields = _table(
        ("field", "type", "required", "unit", "constraints", "personal", "meaning"),
        list(_field_rows(contract.fields, "")),
    )
    conditions = "".join(
        f"Required where `{c.field}` is `{c.value}`: {', '.join(f'`{name}`' for name in c.required)}.\n\n"
        for c in conditions_of(contract.schema)
    )
    return (
        f"### {contract.event_type} {contract.version}\n\n{contract.description} {'; '.join(facts)}.\n\n"
        f"{conditions}{fields}\n```json\n{example_json(contract)}\n```\n"
    )


def _field_rows(fields: Sequence[Field], prefix: str) -> Iterator[tuple[str, ...]]:
    for item in fields:
        name = prefix + ".".join(item.path)
        personal = f"{item.pii_class}, {item.pii_action}" if item.pii_class else ""
        yield (
            f"`{name}`",
            _type(item),
            "yes" if item.required else "no",
            item.unit or "",
            _constraints(item.schema),
            personal,
            item.description,
        )
        yield from _field_rows(item.items, f"{name}[].")


def _type(item: Field) -> str:
    kind = "money" if item.is_money else types_of(item.schema)[0]
    if kind == "array":
        kind = f"array of {types_of(item.schema['items'])[0]}"
    elif is_open(item.schema):
        values = value_schema(item.schema)
        kind = "any object" if values is None else f"object of {types_of(values)[0]} by any key"
    return f"{kind} or null" if is_nullable(item.schema) else kind


def _constraints(schema: Mapping[str, Any]) -> str:
    return ", ".join(_told(schema))


def _told(schema: Mapping[str, Any]) -> list[str]:
    told = [text.format(schema[keyword]) for keyword, text in _CONSTRAINTS.items() if keyword in schema]
    values = value_schema(schema)
    if values is not None:
        told += [f"each {text}" for text in _told(values)]
    if "enum" in schema:
        told.append("one of " + ", ".join(f"`{json.dumps(value)}`" for value in schema["enum"]))
    if "x-derive" in schema:
        told.append(f"derived from `{schema['x-derive']['from']}` ({schema['x-derive']['as']}) unless sent")
    return told


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    return "\n".join([line(head), line(["---"] * len(head)), *(line(row) for row in rows)]) + "\n"
