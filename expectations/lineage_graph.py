"""The columns of the dbt models and what they come from; each model is parsed once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from expectations.column_refs import LineageError, Ref, Refs, Relation, columns_of, parse
from expectations.lineage import RAW_COLUMNS, RAW_EVENTS, Tag, Trace, tags_at
from ingestion.contract import Source


class Graph:
    """The models of a dbt manifest that belong to one source."""

    def __init__(self, source: Source, manifest: Mapping[str, Any], target: Path) -> None:
        """Take a parsed manifest; `target` is the folder it was written to."""
        self._source = source
        self._target = target
        nodes = [*manifest.get("nodes", {}).values(), *manifest.get("sources", {}).values()]
        kept = ("model", "seed", "snapshot", "source")
        self._nodes = {_relation_name(node): node for node in nodes if node.get("resource_type") in kept}
        self._columns: dict[str, dict[str, Refs]] = {}
        self._events: dict[str, frozenset[str]] = {}
        self._errors: dict[str, str] = {}
        self._reading: list[str] = []
        self._traces: dict[Ref, tuple[Trace, ...]] = {}

    def marts(self) -> list[str]:
        """Return the marts of the source as `database.table`."""
        return sorted(name for name, node in self._own() if _layer(node) == "marts")

    def broken(self) -> dict[str, str]:
        """Return the models below the marts that cannot be followed, with the reason."""
        found = {}
        for name, node in sorted(self._own()):
            if _layer(node) != "marts" and (why := self.unreadable(name)) is not None:
                found[name] = why
        return found

    def _own(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [
            (name, node)
            for name, node in self._nodes.items()
            if node["resource_type"] == "model" and self._source.name in node.get("fqn", ())[1:-1]
        ]

    def owner(self, name: str) -> str:
        """Return the owner that the model's meta names, or the source's."""
        node = self._nodes.get(name, {})
        return str(_meta(node).get("owner") or self._source.owner)

    def unreadable(self, name: str) -> str | None:
        """Return why the columns of a model cannot be followed, or None."""
        try:
            self.columns(name)
        except LineageError as error:
            return str(error)
        return None

    def declared(self, mart: str) -> dict[str, str | None]:
        """Return what the yml of a mart declares of each of its columns, None for nothing."""
        yml = self._nodes[mart].get("columns", {})
        return {
            column: (str(pii) if (pii := _meta(yml.get(column, {})).get("pii")) is not None else None)
            for column in self.columns(mart)
        }

    def columns(self, name: str) -> dict[str, Refs]:
        """Return the columns of a model, each with the columns of other tables that it comes from.

        Raises:
            LineageError: it was not compiled, cannot be read, or reads what cannot be followed.
        """
        if name in self._errors:
            raise LineageError(self._errors[name])
        if name not in self._columns:
            self._reading.append(name)
            try:
                query = parse(self._sql(name))
                self._events[name] = _event_types(query)
                self._columns[name] = columns_of(query, self._relation)
            except LineageError as error:
                text = str(error)
                self._errors[name] = text if text.startswith("model ") else f"model {name}: {text}"
                raise LineageError(self._errors[name]) from error
            finally:
                self._reading.pop()
        return self._columns[name]

    def traces(self, mart: str, column: str) -> tuple[Trace, ...]:
        """Return one trace for each tagged field that a column of a model carries."""
        return self._follow(Ref(mart, column))

    def _follow(self, ref: Ref) -> tuple[Trace, ...]:
        if ref in self._traces:
            return self._traces[ref]
        self._traces[ref] = ()  # a model that reads itself adds nothing to what it reads elsewhere
        found: dict[Tag, Trace] = {}
        for upstream in sorted(self.columns(ref.relation).get(ref.column, ())):
            origin = upstream.into(ref.path)
            for trace in self._from(origin, ref.relation):
                longer = Trace(trace.tag, (*trace.steps, f"{ref.relation}.{ref.column}"))
                if trace.tag not in found or len(longer.steps) < len(found[trace.tag].steps):
                    found[trace.tag] = longer
        self._traces[ref] = tuple(found.values())
        return self._traces[ref]

    def _from(self, origin: Ref, reader: str) -> tuple[Trace, ...]:
        if origin.relation == RAW_EVENTS:
            events = self._events[reader]
            return tuple(Trace(tag, ()) for tag in tags_at(self._source, origin.column, origin.path, events))
        return self._follow(origin) if self._is_model(origin.relation) else ()

    def _is_model(self, name: str) -> bool:
        return name in self._nodes and self._nodes[name]["resource_type"] in ("model", "snapshot")

    def _relation(self, name: str) -> Relation:
        if name in self._reading:  # `this`: what an incremental model keeps of itself
            return Relation({}, is_open=True)
        if self._is_model(name):
            return Relation({column: frozenset({Ref(name, column)}) for column in self.columns(name)})
        node = self._nodes.get(name)
        if node is None:
            raise LineageError(f"reads {name}, which dbt does not know; use ref() or source()")
        known = [*node.get("columns", {}), *(RAW_COLUMNS if name == RAW_EVENTS else ())]
        columns = {column: frozenset({Ref(name, column)}) for column in known}
        return Relation(columns, is_open=name != RAW_EVENTS)

    def _sql(self, name: str) -> str:
        node = self._nodes[name]
        if node.get("compiled_code"):
            return str(node["compiled_code"])
        compiled: Path = self._target / "compiled" / node["package_name"] / node["original_file_path"]
        if not compiled.is_file():
            raise LineageError("was not compiled; run `dbt compile`")
        return compiled.read_text(encoding="utf-8")


def _relation_name(node: Mapping[str, Any]) -> str:
    table = node.get("identifier") or node.get("alias") or node["name"]
    return f"{node['schema']}.{table}"


def _layer(node: Mapping[str, Any]) -> str:
    """The folder below models/: staging, intermediate or marts."""
    fqn = node.get("fqn", ())
    return str(fqn[1]) if len(fqn) > 1 else ""


def _meta(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """Meta of a model or column; dbt 1.10 moved it below config."""
    return {**item.get("meta", {}), **item.get("config", {}).get("meta", {})}


def _event_types(query: exp.Query) -> frozenset[str]:
    """The event types that a model takes from raw.events; empty when it may take any."""
    names: set[str] = set()
    for table in query.find_all(exp.Table):
        if f"{table.db}.{table.name}" == RAW_EVENTS:
            taken = _filtered_types(table)
            if not taken:
                return frozenset()
            names |= taken
    return frozenset(names)


def _filtered_types(table: exp.Table) -> set[str]:
    """The event types to which the WHERE of the SELECT that reads a table limits it."""
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select is not None else None
    if where is None:
        return set()
    conditions = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    for condition in conditions:
        on_type = isinstance(condition.this, exp.Column) and condition.this.name == "event_type"
        if on_type and isinstance(condition, exp.EQ | exp.In):
            values = condition.expressions if isinstance(condition, exp.In) else [condition.expression]
            if all(isinstance(value, exp.Literal) and value.is_string for value in values):
                return {value.name for value in values}
    return set()
