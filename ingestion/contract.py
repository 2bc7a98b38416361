"""Contracts of a source: what its events look like on the wire and what each payload field means."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ingestion.contract_lint import SOURCE_FILE, Document, Problem, lint_documents
from ingestion.schema_types import clickhouse_type, has_fields, is_nullable
from lake.errors import MillraceError

CONTRACTS_ROOT = Path(__file__).resolve().parent / "contracts"

ENVELOPE_COLUMNS: Mapping[str, str] = {
    "event_id": "String",
    "idempotency_key": "Nullable(String)",
    "source": "LowCardinality(String)",
    "event_type": "LowCardinality(String)",
    "contract_version": "LowCardinality(String)",
    "tenant_id": "String",
    "occurred_at": "DateTime64(3, 'UTC')",
    "received_at": "DateTime64(3, 'UTC')",
    "user_key": "Nullable(String)",
    "session_id": "Nullable(String)",
    "device_id": "Nullable(String)",
    "order_id": "Nullable(String)",
    "trace_id": "Nullable(String)",
    "producer": "Nullable(String)",
    "load_id": "String",
    "row_number": "UInt64",
}
"""Columns of every raw event beside its payload, with their ClickHouse types."""


class ContractError(MillraceError):
    """A source or contract is missing or wrong; the message says which, and what is valid."""


@dataclass(frozen=True)
class Field:
    """One payload field: a leaf of the payload, an array, or an open object."""

    name: str
    """Column name: the path's words joined by an underscore, or what `x-column` says."""
    path: tuple[str, ...]
    """Where the value lies in the payload (or in the element, for a field of `items`)."""
    schema: Mapping[str, Any]
    required: bool
    """Whether the field and every object around it must be present."""
    description: str
    unit: str | None
    pii_class: str | None
    pii_action: str | None
    """`pseudonymise`, `drop` or None."""
    items: tuple[Field, ...] = ()
    """The fields of an element, for an array of objects."""

    @property
    def is_money(self) -> bool:
        """Whether the value is an amount: at most four decimals, exact from producer to mart."""
        return self.schema.get("x-type") == "money"

    @property
    def nullable(self) -> bool:
        """Whether the value may be missing or null."""
        return not self.required or is_nullable(self.schema)

    @property
    def clickhouse_type(self) -> str:
        """The column's type: Nullable when the value may be missing or null; a missing array or map is empty."""
        return clickhouse_type(self.schema, required=self.required)


@dataclass(frozen=True)
class Contract:
    """What one event type must carry, in one major version."""

    source: str
    event_type: str
    major: int
    version: str
    entity: str
    """The staging entity that the event belongs to: `payments` becomes `stg_<source>__payments`."""
    aliases: tuple[str, ...]
    """Other names the producers send; the event is stored under `event_type`."""
    owner: str
    description: str
    schema: Mapping[str, Any]
    fields: tuple[Field, ...]
    path: Path


@dataclass(frozen=True)
class PayloadParts:
    """A payload that the wire spreads over several places."""

    objects: Mapping[str, Mapping[str, str]]
    """Dotted paths of the objects whose members are the payload's fields, each with the names that some of its
    members get. Members without one keep their own; an object listed by itself is no member of the one around it."""
    values: Mapping[str, tuple[str, ...]]
    """Further fields to dotted paths; the first that is neither missing nor null wins."""


