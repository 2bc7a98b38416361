"""Where the parts of one ClickHouse statement are: enough of a lexer to place a clause, not a parser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lake.errors import MillraceError

_TOKEN = re.compile(
    rb"""
    (?P<skip>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?(?:\*/|\Z))
  | (?P<literal>'(?:[^'\\]++|\\.|'')*+'|\$(?P<heredoc>\w*)\$.*?\$(?P=heredoc)\$)
  | (?P<quoted>"(?:[^"\\]++|\\.|"")*+"|`(?:[^`\\]++|\\.|``)*+`)
  | (?P<word>[A-Za-z_]\w*)
  | (?P<other>.)
    """,
    re.DOTALL | re.VERBOSE,
)

READING = frozenset(
    {"SELECT", "WITH", "FROM", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "EXISTS", "CHECK", "VALUES"}
)
"""First words of the statements that answer with rows and change nothing."""

_ROWS = READING | {"KILL"}

_BEFORE_A_NAME = frozenset(
    {
        *(b"SELECT", b"DISTINCT", b"FROM", b"ON", b"USING", b"WHERE", b"PREWHERE", b"HAVING", b"BY", b"AS"),
        *(b"AND", b"OR", b"NOT", b"CASE", b"WHEN", b"THEN", b"ELSE", b"IN", b"LIKE", b"ILIKE", b"BETWEEN"),
    }
)
"""After these words, FORMAT is the name of a column."""


class StatementError(MillraceError):
    """The text cannot be one statement; `code` is ClickHouse's error code."""

    def __init__(self, code: int, name: str, message: str) -> None:
        """Word it as the engine does."""
        super().__init__(f"Code: {code}. DB::Exception: {message} ({name})")


@dataclass(frozen=True)
class Token:
    """One word, literal or sign, with its place in the text and the depth of brackets around it."""

    kind: str
    text: bytes
    start: int
    end: int
    depth: int

    def is_word(self, *words: bytes) -> bool:
        """Say whether this is one of these keywords outside all brackets."""
        return self.kind == "word" and self.depth == 0 and self.text.upper() in words


@dataclass(frozen=True)
class Statement:
    """One statement: its bytes, its first word, and where clauses can go in.

    `end` is where the text ends without a closing semicolon; `format` is the output or input format that it
    names. `data_start` is where inline rows begin, for an INSERT that carries them.
    """

    text: bytes
    keyword: str
    end: int
    format: str | None = None
    output_at: int = 0
    infile_at: int = 0
    data_start: int | None = None
    writes: bool = False
    takes_outfile: bool = True
    """False for EXPLAIN AST and EXPLAIN INSERT, which take the clause for a part of what they explain."""

    @property
    def returns_rows(self) -> bool:
        """Say whether the engine can write its answer with INTO OUTFILE."""
        return self.keyword in _ROWS and not self.writes and self.takes_outfile

    @property
    def reads_only(self) -> bool:
        """Say whether it may come with GET and may be cancelled when nobody waits for it."""
        return self.keyword in READING and not self.writes

    def into_outfile(self, path: str, compression: str, default_format: str) -> bytes:
        """Return the statement that writes its answer to `path` (a plain file or a pipe that exists)."""
        outfile = f"\nINTO OUTFILE {quote(path)} TRUNCATE COMPRESSION {quote(compression)} LEVEL 1\n".encode()
        named = b"" if self.format else f"FORMAT {default_format}\n".encode()
        return self.text[: self.output_at] + outfile + named + self.text[self.output_at : self.end]

    def from_infile(self, path: str, compression: str) -> bytes:
        """Return the INSERT that reads its rows from `path` instead of from behind the statement."""
        assert self.data_start is not None
        infile = f"\nFROM INFILE {quote(path)} COMPRESSION {quote(compression)}\n".encode()
        head = self.text[self.infile_at : self.data_start].rstrip()
        if self.format == "Values":
            head = head[: -len(b"VALUES")] + b"FORMAT Values"
        return self.text[: self.infile_at] + infile + head


