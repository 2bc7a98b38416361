"""What the true values of the commerce source have in common."""

from __future__ import annotations

import pandas as pd

from ingestion.simulator.figures import ORDER
from ingestion.simulator.model import Frames


def first_orders(events: Frames) -> pd.DataFrame:
    """Return the orders: one placed again under another event id counts once, as it was placed first."""
    return events["ORDER_PLACED"].sort_values(ORDER).drop_duplicates(["tenant_id", "order_id"])