@dataclass(frozen=True)
class WireFormat:
    """One shape in which producers send the source's events."""

    name: str
    description: str
    detect: tuple[str, ...]
    """Top-level keys that must all be present for the format to apply; formats are tried in order."""
    envelope: Mapping[str, tuple[str, ...]]
    """Envelope column to dotted paths; the first that is neither missing nor null wins.

    `payload` is a path too (a JSON object, or a string that holds one); a path that starts with `payload.`
    goes on inside it. `user_id` becomes `user_key`. The paths of `producer` are joined with a slash.
    """
    parts: PayloadParts | None = None
    """What the payload is put together from, where it has no path of its own."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """Envelope column to what it holds where no path has anything."""


@dataclass(frozen=True)
class PiiRule:
    """What happens to personal data before it is written anywhere."""

    pii_class: str
    action: str
    """`pseudonymise` (keyed hash over class and value) or `drop`."""


@dataclass(frozen=True)
class Correlation:
    """Where the key stands that ties events of different dates together."""

    paths: tuple[str, ...]
    """Envelope columns, or paths below `payload.`. Events that share a key under any of them belong together."""
    around_midnight: bool = False
    """Whether only events that are nearest to the same midnight belong together, for keys that live for months; their
    key is then the first that is not null."""
    unless: str | None = None
    """An envelope column: events that have it are not tied this way."""


@dataclass(frozen=True)
class Condition:
    """One way in which an event can name nobody."""

    description: str
    fields: tuple[str, ...]
    """Envelope texts, or paths below `payload.`; one that matches is enough."""
    matches: str
    """Regular expression, found anywhere in the field and in any case of letters."""


@dataclass(frozen=True)
class Anonymity:
    """Which events name nobody, whatever the producer sent, and what is not written of them."""

    conditions: Mapping[str, Condition]
    drop: tuple[str, ...] = ()
    """Envelope columns as the wire formats name them: `user_id` leaves `user_key` empty."""
    drop_payload: tuple[str, ...] = ()
    """Payload names that are left out at any depth."""


NOBODY = Anonymity({})
"""Of a source that leaves the people in all its events."""


@dataclass(frozen=True)
class Source:
    """A source system: its wire formats, its contracts and the rules common to all its events."""

    name: str
    description: str
    owner: str
    wire_formats: tuple[WireFormat, ...]
    contracts: tuple[Contract, ...]
    correlations: Mapping[str, Correlation]
    """What ties events of different dates together, such as `order`, to where its key stands."""
    pii: Mapping[str, PiiRule]
    """Payload names that are personal wherever they turn up, declared or unknown, at any depth."""
    anonymous: Anonymity
    tenants: tuple[str, ...]
    """The tenants that may send; empty means any."""
    future_tolerance_minutes: int
    """How far `occurred_at` may lie after `received_at`."""
    max_event_bytes: int
    user_id_scope: str
    """Prefix of the user id under the pseudonym's key: sources that share it share their users."""
    fingerprint: str
    """sha256 over every file of the source, name and content."""

    def contract(self, event_type: str, major: int | None = None) -> Contract:
        """Return the contract of an event type or alias, its newest major version unless one is given.

        Raises:
            ContractError: there is no such event type or version.
        """
        named = [c for c in self.contracts if event_type == c.event_type or event_type in c.aliases]
        if not named:
            valid = ", ".join(sorted({c.event_type for c in self.contracts}))
            raise ContractError(f"{self.name} has no event type {event_type!r}; valid: {valid}")
        if major is None:
            return max(named, key=lambda c: c.major)
        for contract in named:
            if contract.major == major:
                return contract
        versions = ", ".join(str(c.major) for c in named)
        raise ContractError(f"{self.name} {event_type} has no major version {major}; valid: {versions}")

    def entities(self) -> dict[str, tuple[Contract, ...]]:
        """Return the contracts of each staging entity, by entity name."""
        names = sorted({c.entity for c in self.contracts})
        return {name: tuple(c for c in self.contracts if c.entity == name) for name in names}


def load_source(name: str, root: Path = CONTRACTS_ROOT) -> Source:
    """Read a source's contracts and check them.

    Raises:
        ContractError: the source does not exist, or files break rules; the message names every broken one.
    """
    files = _source_files(name, root)
    documents = [_read(path, root) for path in files]
    problems = lint_documents(name, documents)
    if problems:
        raise ContractError("\n".join(str(problem) for problem in problems))
    header = next(d.content for d in documents if d.path.name == SOURCE_FILE)
    bodies = [d for d in documents if d.path.name != SOURCE_FILE]
    return Source(
        name=name,
        description=header["description"],
        owner=header["owner"],
        wire_formats=tuple(_wire_format(key, value) for key, value in header["wire_formats"].items()),
        contracts=tuple(_contract(name, header["owner"], d, root) for d in bodies),
        correlations={name: _correlation(value) for name, value in header.get("correlations", {}).items()},
        pii={key: PiiRule(rule["class"], rule["action"]) for key, rule in header.get("pii", {}).items()},
        anonymous=_anonymity(header["anonymous"]) if "anonymous" in header else NOBODY,
        tenants=tuple(header.get("tenants", ())),
        future_tolerance_minutes=header["future_tolerance_minutes"],
        max_event_bytes=header["max_event_bytes"],
        user_id_scope=header.get("user_id_scope", name),
        fingerprint=_fingerprint(files),
    )


def load_sources(root: Path = CONTRACTS_ROOT) -> dict[str, Source]:
    """Read every source below a folder, by name.

    Raises:
        ContractError: a file breaks a rule.
    """
    return {name: load_source(name, root) for name in source_names(root)}


