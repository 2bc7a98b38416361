"""What is tried again and what is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from lake.errors import MillraceError, TransientError
from orchestration.warehouse.dbt import DbtError

RETRY = dg.RetryPolicy(max_retries=3, delay=4, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL)
"""At most 4, 12 and 28 seconds, each drawn at random: many steps failing together do not return together."""

TRANSIENT_CLICKHOUSE_CODES = frozenset(
    {
        159,  # TIMEOUT_EXCEEDED
        164,  # READONLY (a replica that is starting)
        202,  # TOO_MANY_SIMULTANEOUS_QUERIES
        209,  # SOCKET_TIMEOUT
        210,  # NETWORK_ERROR
        225,  # NO_ZOOKEEPER
        241,  # MEMORY_LIMIT_EXCEEDED (of the server, shared with others)
        242,  # TABLE_IS_READ_ONLY
        252,  # TOO_MANY_PARTS
        279,  # ALL_CONNECTION_TRIES_FAILED
        319,  # UNKNOWN_STATUS_OF_INSERT (every write of ours may be repeated)
        394,  # QUERY_WAS_CANCELLED
        499,  # S3_ERROR
        999,  # KEEPER_EXCEPTION
    }
)

_CODE = re.compile(r"(?:error code|Code:|code:)\s*(\d+)")
_CONNECTION = re.compile(
    r"connection (?:refused|reset|aborted)|timed out|timeout|temporarily unavailable|unreachable|"
    r"could not connect|max retries exceeded|remote end closed|database is locked",
    re.IGNORECASE,
)


def is_transient(error: BaseException | str) -> bool:
    """Whether the same work may succeed when it is tried again.

    Errors of the platform say so by their type. Those of others are known by their text: by ClickHouse's error code, and
    without one a broken connection is transient and everything else is not. dbt's errors hold texts of others.
    """
    if isinstance(error, str):
        return _reads_transient(error)
    links = list(_chain(error))
    if any(isinstance(link, TransientError) for link in links):
        return True
    texts = [f"{type(link).__name__}: {link}" for link in links if not _speaks_for_itself(link)]
    return _reads_transient("\n".join(texts))


def _reads_transient(text: str) -> bool:
    codes = {int(code) for code in _CODE.findall(text)}
    if codes:
        return bool(codes & TRANSIENT_CLICKHOUSE_CODES)
    return bool(_CONNECTION.search(text))


def _speaks_for_itself(error: BaseException) -> bool:
    return isinstance(error, MillraceError) and not isinstance(error, DbtError)


@contextmanager
def permanent_errors_fail_at_once() -> Iterator[None]:
    """Let the retry policy see transient errors only; anything else fails the step without another try.

    Raises:
        dagster.Failure: with `allow_retries=False`, from the original error.
    """
    try:
        yield
    except dg.Failure:
        raise
    except Exception as error:
        if is_transient(error):
            raise
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
