"""Files made from the contracts: dbt staging models with their docs, dbt sources, the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ingestion.catalogue import catalogue
from ingestion.contract import Contract, ContractError, Field, Source, load_sources
from ingestion.contract_lint import CORRELATION_COLUMNS
from ingestion.ddl import Column, Table, read_tables
from ingestion.schema_types import clickhouse_type

CONTRACTS_FOLDER = Path("ingestion/contracts")
DDL_FOLDER = Path("orchestration/warehouse/ddl")
STAGING_FOLDER = Path("dbt_project/models/staging")
CATALOGUE_FOLDER = Path("docs/catalogue")
CORRELATIONS_MACRO = Path("dbt_project/macros/correlations.sql")

MARK = "Generated from ingestion/contracts by `millrace contracts generate`; do not edit."
SOURCES_MARK = "Generated from orchestration/warehouse/ddl by `millrace contracts generate`; do not edit."

ENVELOPE_ORDER = (
    *("event_id", "event_type", "contract_version", "tenant_id", "occurred_at", "occurred_date"),
    *("received_at", "received_hour", "user_key", "session_id", "device_id", "order_id", "trace_id"),
    *("producer", "load_id", "row_number"),
)
"""Envelope columns of every staging model; `occurred_date` is made there."""
OCCURRED_DATE = Column("occurred_date", "Date", "UTC date of occurred_at")
ENTITY_OF_ALL = "events"
ENVELOPE_PREFIX = "envelope_"
"""Of a column of the envelope beside the payload's of the same name."""


@dataclass(frozen=True)
class StagingColumn:
    """A column of a staging model."""

    name: str
    type: str
    expression: str
    """The SQL that makes it, over the CTE `typed` (or `source`, for the model of all events)."""
    doc: str
    """Name of the dbt doc block that describes it."""
    description: str
    unit: str | None = None
    pii_class: str | None = None
    pii_action: str | None = None


def staging_columns(source: Source, entity: str, envelope: Mapping[str, Column]) -> tuple[StagingColumn, ...]:
    """Return the columns of `stg_<source>__<entity>`: the envelope, then the payload's fields.

    A field of several event types is Nullable unless all of them require it. Where a payload repeats an
    identifier of the envelope, the payload's value wins. Fields dropped before landing have no column.

    Args:
        source: the source.
        entity: one of its entities, or `events` for the envelope and raw payload of every event.
        envelope: columns of raw.events, by name.
    """
    payload = {} if entity == ENTITY_OF_ALL else _payload_columns(source, entity)
    own = [
        payload.pop(name) if name in payload else _envelope_column(envelope[name]) for name in ENVELOPE_ORDER
    ]
    if entity == ENTITY_OF_ALL:
        own.append(_envelope_column(envelope["payload"]))
    # Plain columns first, then what is made of them, as the SQL linter wants it.
    return tuple(sorted((*own, *payload.values()), key=lambda column: column.expression != column.name))


def generated_files(project_root: Path) -> dict[Path, str]:
    """Return the text of every generated file, by path below the project's root.

    Raises:
        ContractError: a contract breaks a rule.
        DdlError: the warehouse's DDL cannot be read.
    """
    sources = load_sources(project_root / CONTRACTS_FOLDER)
    tables = read_tables(project_root / DDL_FOLDER)
    envelope = _envelope(tables)
    files = {
        STAGING_FOLDER / "_raw__sources.yml": _sources_yaml(tables),
        STAGING_FOLDER / "_raw__docs.md": _docs("raw", ((c.name, c.comment) for c in envelope.values())),
        CORRELATIONS_MACRO: _correlations_macro(sources),
    }
    for source in sources.values():
        folder = STAGING_FOLDER / source.name
        models = {entity: staging_columns(source, entity, envelope) for entity in source.entities()}
        models[ENTITY_OF_ALL] = staging_columns(source, ENTITY_OF_ALL, envelope)
        for entity, columns in models.items():
            files[folder / f"{_model(source, entity)}.sql"] = staging_sql(source, entity, columns)
        files[folder / f"_staging_{source.name}__models.yml"] = _models_yaml(source, models)
        files[folder / f"_staging_{source.name}__docs.md"] = _docs(source.name, _payload_docs(source, models))
        files[CATALOGUE_FOLDER / f"{source.name}.md"] = catalogue(source, MARK)
    return files


