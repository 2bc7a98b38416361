"""Keyed pseudonyms and the quarantine's encryption, both from one secret key."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

import duckdb
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from ingestion.errors import LoadError

PSEUDONYM_CHARACTERS = 32
"""128 bits of the HMAC: no two of a billion users share one."""
_BLOCK = 64


@dataclass(frozen=True)
class Secret:
    """The secret key of a platform. Its `repr` does not show it."""

    key: bytes = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a missing key.

        Raises:
            LoadError: when the key is empty.
        """
        if not self.key:
            raise LoadError("the pseudonym key is empty: personal fields cannot be protected")

    @property
    def fingerprint(self) -> str:
        """A short name of the key that says nothing about it."""
        return self.pseudonym("millrace key fingerprint")[:8]

    def pseudonym(self, text: str) -> str:
        """Return the pseudonym of a text: the beginning of its HMAC-SHA256 in hex."""
        return hmac.new(self.key, text.encode(), "sha256").hexdigest()[:PSEUDONYM_CHARACTERS]

    def install(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Hand the key to a DuckDB connection, for `pseudonym_sql`; it never becomes part of a query's text."""
        key = hashlib.sha256(self.key).digest() if len(self.key) > _BLOCK else self.key
        key = key.ljust(_BLOCK, b"\0")
        connection.execute("set variable hmac_inner = $pad", {"pad": bytes(byte ^ 0x36 for byte in key)})
        connection.execute("set variable hmac_outer = $pad", {"pad": bytes(byte ^ 0x5C for byte in key)})

    def seal(self, data: bytes, place: str) -> bytes:
        """Encrypt a rejected row (AES-SIV); the same row at the same place gives the same bytes."""
        return self._cipher().encrypt(data, [place.encode()])

    def open(self, sealed: bytes, place: str) -> bytes:
        """Decrypt a rejected row.

        Raises:
            LoadError: when the row was sealed with another key, or for another place.
        """
        try:
            return self._cipher().decrypt(sealed, [place.encode()])
        except InvalidTag:
            raise LoadError(
                f"row {place} of the quarantine was encrypted with another key than the one given"
            ) from None

    def _cipher(self) -> AESSIV:
        return AESSIV(hashlib.sha512(b"millrace quarantine\0" + self.key).digest())


def pseudonym_sql(text: str) -> str:
    """Return the DuckDB SQL of `Secret.pseudonym` over a SQL text."""
    inner = f"unhex(sha256(getvariable('hmac_inner') || encode({text})))"
    return f"substr(sha256(getvariable('hmac_outer') || {inner}), 1, {PSEUDONYM_CHARACTERS})"