def source_names(root: Path = CONTRACTS_ROOT) -> list[str]:
    """Return the names of the folders that hold a source file."""
    return sorted(path.parent.name for path in root.glob(f"*/{SOURCE_FILE}"))


def lint_source(name: str, root: Path = CONTRACTS_ROOT) -> list[Problem]:
    """Return every rule that the source's files break; an unreadable or missing file is a problem too."""
    try:
        documents = [_read(path, root) for path in _source_files(name, root)]
    except ContractError as error:
        return [Problem(root / name, "", str(error))]
    return lint_documents(name, documents)


def _source_files(name: str, root: Path) -> list[Path]:
    if not (root / name / SOURCE_FILE).is_file():
        raise ContractError(f"unknown source {name!r}; valid: {', '.join(source_names(root)) or 'none'}")
    return sorted((root / name).glob("*.yaml"))


class _UniqueKeyLoader(yaml.CSafeLoader):
    """Refuses a mapping with the same key twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build the mapping, or fail at the repeated key."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def _read(path: Path, root: Path) -> Document:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeyLoader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ContractError(f"{path.relative_to(root)}: is no readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise ContractError(f"{path.relative_to(root)}: must be a mapping, is {type(content).__name__}")
    return Document(path.relative_to(root), content)


def _correlation(declared: Any) -> Correlation:
    if not isinstance(declared, dict):
        return Correlation(_paths(declared))
    return Correlation(_paths(declared["first_of"]), around_midnight=True, unless=declared.get("unless"))


def _fingerprint(files: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in files:
        content = path.read_bytes()
        digest.update(f"{path.name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _wire_format(name: str, body: Mapping[str, Any]) -> WireFormat:
    columns = dict(body["envelope"])
    parts = _payload_parts(columns.pop("payload")) if isinstance(columns["payload"], dict) else None
    return WireFormat(
        name,
        body["description"],
        tuple(body["detect"]),
        {column: _paths(value) for column, value in columns.items()},
        parts,
        body.get("defaults", {}),
    )


def _payload_parts(body: Mapping[str, Any]) -> PayloadParts:
    values = {name: _paths(value) for name, value in body.get("values", {}).items()}
    return PayloadParts(body["objects"], values)


def _anonymity(body: Mapping[str, Any]) -> Anonymity:
    conditions = {
        name: Condition(condition["description"], _paths(condition["fields"]), condition["matches"])
        for name, condition in body["when"].items()
    }
    return Anonymity(conditions, tuple(body["drop"]), tuple(body.get("drop_payload", ())))


def _paths(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _contract(source: str, source_owner: str, document: Document, root: Path) -> Contract:
    schema = document.content
    event_type, major = split_file_name(document.path.name)
    return Contract(
        source=source,
        event_type=event_type,
        major=major,
        version=schema["x-version"],
        entity=schema["x-entity"],
        aliases=tuple(schema.get("x-aliases", ())),
        owner=schema.get("x-owner", source_owner),
        description=schema["description"],
        schema=schema,
        fields=tuple(_fields(schema, (), True)),
        path=root / document.path,
    )


def split_file_name(name: str) -> tuple[str, int]:
    """Return event type and major version of a contract's file name `<EVENT_TYPE>.v<major>.yaml`.

    Raises:
        ContractError: the name has another form.
    """
    match = re.fullmatch(r"([A-Za-z][A-Za-z0-9_]*)\.v([1-9][0-9]*)\.yaml", name)
    if match is None:
        raise ContractError(f"{name}: a contract's file is named <EVENT_TYPE>.v<major>.yaml")
    return match[1], int(match[2])


def _fields(schema: Mapping[str, Any], prefix: tuple[str, ...], parent_required: bool) -> Iterator[Field]:
    required = schema.get("required", ())
    for name, sub in schema["properties"].items():
        path = (*prefix, name)
        is_required = parent_required and name in required
        if has_fields(sub):
            yield from _fields(sub, path, is_required and not is_nullable(sub))
            continue
        pii = sub.get("x-pii", {})
        element = sub.get("items", {})
        yield Field(
            name=sub.get("x-column", "_".join(path)),
            path=path,
            schema=sub,
            required=is_required,
            description=sub["description"],
            unit=sub.get("x-unit"),
            pii_class=pii.get("class"),
            pii_action=pii.get("action"),
            items=tuple(_fields(element, (), True)) if has_fields(element) else (),
        )
