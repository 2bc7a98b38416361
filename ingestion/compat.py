"""What changed between two states of the contracts, and whom a change breaks.

A change within a major version breaks a producer when an event that was valid is no longer, and a consumer
when a staging column disappears, changes its type or meaning, or shows personal data that it did not show.
"""

from __future__ import annotations

import io
import math
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingestion.codegen import CONTRACTS_FOLDER, entity_fields
from ingestion.contract import Contract, ContractError, Source, WireFormat, load_sources
from ingestion.schema_types import is_nullable, is_open, types_of, value_schema


class BaselineError(ContractError):
    """The state to compare with cannot be read; the message says why and what is valid."""


@dataclass(frozen=True)
class Change:
    """One difference between two states of a source's contracts."""

    source: str
    where: str
    """`PAYMENT_CAPTURED.v1 items[].quantity`, or a key of the source file."""
    breaking: bool
    message: str

    def __str__(self) -> str:
        """Return `source where: message`."""
        return f"{self.source} {self.where}: {self.message}"


def diff(old: Source, new: Source) -> list[Change]:
    """Return the changes from one state of a source to another, breaking ones first.

    A new major version stands beside the old one and breaks nobody; taking the old one away does.
    """
    changes = [*_source_changes(old, new), *_contract_changes(old, new)]
    changes += _column_changes(old, new, changes)
    return sorted(changes, key=lambda change: (not change.breaking, change.where, change.message))


def diff_sources(old: Mapping[str, Source], new: Mapping[str, Source]) -> list[Change]:
    """Return the changes of all sources, sources that came or went included."""
    changes = [Change(name, "source", True, "is removed") for name in sorted(old.keys() - new.keys())]
    changes += [Change(name, "source", False, "is new") for name in sorted(new.keys() - old.keys())]
    for name in sorted(old.keys() & new.keys()):
        changes += diff(old[name], new[name])
    return changes


def changes_since(against: str, project_root: Path, sources: Mapping[str, Source]) -> list[Change]:
    """Return what changed since a git revision, or from the contracts of another folder.

    Raises:
        BaselineError: there is no such revision or folder, or it holds no readable contracts.
    """
    if Path(against).is_dir():
        return diff_sources(_load_baseline(Path(against), f"folder {against}"), sources)
    return diff_sources(baseline_from_git(against, project_root), sources)


def baseline_from_git(ref: str, project_root: Path) -> dict[str, Source]:
    """Return the contracts as they are in a git revision of the project.

    Raises:
        BaselineError: no git, no checkout, no such revision, or no readable contracts in it.
    """
    if ref.startswith("-"):
        raise BaselineError(f"{ref!r} is no git revision; valid: a branch, tag or commit, or a folder")
    _git(project_root, "is no git checkout, so give a folder to compare with", "rev-parse", "--git-dir")
    commit = _git(
        project_root,
        f"has neither a git revision nor a folder {ref!r}; valid: a branch, tag, commit or folder",
        *("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}"),
    )
    archive = _git(
        project_root,
        f"has no {CONTRACTS_FOLDER} in {ref}",
        *("archive", "--format=zip", commit.decode().strip(), CONTRACTS_FOLDER.as_posix()),
    )
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(io.BytesIO(archive)) as files:
        files.extractall(folder)
        return _load_baseline(Path(folder) / CONTRACTS_FOLDER, f"revision {ref}")


def _git(project_root: Path, complaint: str, *arguments: str) -> bytes:
    try:
        done = subprocess.run(["git", "-C", str(project_root), *arguments], capture_output=True, check=False)
    except FileNotFoundError as error:
        raise BaselineError("git is not installed, so give a folder to compare with") from error
    if done.returncode != 0:
        told = done.stderr.decode(errors="replace").strip()
        raise BaselineError(f"{project_root} {complaint}" + (f" ({told})" if told else ""))
    return done.stdout


def _load_baseline(root: Path, name: str) -> dict[str, Source]:
    try:
        sources = load_sources(root)
    except ContractError as error:
        raise BaselineError(f"the contracts of {name} break today's rules: {error}") from error
    if not sources:
        raise BaselineError(f"{name} holds no contracts; valid: a folder with <source>/_source.yaml")
    return sources


# the source file