def stale_files(project_root: Path) -> list[Path]:
    """Return the paths of generated files that are missing, differ from the contracts, or belong to none.

    Raises:
        ContractError: a contract breaks a rule.
        DdlError: the warehouse's DDL cannot be read.
    """
    files = generated_files(project_root)
    stale = [project_root / path for path, text in files.items() if _read(project_root / path) != text]
    return sorted([*stale, *_orphans(project_root, files)])


def write_generated(project_root: Path) -> list[Path]:
    """Bring the generated files up to date and return the paths that were written or removed.

    Raises:
        ContractError: a contract breaks a rule; nothing was written.
        DdlError: the warehouse's DDL cannot be read; nothing was written.
    """
    files = generated_files(project_root)
    changed = stale_files(project_root)
    for target in changed:
        text = files.get(target.relative_to(project_root))
        if text is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
    return changed


def staging_sql(source: Source, entity: str, columns: Sequence[StagingColumn]) -> str:
    """Return the SQL of a staging model.

    One `JSONExtract` into a tuple reads the payload: each row is parsed once, amounts come out exact, of a
    repeated key the first value is taken as in the loader. It gives defaults for a text that is no JSON:
    hence the guard.
    """
    where = [f"source = {_quote(source.name)}", "not is_duplicate"]
    if entity == ENTITY_OF_ALL:
        return _render(source, where, "", "source", columns)
    contracts = source.entities()[entity]
    names = ", ".join(_quote(name) for name in sorted({c.event_type for c in contracts}))
    where.insert(1, f"event_type in ({names})")
    beside = "".join(
        f"\n        {column.name} as {ENVELOPE_PREFIX}{column.name},"
        for column in columns
        if f"{ENVELOPE_PREFIX}{column.name}" in column.expression
    )
    typed = f"""
typed as (
    select
        *,{beside}
        JSONExtract(
            payload,
            {_quote(_extracted_type(entity_fields(contracts)), quote_inner=True)}
        ) as parsed
    from source
    where not throwIf(not isValidJSON(payload), 'a payload in raw.events is no JSON')
),
"""
    return _render(source, where, typed, "typed", columns)


# columns


@dataclass(frozen=True)
class EntityField:
    """A field over all event types of an entity."""

    field: Field
    nullable: bool
    """Whether any of the event types may leave it out."""

    @property
    def clickhouse_type(self) -> str:
        """The type of its staging column."""
        return clickhouse_type(self.field.schema, required=not self.nullable)


def entity_fields(contracts: Sequence[Contract]) -> list[EntityField]:
    """Return the payload fields of an entity's staging model, without those dropped before landing."""
    merged: dict[str, EntityField] = {}
    for contract in contracts:
        for item in contract.fields:
            if item.pii_action != "drop":
                present = [f for c in contracts for f in c.fields if f.name == item.name]
                nullable = len(present) < len(contracts) or any(f.nullable for f in present)
                merged.setdefault(item.name, EntityField(item, nullable))
    return list(merged.values())


def _payload_columns(source: Source, entity: str) -> dict[str, StagingColumn]:
    return {
        merged.field.name: _payload_column(source, merged)
        for merged in entity_fields(source.entities()[entity])
    }


def _payload_column(source: Source, merged: EntityField) -> StagingColumn:
    item = merged.field
    expression = "parsed"
    for part in item.path:
        expression = f"tupleElement({expression}, {_quote(part)})"
    if item.name in CORRELATION_COLUMNS and merged.nullable:
        expression = f"coalesce({expression}, {ENVELOPE_PREFIX}{item.name})"
    return StagingColumn(
        name=item.name,
        type=merged.clickhouse_type,
        expression=expression,
        doc=f"{source.name}__{item.name}",
        description=_described(item),
        unit=item.unit,
        pii_class=item.pii_class,
        pii_action=item.pii_action,
    )


