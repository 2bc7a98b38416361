"""The simulated commerce source."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from ingestion.simulator.model import EventBatch, Frames, Ints, Rows
from ingestion.simulator.pocm.devices import device_events
from ingestion.simulator.pocm.generate import catalogue_events, day_events
from ingestion.simulator.pocm.governance import governance_events
from ingestion.simulator.pocm.growth import growth_events
from ingestion.simulator.pocm.logistics import logistics_events
from ingestion.simulator.pocm.stock import stock_events
from ingestion.simulator.pocm.truth import true_values
from ingestion.simulator.pocm.wire import ApiForm, LedgerForm

API, LEDGER = 0, 1
BACK_OFFICE = "|".join(
    (
        *("ORDER", "PAYMENT", "REFUND", "CHARGEBACK", "PRODUCT_UPSERTED", "WAREHOUSE"),
        *("AFFILIATE", "SUBSCRIPTION", "LOYALTY", "PRESCRIPTION", "ADVERSE"),
        *("SHIPMENT", "ETA", "DELIVERY", "RETURN"),
        *("COMPLIANCE", "ML"),
        *("STOCK", "REORDER", "BATCH"),
    )
)
"""How the names of the events begin that the back office exports."""


class Pocm:
    """Two medical-device shops, their visitors and their back offices."""

    name = "pocm"
    forms = (ApiForm(), LedgerForm())

    def form_of(self, event_types: pd.Series, rng: np.random.Generator) -> Ints:
        """Return the wire form of each event: the storefront posts, the back office exports; not always."""
        back_office = event_types.str.match(BACK_OFFICE).to_numpy()
        other = rng.random(len(event_types)) < 0.1
        return np.where(back_office ^ other, LEDGER, API).astype(np.int64)

    def day(self, index: int, days: int, start: date, scale: float, seed: int) -> list[EventBatch]:
        """Return the events caused on a day: the catalogue on the first, its changes in the middle."""
        batches = day_events(index, start, scale, seed)
        batches += device_events(index, start, scale, seed)
        batches += growth_events(index, start, scale, seed, batches)
        batches += logistics_events(index, seed, batches)
        batches += governance_events(index, start, scale, seed, batches)
        batches += stock_events(index, days, start, scale, seed, batches)
        if index == 0:
            batches += catalogue_events(index, start, seed, changes=False)
        if index == days // 2:
            batches += catalogue_events(index, start, seed, changes=True)
        return batches

    def truth(self, events: Frames) -> dict[str, Rows]:
        """Return the true values of the marts."""
        return true_values(events)


MODEL = Pocm