def _source_changes(old: Source, new: Source) -> Iterator[Change]:
    for where, before, after in (
        ("future_tolerance_minutes", old.future_tolerance_minutes, new.future_tolerance_minutes),
        ("max_event_bytes", old.max_event_bytes, new.max_event_bytes),
    ):
        if after != before:
            yield Change(new.name, where, after < before, f"{before} became {after}")
    if old.user_id_scope != new.user_id_scope:
        yield Change(new.name, "user_id_scope", True, "changed: every user gets another pseudonym")
    yield from _tenant_changes(old, new)
    yield from _correlation_changes(old, new)
    yield from _pii_changes(old, new)
    before_formats = {wire.name: wire for wire in old.wire_formats}
    after_formats = {wire.name: wire for wire in new.wire_formats}
    for name in sorted(before_formats.keys() - after_formats.keys()):
        yield Change(new.name, f"wire_formats.{name}", True, "is removed")
    for name in sorted(after_formats.keys() - before_formats.keys()):
        yield Change(new.name, f"wire_formats.{name}", False, "is new")
    for name in sorted(before_formats.keys() & after_formats.keys()):
        yield from _wire_changes(new.name, before_formats[name], after_formats[name])


def _tenant_changes(old: Source, new: Source) -> Iterator[Change]:
    if set(old.tenants) == set(new.tenants):
        return
    if not new.tenants:
        yield Change(new.name, "tenants", False, "any tenant may send now")
    elif not old.tenants:
        yield Change(new.name, "tenants", True, f"only {', '.join(new.tenants)} may send now")
    else:
        for tenant in sorted(set(old.tenants) - set(new.tenants)):
            yield Change(new.name, "tenants", True, f"{tenant} may no longer send")
        for tenant in sorted(set(new.tenants) - set(old.tenants)):
            yield Change(new.name, "tenants", False, f"{tenant} may send now")


def _correlation_changes(old: Source, new: Source) -> Iterator[Change]:
    for name in sorted(old.correlations.keys() | new.correlations.keys()):
        before, after = old.correlations.get(name, ()), new.correlations.get(name, ())
        if set(before) != set(after):
            # Raw holds the keys of what was loaded under the old paths only.
            yield Change(
                new.name,
                f"correlations.{name}",
                not set(before) <= set(after),
                f"{', '.join(before) or 'nothing'} became {', '.join(after) or 'nothing'}: "
                "received hours loaded before know it when they are loaded again",
            )


def _pii_changes(old: Source, new: Source) -> Iterator[Change]:
    for name in sorted(old.pii.keys() | new.pii.keys()):
        before, after = old.pii.get(name), new.pii.get(name)
        if before != after:
            told = (
                {"class": before.pii_class, "action": before.action} if before else None,
                {"class": after.pii_class, "action": after.action} if after else None,
            )
            yield from _pii_change(new.name, f"pii.{name}", *told)


def _wire_changes(source: str, old: WireFormat, new: WireFormat) -> Iterator[Change]:
    where = f"wire_formats.{new.name}"
    if set(old.detect) != set(new.detect):
        added = sorted(set(new.detect) - set(old.detect))
        message = f"is recognised by {', '.join(new.detect)} instead of {', '.join(old.detect)}"
        yield Change(source, f"{where}.detect", bool(added), message)
    for column in sorted(old.envelope.keys() | new.envelope.keys()):
        before, after = old.envelope.get(column, ()), new.envelope.get(column, ())
        if before != after:
            # A path behind the old ones only fills what was empty; the parts of `producer` are all used.
            extends = after[: len(before)] == before and (column != "producer" or not before)
            message = f"{', '.join(before) or 'nothing'} became {', '.join(after) or 'nothing'}"
            yield Change(source, f"{where}.envelope.{column}", not extends, message)


# contracts


def _contract_changes(old: Source, new: Source) -> Iterator[Change]:
    before = {(c.event_type, c.major): c for c in old.contracts}
    after = {(c.event_type, c.major): c for c in new.contracts}
    for key in sorted(before.keys() - after.keys()):
        yield Change(new.name, f"{key[0]}.v{key[1]}", True, "is removed")
    for key in sorted(after.keys() - before.keys()):
        yield Change(new.name, f"{key[0]}.v{key[1]}", False, "is new")
    for key in sorted(before.keys() & after.keys()):
        yield from _one_contract(before[key], after[key])


