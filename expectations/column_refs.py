"""Where the columns of a ClickHouse query come from, read off its syntax tree.

Errs on the side of following too much: a name that several inputs know comes from all of them. Values do not
flow through what only looks at them: conditions, comparisons, grouping, ordering and masking aggregates.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from lake.errors import MillraceError

MASKING_AGGREGATES = (
    "count",
    "uniq",
    "sum",
    "avg",
    "quantile",
    "median",
    "stddev",
    "var",
    "corr",
    "covar",
    "skew",
    "kurt",
    "entropy",
    "windowfunnel",
    "retention",
    "sequence",
)
"""Prefixes of the aggregates that hide single values; min, max, any, argMax and the group arrays do not."""

NOT_MASKING = ("summap", "sumwithoverflowmap")
PREDICATES = frozenset({"isnull", "isnotnull", "empty", "notempty", "has", "hasany", "hasall", "match"})
TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "zeros", "values", "null", "generateseries", "generate_series"}
)
UNTRACEABLE = ("dictget", "joinget", "dicthas")


class LineageError(MillraceError):
    """A query that cannot be followed; the message names the place."""


@dataclass(frozen=True, order=True)
class Ref:
    """A column of a table outside the query, or a value inside it."""

    relation: str
    column: str
    path: tuple[str, ...] = ()
    """The way into a JSON or tuple value."""

    def into(self, path: Iterable[str]) -> Ref:
        """Return the value at a path inside this one."""
        return Ref(self.relation, self.column, (*self.path, *path))


Refs = frozenset[Ref]
NOTHING: Refs = frozenset()


@dataclass(frozen=True)
class Relation:
    """What a query may read from a table, a CTE or a subquery."""

    columns: Mapping[str, Refs]
    is_open: bool = False
    """Whether it may have columns beside these; they come from nowhere that is followed."""


Catalog = Callable[[str], Relation]
"""Returns the table of a name as the query writes it; raises LineageError for an unknown one."""


@dataclass
class _Scope:
    """The names that an expression can see."""

    ctes: dict[str, Relation]
    sources: dict[str, Relation] = field(default_factory=dict)
    given: dict[str, exp.Expr] = field(default_factory=dict)
    """Names that WITH and ARRAY JOIN give to expressions."""
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    """Names that the SELECT gives to its own columns: ClickHouse lets the others use them."""
    outer: _Scope | None = None


def parse(sql: str) -> exp.Query:
    """Return the syntax tree of one SELECT.

    Raises:
        LineageError: the text is no single SELECT that sqlglot reads.
    """
    try:
        statements = [s for s in sqlglot.parse(sql, dialect="clickhouse") if s is not None]
    except SqlglotError as error:
        raise LineageError(f"is no SQL that can be read: {' '.join(str(error).split())[:300]}") from error
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        raise LineageError("is not one SELECT")
    if (command := statements[0].find(exp.Command)) is not None:
        raise LineageError(f"holds a part that cannot be read: {command.sql()[:100]}")
    return statements[0]


def columns_of(query: exp.Query, catalog: Catalog) -> dict[str, Refs]:
    """Return the output columns of a query in order, each with what it comes from.

    Raises:
        LineageError: a column or table cannot be resolved.
    """
    return _Reader(catalog).query(query, _Scope({}))


class _Reader:
    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def query(self, node: exp.Expr, scope: _Scope) -> dict[str, Refs]:
        inner = _Scope(dict(scope.ctes), outer=scope)
        self._with(node, inner)
        match node:
            case exp.Subquery():
                return self.query(node.this, inner)
            case exp.SetOperation():
                left, right = self.query(node.left, inner), self.query(node.right, inner)
                if len(left) != len(right):
                    raise LineageError(f"a union joins {len(left)} with {len(right)} columns")
                return {n: a | b for (n, a), b in zip(left.items(), right.values(), strict=True)}
            case exp.Select():
                return self._select(node, inner)
        raise LineageError(f"cannot follow a {type(node).__name__}")

    def _with(self, node: exp.Expr, scope: _Scope) -> None:
        clause = node.args.get("with_")
        for cte in clause.expressions if clause is not None else ():
            if isinstance(cte.this, exp.Query) and not cte.args.get("scalar"):
                scope.ctes[cte.alias] = Relation(_renamed(self.query(cte.this, scope), cte))
            else:
                scope.given[cte.alias] = cte.this

    def _select(self, node: exp.Select, scope: _Scope) -> dict[str, Refs]:
        tables = [node.args["from_"].this] if node.args.get("from_") else []
        joins = list(node.args.get("joins") or ())
        for table in [*tables, *(join.this for join in joins if join.args.get("kind") != "ARRAY")]:
            self._source(table, scope)
        for join in joins:
            if join.args.get("kind") == "ARRAY":
                for unfolded in (join.this, *join.expressions):
                    if isinstance(unfolded, exp.Alias):
                        scope.given[unfolded.alias] = unfolded.this
        for projection in node.expressions:
            if isinstance(projection, exp.Alias):
                scope.aliases[projection.alias] = projection.this
        found: dict[str, Refs] = {}
        for projection in node.expressions:
            for name, refs in self._projected(projection, scope):
                found[name] = refs
        return found

    def _source(self, node: exp.Expr, scope: _Scope) -> None:
        alias = node.alias_or_name
        match node:
            case exp.Table() if isinstance(node.this, exp.Func):
                name = node.this.name if isinstance(node.this, exp.Anonymous) else node.this.sql_name()
                if name.lower() not in TABLE_FUNCTIONS:
                    raise LineageError(f"reads through the table function {name}, which cannot be followed")
                scope.sources[alias or name] = Relation({}, is_open=True)
            case exp.Table():
                name = f"{node.db}.{node.name}" if node.db else node.name
                relation = scope.ctes.get(node.name) if not node.db else None
                relation = relation if relation is not None else self.catalog(name)
                scope.sources[alias] = relation
                scope.sources.setdefault(name, relation)
            case exp.Subquery():
                scope.sources[alias or f"#{len(scope.sources)}"] = Relation(
                    _renamed(self.query(node, scope), node)
                )
            case exp.Values() | exp.Unnest():
                scope.sources[alias or f"#{len(scope.sources)}"] = Relation({}, is_open=True)
            case exp.Paren():
                self._source(node.this, scope)
            case _:
                raise LineageError(f"cannot follow a {type(node).__name__} in FROM: {node.sql()[:100]}")
        for join in node.args.get("joins") or ():
            self._source(join.this, scope)

    def _projected(self, node: exp.Expr, scope: _Scope) -> Iterator[tuple[str, Refs]]:
        match node:
            case exp.Star():
                yield from self._starred(node, scope.sources, scope)
            case exp.Column(this=exp.Star() as star):
                table = ".".join(part.name for part in node.parts[:-1])
                if table not in scope.sources:
                    raise LineageError(f"{table}.* names no input")
                yield from self._starred(star, {table: scope.sources[table]}, scope)
            case exp.Columns():
                for name, refs in self._starred(node, scope.sources, scope):
                    if re.search(node.name, name):
                        yield name, refs
            case exp.Apply(this=exp.Star() as star):
                for name, refs in self._starred(star, scope.sources, scope):
                    function = node.expression.name
                    yield f"{function}({name})", NOTHING if _masks(function) else refs
            case exp.Alias():
                yield node.alias, self._refs(node.this, scope, frozenset({node.alias}))
            case _:
                yield (
                    node.alias_or_name or node.sql(dialect="clickhouse"),
                    self._refs(node, scope, frozenset()),
                )

    def _starred(
        self, star: exp.Expr, sources: Mapping[str, Relation], scope: _Scope
    ) -> Iterator[tuple[str, Refs]]:
        left_out = {column.name for column in star.args.get("except_") or ()}
        replaced = {item.alias: item.this for item in star.args.get("replace") or ()}
        merged: dict[str, Refs] = {}
        for relation in {id(r): r for r in sources.values()}.values():
            if relation.is_open and not relation.columns:
                raise LineageError("selects * from a table whose columns are unknown")
            for name, refs in relation.columns.items():
                merged[name] = merged.get(name, NOTHING) | refs
        for name, refs in merged.items():
            if name in replaced:
                yield name, self._refs(replaced[name], scope, frozenset({name}))
            elif name not in left_out:
                yield name, refs

    def _refs(self, node: exp.Expr, scope: _Scope, seen: frozenset[str]) -> Refs:
        """What the value of an expression comes from; `seen` are the aliases being resolved."""
        name = _function_name(node)
        if name.startswith(UNTRACEABLE):
            raise LineageError(f"reads a dictionary through {name}, which cannot be followed")
        if isinstance(node, exp.Predicate) or name in PREDICATES or (name and _masks(name)):
            return NOTHING
        match node:
            case exp.Query():
                found = _all(self.query(node, scope).values())
            case exp.Column(this=exp.Star()) | exp.Star() | exp.Columns():
                found = _all(refs for _, refs in self._projected(node, scope))
            case exp.Column():
                found = self._column([part.name for part in node.parts], scope, seen)
            case exp.Window():
                found = self._refs(node.this, scope, seen)
            case exp.Dot():
                found = self._dot(node, scope, seen)
            case _ if path := _literal_path(node):
                found = _into(self._refs(next(_children(node)), scope, seen), path)
            case _:
                found = _all(self._refs(child, scope, seen) for child in _children(node))
        return found

    def _dot(self, node: exp.Dot, scope: _Scope, seen: frozenset[str]) -> Refs:
        head: exp.Expr = node
        path: list[str] = []
        while isinstance(head, exp.Dot):
            path.insert(0, head.expression.name)
            head = head.this
        if isinstance(
            head, exp.Identifier
        ):  # a lambda's parameter: its array is an argument beside the lambda
            return NOTHING
        return _into(self._refs(head, scope, seen), path)

    def _column(self, names: list[str], scope: _Scope, seen: frozenset[str]) -> Refs:
        found = self._lookup(names, scope, seen)
        if found is None and len(names) == 1 and "." in names[0]:
            found = self._lookup(names[0].split("."), scope, seen)
        if found is None:
            raise LineageError(f"column {'.'.join(names)} comes from no input of the query")
        return found

    def _lookup(self, names: list[str], scope: _Scope, seen: frozenset[str]) -> Refs | None:
        hits: list[Refs] = []
        for size in (2, 1):
            relation = scope.sources.get(".".join(names[:size])) if len(names) > size else None
            if relation is not None and names[size] in relation.columns:
                hits.append(_into(relation.columns[names[size]], names[size + 1 :]))
            elif relation is not None and relation.is_open:
                hits.append(NOTHING)
        for relation in scope.sources.values():
            if names[0] in relation.columns:
                hits.append(_into(relation.columns[names[0]], names[1:]))
        for named, mark in ((scope.given, f"given {names[0]}"), (scope.aliases, names[0])):
            if names[0] in named and mark not in seen:
                hits.append(_into(self._refs(named[names[0]], scope, seen | {mark}), names[1:]))
        if hits:
            return _all(hits)
        if any(relation.is_open for relation in scope.sources.values()):
            return NOTHING
        return self._lookup(names, scope.outer, seen) if scope.outer is not None else None


def _function_name(node: exp.Expr) -> str:
    match node:
        case exp.Anonymous() | exp.AnonymousAggFunc() | exp.CombinedAggFunc() | exp.ParameterizedAgg():
            return str(node.this).lower()
        case exp.Func():
            return str(node.sql_name()).lower().replace("_", "")
    return ""


def _masks(function: str) -> bool:
    name = function.lower()
    if name in ("approxdistinct", "approxquantile", "percentilecont", "percentiledisc"):
        return True
    return name.startswith(MASKING_AGGREGATES) and not name.startswith(NOT_MASKING)


def _literal_path(node: exp.Expr) -> list[str]:
    """The constant way into its first argument that a function takes, as tupleElement and JSONExtract do."""
    if isinstance(node, exp.JSONExtract | exp.JSONExtractScalar) and isinstance(
        node.expression, exp.JSONPath
    ):
        return [str(key.this) for key in node.expression.find_all(exp.JSONPathKey)]
    name = _function_name(node)
    if name != "tupleelement" and not name.startswith("jsonextract"):
        return []
    path: list[str] = []
    for argument in list(_children(node))[1:]:
        if not (isinstance(argument, exp.Literal) and argument.is_string):
            break
        path.append(argument.name)
    # The last argument of JSONExtract(json, keys..., type) is a type.
    return path[:-1] if name == "jsonextract" else path


def _children(node: exp.Expr) -> Iterator[exp.Expr]:
    for value in node.args.values():
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, exp.Expr) and not isinstance(child, exp.DataType | exp.Identifier):
                yield child


def _into(refs: Refs, path: Iterable[str]) -> Refs:
    steps = tuple(path)
    return frozenset(ref.into(steps) for ref in refs) if steps else refs


def _all(parts: Iterable[Refs]) -> Refs:
    return frozenset().union(*parts)


def _renamed(columns: dict[str, Refs], node: exp.Expr) -> dict[str, Refs]:
    alias = node.args.get("alias")
    names = [column.name for column in alias.columns] if isinstance(alias, exp.TableAlias) else []
    return dict(zip(names, columns.values(), strict=True)) if names else columns
