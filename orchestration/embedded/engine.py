"""The embedded ClickHouse engine: one process, one data folder, many connections."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from lake.errors import MillraceError
from orchestration.embedded.errors import QueryError, query_error
from orchestration.embedded.statement import quote, quote_name

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_LOCK = "in-use.lock"


class FolderInUseError(MillraceError):
    """Another process owns the data folder."""


@dataclass(frozen=True)
class Stats:
    """What one statement did, as the engine counted it."""

    read_rows: int = 0
    read_bytes: int = 0
    written_rows: int = 0
    written_bytes: int = 0
    result_rows: int = 0
    result_bytes: int = 0
    elapsed_ns: int = 0

    def header(self) -> str:
        """Return the value of X-ClickHouse-Summary: a JSON object whose numbers are strings."""
        counts = {**vars(self), "total_rows_to_read": self.read_rows}
        return "{" + ",".join(f'"{name}":"{count}"' for name, count in counts.items()) + "}"


class Engine:
    """The engine over `<path>/data`; `<path>/spool` holds rows on their way in or out."""

    def __init__(self, path: Path, config: Path) -> None:
        """Take the folder and start the engine with the configuration files in `config`.

        Raises:
            FolderInUseError: when another process has it; names the process.
        """
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _take(path)
        self.spool = path / "spool"
        shutil.rmtree(self.spool, ignore_errors=True)
        self.spool.mkdir(mode=0o700)
        # The engine takes its time zone from the process; no result may depend on the machine's.
        os.environ["TZ"] = "UTC"
        time.tzset()
        import chdb  # noqa: PLC0415  300 MB of engine: only the process that serves it loads it

        self._chdb = chdb
        self._address = f"{path / 'data'}?config-file={write_config(config, path)}"
        # The engine ends with its last connection: this one keeps it.
        self._root: Any = chdb.connect(self._address)  # type: ignore[no-untyped-call]
        self.version = str(self._root.query("SELECT version()", "TSVRaw")).strip()

    def connect(self, *, lasting: bool = False) -> Connection:
        """Return a connection of its own: settings, database and temporary tables are private to it.

        Args:
            lasting: it will serve more than one request, so what one sets must be taken back for the next.
        """
        connection: Any = self._chdb.connect(self._address)  # type: ignore[no-untyped-call]
        return Connection(connection, self.version, lasting)

    def kill(self, tag: str) -> None:
        """Cancel the statement that runs under `tag`, if it still does."""
        connection = self.connect()
        try:
            connection.run(f"KILL QUERY WHERE Settings['chdb_client_name'] = {quote(tag)} ASYNC")
        finally:
            connection.close()

    def query_id(self, tag: str) -> str | None:
        """Return the engine's own id of the statement that runs under `tag`."""
        connection = self.connect()
        try:
            where = f"Settings['chdb_client_name'] = {quote(tag)}"
            found, _ = connection.run(f"SELECT query_id FROM system.processes WHERE {where}", "TSVRaw")
            return found.decode().strip() or None
        finally:
            connection.close()

    def decompress(self, source: Path, encoding: str, target: Path) -> None:
        """Write the plain bytes of a compressed file to another; they pass through memory as one value."""
        connection = self.connect()
        try:
            table = f"file({quote(str(source))}, 'RawBLOB', 'body String', {quote(encoding)})"
            connection.run(f"SELECT body FROM {table} INTO OUTFILE {quote(str(target))} FORMAT RawBLOB")
        finally:
            connection.close()

    def close(self) -> None:
        """Stop the engine and give the folder back."""
        self._root.close()
        os.close(self._lock)


