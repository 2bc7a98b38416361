"""One HTTP request, read as ClickHouse's HTTP interface reads it."""

from __future__ import annotations

import base64
import binascii
import os
import re
import uuid
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any, Protocol

from starlette.requests import Request

from orchestration.embedded.errors import query_error

MEMORY_BYTES = 1 << 20
"""A body up to this size is held in memory, a larger one in a file."""
PIECE_BYTES = 1 << 16

_RESERVED = frozenset(
    {
        *("query", "default_format", "compress", "decompress", "buffer_size", "wait_end_of_query"),
        *(
            "database",
            "user",
            "password",
            "role",
            "quota_key",
            "query_id",
            "client_protocol_version",
            "stacktrace",
        ),
        *("session_id", "session_timeout", "session_check", "close_session"),
    }
)
_FORMAT_NAME = re.compile(r"\w+")
_ENCODINGS = ("lz4", "zstd", "gzip", "br", "xz", "deflate")


class _Decompressor(Protocol):
    def decompress(self, data: bytes, /) -> bytes: ...


@dataclass
class Body:
    """The body of a request: in memory while small, in a file otherwise."""

    spool: Path
    memory: bytearray = field(default_factory=bytearray)
    path: Path | None = None
    size: int = 0

    async def fill(self, stream: AsyncIterator[bytes]) -> None:
        """Take in everything that the client sends."""
        target: Any = None
        try:
            async for chunk in stream:
                self.size += len(chunk)
                if target is None and self.size <= MEMORY_BYTES:
                    self.memory += chunk
                    continue
                if target is None:
                    self.path = self.spool / f"{uuid.uuid4().hex}.in"
                    target = self.path.open("wb")
                    target.write(self.memory)
                    self.memory = bytearray()
                target.write(chunk)
        finally:
            if target is not None:
                target.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in pieces of a megabyte."""
        if self.path is None:
            yield bytes(self.memory)
            return
        with self.path.open("rb") as source:
            while piece := source.read(MEMORY_BYTES):
                yield piece

    def file(self) -> Path:
        """Return a file that holds the bytes."""
        if self.path is None:
            self.path = self.spool / f"{uuid.uuid4().hex}.in"
            self.path.write_bytes(self.memory)
        return self.path

    def discard(self) -> None:
        """Delete the file, if there is one."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()


