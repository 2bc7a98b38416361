"""The object store: the few S3 operations the platform needs, with errors a person can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.client import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
)

from lake.errors import MillraceError, TransientError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from pyarrow.fs import S3FileSystem

LOOPBACK = ("127.0.0.1", "localhost", "::1")
MISSING = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
PRECONDITION_FAILED = frozenset({"412", "PreconditionFailed", "ConditionalRequestConflict", "409"})
BUSY = frozenset({"429", "SlowDown", "RequestTimeout", "Throttling", "TooManyRequests"})
SERVER_ERROR = 500
"""HTTP statuses from here on say that the store failed, not that it was asked wrongly."""
SINGLE_PUT_BYTES = 64 << 20
DELETE_BATCH = 1000


class StoreError(MillraceError):
    """The object store refused or failed an operation; the message names the operation and the reason."""


class StoreUnreachableError(StoreError, TransientError):
    """Nothing answers at the store's address, or it cannot serve now."""


class ObjectMissingError(StoreError):
    """The object, or its bucket, does not exist."""


class ObjectExistsError(StoreError):
    """An object that was to be created already exists."""


class ObjectChangedError(StoreError):
    """An object that was to be replaced is not the one that was read."""


@dataclass(frozen=True)
class ObjectInfo:
    """One stored object: its key, size in bytes and time of last change (UTC)."""

    key: str
    size: int
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


