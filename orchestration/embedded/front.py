"""ClickHouse's HTTP protocol over the embedded engine: bytes are moved; the engine does all the rest."""

from __future__ import annotations

import asyncio
import hmac
import os
import secrets
import zlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO, TypeVar

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from orchestration.embedded.ask import Ask, Body, credentials, decompressed, make_pipe, read
from orchestration.embedded.engine import Connection, Engine, Stats
from orchestration.embedded.errors import QueryError, query_error
from orchestration.embedded.sessions import Sessions
from orchestration.embedded.statement import Statement, StatementError, Token, parse, quote, tokens
from orchestration.origin import LOOPBACK, refusal

_T = TypeVar("_T")

BUFFER_BYTES = 1 << 20
"""So much of an answer is held back, so that an early failure is still an HTTP error."""
HEAD_BYTES = 1 << 18
"""The statement must end within this much of a body that carries rows (the engine's max_query_size)."""
TEXT_BYTES = 64 << 20
"""Upper limit of a statement without rows in a file."""
KILL_SECONDS = 0.1
STATEMENTS = 64
"""Statements at once; more wait their turn."""

READ_ONLY = {"readonly": "1"}
"""What the engine itself holds a GET to: it writes nothing, calls no table function that leaves the engine, and changes
no setting, this one included."""
READERS_OF_FILES = frozenset({b"file"})
"""Functions that read files of the machine and that `readonly` does not know of."""
SETTINGS_OF_TRUST = frozenset(
    {
        "dialect",  # the statement is another one than `formatQuery` sees
        *("format_schema", "format_schema_source", "format_template_resultset", "format_template_row"),
    }
)
"""Settings that no GET may carry: they change the grammar, or name files that the answer is made with."""

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=UTF-8; header=present",
    "TabSeparatedWithNamesAndTypes": "text/tab-separated-values; charset=UTF-8; header=present",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "CSVWithNamesAndTypes": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}


@dataclass
class _Plan:
    """One statement ready to run: its parts, and the files it reads."""

    statement: Statement
    rows: Body | None = None
    rows_compression: str = "none"


