"""The true values of governance, in plain pandas, from the formulas in words."""

from __future__ import annotations

import pandas as pd

from ingestion.simulator.figures import ORDER, day_of, period_text
from ingestion.simulator.model import Frames, Rows

GRAIN = ["tenant_id", "day"]
RECENT = 1_000


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of compliance_daily, of recent_events the columns that tell events apart.

    Of compliance_daily the days with a governance event: what was received has a clock of its own.
    """
    audits, asked, done = (
        events[name].assign(day=day_of(events[name]))
        for name in ("COMPLIANCE_AUDIT", "GDPR_EXPORT_REQUESTED", "GDPR_EXPORT_COMPLETED")
    )
    counts = pd.DataFrame(
        {
            "audit_accesses": audits.groupby(GRAIN).size(),
            "audit_denied": audits[audits["outcome"] == "denied"].groupby(GRAIN).size(),
            "exports_requested": asked.groupby(GRAIN)["request_id"].nunique(),
            "exports_completed": done.groupby(GRAIN)["request_id"].nunique(),
        }
    )
    counts = counts.fillna(0).astype(int).reset_index()
    purposes = {
        place: dict(sorted(part["purpose"].value_counts().items())) for place, part in audits.groupby(GRAIN)
    }
    return {
        "recent_events": _recent(events),
        "compliance_daily": [
            {
                **row,
                "day": period_text(row["day"], "day"),
                "audit_accesses_by_purpose": {
                    str(name): int(count)
                    for name, count in purposes.get((row["tenant_id"], row["day"]), {}).items()
                },
            }
            for row in counts.to_dict("records")
        ],
    }


def _recent(events: Frames) -> Rows:
    """Return the newest events of every type."""
    newest = [
        frame.nlargest(RECENT, ORDER[:1], keep="all").sort_values(ORDER).tail(RECENT).assign(event_type=name)
        for name, frame in events.items()
    ]
    columns = ["event_type", "tenant_id", "event_id"]
    return [row for frame in newest for row in frame[columns].to_dict("records")]
