"""Who looks at personal data and why, what people ask back of it, and what models make of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd

from ingestion.simulator.columns import identifiers
from ingestion.simulator.drawing import Minter, as_series, pick
from ingestion.simulator.model import DAY_MS, HOUR_MS, EventBatch
from ingestion.simulator.pocm.generate import MINUTE_MS, _batch, _midnight, _where
from ingestion.simulator.pocm.tables import TENANTS, Tenant

FIRST_ID = 1 << 38
"""Ids given out by the other parts of a tenant's day lie below."""
STREAM = 1_000_120
PURPOSES = (("treatment", 0.5), ("support", 0.25), ("billing", 0.13), ("marketing", 0.07), ("research", 0.05))
ACTIONS = (("read", 0.86), ("export", 0.06), ("update", 0.06), ("delete", 0.02))
RESOURCES = (("orders", 0.4), ("device_readings", 0.3), ("prescriptions", 0.2), ("user_profiles", 0.1))
CHANNELS = (("web", 0.6), ("email", 0.3), ("mobile", 0.1))
FRAUD, CHURN = ("fraud", "12"), ("churn", "2026-02")
STAFF = 40

RATES = {
    "audited": 0.09,
    "denied": 0.03,
    "named": 0.7,
    "exports": 0.012,
    "asked_again": 0.05,
    "completed": 0.85,
    "judged": 0.9,
    "churn_judged": 0.05,
    "seen": 0.4,
}
"""Shares of whatever each step acts on: a day's visits, accesses, requests, payments, users, predictions."""


def governance_events(
    index: int, start: date, scale: float, seed: int, batches: Sequence[EventBatch]
) -> list[EventBatch]:
    """Return the governance events caused on day `index` after `start`, given the day's other events."""
    found = []
    for number, tenant in enumerate(TENANTS):
        rng = np.random.default_rng([seed, index, number, STREAM])
        ids = Minter(seed, index, number, used=FIRST_ID)
        midnight = _midnight(start, index)
        payments = [
            batch.frame[["occurred_at", "order_id"]]
            for batch in batches
            if batch.event_type == "PAYMENT_CAPTURED" and batch.frame["tenant_id"].iloc[0] == tenant.tenant_id
        ]
        frames = {
            "COMPLIANCE_AUDIT": _audits(rng, tenant, midnight, scale),
            **_exports(rng, tenant, ids, midnight, scale),
            "ML_PREDICTION": _predictions(rng, tenant, ids, midnight, scale, payments),
        }
        found += [_batch(name, tenant, ids, frame) for name, frame in frames.items() if len(frame)]
    return found


def _expected(tenant: Tenant, scale: float, rate: str) -> float:
    """Return how many are expected on a day; a tenant is watched over, however small."""
    return max(1.5, tenant.visits_per_day * scale * RATES[rate])


def _audits(rng: np.random.Generator, tenant: Tenant, midnight: int, scale: float) -> pd.DataFrame:
    size = int(rng.poisson(_expected(tenant, scale, "audited")))
    named = rng.random(size) < RATES["named"]
    records = identifiers("rec-", rng.integers(0, 1 << 40, size).astype(np.uint64))
    return pd.DataFrame(
        {
            "occurred_at": midnight + rng.integers(0, DAY_MS, size),
            "actor": as_series(
                identifiers(f"emp-{tenant.code}-", rng.integers(1, STAFF, size).astype(np.uint64))
            ),
            "action": pick(rng, ACTIONS, size),
            "resource": pick(rng, RESOURCES, size),
            "resource_id": _where(named, as_series(records).to_numpy(object)),
            "purpose": pick(rng, PURPOSES, size),
            "outcome": np.where(rng.random(size) < RATES["denied"], "denied", "allowed").astype(object),
        }
    )


def _exports(
    rng: np.random.Generator, tenant: Tenant, ids: Minter, midnight: int, scale: float
) -> dict[str, pd.DataFrame]:
    """Requests, some sent twice, and most of the answers: hours to weeks later, the slowest beyond a month."""
    size = int(rng.poisson(_expected(tenant, scale, "exports")))
    users = max(1, round(tenant.users * scale))
    requested = pd.DataFrame(
        {
            "request_id": ids.new("gdpr_", size),
            "user_id": ids.of("usr_", rng.integers(0, users, size)),
            "channel": pick(rng, CHANNELS, size),
            "occurred_at": midnight + rng.integers(0, DAY_MS, size),
        }
    )
    again = requested[rng.random(size) < RATES["asked_again"]]
    done = requested[rng.random(size) < RATES["completed"]].drop(columns="channel")
    wait = (rng.lognormal(np.log(20), 1.4, len(done)).clip(0.2, 24 * 40) * HOUR_MS).astype(np.int64)
    return {
        "GDPR_EXPORT_REQUESTED": pd.concat(
            [requested, again.assign(occurred_at=again["occurred_at"] + MINUTE_MS)], ignore_index=True
        ),
        "GDPR_EXPORT_COMPLETED": done.assign(
            occurred_at=done["occurred_at"] + wait, records=rng.integers(1, 5_000, len(done))
        ),
    }


def _predictions(
    rng: np.random.Generator,
    tenant: Tenant,
    ids: Minter,
    midnight: int,
    scale: float,
    payments: Sequence[pd.DataFrame],
) -> pd.DataFrame:
    """The fraud model judges payments as they happen, the churn model some users in the night."""
    paid = pd.concat(payments) if payments else pd.DataFrame({"occurred_at": [], "order_id": []})
    paid = paid[rng.random(len(paid)) < RATES["judged"]]
    users = max(1, round(tenant.users * scale))
    judged = np.flatnonzero(rng.random(users) < RATES["churn_judged"])
    fraud = pd.DataFrame(
        {
            "occurred_at": paid["occurred_at"].to_numpy(np.int64),
            "model": FRAUD[0],
            "model_version": FRAUD[1],
            "subject": paid["order_id"].to_numpy(object),
            "score": np.round(rng.beta(1, 20, len(paid)), 4),
            "outcome": _where(
                rng.random(len(paid)) < RATES["seen"], np.full(len(paid), "paid", dtype=object)
            ),
        }
    )
    churn = pd.DataFrame(
        {
            "occurred_at": midnight + 3 * HOUR_MS + rng.integers(0, HOUR_MS, len(judged)),
            "model": CHURN[0],
            "model_version": CHURN[1],
            "subject": ids.of("usr_", judged).to_numpy(object),
            "score": np.round(rng.beta(2, 5, len(judged)), 4),
            "outcome": None,
        }
    )
    return pd.concat([part for part in (fraud, churn) if len(part)] or [churn], ignore_index=True)
