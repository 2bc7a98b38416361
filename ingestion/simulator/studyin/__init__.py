"""The simulated learning source."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ingestion.simulator.model import EventBatch, Frames, Ints, Rows
from ingestion.simulator.studyin.generate import day_events
from ingestion.simulator.studyin.truth import true_values
from ingestion.simulator.studyin.wire import TrackForm


class Studyin:
    """Two medical learning apps, their learners and their servers."""

    name = "studyin"
    forms = (TrackForm(),)

    def form_of(self, event_types: pd.Series, rng: np.random.Generator) -> Ints:
        """Return the wire form of each event: there is one."""
        return np.zeros(len(event_types), np.int64)

    def day(self, index: int, days: int, start: date, scale: float, seed: int) -> list[EventBatch]:
        """Return the events caused on a day."""
        return day_events(index, start, scale, seed)

    def truth(self, events: Frames) -> dict[str, Rows]:
        """Return the true values of the marts."""
        return true_values(events)
