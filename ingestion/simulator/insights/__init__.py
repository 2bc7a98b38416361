"""The simulated source of generic events and metrics."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ingestion.simulator.insights.activity import activity_events
from ingestion.simulator.insights.metrics import metric_events
from ingestion.simulator.insights.truth import true_values
from ingestion.simulator.insights.wire import EventForm
from ingestion.simulator.model import EventBatch, Frames, Ints, Rows


class Insights:
    """Three services, what they measure of themselves, and what their users do."""

    name = "insights"
    forms = (EventForm(),)

    def form_of(self, event_types: pd.Series, rng: np.random.Generator) -> Ints:
        """Return the wire form of each event: there is one."""
        return np.zeros(len(event_types), np.int64)

    def day(self, index: int, days: int, start: date, scale: float, seed: int) -> list[EventBatch]:
        """Return the events caused on a day."""
        return [*metric_events(index, start, scale, seed), *activity_events(index, start, scale, seed)]

    def truth(self, events: Frames) -> dict[str, Rows]:
        """Return the true values of the marts."""
        return true_values(events)