def _envelope_column(column: Column) -> StagingColumn:
    expression = "toDate(occurred_at)" if column is OCCURRED_DATE else column.name
    return StagingColumn(column.name, column.type, expression, f"raw__{column.name}", column.comment)


def _envelope(tables: Sequence[Table]) -> dict[str, Column]:
    for table in tables:
        if (table.database, table.name) == ("raw", "events"):
            return {column.name: column for column in (*table.columns, OCCURRED_DATE)}
    raise ContractError(f"{DDL_FOLDER} creates no table raw.events")


def _extracted_type(fields: Sequence[EntityField]) -> str:
    """Return the tuple type of a payload, one element per line."""
    tree: dict[str, Any] = {}
    for merged in fields:
        branch = tree
        for part in merged.field.path[:-1]:
            branch = branch.setdefault(part, {})
        branch[merged.field.path[-1]] = merged
    return _tuple_lines(tree, 12)


def _tuple_lines(tree: Mapping[str, Any], indent: int) -> str:
    lines = [f"{name} {_element_type(node, indent + 4)}" for name, node in tree.items()]
    return _block("Tuple(", lines, ")", indent)


def _element_type(node: Any, indent: int) -> str:
    if isinstance(node, dict):
        return _tuple_lines(node, indent)
    item: Field = node.field
    if item.items:
        lines = [f"{sub.name} {sub.clickhouse_type}" for sub in item.items]
        return _block("Array(Tuple(", lines, "))", indent)
    return str(node.clickhouse_type)


def _block(opening: str, lines: Sequence[str], closing: str, indent: int) -> str:
    pad = " " * indent
    return f"{opening}\n" + ",\n".join(f"{pad}    {line}" for line in lines) + f"\n{pad}{closing}"


# texts


def _render(
    source: Source, where: Sequence[str], typed: str, last: str, columns: Sequence[StagingColumn]
) -> str:
    conditions = "\n        and ".join(where)
    selected = ",\n    ".join(
        c.expression if c.expression == c.name else f"{c.expression} as {_identifier(c.name)}"
        for c in columns
    )
    ctes = f"""source as (
    select *
    from {{{{ source('raw', 'events') }}}}
    where
        {conditions}
),
{typed}"""
    return (
        f"{{# {MARK} #}}\nwith\n\n{ctes.rstrip().removesuffix(',')}\n\nselect\n    {selected}\nfrom {last}\n"
    )


def _correlations_macro(sources: Mapping[str, Source]) -> str:
    declared = "".join(
        f"        {_quote(name)}: [{', '.join(_quote(via) for via in source.correlations)}],\n"
        for name, source in sources.items()
    )
    return (
        f"{{#- {MARK} -#}}\n"
        "{%- macro correlations_of(source_name) -%}\n"
        "    {%- set declared = {\n"
        f"{declared}"
        "    } -%}\n"
        "    {{ return(declared[source_name]) }}\n"
        "{%- endmacro -%}\n"
    )


def _model(source: Source, entity: str) -> str:
    return f"stg_{source.name}__{entity}"


def _models_yaml(source: Source, models: Mapping[str, Sequence[StagingColumn]]) -> str:
    content = {
        "version": 2,
        "models": [_model_entry(source, entity, models[entity]) for entity in sorted(models)],
    }
    return _yaml(content, MARK)


def _model_entry(source: Source, entity: str, columns: Sequence[StagingColumn]) -> dict[str, Any]:
    contracts = source.contracts if entity == ENTITY_OF_ALL else source.entities()[entity]
    names = sorted({c.event_type for c in contracts})
    if entity == ENTITY_OF_ALL:
        description = f"Every event of {source.name} once, with its payload as JSON text. Grain: event."
    else:
        told = " ".join(f"{c.event_type}: {c.description}" for c in contracts)
        description = f"{told} Grain: event."
    return {
        "name": _model(source, entity),
        "description": description,
        "config": {"meta": {"owners": sorted({c.owner for c in contracts}), "event_types": names}},
        "columns": [_column_entry(column) for column in columns],
    }


