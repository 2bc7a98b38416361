"""The simulated ticketing source."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ingestion.simulator.bilten.changes import change_rows
from ingestion.simulator.bilten.generate import day_events
from ingestion.simulator.bilten.truth import true_values
from ingestion.simulator.bilten.wire import ChangeForm, TrackingForm
from ingestion.simulator.model import EventBatch, Frames, Ints, Rows

TRACKING, CHANGE = 0, 1
TABLES = ("users", "organizers", "ticketed_events")


class Bilten:
    """A ticket platform with two organizers, their visitors, and the database behind it."""

    name = "bilten"
    forms = (TrackingForm(), ChangeForm())

    def form_of(self, event_types: pd.Series, rng: np.random.Generator) -> Ints:
        """Return the wire form of each event: rows of the database come from its change feed."""
        return np.where(event_types.isin(TABLES), CHANGE, TRACKING).astype(np.int64)

    def day(self, index: int, days: int, start: date, scale: float, seed: int) -> list[EventBatch]:
        """Return what visitors do on a day, and the rows that change on it; all of them are there on the first."""
        return [*day_events(index, start, scale, seed), *change_rows(index, start, scale, seed)]

    def truth(self, events: Frames) -> dict[str, Rows]:
        """Return the true values of the marts."""
        return true_values(events)
