"""The second engine's figures of ticketing over hand-made events, against figures worked out by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.unit.proof.shop import Shop, recomputed


@dataclass
class Tickets(Shop):
    """Collects tracked events of a visitor without a session id, unless they say otherwise."""

    source: str = "bilten"

    def views(self, at: str, **fields: Any) -> Tickets:
        self.sends("page_view", at, **({"visitor_id": "v", "page": "/"} | fields))
        return self

    def clicks(self, at: str, **fields: Any) -> Tickets:
        self.sends("click", at, **({"visitor_id": "v"} | fields))
        return self

    def registers(self, at: str, **fields: Any) -> Tickets:
        self.sends("conversion", at, **({"visitor_id": "v", "event_name": "registration"} | fields))
        return self

    def buys(self, at: str, order_id: str, amount: Any, tickets: int = 1, **fields: Any) -> Tickets:
        what = {"event_name": "ticket_purchase", "order_id": order_id, "amount": amount, "tickets": tickets}
        self.sends("conversion", at, **({"visitor_id": "v", "currency": "EUR"} | what | fields))
        return self

    def tries(self, at: str, visitor: str, variant: str, name: str = "experiment_exposed") -> Tickets:
        self.sends("custom", at, visitor_id=visitor, event_name=name, experiment="button", variant=variant)
        return self

    def changes(self, at: str, version: int, **fields: Any) -> Tickets:
        row = {"ticketed_event_id": "t", "name": "Jazz", "category": "music", "capacity": 10}
        self.sends(
            "ticketed_events",
            at,
            **(row | {"starts_at": "2026-12-01T20:00:00+01:00", "version": version} | fields),
        )
        return self


def rows(events: Shop, mart: str, folder: Path) -> list[dict[str, Any]]:
    return recomputed(events, mart, folder)


def sessions(events: Shop, folder: Path) -> dict[str, int]:
    """Sessions by the day they started on."""
    return {
        row["day"].isoformat(): row["sessions"]
        for row in rows(events, "kpi_daily", folder)
        if row["currency"] == "XXX"
    }


@pytest.mark.parametrize(("second", "number"), [("10:29:59.999", 1), ("10:30", 2)])
def test_a_session_ends_after_thirty_minutes_without_an_event(
    tmp_path: Path, second: str, number: int
) -> None:
    assert sessions(Tickets().views("10:00").views(second), tmp_path) == {"2026-11-16": number}


def test_an_event_between_two_sessions_merges_them_however_late_it_comes(tmp_path: Path) -> None:
    events = Tickets().views("10:00").views("10:50")
    assert sessions(events, tmp_path) == {"2026-11-16": 2}
    events.views("10:25", received_at="2026-11-18T00:00")
    assert sessions(events, tmp_path) == {"2026-11-16": 1}


def test_a_session_goes_on_over_the_hour_and_over_midnight(tmp_path: Path) -> None:
    events = Tickets().views("23:50").views("2026-11-17T00:10").views("2026-11-17T00:30")
    assert sessions(events, tmp_path) == {"2026-11-16": 1, "2026-11-17": 0}


def test_who_is_never_silent_for_half_a_day_is_cut_at_midnight(tmp_path: Path) -> None:
    events = Tickets()
    for half_hour in range(24 * 3):
        hours, minutes = divmod(11 * 60 + half_hour * 20, 60)
        days, hours = divmod(hours, 24)
        events.views(f"2026-11-{16 + days}T{hours:02}:{minutes:02}")
    assert sessions(events, tmp_path) == {"2026-11-16": 1, "2026-11-17": 1}


def test_a_producers_session_id_holds_over_any_silence(tmp_path: Path) -> None:
    events = Tickets().views("10:00", session_id="s").views("15:00", session_id="s").views("15:00")
    assert sessions(events, tmp_path) == {"2026-11-16": 2}


def test_a_login_does_not_break_a_visitors_session(tmp_path: Path) -> None:
    events = Tickets().views("10:00").registers("10:05", user_key="u")
    (row,) = rows(events, "kpi_daily", tmp_path)
    assert (row["sessions"], row["converted_sessions"], row["dau"], row["conversion_rate"]) == (1, 1, 1, 1.0)


def test_bots_count_nowhere(tmp_path: Path) -> None:
    events = Tickets().views("10:00", is_bot=True).buys("10:01", "o", 5, is_bot=True, user_key="u")
    for mart in (
        "kpi_daily",
        "kpi_hourly",
        "active_users",
        "funnel_daily",
        "event_performance",
        "user_profile",
    ):
        assert rows(events, mart, tmp_path) == []


def test_an_order_that_is_reported_twice_counts_as_first_reported(tmp_path: Path) -> None:
    events = Tickets().buys("10:00", "o1", "20.5", 2).buys("10:01", "o1", "99").buys("10:02", "o2", "0.0001")
    (row,) = [row for row in rows(events, "kpi_daily", tmp_path) if row["currency"] == "EUR"]
    assert (row["orders"], row["tickets"], row["revenue"]) == (2, 3, Decimal("20.5001"))
    assert row["average_order_value"] == Decimal("10.2500")  # 10.25005, truncated


def test_two_currencies_are_never_added(tmp_path: Path) -> None:
    events = Tickets().buys("10:00", "o1", 1).buys("10:00", "o2", 2, currency="USD")
    found = {row["currency"]: row["revenue"] for row in rows(events, "kpi_daily", tmp_path)}
    assert found == {"EUR": Decimal(1), "USD": Decimal(2)}


def test_every_step_of_the_funnel_needs_the_one_before_it(tmp_path: Path) -> None:
    events = (
        Tickets()
        .registers("09:59", visitor_id="a")
        .views("10:00", visitor_id="a", ticketed_event_id="t")
        .clicks("10:01", visitor_id="a", ticketed_event_id="t")
        .buys("10:02", "o", 1, visitor_id="a")
        .clicks("10:00", visitor_id="b")
        .views("10:01", visitor_id="b")
    )
    found = rows(events, "funnel_daily", tmp_path)
    assert {(row["scope"], row["step"]): row["sessions"] for row in found} == {
        ("all", "view"): 2,
        ("all", "click"): 1,
        ("all", "registration"): 0,
        ("all", "purchase"): 0,
        ("t", "view"): 1,
        ("t", "click"): 1,
        ("t", "registration"): 0,
        ("t", "purchase"): 0,
    }
    first = found[0]
    assert (first["sessions_next"], first["drop_off_rate"], first["median_seconds_to_next"]) == (1, 0.5, 60.0)


def test_a_ticketed_event_is_filled_against_the_capacity_of_its_newest_version(tmp_path: Path) -> None:
    events = (
        Tickets()
        .changes("08:00", 2, capacity=4, name="Jazz night")
        .changes("09:00", 1)
        .buys("10:00", "o", 5, 3, ticketed_event_id="t")
        .views("2026-11-17T10:00", ticketed_event_id="t")
    )
    (row,) = rows(events, "event_performance", tmp_path)
    assert (row["event_name"], row["capacity"], row["fill_rate"], row["registration_rate"]) == (
        "Jazz night",
        4,
        0.75,
        0.0,
    )
    assert (row["starts_at"].isoformat(), row["last_day"]) == ("2026-12-01T19:00:00", date(2026, 11, 17))


def test_a_ticketed_event_that_no_change_row_names_has_no_rate(tmp_path: Path) -> None:
    (row,) = rows(Tickets().clicks("10:00", ticketed_event_id="t"), "event_performance", tmp_path)
    assert (row["event_name"], row["fill_rate"], row["registration_rate"]) == (None, None, None)


def test_a_campaign_has_its_sessions_and_the_purchases_that_name_none_themselves(tmp_path: Path) -> None:
    events = (
        Tickets()
        .views("10:00")
        .views("10:01", campaign_id="spring")
        .buys("10:02", "o1", 5)
        .buys("10:03", "o2", 7, campaign_id="summer")
    )
    found = rows(events, "campaign_daily", tmp_path)
    assert [(r["campaign_id"], r["sessions"], r["page_views"], r["revenue"]) for r in found] == [
        ("spring", 1, 2, Decimal(5)),
        ("summer", 0, 0, Decimal(7)),
    ]


def test_the_first_exposure_decides_and_only_what_follows_it_converts(tmp_path: Path) -> None:
    events = Tickets()
    for number in range(10):
        events.tries("10:00", f"a{number}", "control").tries("10:00", f"b{number}", "b")
    events.tries("11:00", "a0", "b").tries("09:00", "c", "b", "experiment_assigned")
    for number in range(3):
        events.registers("10:05", visitor_id=f"a{number}")
    for number in range(6):
        events.registers("10:00", visitor_id=f"b{number}")
    events.registers("09:59", visitor_id="b9")

    b, control = rows(events, "experiment_results", tmp_path)

    assert (control["is_control"], control["exposed"], control["converted"]) == (True, 10, 3)
    assert (b["assigned"], b["exposed"], b["converted"], b["lift"]) == (1, 10, 6, pytest.approx(0.3))
    half = 1.959963984540054 * math.sqrt(0.6 * 0.4 / 10 + 0.3 * 0.7 / 10)
    assert (b["lift_lower"], b["lift_upper"]) == (pytest.approx(0.3 - half), pytest.approx(0.3 + half))
    assert b["z_score"] == pytest.approx(0.3 / math.sqrt(0.45 * 0.55 * 0.2))
    assert (control["lift"], control["lift_lower"], control["z_score"]) == (None, None, None)


def test_a_user_comes_back_in_a_later_week(tmp_path: Path) -> None:
    events = Tickets().views("10:00", user_key="u").views("10:00", user_key="w")
    events.views("2026-11-30T10:00", user_key="u")
    found = rows(events, "cohort_retention", tmp_path)
    assert [(row["week_number"], row["retained_users"], row["retention_rate"]) for row in found] == [
        (0, 2, 1.0),
        (1, 0, 0.0),
        (2, 1, 0.5),
    ]


def test_a_profile_tells_what_a_user_likes_and_when(tmp_path: Path) -> None:
    events = Tickets().changes("08:00", 1).changes("08:00", 1, ticketed_event_id="d", category="dance")
    events.views("10:00", user_key="u", ticketed_event_id="d", device_type="mobile", browser="Chrome")
    events.views("10:10", user_key="u", ticketed_event_id="t", device_type="desktop")
    events.buys("10:20", "o", "30", 2, user_key="u", ticketed_event_id="t")
    (row,) = rows(events, "user_profile", tmp_path)
    assert row["preferred_categories"] == ["music", "dance"]
    assert (row["device_types"], row["browsers"]) == (["desktop", "mobile"], ["Chrome"])
    assert (row["sessions"], row["average_session_seconds"], row["spent"]) == (1, 1200.0, Decimal(30))
    assert (row["activity_by_hour"][10], row["activity_by_weekday"]) == (3, [3, 0, 0, 0, 0, 0, 0])


def test_a_month_grows_over_the_one_before(tmp_path: Path) -> None:
    events = Tickets().buys("10:00", "o1", 100).buys("2026-12-05T10:00", "o2", 150)
    december = rows(events, "monthly_business_report", tmp_path)[-1]
    assert (december["revenue_before"], december["revenue_growth"]) == (Decimal(100), 0.5)


def test_sessions_count_where_they_began_and_views_where_they_happened(tmp_path: Path) -> None:
    events = Tickets().views("10:00").views("10:05", country="DE", city="Bonn").views("10:10", country="FR")
    found = rows(events, "geography_daily", tmp_path)
    assert [(r["country"], r["city"], r["sessions"], r["page_views"]) for r in found] == [
        ("DE", "Bonn", 1, 1),
        ("FR", "unknown", 0, 1),
        ("unknown", "unknown", 0, 1),
    ]
