"""The errors of the embedded stack, and ClickHouse's exceptions as its HTTP interface reports them."""

from __future__ import annotations

import re

from lake.errors import MillraceError

_CODE = re.compile(r"Code: (\d+)\. ")

_STATUS = {
    # no password, wrong user or password, no right
    **dict.fromkeys((194,), 401),
    **dict.fromkeys((192, 193, 497, 516), 403),
    # the statement or its values do not parse
    **dict.fromkeys(
        (6, 15, 25, 26, 27, 37, 38, 41, 44, 53, 62, 72, 117, 123, 167, 168, 223, 321, 376, 427, 441), 400
    ),
    # something that the statement names is not there
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 152, 336), 404),
    48: 501,
    229: 413,
    159: 408,
    241: 507,
}
"""HTTP status by exception code as ClickHouse's HTTPHandler maps it; 500 for all others."""


class StackError(MillraceError):
    """The embedded stack cannot do what was asked; the message says why and what to do."""


class QueryError(MillraceError):
    """A statement failed; the text begins with `Code: <n>. DB::Exception: `."""

    @property
    def code(self) -> int:
        """ClickHouse's error code; 1002 (unknown exception) where the engine gave none."""
        match = _CODE.search(str(self))
        return int(match[1]) if match else 1002

    @property
    def status(self) -> int:
        """HTTP status of the answer."""
        return _STATUS.get(self.code, 500)


def query_error(code: int, name: str, message: str) -> QueryError:
    """Return an error of the front, in the engine's own form."""
    return QueryError(f"Code: {code}. DB::Exception: {message}. ({name})")
