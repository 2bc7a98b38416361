"""Tells from its first bytes how JSON is laid out: value by line, or as a document to be read value by value."""

from __future__ import annotations

import json
import re
from typing import Literal

JsonLayout = Literal["ndjson", "json"]

_ARRAY = re.compile(r"\[\s*(\{|\]\s*$)")


def json_layouts(head: bytes, is_all: bool) -> tuple[JsonLayout, ...]:
    """Return how JSON that begins so can be read; nothing where the bytes do not tell.

    Args:
        head: the first bytes.
        is_all: whether there are no more.
    """
    text = head.decode(errors="replace").lstrip()
    if _ARRAY.match(text):
        return ("json",)
    try:
        value, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return ()
    line, _, further = text[end:].partition("\n")
    if not isinstance(value, dict) or line.strip()[:1] not in ("", "{", "["):
        return ()
    if "\n" in text[:end] or line.strip():
        return ("json",)
    return ("ndjson", "json") if is_all and not further.strip() else ("ndjson",)
