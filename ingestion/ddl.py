"""Tables and columns of the warehouse as its DDL files state them, for the files generated from them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from lake.errors import MillraceError

_TABLE = re.compile(r"create table if not exists (\w+)\.(\w+) \((.*?)\n\)\n(.*?);\n", re.DOTALL)
_COLUMN = re.compile(r"`?(\w+)`? (.+?) comment '((?:[^']|'')*)'(?: codec\(.*\))?")
_COMMENT = re.compile(r"^comment '((?:[^']|'')*)'", re.MULTILINE)


class DdlError(MillraceError):
    """A DDL file is not of the form that can be read; the message names file and line."""


@dataclass(frozen=True)
class Column:
    """A column with its ClickHouse type and comment."""

    name: str
    type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A table with its columns in order."""

    database: str
    name: str
    comment: str
    columns: tuple[Column, ...]


def read_tables(folder: Path) -> tuple[Table, ...]:
    """Return the tables that the .sql files of a folder create, in file order.

    Raises:
        DdlError: a column of theirs has no comment or another form.
    """
    return tuple(table for path in sorted(folder.glob("*.sql")) for table in _tables(path))


def _tables(path: Path) -> list[Table]:
    tables = []
    for match in _TABLE.finditer(path.read_text(encoding="utf-8") + "\n"):
        database, name, body, tail = match.groups()
        comment = _COMMENT.search(tail)
        if comment is None:
            raise DdlError(f"{path.name}: {database}.{name} has no comment")
        columns = tuple(_column(path, line) for line in body.strip().splitlines())
        tables.append(Table(database, name, _unquote(comment[1]), columns))
    return tables


def _column(path: Path, line: str) -> Column:
    match = _COLUMN.fullmatch(line.strip().removesuffix(","))
    if match is None:
        raise DdlError(f"{path.name}: {line.strip()!r} is not `name Type comment '...'`")
    return Column(match[1], match[2], _unquote(match[3]))


def _unquote(text: str) -> str:
    return text.replace("''", "'")
