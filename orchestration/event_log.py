"""Dagster's SQLite event log with batches that are one transaction.

A run over a range of partitions writes two events per asset and partition. Dagster's own SQLite storage opens
two databases and commits up to four times for each of them: 36 assets over 72 hours took 65 seconds of a
machine that had nothing else to do. PostgreSQL writes batches by itself.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy import create_engine
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.event import listens_for

BATCH_SIZE = 1000
ENGINES = 8
"""Databases of which connections stay open: the index, and those of the runs that are written now."""
BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """Stores a batch of events in one transaction per database, and a single event as Dagster does."""

    def __init__(self, home: str, inst_data: ConfigurableClassData | None = None) -> None:
        """Keep the databases where Dagster keeps them by default, under the instance's folder."""
        self._batch = threading.local()
        self._engines: dict[tuple[str, int], Engine] = {}
        """By database and process: SQLite forbids to carry a connection over a fork."""
        self._home = home
        super().__init__(str(Path(home) / "history" / "runs"), inst_data)

    @classmethod
    def config_type(cls) -> Any:
        """The instance file names the instance's folder."""
        return {"home": dg.StringSource}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Any
    ) -> BatchingSqliteEventLogStorage:
        """Make the storage that an instance file configures."""
        return cls(config_value["home"], inst_data)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store events in one transaction per database: all of a run's are there, or none."""
        with ExitStack() as stack:
            self._batch.connections, self._batch.stack = {}, stack
            try:
                for event in events:
                    self.store_event(event)
            finally:
                self._batch.connections = None

    def dispose(self) -> None:
        """Close the connections: none may be carried over a fork."""
        super().dispose()
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        shared: dict[str, Connection] | None = getattr(self._batch, "connections", None)
        if shared is None:
            with self._db_lock, self._engine(shard).begin() as connection:
                yield connection
            return
        if shard not in shared:
            # Without the lock: under it no second database can be opened.
            with self._db_lock:
                engine = self._engine(shard)
            shared[shard] = self._batch.stack.enter_context(engine.begin())
        yield shared[shard]

    def _engine(self, shard: str) -> Engine:
        name = (shard, os.getpid())
        if name not in self._engines:
            while len(self._engines) >= ENGINES:
                self._engines.pop(next(iter(self._engines))).dispose()
            self._engines[name] = _lasting_engine(self.conn_string_for_shard(shard))
        engine = self._engines[name]
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        return engine


def _lasting_engine(url: str) -> Engine:
    """An engine whose connections stay open.

    Dagster opens a connection for every event and compiles every statement anew. A commit does not wait for the disk:
    a crash of the machine may take the last events, never the order or the consistency of those before.
    """
    engine = create_engine(url, connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS})

    @listens_for(engine, "connect")
    def _commit_without_waiting(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA synchronous = NORMAL")

    return engine
