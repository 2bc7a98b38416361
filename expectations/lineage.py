"""The compliance lineage gate: no tagged contract field reaches a mart column unmasked and undeclared."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from expectations.model import ExpectationResult, SuiteResult
from ingestion.contract import ENVELOPE_COLUMNS, Source

RAW_EVENTS = "raw.events"
MASKS = ("pseudonymised", "aggregate")
"""What `meta.pii` of a mart column may declare."""
REASON = "personal data reaches no mart column that does not declare it"
_last: dict[str, tuple[Source, Path, int, str, list[ExpectationResult]]] = {}
"""What was found last, by source, of which contracts and which compiled project: runs of a window ask for the same."""


@dataclass(frozen=True)
class Tag:
    """A contract field that is personal."""

    label: str
    pii_class: str
    action: str


@dataclass(frozen=True)
class Trace:
    """A tagged field and the columns through which it flows, the origin first."""

    tag: Tag
    steps: tuple[str, ...]

    def __str__(self) -> str:
        """Return `field -> column -> column`."""
        return " -> ".join((self.tag.label, *self.steps))


def run_lineage(source: Source, manifest: Path, *, partition: str = "", run_id: str = "") -> SuiteResult:
    """Follow every tagged field of a source through the compiled dbt models into its marts.

    Never raises: a manifest that is missing, a model that was not compiled and SQL that cannot be read are
    failed results.

    Args:
        source: its contracts tag the personal fields; `user_key` of the envelope is a pseudonym.
        manifest: dbt's target/manifest.json, written by a command that compiles (compile, run, build).
        partition: label for messages.
        run_id: identifies the run in results.
    """
    started, checked_at = time.monotonic(), datetime.now(UTC)
    versions: dict[str, str] = {}
    try:
        version, results = _followed(source, manifest)
        versions = {"dbt": version}
    except Exception as error:  # a gate that could not run has failed
        why = (
            f"{manifest.name} cannot be used: {type(error).__name__}: {error}; compile the dbt project first"
        )
        results = [_failed(source, f"{source.name}_lineage.manifest", str(manifest.name), source.owner, why)]
    return SuiteResult(
        suite=f"{source.name}_lineage",
        source=source.name,
        boundary="lineage",
        partition=partition,
        window="",
        run_id=run_id,
        checked_at=checked_at,
        results=tuple(results),
        duration_s=round(time.monotonic() - started, 3),
        versions=versions,
    )


def _followed(source: Source, manifest: Path) -> tuple[str, list[ExpectationResult]]:
    """dbt's version, and what was found: read once for the same contracts and the same compiled project."""
    written = manifest.stat().st_mtime_ns
    if _last.get(source.name, (None,))[:3] != (source, manifest, written):
        from expectations.lineage_graph import Graph  # noqa: PLC0415  sqlglot takes 0.3 s to import

        content = json.loads(manifest.read_text(encoding="utf-8"))
        version = str(content.get("metadata", {}).get("dbt_version", ""))
        results = list(_results(source, Graph(source, content, manifest.parent)))
        _last[source.name] = source, manifest, written, version, results
    return _last[source.name][3:]


def tags_at(source: Source, column: str, path: tuple[str, ...], event_types: frozenset[str]) -> list[Tag]:
    """Return the tagged fields that a value of raw.events carries.

    Args:
        source: the contracts.
        column: column of raw.events.
        path: the way into the payload; empty is the payload as a whole.
        event_types: the events that are read; empty means any.
    """
    if column == "user_key":
        return [Tag("envelope.user_id", "user_id", "pseudonymise")]
    if column != "payload":
        return []
    tags = [
        Tag(f"{contract.event_type}.{'.'.join(declared.path)}", declared.pii_class or "", declared.pii_action)
        for contract in source.contracts
        if not event_types or event_types & {contract.event_type, *contract.aliases}
        for declared in contract.fields
        if declared.pii_action and _overlap(declared.path, path)
    ]
    named = {tag.label.rpartition(".")[2] for tag in tags}
    common = source.pii if not path else {name: source.pii[name] for name in path if name in source.pii}
    tags += [
        Tag(f"any event.{name}", rule.pii_class, rule.action)
        for name, rule in common.items()
        if name not in named
    ]
    # The loader drops these, so the payload as a whole cannot carry them; raw-in checks that they are gone.
    return tags if path else [tag for tag in tags if tag.action != "drop"]


def _overlap(declared: tuple[str, ...], path: tuple[str, ...]) -> bool:
    shortest = min(len(declared), len(path))
    return declared[:shortest] == path[:shortest]


def _results(source: Source, graph: Any) -> Iterator[ExpectationResult]:
    marts = graph.marts()
    for name, why in graph.broken().items():
        yield _failed(source, f"{source.name}_lineage.{name}.readable", name, graph.owner(name), why)
    for mart in marts:
        yield _mart(source, graph, mart)
    if not marts:
        yield _failed(
            source,
            f"{source.name}_lineage.marts",
            "",
            source.owner,
            f"the manifest has no marts of {source.name}",
        )


def _mart(source: Source, graph: Any, mart: str) -> ExpectationResult:
    rule, owner = f"{source.name}_lineage.{mart.rpartition('.')[2]}", graph.owner(mart)
    why = graph.unreadable(mart)
    if why is not None:
        return _failed(source, rule, mart, owner, why)
    leaks: list[Mapping[str, str]] = []
    for column, declared in graph.declared(mart).items():
        if declared is not None and declared not in MASKS:
            leaks.append({"column": column, "path": f"meta.pii is {declared!r}; valid: {', '.join(MASKS)}"})
            continue
        for trace in graph.traces(mart, column):
            if declared == "aggregate" or (
                declared == "pseudonymised" and trace.tag.action == "pseudonymise"
            ):
                continue
            leaks.append(
                {"column": column, "field": trace.tag.label, "class": trace.tag.pii_class, "path": str(trace)}
            )
    count = len({leak["column"] for leak in leaks})
    columns = f"{count} column{'' if count == 1 else 's'}"
    return ExpectationResult(
        rule=rule,
        table=mart,
        column=None,
        success=not leaks,
        unexpected_count=count,
        sample=tuple(leaks),
        owner=owner,
        reason=REASON,
        observed=f"{columns} with personal data" if leaks else "no undeclared personal data",
    )


def _failed(source: Source, rule: str, table: str, owner: str, why: str) -> ExpectationResult:
    return ExpectationResult(
        rule, table, None, False, None, (), owner or source.owner, REASON, "could not run", why
    )


RAW_COLUMNS = (*ENVELOPE_COLUMNS, "payload", "received_hour", "is_duplicate")
