"""What users, the business and the operators of the services do on a day."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from ingestion.simulator.columns import concatenated, constant, json_string, text_array
from ingestion.simulator.insights.world import SERVICES, batch, busyness, generator, midnight
from ingestion.simulator.model import DAY_MS, EventBatch, Ints

ACTIONS = {
    "USER_ACTION": (520, ("login", "search", "open_report", "export", "logout")),
    "BUSINESS_EVENT": (220, ("signup", "invoice_paid", "plan_changed")),
    "CUSTOM_EVENT": (24, ("deployment", "feature_switched", None)),
}
"""Events a day at scale 1, and their names; one kind of custom event has none."""
USERS = 180


def activity_events(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return the user actions, business events and custom events of a day."""
    found = []
    for part, (event_type, (number, names)) in enumerate(ACTIONS.items(), start=8):
        rng = generator(seed, index, part)
        size = max(1, round(number * scale))
        moments = _moments(rng, size, midnight(index, start))
        name = np.array(names, dtype=object)[rng.integers(0, len(names), size)]
        tenants = np.array(SERVICES, dtype=object)[rng.integers(0, len(SERVICES), size)]
        people = rng.integers(0, max(2, round(USERS * scale)), size)
        is_known = rng.random(size) < (0.9 if event_type == "USER_ACTION" else 0.5)
        users = pd.Series([f"user-{person}" for person in people], dtype=object).where(is_known, None)
        amount = text_array(pd.Series(rng.integers(1, 500, size)).astype(str))
        found.append(
            batch(
                event_type,
                tenants,
                moments,
                {
                    "name": json_string(text_array(name)),
                    "amount": amount,
                    "context": concatenated(constant('{"ok":true,"tries":['), amount, constant("]}")),
                    "userId": json_string(text_array(users)),
                },
                index=index,
                seed=seed,
                part=part,
                name=name,
                user_id=users,
                session_id=pd.Series([f"s-{index}-{person}" for person in people], dtype=object).where(
                    is_known, None
                ),
                idempotency_key=_keys(event_type, index, size) if event_type == "BUSINESS_EVENT" else None,
            )
        )
    return found


def _moments(rng: np.random.Generator, size: int, begin: int) -> Ints:
    """Draw moments of a day, more of them where services are busy."""
    minutes = begin + np.arange(0, DAY_MS, 60_000)
    weight = busyness(minutes)
    chosen = rng.choice(minutes, size, p=weight / weight.sum())
    moments: Ints = chosen + rng.integers(0, 60_000, size)
    return moments


def _keys(event_type: str, index: int, size: int) -> list[str]:
    numbers = pa.array(range(size)).cast(pa.large_string())
    return [str(key) for key in concatenated(constant(f"{event_type}-{index}-"), numbers).to_pylist()]
