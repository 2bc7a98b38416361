"""The codes under which rows are rejected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

CODES: Final[Mapping[str, str]] = {
    "encoding_invalid": "the bytes are not UTF-8",
    "json_invalid": "the text is not JSON",
    "too_large": "the record is larger than the source allows",
    "envelope_missing": "an envelope field that every event needs is missing",
    "type_unknown": "no contract has this event type",
    "version_unsupported": "the event type has no contract of this version",
    "field_missing": "a required payload field is missing",
    "field_type": "a payload field has another type than its contract says",
    "field_range": "a number or a length lies outside its bounds",
    "field_enum": "a value is none of those its contract lists",
    "field_format": "a text does not have the form its contract says, or a name stands twice in an object",
    "timestamp_invalid": "a time is no RFC 3339 time, or lies before 1970 or after 2100",
    "timestamp_future": "the event happened later than it was received",
    "tenant_unknown": "the event names no tenant, or one that the source does not list",
}
"""Every code with its meaning; a row carries all that apply."""