def decompressed(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the plain bytes of a body with this Content-Encoding.

    Raises:
        QueryError: for bytes that are not what the header says.
    """
    make = _decompressors()[encoding]
    current: Any = make()
    fed = False
    # In small pieces, because each may become a thousand times as large.
    pieces = (chunk[at : at + PIECE_BYTES] for chunk in chunks for at in range(0, len(chunk), PIECE_BYTES))
    for piece in pieces:
        fed = True
        if current.eof:
            current = make()
        try:
            yield current.decompress(piece)
            while current.eof and current.unused_data:
                rest = current.unused_data
                current = make()
                yield current.decompress(rest)
        except Exception as error:
            raise query_error(117, "INCORRECT_DATA", f"The body is not {encoding}: {error}") from None
    if fed and not current.eof:
        raise query_error(117, "INCORRECT_DATA", f"The {encoding} body ends too early")


def _decompressors() -> dict[str, Callable[[], _Decompressor]]:
    import lzma  # noqa: PLC0415

    import lz4.frame  # type: ignore[import-untyped]  # noqa: PLC0415
    from backports import zstd  # noqa: PLC0415  what clickhouse-connect itself uses on this Python

    return {
        "gzip": lambda: zlib.decompressobj(wbits=31),
        "deflate": lambda: zlib.decompressobj(wbits=15),
        "lz4": lz4.frame.LZ4FrameDecompressor,
        "zstd": zstd.ZstdDecompressor,
        "xz": lzma.LZMADecompressor,
    }


@dataclass
class External:
    """A table sent along with a query, to be read by that query only."""

    name: str
    structure: str
    format: str
    body: Body


@dataclass
class Ask:
    """What a client asks for: the statement (maybe in two parts), how to run it, how to answer."""

    method: str
    query: bytes
    body: Body
    encoding: str
    settings: dict[str, str]
    parameters: dict[str, str]
    database: str | None
    query_id: str
    session_id: str | None
    session_timeout: float
    session_check: bool
    close_session: bool
    default_format: str
    compression: str
    wait_end: bool
    external: list[External] = field(default_factory=list)

    @property
    def may_write(self) -> bool:
        """Say whether the statement may change anything; a link or an image on any page makes a browser send a GET."""
        return self.method == "POST"

    def discard(self) -> None:
        """Delete the files of the request."""
        for body in [self.body, *(table.body for table in self.external)]:
            body.discard()


def credentials(request: Request) -> tuple[str, str]:
    """Return user and password from basic authentication, the X-ClickHouse headers or the query string."""
    header = request.headers.get("authorization", "")
    if header[:6].lower() == "basic ":
        with suppress(binascii.Error, UnicodeDecodeError):
            user, _, password = base64.b64decode(header[6:]).decode().partition(":")
            return user or "default", password
    if header:
        return "", ""
    headers, values = request.headers, request.query_params
    user = headers.get("x-clickhouse-user") or values.get("user") or "default"
    # Headers arrive as Latin-1, whatever the client wrote.
    key = headers.get("x-clickhouse-key", "").encode("latin-1").decode(errors="replace")
    return user, key or values.get("password") or ""


async def read(request: Request, spool: Path) -> Ask:
    """Read the whole request.

    Raises:
        QueryError: for what this front does not offer, and for values that are not valid.
    """
    values = dict(request.query_params)
    headers = request.headers
    body = Body(spool)
    await body.fill(request.stream())
    external: list[External] = []
    if headers.get("content-type", "").startswith("multipart/form-data"):
        body, external = _form(headers["content-type"], body, values)
    if values.get("compress", "0") not in {"0", ""} or values.get("decompress", "0") not in {"0", ""}:
        body.discard()
        raise query_error(
            48, "NOT_IMPLEMENTED", "compress=1 and decompress=1: use Accept-Encoding and Content-Encoding"
        )
    encoding = headers.get("content-encoding", "").strip().lower()
    if encoding not in _ENCODINGS and encoding not in {"", "identity"}:
        body.discard()
        raise query_error(
            48, "NOT_IMPLEMENTED", f"Content-Encoding {encoding}; known are {', '.join(_ENCODINGS)}"
        )
    default_format = values.get("default_format") or headers.get("x-clickhouse-format") or "TabSeparated"
    if not _FORMAT_NAME.fullmatch(default_format):
        body.discard()
        raise query_error(73, "UNKNOWN_FORMAT", f"Unknown format {default_format!r}")
    return Ask(
        method=request.method,
        query=values.get("query", "").encode(),
        body=body,
        encoding="" if encoding == "identity" else encoding,
        settings={
            name: value
            for name, value in values.items()
            if name not in _RESERVED and not name.startswith("param_")
        },
        parameters={
            name.removeprefix("param_"): value for name, value in values.items() if name.startswith("param_")
        },
        database=values.get("database") or headers.get("x-clickhouse-database") or None,
        query_id=values.get("query_id") or headers.get("x-clickhouse-query-id") or str(uuid.uuid4()),
        session_id=values.get("session_id") or None,
        session_timeout=_seconds(values.get("session_timeout", "60")),
        session_check=values.get("session_check") == "1",
        close_session=values.get("close_session") == "1",
        default_format=default_format,
        compression=_compression(headers.get("accept-encoding", ""), values),
        wait_end=values.get("wait_end_of_query") == "1",
        external=external,
    )


def _seconds(text: str) -> float:
    if not text.isdigit() or int(text) > 3600:
        raise query_error(
            374, "INVALID_SESSION_TIMEOUT", f"Invalid session timeout {text!r}: 0 to 3600 seconds"
        )
    return float(text)


def _compression(accepted: str, values: dict[str, str]) -> str:
    """Choose as the server does: the client's first known encoding, unless it switched compression off."""
    if values.get("enable_http_compression") == "0":
        return "none"
    offers = [
        offer.split(";")[0].strip().lower()
        for offer in accepted.split(",")
        if "q=0" not in offer.split(";")[1:]
    ]
    return next((offer for offer in offers if offer in _ENCODINGS), "none")


def _form(content_type: str, body: Body, values: dict[str, str]) -> tuple[Body, list[External]]:
    """Take fields of a multipart form as parameters and its files as tables."""
    raw = b"".join(body.chunks())
    body.discard()
    parsed = BytesParser(policy=HTTP).parsebytes(
        b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + raw
    )
    files: dict[str, bytes] = {}
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            continue
        if part.get_filename() is None:
            values[name] = payload.decode()
        else:
            files[name] = payload
    tables = []
    for name, payload in files.items():
        structure = values.pop(f"{name}_structure", None)
        types = values.pop(f"{name}_types", None)
        if structure is None and types is not None:
            structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types.split(","), 1))
        table = Body(body.spool, bytearray(payload), size=len(payload))
        tables.append(External(name, structure or "", values.pop(f"{name}_format", "TabSeparated"), table))
    return Body(body.spool), tables


def make_pipe(spool: Path) -> Path:
    """Create a named pipe for the engine to write an answer into."""
    path = spool / f"{uuid.uuid4().hex}.out"
    os.mkfifo(path, 0o600)
    return path
