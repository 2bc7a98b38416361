"""HTTP sessions: connections that live on between requests, with their settings and temporary tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from orchestration.embedded.engine import Connection
from orchestration.embedded.errors import query_error


@dataclass
class _Session:
    connection: Connection
    timeout: float
    busy: bool = True
    idle_since: float = 0.0


class Sessions:
    """All sessions of the server; used from its event loop only."""

    def __init__(self, connect: Callable[[], Connection]) -> None:
        """Start without sessions; `connect` makes the connection of a new one."""
        self._connect = connect
        self._sessions: dict[str, _Session] = {}

    def take(self, session_id: str, timeout: float, check: bool) -> Connection:
        """Return the session's connection for one request; `give_back` must follow.

        Raises:
            QueryError: when another request has it (373), or it must exist and does not (372).
        """
        session = self._sessions.get(session_id)
        if session is None:
            if check:
                raise query_error(372, "SESSION_NOT_FOUND", f"Session {session_id} not found")
            session = self._sessions[session_id] = _Session(self._connect(), timeout)
        elif session.busy:
            raise query_error(
                373, "SESSION_IS_LOCKED", f"Session {session_id} is locked by a concurrent client"
            )
        session.busy = True
        session.timeout = timeout
        return session.connection

    def give_back(self, session_id: str, close: bool) -> None:
        """End the request's hold of the session, and the session itself if the client asks for it."""
        session = self._sessions[session_id]
        session.busy = False
        session.idle_since = time.monotonic()
        if close:
            self._sessions.pop(session_id).connection.close()

    def expire(self) -> None:
        """Close the sessions that nobody used for longer than their timeout."""
        now = time.monotonic()
        for session_id, session in list(self._sessions.items()):
            if not session.busy and now - session.idle_since > session.timeout:
                self._sessions.pop(session_id).connection.close()