def _one_contract(old: Contract, new: Contract) -> Iterator[Change]:
    source, where = new.source, f"{new.event_type}.v{new.major}"
    for alias in sorted(set(old.aliases) - set(new.aliases)):
        yield Change(source, where, True, f"the alias {alias} is removed")
    for alias in sorted(set(new.aliases) - set(old.aliases)):
        yield Change(source, where, False, f"the alias {alias} is new")
    if old.entity != new.entity:
        yield Change(source, where, True, f"moved from entity {old.entity} to {new.entity}")
    changes = list(_object_changes(source, where, "", old.schema, new.schema))
    yield from changes
    before, after = _minor(old), _minor(new)
    if after < before:
        yield Change(source, where, True, f"x-version went back from {old.version} to {new.version}")
    elif changes and after == before:
        yield Change(source, where, False, f"changed, but x-version is still {new.version}: raise it")


def _minor(contract: Contract) -> int:
    return int(contract.version.split(".")[1])


def _object_changes(
    source: str, contract: str, path: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    before, after = old["properties"], new["properties"]
    was_required, is_required = old.get("required", ()), new.get("required", ())
    for name in [*before, *(name for name in after if name not in before)]:
        inner = f"{path}.{name}".lstrip(".")
        where = f"{contract} {inner}"
        if name not in after:
            yield Change(source, where, True, "is removed")
        elif name not in before:
            required = name in is_required
            yield Change(
                source, where, required, "is new and required" if required else "is new and optional"
            )
        else:
            if name in is_required and name not in was_required:
                yield Change(source, where, True, "became required")
            if name in was_required and name not in is_required:
                yield Change(source, where, True, "became optional: its column turns Nullable")
            yield from _schema_changes(source, contract, inner, before[name], after[name])


def _schema_changes(
    source: str, contract: str, path: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    where = f"{contract} {path}"
    if types_of(old) != types_of(new) or old.get("x-type") != new.get("x-type"):
        # Wider is no better: integer to number changes the column's type for every consumer.
        yield Change(source, where, True, f"type {_type(old)} became {_type(new)}")
        return
    if is_nullable(old) != is_nullable(new):
        yield Change(
            source,
            where,
            True,
            "accepts null now: its column turns Nullable" if is_nullable(new) else "refuses null now",
        )
    if old.get("x-column") != new.get("x-column"):
        yield Change(source, where, True, f"column {old.get('x-column')} became {new.get('x-column')}")
    if old.get("x-unit") != new.get("x-unit"):
        yield Change(source, where, True, f"unit {old.get('x-unit')} became {new.get('x-unit')}")
    yield from _pii_change(source, where, old.get("x-pii"), new.get("x-pii"))
    yield from _bound_changes(source, where, old, new)
    yield from _value_changes(source, where, old, new)
    for keyword in ("pattern", "format"):
        before, after = old.get(keyword), new.get(keyword)
        if before != after:
            # A format decides the column's type; dropping a pattern only lets more through.
            breaking = after is not None or keyword == "format"
            yield Change(source, where, breaking, f"{keyword} {before} became {after}")
    if is_open(old) != is_open(new) or (value_schema(old) is None) != (value_schema(new) is None):
        yield Change(source, where, True, "another kind of object: its columns change")
    elif is_open(new):
        before, after = value_schema(old), value_schema(new)
        if before is not None and after is not None:
            yield from _schema_changes(source, contract, f"{path}{{}}", before, after)
    elif types_of(new) == ("object",):
        yield from _object_changes(source, contract, path, old, new)
    elif types_of(new) == ("array",):
        yield from _schema_changes(source, contract, f"{path}[]", old["items"], new["items"])


def _bound_changes(
    source: str, where: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    for name, inclusive, exclusive in (
        ("lower bound", "minimum", "exclusiveMinimum"),
        ("least length", "minLength", ""),
        ("least number of elements", "minItems", ""),
    ):
        before, after = _lower(old, inclusive, exclusive), _lower(new, inclusive, exclusive)
        if before != after:
            yield Change(
                source, where, after > before, f"{name} {_told(before, '>')} became {_told(after, '>')}"
            )
    for name, inclusive, exclusive in (
        ("upper bound", "maximum", "exclusiveMaximum"),
        ("greatest length", "maxLength", ""),
        ("greatest number of elements", "maxItems", ""),
    ):
        before, after = _upper(old, inclusive, exclusive), _upper(new, inclusive, exclusive)
        if before != after:
            yield Change(
                source, where, after < before, f"{name} {_told(before, '<')} became {_told(after, '<')}"
            )


def _lower(schema: Mapping[str, Any], inclusive: str, exclusive: str) -> tuple[float, int]:
    """Return the tighter of the two lower bounds; the second part is 1 when the bound itself is out."""
    return max(
        (schema.get(inclusive, -math.inf), 0),
        (schema.get(exclusive, -math.inf), 1 if exclusive in schema else 0),
    )


def _upper(schema: Mapping[str, Any], inclusive: str, exclusive: str) -> tuple[float, int]:
    """Return the tighter of the two upper bounds; the second part is -1 when the bound itself is out."""
    return min(
        (schema.get(inclusive, math.inf), 0),
        (schema.get(exclusive, math.inf), -1 if exclusive in schema else 0),
    )


def _told(bound: tuple[float, int], sign: str) -> str:
    value, exclusive = bound
    return "none" if math.isinf(value) else f"{sign}{'' if exclusive else '='} {value}"


def _value_changes(
    source: str, where: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> Iterator[Change]:
    before, after = _values(old), _values(new)
    if before is None and after is not None:
        yield Change(source, where, True, f"takes only {_list(after)} now")
    elif before is not None and after is None:
        yield Change(source, where, False, "takes any value now")
    elif before is not None and after is not None:
        gone = [value for value in before if value not in after]
        come = [value for value in after if value not in before]
        if gone:
            yield Change(source, where, True, f"no longer takes {_list(gone)}")
        if come:
            yield Change(source, where, False, f"takes {_list(come)} too")


def _values(schema: Mapping[str, Any]) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return list(schema["enum"]) if "enum" in schema else None


def _list(values: Sequence[Any]) -> str:
    return ", ".join(repr(value) for value in values)


def _pii_change(
    source: str, where: str, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> Iterator[Change]:
    if old == new:
        return
    strength = {None: 0, "pseudonymise": 1, "drop": 2}
    before = old["action"] if old else None
    after = new["action"] if new else None
    if strength[after] < strength[before]:
        yield Change(
            source, where, True, f"personal data was protected by {before}, now by {after or 'nothing'}"
        )
    elif strength[after] > strength[before]:
        yield Change(source, where, False, f"personal data is now protected by {after}")
    elif old and new and old["class"] != new["class"]:
        # A pseudonym is made from class and value: under another class it joins with nothing older.
        yield Change(
            source,
            where,
            after == "pseudonymise",
            f"class of personal data {old['class']} became {new['class']}",
        )


def _type(schema: Mapping[str, Any]) -> str:
    return str(schema.get("x-type") or " or ".join(types_of(schema)))


# staging columns


def _column_changes(old: Source, new: Source, told: Sequence[Change]) -> Iterator[Change]:
    """Yield changes of staging columns that no change of a field explains, as by a new event in an entity."""
    columns = {
        f"{c.event_type}.v{c.major} {'.'.join(field.path)}": field.name
        for c in old.contracts
        for field in c.fields
    }
    explained = {_column_of(change.where, columns) for change in told if change.breaking}
    removed = {change.where for change in told if change.breaking and change.message == "is removed"}
    for entity, contracts in old.entities().items():
        if entity not in new.entities() or any(f"{c.event_type}.v{c.major}" in removed for c in contracts):
            continue
        after = {item.field.name: item.clickhouse_type for item in entity_fields(new.entities()[entity])}
        for item in entity_fields(contracts):
            name, before = item.field.name, item.clickhouse_type
            where = f"stg_{new.name}__{entity} {name}"
            if name in explained:
                continue
            if name not in after:
                yield Change(new.name, where, True, "the column is removed")
            elif after[name] != before and not item.field.items:
                yield Change(new.name, where, True, f"the column's type {before} became {after[name]}")


def _column_of(where: str, columns: Mapping[str, str]) -> str:
    """Return the column of a change at `<contract> <path>`; elements and values belong to their array or object."""
    field = where.split("[]", maxsplit=1)[0].split("{}", maxsplit=1)[0]
    return columns.get(field, field.partition(" ")[2].replace(".", "_"))