class Connection:
    """One connection; not for two threads at once."""

    def __init__(self, connection: Any, version: str, lasting: bool) -> None:
        """Take over an engine connection; `version` goes into error messages."""
        self._lasting = lasting
        self._connection = connection
        self._version = version
        self._applied: dict[str, str] = {}
        self._before: dict[str, str | None] = {}
        self._lent: list[str] = []
        self._database = self._own_database = "default"

    def run(
        self, text: str, format_name: str = "TabSeparated", parameters: Mapping[str, str] | None = None
    ) -> tuple[bytes, Stats]:
        """Run one statement to its end; return its answer and what it did.

        Raises:
            QueryError: with the engine's message.
        """
        started = time.monotonic_ns()
        try:
            result = self._connection.query(text, format_name, params=dict(parameters or {}))
        except RuntimeError as error:
            raise QueryError(self._message(str(error))) from None
        except UnicodeEncodeError:
            raise query_error(36, "BAD_ARGUMENTS", "The statement is not valid UTF-8") from None
        answer = bytes(result.bytes() or b"")
        return answer, Stats(
            read_rows=result.storage_rows_read(),
            read_bytes=result.storage_bytes_read(),
            written_rows=result.rows_written(),
            written_bytes=result.bytes_written(),
            result_rows=result.rows_read(),
            result_bytes=result.bytes_read(),
            elapsed_ns=time.monotonic_ns() - started,
        )

    def prepare(self, settings: Mapping[str, str], database: str | None, tag: str) -> None:
        """Put the settings and the database of one request into force in place of the last one's.

        Raises:
            QueryError: for a name that is no setting, a value that is not valid, an unknown database.
        """
        while self._lent:
            self.run(f"DROP TEMPORARY TABLE {self._lent.pop()}")
        for name in settings:
            if not _SETTING_NAME.fullmatch(name):
                raise query_error(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
        changes = [f"chdb_client_name = {quote(tag)}", "implicit_select = 0"]
        for name in [name for name in self._applied if name not in settings]:
            before = self._before.pop(name)
            del self._applied[name]
            changes.append(f"{name} = {'DEFAULT' if before is None else quote(before)}")
        new = {name: value for name, value in settings.items() if self._applied.get(name) != value}
        changes += [f"{name} = {quote(value)}" for name, value in new.items()]
        if self._lasting:
            # One look at system.settings costs more than a small query.
            self._remember([name for name in new if name not in self._before])
        self.run("SET " + ", ".join(changes))
        self._applied.update(new)
        self._use(database or self._own_database)

    def lend(self, table: str, structure: str, format_name: str, rows: Path) -> None:
        """Create a table for the next statement only, with the rows of a file.

        Raises:
            QueryError: for a structure or format that is not valid, and for rows that are not in it.
        """
        name = quote_name(table)
        self.run(f"CREATE TEMPORARY TABLE {name} ({structure}) ENGINE = Memory")
        self._lent.append(name)
        self.run(f"INSERT INTO {name} FROM INFILE {quote(str(rows))} COMPRESSION 'none' FORMAT {format_name}")

    def keep_database(self) -> None:
        """Make the database that the last statement chose the connection's own."""
        self._own_database = self._database = (
            self.run("SELECT currentDatabase()", "TSVRaw")[0].decode().strip()
        )

    def close(self) -> None:
        """End the connection and drop its temporary tables."""
        self._connection.close()

    def _use(self, database: str) -> None:
        if database != self._database:
            self.run(f"USE {quote_name(database)}")
            self._database = database

    def _remember(self, names: list[str]) -> None:
        if not names:
            return
        listed = ", ".join(quote(name) for name in names)
        rows, _ = self.run(
            f"SELECT name, changed, value FROM system.settings WHERE name IN ({listed})", "TabSeparated"
        )
        self._before.update(dict.fromkeys(names))
        for row in rows.decode().splitlines():
            name, changed, value = row.split("\t", 2)
            if changed == "1":
                self._before[name] = re.sub(r"\\(.)", _unescape, value)

    def _message(self, text: str) -> str:
        text = text[max(text.find("Code: "), 0) :].strip()
        return text if "(version " in text else f"{text} (version {self._version})"


def _unescape(match: re.Match[str]) -> str:
    return {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "f": "\f"}.get(match[1], match[1])


def _take(path: Path) -> int:
    lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(lock, 20).decode() or "unknown"
        os.close(lock)
        raise FolderInUseError(
            f"the data folder {path} is in use by process {owner}: "
            "end that one first, or name another folder with --path"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, str(os.getpid()).encode())
    return lock


def write_config(source: Path, target: Path) -> Path:
    """Merge the configuration as a server would and return the file to start with.

    A server merges `config.d/` and `users.d/` into its files itself; the embedded engine reads only the files
    that it is given.
    """
    folder = target / "config"
    folder.mkdir(exist_ok=True)
    users = _merged(source / "embedded-users.xml", source / "users.d")
    users.write(folder / "users.xml")
    main = _merged(source / "embedded.xml", source / "config.d")
    root = main.getroot()
    assert root is not None
    ElementTree.SubElement(root, "users_config").text = str(folder / "users.xml")
    backups = ElementTree.SubElement(root, "backups")
    ElementTree.SubElement(backups, "allowed_path").text = str(target / "backups")
    main.write(folder / "config.xml")
    return folder / "config.xml"


def _merged(base: Path, overrides: Path) -> ElementTree.ElementTree[Any]:
    tree = ElementTree.parse(base)
    for path in sorted(overrides.glob("*.xml")):
        _merge(tree.getroot(), ElementTree.parse(path).getroot())
    return tree


def _merge(into: Any, other: Any) -> None:
    for child in other:
        mine = into.find(child.tag)
        if mine is None:
            into.append(child)
        elif len(child):
            _merge(mine, child)
        else:
            mine.text = child.text
