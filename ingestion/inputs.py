"""Inputs of a load: finding them, bringing them to this machine, telling what they are, and reading their bytes."""

from __future__ import annotations

import glob
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal, get_args

import pyarrow as pa

from ingestion.errors import LoadError
from ingestion.json_layouts import json_layouts
from lake.store import ObjectMissingError, ObjectStore

Format = Literal["ndjson", "json", "csv", "parquet", "lines"]
FORMATS: tuple[Format, ...] = get_args(Format)
TABLES: tuple[Format, ...] = ("csv", "parquet", "lines")
"""Formats whose rows are brought into a wire form. Lines of plain text are one only where a mapping says so."""

BLOCK_BYTES = 4 << 20
RECEIVED_AT = "received-at"
"""User metadata of a landed object: when the platform received it (ISO 8601)."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"

_FORMAT_OF_ENDING: dict[str, Format] = {
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".log": "ndjson",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_USUAL: dict[bytes, Format] = {b"": "ndjson", b"{": "ndjson", b"[": "json"}
"""What begins with a byte when neither content nor name tell more."""
_COMPRESSION_ENDINGS = (".gz", ".gzip", ".zst", ".zstd")
_MAGIC_OF_COMPRESSION = {
    "gzip": re.compile(rb"\x1f\x8b"),
    # A frame, or one to be skipped, with which parallel compressors begin.
    "zstd": re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
}
_PARQUET_MAGIC = b"PAR1"
_S3 = "s3://"
HEAD_BYTES = 1 << 20
"""The format of a file is told from so much of it."""


@dataclass(frozen=True)
class Input:
    """An input on this machine, known by its content."""

    uri: str
    """`file:///…` or `s3://…`."""
    name: str
    """The path inside the bucket, or the file's name: what rejected rows say they came from."""
    path: Path
    sha256: str
    size: int
    """In bytes, as stored."""
    format: Format
    compression: str | None
    """`gzip`, `zstd` or None, told from the content."""
    received_at: datetime | None
    """When the store says it was received; None for a local file."""
    named: Format | None = None
    """The format that the name says, where that decides."""
    is_told: bool = True
    """Whether the format is told without the name."""

    @property
    def file_name(self) -> str:
        """The name without its folders."""
        return self.name.rpartition("/")[2]

    @property
    def delimiter(self) -> str:
        """What the name says of the bytes between the fields of a CSV file."""
        return "\t" if _ending(self.name) == ".tsv" else ","

    @property
    def read_by_name(self) -> str:
        """How the bytes are read that are read otherwise under another name; empty for what most names would say."""
        if self.format == "csv":
            return self.delimiter if self.delimiter != "," else ""
        return "" if self.is_told else self.format

    @property
    def note(self) -> str | None:
        """What to say of a name that says another format than the content."""
        if self.named in (None, self.format):
            return None
        return f"{self.uri} is {self.format}, not the {self.named} that its name says: read as {self.format}"

    def blocks(self, size: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the decompressed content in blocks of `size` bytes, a leading byte order mark left out.

        Raises:
            LoadError: when the compression is broken or cut off.
        """
        first = True
        with self._open() as stream:
            while True:
                try:
                    block = stream.read(size)
                except (OSError, pa.ArrowInvalid) as error:
                    raise LoadError(f"{self.uri} cannot be decompressed: {_first_line(error)}") from error
                if not block:
                    return
                yield block.removeprefix(BYTE_ORDER_MARK) if first else block
                first = False

    def _open(self) -> IO[bytes]:
        if self.compression is None:
            return self.path.open("rb")
        stream: IO[bytes] = pa.CompressedInputStream(pa.OSFile(str(self.path)), self.compression)
        return stream


def expand(store: ObjectStore | None, uris: Iterable[str | Path]) -> list[str]:
    """Return the inputs that paths, globs, folders and s3 URLs mean, in order and without repetition.

    An s3 URL that ends in `/` means every object below it, a folder the files in it.

    Raises:
        LoadError: when one of them means nothing.
    """
    found: dict[str, None] = {}
    for uri in map(str, uris):
        matches = list(_expand_one(store, uri))
        if not matches:
            raise LoadError(f"{uri}: there is nothing to load")
        found.update(dict.fromkeys(matches))
    return list(found)


def _expand_one(store: ObjectStore | None, uri: str) -> Iterator[str]:
    if uri.startswith(_S3):
        bucket, key = _split(uri)
        if store is None:
            raise LoadError(f"{uri}: there is no object store to read it from")
        if key and not key.endswith("/"):
            yield uri
            return
        for info in store.for_bucket(bucket).list(key):
            if info.size or not info.key.endswith("/"):
                yield f"{_S3}{bucket}/{info.key}"
        return
    path = Path(uri.removeprefix("file://"))
    if path.is_dir():
        yield from (str(child) for child in sorted(path.iterdir()) if child.is_file())
    elif path.exists() or not glob.has_magic(uri):
        yield str(path)
    else:
        yield from sorted(match for match in glob.iglob(uri, recursive=True) if Path(match).is_file())


def fetch(store: ObjectStore, uri: str | Path, spool: Path, told: Format | None = None) -> Input:
    """Bring an input to this machine and look at it.

    Args:
        store: where s3 URLs are read from.
        uri: a path, a `file://` or an `s3://` URL.
        spool: a folder for the copy of an s3 object.
        told: the format, where somebody knows better than name and content.

    Raises:
        LoadError: when there is no such file, it cannot be read, or nothing tells its format.
    """
    text = str(uri)
    if text.startswith(_S3):
        bucket, key = _split(text)
        origin = store.for_bucket(bucket)
        path = spool / "input"
        try:
            info = origin.head(key)
            origin.download(key, path)
        except ObjectMissingError as error:
            raise LoadError(f"{text} does not exist") from error
        except OSError as error:
            raise LoadError(f"{text} cannot be copied to {spool}: {error.strerror or error}") from error
        received = _received_at(text, info.metadata.get(RECEIVED_AT), info.last_modified)
        return _examine(text, key, path, received, told)
    path = Path(text.removeprefix("file://"))
    if path.is_dir():
        raise LoadError(f"{path} is a folder: name the files in it")
    if not path.exists():
        raise LoadError(f"{path} does not exist")
    return _examine(path.resolve().as_uri(), path.name, path, None, told)


def beside(store: ObjectStore, given: Input, name: str, spool: Path) -> Input:
    """Bring the file of a name that lies beside an input to this machine.

    Args:
        store: where s3 URLs are read from.
        given: the input.
        name: a file name, without folders.
        spool: a folder of its own for the copy of an s3 object.

    Raises:
        LoadError: when there is no such file, or it cannot be read.
    """
    is_object = given.uri.startswith(_S3)
    return fetch(
        store, given.uri.rpartition("/")[0] + f"/{name}" if is_object else given.path.parent / name, spool
    )


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix(_S3).partition("/")
    if not bucket:
        raise LoadError(f"{uri} names no bucket: write s3://bucket/key")
    return bucket, key


def _received_at(uri: str, told: str | None, last_modified: datetime) -> datetime:
    if told is None:
        return last_modified
    try:
        moment = datetime.fromisoformat(told)
    except ValueError:
        raise LoadError(f"{uri}: its metadata {RECEIVED_AT}={told!r} is no ISO 8601 time") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _examine(uri: str, name: str, path: Path, received_at: datetime | None, told: Format | None) -> Input:
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise LoadError(f"{path} cannot be read: {error.strerror or error}") from error
    compression = next((kind for kind, found in _MAGIC_OF_COMPRESSION.items() if found.match(magic)), None)
    known = Input(uri, name, path, digest, size, told or "ndjson", compression, received_at)
    if magic == _PARQUET_MAGIC and told is not None:
        raise LoadError(f"{uri} is a parquet file, and the mapping reads {told}")
    return known if told is not None else _with_format(known, is_parquet=magic == _PARQUET_MAGIC)


def _ending(name: str) -> str:
    """Return what follows the last dot of a name, the endings of compressions left out."""
    endings = [ending.lower() for ending in Path(name).suffixes]
    while endings and endings[-1] in _COMPRESSION_ENDINGS:
        endings.pop()
    return endings[-1] if endings else ""


def _with_format(known: Input, *, is_parquet: bool) -> Input:
    """Tell the format from the content, and from the name where the content does not say."""
    named = _FORMAT_OF_ENDING.get(_ending(known.name))
    if is_parquet:
        return replace(known, format="parquet", named=named)
    if named == "parquet" and known.size:
        raise LoadError(f"{known.uri} is no parquet file: it does not begin with PAR1")
    head = _head(known)
    layouts = json_layouts(head, is_all=len(head) < HEAD_BYTES)
    if layouts:
        return replace(known, format=named if named and named in layouts else layouts[0], named=named)
    start = head.lstrip()[:1]
    usual = _USUAL.get(start, "csv")
    if named is None and usual == "csv":
        raise LoadError(
            f"nothing tells the format of {known.uri}: name it .ndjson, .jsonl, .json, .csv, .tsv or .parquet "
            "(a further .gz or .zst is fine)"
        )
    return replace(known, format=named or usual, named=named, is_told=named in (None, usual))


def _head(known: Input) -> bytes:
    """Return the first `HEAD_BYTES` of an input, or all of a small one."""
    head = b""
    for block in known.blocks(HEAD_BYTES):
        head += block
        if len(head) >= HEAD_BYTES:
            break
    return head


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
