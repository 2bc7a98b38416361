"""How true values are computed and written out, the same for all marts."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ingestion.simulator.columns import MONEY_UNITS
from ingestion.simulator.model import DAY_MS

ORDER = ["occurred_at", "event_id"]
"""What comes first of two events."""
NO_CURRENCY = "XXX"
"""Stands where no currency is named."""
UNKNOWN = "unknown"


def quantile_exact(values: pd.Series, level: float) -> float:
    """Return the sorted values' element at `floor(level * n)` from 0, as ClickHouse's `quantileExact`."""
    ordered = np.sort(values.to_numpy(dtype=np.int64))
    return float(ordered[int(level * len(ordered))])


def money_text(units: int) -> str:
    """Return money units as a decimal with four places."""
    sign, units = ("-" if units < 0 else ""), abs(units)
    return f"{sign}{units // MONEY_UNITS}.{units % MONEY_UNITS:04d}"


def ratio(numerator: float, denominator: float) -> float | None:
    """Return the ratio, or None without a denominator."""
    return numerator / denominator if denominator else None


def money_ratio(units: int, denominator: int) -> str | None:
    """Return money per thing, truncated towards zero at the fourth decimal."""
    if not denominator:
        return None
    return money_text(abs(units) // denominator * (-1 if units < 0 else 1))


def day_of(frame: pd.DataFrame) -> pd.Series:
    """Return the UTC midnight before each event, in milliseconds since 1970."""
    return frame["occurred_at"] // DAY_MS * DAY_MS


def period_text(milliseconds: int, period_name: str) -> str:
    """Return the beginning of a `day` or `month` as a date, of anything else as date and time."""
    text = str(np.datetime64(int(milliseconds), "ms"))
    return text[:10] if period_name in ("day", "month") else f"{text[:10]} {text[11:19]}"
