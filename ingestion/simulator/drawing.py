"""Drawing ids and names: the same for the same seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ingestion.simulator.columns import identifiers
from ingestion.simulator.model import Ints


@dataclass
class Minter:
    """Gives out ids that are distinct over the whole simulation and the same for the same seed."""

    seed: int
    day: int
    tenant: int
    used: int = 0
    mask: np.uint64 = field(init=False)

    def __post_init__(self) -> None:
        """Spread the seed over 64 bits."""
        digest = hashlib.sha256(f"ids {self.seed}".encode()).digest()
        self.mask = np.uint64(int.from_bytes(digest[:8], "big"))

    def new(self, prefix: str, size: int) -> pd.Series:
        """Return `size` ids that were never given out before."""
        first = (self.day + 1) << 44 | self.tenant << 40 | self.used
        self.used += size
        return as_series(
            identifiers(prefix, self._masked(np.uint64(first) + np.arange(size, dtype=np.uint64)))
        )

    def of(self, prefix: str, numbers: Ints) -> pd.Series:
        """Return the ids of numbered things of the tenant: the same on every day."""
        return as_series(
            identifiers(prefix, self._masked(np.uint64(self.tenant << 40) + numbers.astype(np.uint64)))
        )

    def _masked(self, keys: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
        return keys ^ self.mask


def as_series(values: pa.Array) -> pd.Series:
    """Return Arrow texts as a pandas column."""
    return pd.Series(values.to_pandas())


def pick(
    rng: np.random.Generator, choices: tuple[tuple[str, float], ...], size: int
) -> npt.NDArray[np.object_]:
    """Return `size` names drawn by their weights."""
    names = np.array([name for name, _ in choices], dtype=object)
    weights = np.array([weight for _, weight in choices])
    return names[rng.choice(len(names), size=size, p=weights / weights.sum())]


def draw(rng: np.random.Generator, choices: tuple[str, ...], size: int) -> npt.NDArray[np.object_]:
    """Return `size` names drawn evenly."""
    return np.array(choices, dtype=object)[rng.integers(0, len(choices), size=size)]
