"""JSON text from columns: whole arrays at a time, so that millions of events take seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

Kind = Literal["text", "integer", "number", "money", "time", "flag", "json"]
"""How a column becomes a JSON value.

`money` is an integer count of 1/10,000, `time` milliseconds since 1970, `json` JSON text already.
"""

TEXT = pa.large_string()
MONEY_UNITS = 10_000
"""Money is counted in 1/10,000 of the currency: exact, and wide enough for the amounts used here."""


def constant(value: str) -> pa.Scalar:
    """Return a text scalar that joins with `TEXT` arrays."""
    return pa.scalar(value, TEXT)


def concatenated(*parts: pa.Array | pa.Scalar) -> pa.Array:
    """Join texts row by row; a null part counts as empty."""
    return pc.binary_join_element_wise(*parts, constant(""), null_handling="replace", null_replacement="")


def text_array(values: pd.Series | npt.NDArray[np.generic] | Sequence[str | None] | pa.Array) -> pa.Array:
    """Return the values as one contiguous `TEXT` array; missing values are null."""
    array = values if isinstance(values, pa.Array) else pa.array(values, from_pandas=True)
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
    if pa.types.is_null(array.type) or array.type != TEXT:
        array = array.cast(TEXT)
    return array


def json_value(values: pd.Series | npt.NDArray[np.generic] | pa.Array, kind: Kind) -> pa.Array:
    """Return each value as JSON text; null stays null."""
    if kind == "money":
        return _money(pa.array(values, pa.int64(), from_pandas=True))
    if kind == "time":
        return json_string(timestamps(np.asarray(values, dtype=np.int64)))
    if kind == "json":
        return text_array(values)
    if kind == "text":
        return json_string(text_array(values))
    return pa.array(values, from_pandas=True).cast(TEXT)


def json_string(texts: pa.Array) -> pa.Array:
    """Return the texts quoted, with backslashes and quotes escaped; control characters must not occur."""
    escaped = pc.replace_substring(pc.replace_substring(texts, "\\", "\\\\"), '"', '\\"')
    quoted = concatenated(constant('"'), escaped, constant('"'))
    return pc.if_else(pc.is_valid(texts), quoted, pa.scalar(None, TEXT)) if texts.null_count else quoted


def json_objects(columns: Mapping[str, tuple[pa.Array, bool]], rows: int) -> pa.Array:
    """Return one JSON object per row out of columns of JSON text.

    Args:
        columns: key to (JSON text, whether null is written; otherwise a null drops the key).
        rows: number of objects, needed where there are no columns.
    """
    parts: list[pa.Array | pa.Scalar] = []
    for key, (texts, writes_null) in columns.items():
        label = f',"{key}":'
        values = pc.fill_null(texts, constant("null")) if writes_null and texts.null_count else texts
        if values.null_count:
            some = concatenated(constant(label), values)
            parts.append(pc.if_else(pc.is_valid(values), some, constant("")))
        else:
            parts.extend((constant(label), values))
    if not any(isinstance(part, pa.Array) for part in parts):
        return pa.array(["{}"] * rows, TEXT)
    body = pc.utf8_slice_codeunits(concatenated(*parts), 1)
    return concatenated(constant("{"), body, constant("}"))


def json_arrays(values: pa.Array, offsets: npt.NDArray[np.int64]) -> pa.Array:
    """Return JSON arrays of consecutive JSON texts: row i holds `values[offsets[i]:offsets[i + 1]]`."""
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    return concatenated(constant("["), pc.binary_join(lists, constant(",")), constant("]"))


def timestamps(milliseconds: npt.NDArray[np.int64], offset_hours: int = 0) -> pa.Array:
    """Return ISO 8601 texts with milliseconds, in UTC (`Z`) or at a fixed offset from it."""
    local = pa.array(np.asarray(milliseconds, np.int64) + offset_hours * 3_600_000, pa.int64())
    texts = local.cast(pa.timestamp("ms")).cast(TEXT)
    zone = "Z" if offset_hours == 0 else f"{offset_hours:+03d}:00"
    return concatenated(pc.replace_substring(texts, " ", "T"), constant(zone))


def identifiers(prefix: str, keys: npt.NDArray[np.uint64]) -> pa.Array:
    """Return `<prefix><16 hex digits>`: distinct for distinct keys, without visible order.

    The digits are the splitmix64 finaliser of the key, a bijection on 64 bits.
    """
    x = np.asarray(keys, dtype=np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    digits = np.frombuffer(x.astype(">u8").tobytes().hex().encode("ascii"), dtype="S16")
    return concatenated(constant(prefix), pa.array(digits).cast(pa.large_binary()).cast(TEXT))


def _money(units: pa.Array) -> pa.Array:
    counts = np.asarray(pc.fill_null(units, 0), dtype=np.int64)
    whole, fraction = np.divmod(np.abs(counts), MONEY_UNITS)
    sign = pc.if_else(pa.array(counts < 0), constant("-"), constant(""))
    decimals = pc.utf8_lpad(pa.array(fraction).cast(TEXT), width=4, padding="0")
    number = concatenated(sign, pa.array(whole).cast(TEXT), constant("."), decimals)
    trimmed = pc.utf8_rtrim(pc.utf8_rtrim(number, characters="0"), characters=".")
    return pc.if_else(pc.is_valid(units), trimmed, pa.scalar(None, TEXT)) if units.null_count else trimmed