def quote(value: str) -> str:
    """Return `value` as a ClickHouse string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def quote_name(name: str) -> str:
    """Return `name` as a quoted ClickHouse identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def tokens(text: bytes) -> Iterator[Token]:
    """Yield what is neither space nor comment, lazily: binary rows may follow the statement."""
    depth = 0
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup if match.lastgroup != "heredoc" else "literal"
        if kind == "skip" or kind is None:
            continue
        sign = match.group()
        if sign in b")]}":
            depth = max(0, depth - 1)
        yield Token(kind, sign, match.start(), match.end(), depth)
        if sign in b"([{":
            depth += 1


def parse(text: bytes) -> Statement:
    """Find the parts of the one statement in `text`.

    Raises:
        StatementError: for an empty text, for more than one statement, and for a file on the server's disk.
    """
    stream = tokens(text)
    first = next(stream, None)
    if first is None:
        raise StatementError(62, "SYNTAX_ERROR", "Empty query")
    while first.text == b"(":
        first = next(stream, first)
        if first.kind == "word":
            break
    keyword = first.text.decode("latin-1").upper()
    if keyword == "INSERT":
        return _insert(text, stream)
    return _plain(text, keyword, stream)


def _insert(text: bytes, stream: Iterator[Token]) -> Statement:
    settings_at = previous = None
    for token in stream:
        if token.is_word(b"SELECT", b"WITH"):
            return _plain(text, "INSERT", stream)
        if token.is_word(b"INFILE"):
            raise StatementError(
                344, "SUPPORT_IS_DISABLED", "FROM INFILE reads files of the server: send the rows"
            )
        if token.is_word(b"SETTINGS"):
            settings_at = token.start
        named = previous is not None and not previous.is_word(b"INTO", b"TABLE") and previous.text != b"."
        if named and token.is_word(b"VALUES"):
            at = settings_at or token.start
            return Statement(
                text, "INSERT", len(text), "Values", infile_at=at, data_start=token.end, writes=True
            )
        if named and token.is_word(b"FORMAT"):
            name = next(stream, None)
            if name is None or name.kind != "word":
                break
            at = settings_at or token.start
            start = re.compile(rb"[ \t\f]*\r?\n?").match(text, name.end)
            assert start is not None
            return Statement(
                text,
                "INSERT",
                len(text),
                name.text.decode(),
                infile_at=at,
                data_start=start.end(),
                writes=True,
            )
        previous = token
    return Statement(text, "INSERT", len(text), writes=True)


def _plain(text: bytes, keyword: str, stream: Iterator[Token]) -> Statement:
    end = output_at = len(text)
    name: str | None = None
    settings_at: int | None = None
    writes = keyword not in READING | {"KILL"}
    takes_outfile = True
    clause_at: int | None = None
    previous: Token | None = None
    last_end: int | None = None
    for token in stream:
        if last_end is not None:
            raise StatementError(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
        if token.text == b";" and token.depth == 0:
            last_end = token.start
            continue
        if token.is_word(b"OUTFILE") and previous is not None and previous.is_word(b"INTO"):
            raise StatementError(
                344, "SUPPORT_IS_DISABLED", "INTO OUTFILE writes files of the server: read the answer"
            )
        if token.is_word(b"INSERT") and keyword == "WITH":
            writes = True
        if keyword == "EXPLAIN" and (
            token.is_word(b"INSERT") or (previous is None and token.is_word(b"AST"))
        ):
            takes_outfile = False
        if clause_at is not None and token.kind == "word":
            name, output_at = token.text.decode(), clause_at
        elif token.is_word(b"SETTINGS"):
            settings_at = token.start
        elif name is not None and settings_at is None:
            name, output_at = None, end
        clause_at = token.start if token.is_word(b"FORMAT") and _ends_an_expression(previous) else None
        previous = token
    if last_end is not None:
        end = last_end
        output_at = min(output_at, end)
    if name is None and settings_at is not None and keyword not in {"SELECT", "WITH", "FROM", "EXPLAIN"}:
        output_at = settings_at
    return Statement(
        text, keyword, end, name, output_at=output_at, writes=writes, takes_outfile=takes_outfile
    )


def _ends_an_expression(token: Token | None) -> bool:
    if token is None:
        return False
    if token.kind == "word":
        return token.text.upper() not in _BEFORE_A_NAME
    return token.kind in {"literal", "quoted"} or token.text.isdigit() or token.text in b")]}*"
