"""Samples without personal data."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

MASK = "***"
EMAIL_PATTERN = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}"
PHONE_PATTERN = r"(^|[^0-9A-Za-z])\+[0-9][0-9 ()./-]{6,16}[0-9]([^0-9]|$)|\([0-9]{3}\) ?[0-9]{3}-[0-9]{4}"
"""International form with its plus sign, or the American form: bare digits are ids more often than not."""
LONGEST_VALUE = 200

_PERSONAL = re.compile(f"{EMAIL_PATTERN}|{PHONE_PATTERN}")


def redact(row: Mapping[str, Any], personal_columns: Collection[str]) -> dict[str, Any]:
    """Return a row with personal columns masked, and any text that looks like an address or a number."""
    return {
        name: MASK if name in personal_columns else _value(value, personal_columns)
        for name, value in row.items()
    }


def _value(value: Any, personal_columns: Collection[str]) -> Any:
    if isinstance(value, Mapping):
        return redact(value, personal_columns)
    if isinstance(value, list | tuple):
        return [_value(item, personal_columns) for item in value]
    if isinstance(value, str):
        return MASK if _PERSONAL.search(value) else value[:LONGEST_VALUE]
    return value


def redact_json(rows: Iterable[str], personal_columns: Collection[str]) -> list[dict[str, Any]]:
    """Return redacted rows given as JSON objects; text that is none is masked as a whole."""
    found = []
    for text in rows:
        try:
            row = json.loads(text)
        except ValueError:
            row = {"row": MASK}
        found.append(redact(row, personal_columns) if isinstance(row, dict) else {"row": MASK})
    return found


def redact_text(text: str) -> str:
    """Return an error message with personal values masked: an engine quotes what it could not read."""
    return _PERSONAL.sub(MASK, text)[:1000]