class Front:
    """The HTTP interface of one engine."""

    def __init__(self, engine: Engine, user: str, password: str) -> None:
        """Serve `engine` to `user`.

        Raises:
            ValueError: for an empty password.
        """
        if not password:
            raise ValueError("there is no password: every program and page of this machine would be served")
        self._engine = engine
        self._user = user
        self._password = password
        self._sessions = Sessions(lambda: engine.connect(lasting=True))
        self._running: set[str] = set()
        self._pool = ThreadPoolExecutor(STATEMENTS, thread_name_prefix="statement")
        # A full pool must not keep the KILL that would empty it waiting.
        self._control = ThreadPoolExecutor(2, thread_name_prefix="control")

    def app(self) -> Starlette:
        """Return the ASGI application."""
        routes = [
            Route("/ping", self._ok, methods=["GET", "HEAD"]),
            Route("/replicas_status", self._ok, methods=["GET", "HEAD"]),
            Route("/", self._query, methods=["GET", "HEAD", "POST"]),
        ]
        return Starlette(routes=routes, middleware=[Middleware(_NoSniff)])

    async def _ok(self, request: Request) -> Response:
        return PlainTextResponse("Ok.\n")

    async def _query(self, request: Request) -> Response:
        if request.method in {"GET", "HEAD"} and "query" not in request.query_params:
            return await self._ok(request)
        query_id = request.query_params.get("query_id", "")
        try:
            self._admit(request)
            ask = await read(request, self._engine.spool)
            query_id = ask.query_id
            return await self._answer(request, ask)
        except ClientDisconnect:
            return Response(status_code=499)
        except (QueryError, StatementError) as error:
            return self._failure(QueryError(str(error)), query_id)

    def _admit(self, request: Request) -> None:
        # A page in a browser reaches loopback too, with what the browser knows of passwords.
        if reason := refusal(request.headers, LOOPBACK):
            raise query_error(497, "ACCESS_DENIED", reason)
        user, password = credentials(request)
        known = hmac.compare_digest(password.encode(), self._password.encode()) and user == self._user
        if not known:
            raise query_error(
                516,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
            )

    async def _answer(self, request: Request, ask: Ask) -> Response:
        if ask.query_id in self._running:
            ask.discard()
            raise query_error(
                216,
                "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING",
                f"Query with id = {ask.query_id} is already running",
            )
        self._running.add(ask.query_id)
        self._sessions.expire()
        session = ask.session_id
        connection: Connection | None = None
        done = False

        def finish() -> None:
            nonlocal done
            if done:
                return
            done = True
            self._running.discard(ask.query_id)
            ask.discard()
            if session is not None and connection is not None:
                self._sessions.give_back(session, ask.close_session)
            elif connection is not None:
                connection.close()

        try:
            plan = await self._in_pool(lambda: _plan(ask, self._engine))
            if not ask.may_write:
                _refuse_by_get(ask, plan.statement)
            if session is not None:
                connection = self._sessions.take(session, ask.session_timeout, ask.session_check)
            else:
                connection = self._engine.connect()
            job = _Job(self._engine, connection, ask, plan)
            if plan.statement.keyword == "KILL":
                await asyncio.get_running_loop().run_in_executor(self._control, self._rename_victims, job)
            if plan.statement.returns_rows:
                return await self._rows(request, job, finish)
            body, stats = await self._in_pool(job.run)
            finish()
            return Response(body, headers=self._headers(job, stats))
        except BaseException:
            finish()
            raise

    async def _in_pool(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _rename_victims(self, job: _Job) -> None:
        """Write the engine's ids into a KILL where the client wrote its own."""
        text = job.plan.statement.text
        for token in reversed(list(tokens(text))):
            name = token.text[1:-1].decode(errors="replace")
            if token.kind == "literal" and name in self._running:
                engine_id = self._engine.query_id(name) or name
                text = text[: token.start] + quote(engine_id).encode() + text[token.end :]
        job.plan.statement = parse(text)

    async def _rows(self, request: Request, job: _Job, finish: Callable[[], None]) -> Response:
        pool = self._control if job.plan.statement.keyword == "KILL" else self._pool
        if job.ask.wait_end:
            return await self._whole(request, job, pool, finish)
        pipe = make_pipe(self._engine.spool)
        source = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        task = pool.submit(job.write_to, str(pipe))
        work = asyncio.wrap_future(task)
        stream = _pipe_chunks(source, work)

        async def end() -> None:
            """Make sure that the engine has let go before anybody else gets the connection."""
            # The pipe stays open and is emptied: the engine must not wait for a reader that never comes.
            await self._stop(task, work, job, lambda: _drain(source))
            os.close(source)
            pipe.unlink(missing_ok=True)
            finish()

        watcher = asyncio.ensure_future(_disconnected(request))
        try:
            head = await self._head(stream, job, watcher)
        except BaseException:
            watcher.cancel()
            await asyncio.shield(end())
            raise
        watcher.cancel()
        if head.complete:
            await end()
            return Response(head.data, headers=self._headers(job, work.result()))
        tag = secrets.token_hex(8)

        async def body() -> AsyncIterator[bytes]:
            try:
                yield head.data
                async for chunk in stream:
                    yield chunk
                await asyncio.wait({work})
                if work.exception() is not None:
                    yield _exception_block(str(work.exception()), tag, job.ask.compression)
                    raise _CutOffError
            finally:
                await asyncio.shield(end())

        headers = self._headers(job, Stats())
        headers["X-ClickHouse-Exception-Tag"] = tag
        return _Stream(body(), headers=headers)

    async def _whole(
        self, request: Request, job: _Job, pool: ThreadPoolExecutor, finish: Callable[[], None]
    ) -> Response:
        """Answer after the statement has ended, from a file: what fails is an HTTP error, however late."""
        path = self._engine.spool / f"{secrets.token_hex(16)}.out"
        path.touch(0o600)
        task = pool.submit(job.write_to, str(path))
        work = asyncio.wrap_future(task)
        watcher = asyncio.ensure_future(_disconnected(request))
        try:
            either: set[asyncio.Future[Any]] = {work, watcher}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await asyncio.shield(self._stop(task, work, job, lambda: None))
                raise ClientDisconnect
            headers = self._headers(job, work.result())
            finish()
            size = path.stat().st_size
            if size <= BUFFER_BYTES:
                return Response(path.read_bytes(), headers=headers)
            headers["Content-Length"] = str(size)
            return StreamingResponse(_file_chunks(path.open("rb")), headers=headers)
        finally:
            watcher.cancel()
            path.unlink()

    async def _stop(
        self, task: Future[Stats], work: asyncio.Future[Stats], job: _Job, drain: Callable[[], None]
    ) -> None:
        """Cancel the statement, unless it has ended; return when it has."""
        if task.cancel():
            return
        loop = asyncio.get_running_loop()
        while not work.done():
            # Again and again: a statement that is about to start is not in the engine's list yet.
            await loop.run_in_executor(self._control, self._engine.kill, job.ask.query_id)
            drain()
            await asyncio.wait({work}, timeout=KILL_SECONDS)
        # Whether it failed is for the answer to say, not for the one who stops it.
        work.cancelled() or work.exception()

    async def _head(self, stream: AsyncIterator[bytes], job: _Job, watcher: asyncio.Future[None]) -> _Head:
        """Read the beginning of an answer, or all of it; a failure so far is raised.

        Raises:
            QueryError: when the statement failed before so much was written.
            ClientDisconnect: when the client has gone.
        """
        parts: list[bytes] = []
        size = 0
        while True:
            step = asyncio.ensure_future(_next(stream))
            either: set[asyncio.Future[Any]] = {step, watcher}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not step.done():
                step.cancel()
                with suppress(asyncio.CancelledError):
                    await step
                raise ClientDisconnect
            chunk = step.result()
            if chunk is None:
                return _Head(b"".join(parts), complete=True)
            parts.append(chunk)
            size += len(chunk)
            if size >= BUFFER_BYTES:
                return _Head(b"".join(parts), complete=False)

    def _headers(self, job: _Job, stats: Stats) -> dict[str, str]:
        name = job.plan.statement.format or job.ask.default_format
        headers = {
            "Content-Type": _CONTENT_TYPES.get(name, "text/plain; charset=UTF-8"),
            "X-ClickHouse-Query-Id": job.ask.query_id,
            "X-ClickHouse-Format": name,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Server-Display-Name": "millrace",
            "X-ClickHouse-Summary": stats.header(),
        }
        if job.ask.compression != "none" and job.plan.statement.returns_rows:
            headers["Content-Encoding"] = job.ask.compression
        return headers

    def _failure(self, error: QueryError, query_id: str) -> Response:
        headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Query-Id": query_id}
        if error.code == 516:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse"'
        return PlainTextResponse(f"{error}\n", status_code=error.status, headers=headers)


class _NoSniff:
    """Tells browsers to take no answer for a script or a page, whatever its bytes look like."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, marked)


class _CutOffError(Exception):
    """The statement failed after a part of its answer was sent."""


class _Stream(StreamingResponse):
    """An answer in chunks; a failed one ends without the last chunk, so that no client takes it for whole."""

    async def stream_response(self, send: Send) -> None:
        """Send the chunks as they come."""
        with suppress(_CutOffError):
            await super().stream_response(send)


@dataclass
class _Head:
    data: bytes
    complete: bool


@dataclass
class _Job:
    """One statement on its connection; its methods block and run in the pool."""

    engine: Engine
    connection: Connection
    ask: Ask
    plan: _Plan

    def write_to(self, path: str) -> Stats:
        """Run a statement that returns rows; the engine writes them, formatted and compressed, to `path`."""
        self._prepare()
        text = self.plan.statement.into_outfile(path, self.ask.compression, self.ask.default_format)
        self._refuse_other_files(text, path)
        return self.connection.run(_text(text), parameters=self.ask.parameters)[1]

    def run(self) -> tuple[bytes, Stats]:
        """Run a statement that returns no rows, or an insert with its rows."""
        self._prepare()
        statement, rows = self.plan.statement, self.plan.rows
        text = statement.text[: statement.end]
        if rows is not None:
            text = statement.from_infile(str(rows.file()), self.plan.rows_compression)
        self._refuse_other_files(text)
        answer = self.connection.run(_text(text), self.ask.default_format, self.ask.parameters)
        if statement.keyword == "USE":
            self.connection.keep_database()
        return answer

    def _prepare(self) -> None:
        # SET and USE change the session itself: nothing of the request may lie over it meanwhile.
        lasting = self.plan.statement.keyword in {"SET", "USE"}
        settings = {} if lasting else self.ask.settings
        if not self.ask.may_write:
            settings = settings | READ_ONLY
        self.connection.prepare(settings, None if lasting else self.ask.database, self.ask.query_id)
        for table in self.ask.external:
            self.connection.lend(table.name, table.structure, table.format, table.body.file())

    def _refuse_other_files(self, text: bytes, own: str | None = None) -> None:
        """Refuse a GET that the engine reads as writing to another file than our own, or as reading one.

        What the engine makes of a statement it tells itself, in its plain spelling: our lexer and its parser may
        disagree on what somebody wrote to deceive one of them.
        """
        if self.ask.may_write:
            return
        query = f"SELECT formatQuerySingleLine({quote(_text(text))})"
        plain, _ = self.connection.run(query, "TSVRaw")
        targets: list[Token | None] = []
        for token, following in pairwise((*tokens(plain), None)):
            assert token is not None
            if token.kind == "word" and token.text.upper() == b"OUTFILE":
                targets.append(following)
            if token.kind in {"word", "quoted"} and token.text.strip(b"`") in READERS_OF_FILES:
                raise query_error(164, "READONLY", f"{_text(token.text)}: a GET reads no files; use POST")
        expected = [] if own is None else [quote(own).encode()]
        if [target.text if target else b"" for target in targets] != expected:
            raise query_error(344, "SUPPORT_IS_DISABLED", "INTO OUTFILE writes files of the server")


def _refuse_by_get(ask: Ask, statement: Statement) -> None:
    """Refuse what a GET may not ask for; the rest runs read-only.

    Raises:
        QueryError: saying that it needs a POST.
    """
    if not statement.reads_only:
        what = "method GET implies readonly, use POST"
    elif ask.session_id is not None:
        # A connection that was read-only once stays so, and a session's must serve what comes after.
        what = "a statement of a session may come by POST only"
    elif refused := sorted(SETTINGS_OF_TRUST & ask.settings.keys()):
        what = f"the setting {refused[0]} may come by POST only"
    else:
        return
    raise query_error(164, "READONLY", f"Cannot execute query in readonly mode: {what}")


def _text(statement: bytes) -> str:
    try:
        return statement.decode()
    except UnicodeDecodeError as error:
        raise query_error(
            36, "BAD_ARGUMENTS", f"The statement is not valid UTF-8 at byte {error.start}"
        ) from None


def _plan(ask: Ask, engine: Engine) -> _Plan:
    """Find the statement and its rows in the query string and the body.

    Raises:
        QueryError, StatementError: when they are not one statement.
    """
    if ask.query:
        statement = parse(ask.query)
        if (
            statement.data_start is not None
            and ask.body.size
            and not ask.query[statement.data_start :].strip()
        ):
            return _Plan(statement, ask.body, ask.encoding or "none")
    if ask.encoding == "br":
        # Python has no decoder for it; the engine has.
        plain = Body(ask.body.spool, path=ask.body.file().with_suffix(".plain"), size=ask.body.size)
        assert plain.path is not None
        engine.decompress(ask.body.file(), ask.encoding, plain.path)
        ask.body.discard()
        ask.body, ask.encoding = plain, ""
    chunks = ask.body.chunks()
    if ask.encoding and ask.body.size:
        chunks = decompressed(chunks, ask.encoding)
    prefix = ask.query + b"\n" if ask.query and ask.body.size else ask.query
    head = bytearray(prefix)
    for chunk in chunks:
        head += chunk
        if len(head) > BUFFER_BYTES:
            break
    else:
        return _plan_small(bytes(head), ask)
    beginning = _parse_head(bytes(head))
    if beginning is None or beginning.data_start is None:
        for chunk in chunks:
            head += chunk
            if len(head) > TEXT_BYTES:
                raise query_error(
                    158, "QUERY_IS_TOO_LARGE", f"The statement is larger than {TEXT_BYTES} bytes"
                )
        return _Plan(parse(bytes(head)))
    rows = Body(ask.body.spool)
    rows.path = ask.body.spool / f"{ask.query_id.replace('/', '_')[:64]}-{secrets.token_hex(8)}.in"
    with rows.path.open("wb") as target:
        target.write(head[beginning.data_start :])
        for chunk in chunks:
            target.write(chunk)
    ask.body.discard()
    ask.body = rows
    return _Plan(beginning, rows)


def _parse_head(head: bytes) -> Statement | None:
    try:
        return parse(head)
    except StatementError:
        return None


def _plan_small(text: bytes, ask: Ask) -> _Plan:
    statement = parse(text)
    if statement.data_start is None or statement.format == "Values":
        return _Plan(statement)
    ask.body.discard()
    ask.body = Body(ask.body.spool, bytearray(text[statement.data_start :]))
    return _Plan(statement, ask.body)


def _drain(source: int) -> None:
    with suppress(BlockingIOError):
        while os.read(source, BUFFER_BYTES):
            pass


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    return await anext(stream, None)


async def _file_chunks(source: BinaryIO) -> AsyncIterator[bytes]:
    with source:
        while chunk := source.read(BUFFER_BYTES):
            yield chunk


async def _disconnected(request: Request) -> None:
    """Return when the client has gone; the body has been read before."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _pipe_chunks(source: int, work: asyncio.Future[Stats]) -> AsyncIterator[bytes]:
    """Yield what arrives in the pipe until the statement ends; raise its failure, if nothing arrived."""
    loop = asyncio.get_running_loop()
    wake = asyncio.Event()
    work.add_done_callback(lambda _: wake.set())
    arrived = opened = False

    def stir() -> None:
        nonlocal opened
        opened = True
        wake.set()

    while True:
        ended = work.done()
        try:
            chunk = os.read(source, BUFFER_BYTES)
        except BlockingIOError:
            chunk = None
        if chunk:
            arrived = True
            yield chunk
        elif ended:
            break
        elif chunk == b"" and opened:
            # The writer has closed its end: only the statement's own end is left to wait for.
            await asyncio.wait({work})
        else:
            # Watched only while waiting: a pipe that nobody empties would keep the event loop spinning.
            wake.clear()
            loop.add_reader(source, stir)
            try:
                await wake.wait()
            finally:
                loop.remove_reader(source)
    if not arrived:
        work.result()


def _exception_block(message: str, tag: str, compression: str) -> bytes:
    """Return what the server appends to an answer that fails half-way.

    A compressed answer gets it as a frame of its own, if clients read a second one; zstd and br break off.
    """
    text = message + "\n"
    block = f"\r\n__exception__\r\n{tag}\r\n{text}{len(text)} {tag}\r\n__exception__\r\n".encode()
    if compression == "lz4":
        import lz4.frame  # type: ignore[import-untyped]  # noqa: PLC0415

        return bytes(lz4.frame.compress(block))
    if compression == "gzip":
        return zlib.compress(block, wbits=31)
    return b"" if compression != "none" else block