class ObjectStore:
    """One bucket of an S3 store.

    Creating one opens no connection. Safe to share between threads.
    """

    def __init__(
        self, endpoint_url: str, access_key: str, secret_key: str, bucket: str, region: str = "us-east-1"
    ) -> None:
        """Remember where the bucket is."""
        self.endpoint_url = endpoint_url.rstrip("/")
        self.access_key = access_key
        self.secret_key = secret_key
        self.bucket = bucket
        self.region = region
        self._client: S3Client | None = None

    def __repr__(self) -> str:
        """Name the store without its secret."""
        return f"ObjectStore({self.endpoint_url!r}, bucket={self.bucket!r})"

    def __getstate__(self) -> dict[str, Any]:
        """What another process takes over: no client."""
        return {**vars(self), "_client": None}

    @property
    def client(self) -> S3Client:
        """The boto3 client, made at first use."""
        if self._client is None:
            loopback = urlsplit(self.endpoint_url).hostname in LOOPBACK
            self._client = boto3.session.Session().client(
                "s3",
                endpoint_url=self.endpoint_url,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                region_name=self.region,
                config=Config(
                    s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 4, "mode": "standard"},
                    connect_timeout=5,
                    read_timeout=60,
                    max_pool_connections=16,
                    # A corporate proxy never leads to this machine's own server.
                    proxies={} if loopback else None,
                    # rclone and older MinIO do not accept the trailing checksums of newer SDKs.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        return self._client

    def for_bucket(self, bucket: str) -> ObjectStore:
        """Return the same store seen through another bucket, by the same client: making one takes a tenth of a second."""
        other = ObjectStore(self.endpoint_url, self.access_key, self.secret_key, bucket, self.region)
        other._client = self.client
        return other

    def url(self, key: str) -> str:
        """Return the `s3://bucket/key` form of a key."""
        return f"s3://{self.bucket}/{key}"

    def http_url(self, key: str, endpoint_url: str | None = None) -> str:
        """Return the address of a key for ClickHouse's `s3()`, optionally as seen from another network."""
        return f"{(endpoint_url or self.endpoint_url).rstrip('/')}/{self.bucket}/{key}"

    def ensure_bucket(self) -> None:
        """Create the bucket where it does not exist."""
        with self._errors("look for bucket", self.bucket):
            try:
                self.client.head_bucket(Bucket=self.bucket)
                return
            except ClientError as error:
                if _code(error) not in MISSING:
                    raise
        with self._errors("create bucket", self.bucket):
            try:
                self.client.create_bucket(Bucket=self.bucket)
            except ClientError as error:
                if _code(error) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def put_bytes(
        self,
        key: str,
        data: bytes,
        *,
        metadata: Mapping[str, str] | None = None,
        content_type: str = "application/octet-stream",
        only_new: bool = False,
        only_over: str | None = None,
    ) -> None:
        """Write an object in one atomic request.

        Args:
            key: the object's key.
            data: its content.
            metadata: user metadata, stored as `x-amz-meta-*`.
            content_type: its media type.
            only_new: ask the store to refuse an existing key; rclone, without conditional writes, ignores it.
            only_over: ask the store to replace no other object than the one of this tag; rclone ignores it too.

        Raises:
            ObjectExistsError: when `only_new` and the store found the key taken.
            ObjectChangedError: when `only_over` and the store found another object, or none.
        """
        extra: dict[str, Any] = {"IfNoneMatch": "*"} if only_new else {}
        if only_over is not None:
            extra["IfMatch"] = only_over
        try:
            with self._errors("write", key):
                self.client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=data,
                    Metadata=dict(metadata or {}),
                    ContentType=content_type,
                    **extra,
                )
        except (ObjectExistsError, ObjectMissingError) as error:
            if only_over is None:
                raise
            raise ObjectChangedError(f"cannot write {self.url(key)}: it was changed meanwhile") from error

    def put_file(self, key: str, path: Path, *, metadata: Mapping[str, str] | None = None) -> None:
        """Write a local file as an object; it becomes visible as a whole."""
        with self._errors("write", key):
            if path.stat().st_size <= SINGLE_PUT_BYTES:
                with path.open("rb") as body:
                    self.client.put_object(
                        Bucket=self.bucket, Key=key, Body=body, Metadata=dict(metadata or {})
                    )
                return
            self.client.upload_file(
                str(path),
                self.bucket,
                key,
                ExtraArgs={"Metadata": dict(metadata or {})},
                Config=TransferConfig(multipart_threshold=SINGLE_PUT_BYTES, multipart_chunksize=32 << 20),
            )

    def get_bytes(self, key: str) -> bytes:
        """Return an object's whole content.

        Raises:
            ObjectMissingError: when there is no such object.
        """
        with self._errors("read", key):
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_tagged(self, key: str) -> tuple[bytes, str]:
        """Return an object's whole content and its tag, by which `put_bytes` knows it again.

        Raises:
            ObjectMissingError: when there is no such object.
        """
        with self._errors("read", key):
            found = self.client.get_object(Bucket=self.bucket, Key=key)
            return found["Body"].read(), found["ETag"]

    def download(
        self,
        key: str,
        path: Path,
        *,
        chunk_bytes: int = 8 << 20,
        on_bytes: Callable[[int], None] | None = None,
    ) -> None:
        """Stream an object into a local file, holding one chunk in memory.

        Args:
            key: the object's key.
            path: the file to write.
            chunk_bytes: how much to hold at a time.
            on_bytes: called with the size of every chunk written.
        """
        with self._errors("read", key):
            body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
            with path.open("wb") as file:
                for chunk in body.iter_chunks(chunk_bytes):
                    file.write(chunk)
                    if on_bytes is not None:
                        on_bytes(len(chunk))

    def head(self, key: str) -> ObjectInfo:
        """Return an object's size, time of last change and user metadata (names in lower case).

        Raises:
            ObjectMissingError: when there is no such object.
        """
        with self._errors("read", key):
            found = self.client.head_object(Bucket=self.bucket, Key=key)
        metadata = {name.lower(): value for name, value in found.get("Metadata", {}).items()}
        return ObjectInfo(key, found["ContentLength"], found["LastModified"].astimezone(UTC), metadata)

    def exists(self, key: str) -> bool:
        """Tell whether there is an object under the key."""
        try:
            self.head(key)
        except ObjectMissingError:
            return False
        return True

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """Yield every object under a prefix in the order of its keys, page by page."""
        with self._errors("list", prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix
            ):
                for item in page.get("Contents", []):
                    yield ObjectInfo(item["Key"], item["Size"], item["LastModified"].astimezone(UTC))

    def list_folders(self, prefix: str) -> Iterator[str]:
        """Yield the prefixes one level below `prefix` (which ends in `/`), each ending in `/`."""
        with self._errors("list", prefix):
            for page in self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            ):
                for item in page.get("CommonPrefixes", []):
                    yield item["Prefix"]

    def delete_many(self, keys: Iterable[str]) -> int:
        """Delete objects; a missing one is no error. Return how many keys were given."""
        batch: list[str] = []
        total = 0
        for key in keys:
            batch.append(key)
            if len(batch) == DELETE_BATCH:
                total += self._delete(batch)
                batch = []
        return total + (self._delete(batch) if batch else 0)

    def _delete(self, keys: Sequence[str]) -> int:
        with self._errors("delete", keys[0]):
            answer = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
            )
        for failed in answer.get("Errors", []):
            raise StoreError(f"cannot delete {self.url(failed.get('Key', '?'))}: {failed.get('Message')}")
        return len(keys)

    def arrow_filesystem(self) -> S3FileSystem:
        """Return the store as a pyarrow file system; paths are `bucket/key`."""
        from pyarrow.fs import S3FileSystem  # noqa: PLC0415  importing it starts the AWS SDK

        parts = urlsplit(self.endpoint_url)
        return S3FileSystem(
            access_key=self.access_key,
            secret_key=self.secret_key,
            region=self.region,
            scheme=parts.scheme,
            endpoint_override=parts.netloc,
        )

    @contextmanager
    def _errors(self, verb: str, key: str) -> Iterator[None]:
        """Turn the SDK's errors into the store's own."""
        try:
            yield
        except ClientError as error:
            code = _code(error)
            where = self.url(key)
            if code in MISSING:
                raise ObjectMissingError(f"cannot {verb} {where}: it does not exist") from error
            if code in PRECONDITION_FAILED:
                raise ObjectExistsError(f"cannot {verb} {where}: it exists already") from error
            message = error.response.get("Error", {}).get("Message") or code
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            kind = StoreUnreachableError if status >= SERVER_ERROR or code in BUSY else StoreError
            raise kind(f"cannot {verb} {where}: {message} ({code})") from error
        except (EndpointConnectionError, ConnectionClosedError, HTTPClientError) as error:
            raise StoreUnreachableError(
                f"cannot {verb} {self.url(key)}: no object store answers at {self.endpoint_url}"
            ) from error
        except IncompleteReadError as error:
            raise StoreUnreachableError(f"cannot {verb} {self.url(key)}: {error}") from error
        except BotoCoreError as error:
            raise StoreError(f"cannot {verb} {self.url(key)}: {error}") from error


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "?"))