def _column_entry(column: StagingColumn) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": column.name,
        "data_type": column.type,
        "description": f"{{{{ doc('{column.doc}') }}}}",
    }
    meta: dict[str, Any] = {}
    if column.unit:
        meta["unit"] = column.unit
    if column.pii_class:
        meta["pii"] = {"class": column.pii_class, "action": column.pii_action}
    if meta:
        entry["config"] = {"meta": meta}
    return entry


def _sources_yaml(tables: Sequence[Table]) -> str:
    described = {
        "raw": "Accepted deliveries and their indexes, loaded from the lake.",
        "ops": "What the platform knows of its own work.",
    }
    content = {
        "version": 2,
        "sources": [
            {
                "name": database,
                "schema": database,
                "description": description,
                "tables": [_table_entry(table) for table in tables if table.database == database],
            }
            for database, description in described.items()
        ],
    }
    return _yaml(content, SOURCES_MARK)


def _table_entry(table: Table) -> dict[str, Any]:
    is_events = (table.database, table.name) == ("raw", "events")
    return {
        "name": table.name,
        "description": f"{table.comment}.",
        "columns": [
            {
                "name": column.name,
                "data_type": column.type,
                "description": f"{{{{ doc('raw__{column.name}') }}}}" if is_events else f"{column.comment}.",
            }
            for column in table.columns
        ],
    }


def _payload_docs(source: Source, models: Mapping[str, Sequence[StagingColumn]]) -> Iterable[tuple[str, str]]:
    prefix = f"{source.name}__"
    found = {
        c.name: c.description for columns in models.values() for c in columns if c.doc.startswith(prefix)
    }
    # Elements of arrays become columns in the marts, where they want their description too.
    for contract in source.contracts:
        for item in contract.fields:
            for sub in item.items:
                found.setdefault(sub.name, _described(sub))
    return sorted(found.items())


def _docs(prefix: str, described: Iterable[tuple[str, str]]) -> str:
    blocks = [
        f"{{% docs {prefix}__{name} %}}\n{text.rstrip('.')}.\n{{% enddocs %}}\n" for name, text in described
    ]
    mark = SOURCES_MARK if prefix == "raw" else MARK
    return "\n".join([f"<!-- {mark} -->\n", *blocks])


def _described(item: Field) -> str:
    text = item.description.rstrip(".")
    if item.unit:
        text += f", in {item.unit}"
    return f"{text}, as a keyed pseudonym." if item.pii_action == "pseudonymise" else f"{text}."


def _yaml(content: Mapping[str, Any], mark: str) -> str:
    text = yaml.dump(content, Dumper=_Dumper, sort_keys=False, width=110, allow_unicode=True, indent=2)
    return f"# {mark}\n{text}"


class _Dumper(yaml.SafeDumper):
    """Indents the items of a list, as dbt's own files do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Never leave a list at the indentation of its key."""
        super().increase_indent(flow, False)


def _quote(text: str, *, quote_inner: bool = False) -> str:
    return "'" + (text.replace("'", "''") if quote_inner else text) + "'"


def _identifier(name: str) -> str:
    return f"`{name}`" if name in _KEYWORDS else name


_KEYWORDS = frozenset(
    {
        *("all", "and", "any", "array", "as", "asc", "between", "by", "case", "cast", "cross", "desc"),
        *("distinct", "else", "end", "exists", "false", "final", "for", "format", "from", "full"),
        *("global", "group", "having", "if", "ilike", "in", "inner", "interval", "into", "is", "join"),
        *("key", "left", "like", "limit", "not", "null", "offset", "on", "or", "order", "outer"),
        *("prewhere", "right", "sample", "select", "set", "settings", "table", "then", "to", "top"),
        *("true", "union", "using", "values", "view", "when", "where", "window", "with"),
    }
)
"""Names that are quoted when they are a column's alias."""


# the folder


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None


def _orphans(project_root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Return files that carry the mark of this module, but that no contract asks for any more."""
    folders = (project_root / STAGING_FOLDER, project_root / CATALOGUE_FOLDER)
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [
        path
        for path in found
        if path.relative_to(project_root) not in files and MARK in path.read_text(encoding="utf-8")
    ]
