"""The second engine's reading of governance and of the newest events, over hand-made deliveries."""

from datetime import date
from pathlib import Path

from tests.unit.proof.shop import Shop, recomputed


def test_accesses_count_by_purpose_and_a_request_sent_twice_once(tmp_path: Path) -> None:
    access = {"actor": "a", "action": "read", "resource": "orders"}
    shop = (
        Shop()
        .sends("COMPLIANCE_AUDIT", "10:00", purpose="support", outcome="allowed", **access)
        .sends("COMPLIANCE_AUDIT", "10:01", purpose="support", outcome="denied", **access)
        .sends("COMPLIANCE_AUDIT", "10:02", purpose="billing", outcome="allowed", **access)
        .sends("GDPR_EXPORT_REQUESTED", "10:03", request_id="r")
        .sends("GDPR_EXPORT_REQUESTED", "10:04", request_id="r")
        .sends("GDPR_EXPORT_COMPLETED", "2026-11-18T10:00:00", request_id="r")
    )
    first, second = recomputed(shop, "compliance_daily", tmp_path)
    assert first["audit_accesses_by_purpose"] == {"billing": 1, "support": 2}
    assert (first["audit_denied"], first["exports_requested"], first["exports_completed"]) == (1, 1, 0)
    assert (second["exports_requested"], second["exports_completed"]) == (0, 1)


def test_a_late_event_counts_on_its_own_day_and_was_received_on_another(tmp_path: Path) -> None:
    shop = Shop().sends("GDPR_EXPORT_REQUESTED", "10:00", request_id="r", received_at="2026-11-20T09:00:00")
    rows = recomputed(shop, "compliance_daily", tmp_path)
    assert [(row["day"], row["exports_requested"], row["received_rows"]) for row in rows] == [
        (date(2026, 11, 16), 1, 0),
        (date(2026, 11, 20), 0, 1),
    ]


def test_the_newest_thousand_of_a_type_are_kept_and_the_greater_id_of_a_tie(tmp_path: Path) -> None:
    shop = Shop()
    for number in range(1_002):
        shop.sends("LOGIN", "10:00" if number < 3 else "11:00", method="password", success=True)
    shop.sends("CONSENT_CHANGED", "09:00", purpose="marketing", granted=True)
    kept = {row["event_id"] for row in recomputed(shop, "recent_events", tmp_path)}
    assert kept >= {"event-0003", "event-1002", "event-1003"}
    assert not kept & {"event-0001", "event-0002"}
