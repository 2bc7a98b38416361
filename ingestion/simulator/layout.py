"""Which file a row arrives in: one file per wire form and period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from ingestion.simulator.model import CLOSING_MS, Delivery, Ints, SimulatorError

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Layout:
    """The files of a simulation; times in milliseconds since 1970."""

    source: str
    begin: int
    end: int
    """The last batch closes here: nothing happens or arrives later."""
    delivery: Delivery
    forms: Sequence[str]
    """Names of the source's wire forms, by index."""

    def __post_init__(self) -> None:
        """Refuse wire forms that the source does not have."""
        unknown = set(self.delivery.forms) - set(self.forms)
        if unknown:
            raise SimulatorError(
                f"delivery: {self.source} has no wire form {min(unknown)!r}; valid: {', '.join(self.forms)}"
            )

    def allowed_form(self, form: Ints) -> Ints:
        """Return the forms, those that shall not be used replaced by the first that shall."""
        if not self.delivery.forms:
            return form
        allowed = [self.forms.index(name) for name in self.delivery.forms]
        return np.where(np.isin(form, allowed), form, allowed[0])

    def batch(self, arrival: Ints) -> Ints:
        """Return the number of the period in which rows arrive."""
        batches: Ints = (arrival + CLOSING_MS - self.begin) // (self.delivery.batch_minutes * MINUTE_MS)
        return batches

    def closes(self, batch: int) -> int:
        """Return when a period's files are closed."""
        period = self.delivery.batch_minutes * MINUTE_MS
        return min(self.begin + (batch + 1) * period - CLOSING_MS, self.end)

    def received_at(self, form: int, batch: int) -> int:
        """Return when a file lands: a second apart for each form, so that the order of files is total."""
        return self.closes(batch) + form * 1000

    def is_document(self, form: Ints, batch: Ints) -> npt.NDArray[np.bool_]:
        """Return which files are one JSON array: every sixth of the first form."""
        documents: npt.NDArray[np.bool_] = (form == 0) & (batch % 6 == 3) & self.delivery.documents
        return documents

    def file_name(self, form: int, batch: int) -> str:
        """Return the file's name; its ending says how it is written."""
        closed = datetime.fromtimestamp(self.closes(batch) / 1000, UTC)
        stem = f"{self.source}-{self.forms[form]}-{closed:%Y%m%dT%H%M%S}Z"
        if self.is_document(np.array(form), np.array(batch)):
            return f"{stem}.json"
        packed = self.delivery.compressed and batch % 3 == 1 + form % 2
        return f"{stem}.ndjson.gz" if packed else f"{stem}.ndjson"
