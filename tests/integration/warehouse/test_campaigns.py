"""What comes of a showing on a later day is told on the day of the showing."""

from __future__ import annotations

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MODELS = ["staging.pocm", "int_pocm__session_events_unioned", "pocm__fact_sessions", "pocm__fact_searches"]
MODELS += [
    "int_pocm__order_events_unioned",
    "pocm__fact_orders",
    "pocm__search_daily",
    "pocm__marketing_daily",
]
PRODUCT = {"recommendation_id": "r", "product_id": "p", "position": 1, "campaign": "c"}
# Each on a day of its own, which only its own key can restate.
SHOWN = [
    Event("e1", "2026-11-11 23:00:00", "SEARCH", {"search_id": "q", "query": "x", "results_count": 3}),
    Event("e2", "2026-11-12 23:00:00", "RECOMMENDATION_SHOWN", PRODUCT),
    Event("e3", "2026-11-13 23:00:00", "PROMOTION_SHOWN", {"promotion_code": "A"}, session_id="s"),
    Event(
        "e4",
        "2026-11-14 23:00:00",
        "AFFILIATE_ATTRIBUTED",
        {"affiliate_id": "f", "order_id": "o", "commission": 1, "currency": "EUR"},
        order_id="o",
    ),
]
FOLLOWED = [
    Event(
        "e5",
        "2026-11-16 10:00:00",
        "SEARCH_RESULT_CLICKED",
        {"search_id": "q", "product_id": "p", "position": 2},
    ),
    Event("e6", "2026-11-16 10:00:00", "RECOMMENDATION_CLICKED", PRODUCT),
    Event(
        "e7",
        "2026-11-16 10:00:00",
        "ORDER_PLACED",
        {"order_id": "o", "amount": 20, "currency": "CHF", "promotion_code": "A", "items": []},
        session_id="s",
        order_id="o",
    ),
]


def test_what_follows_days_later_restates_the_day_of_the_showing(
    warehouse: Client, store: ObjectStore, stack: Settings
) -> None:
    for received, events in (("2026-11-15 10:05", SHOWN), ("2026-11-16 10:05", FOLLOWED)):
        manifest = write_load(store, received, events)
        load_hours(warehouse, store, "pocm", {manifest.hours[0].received_hour: [manifest]})
        hour = received[:13]
        window = {"window_from": f"{hour}:00:00", "window_to": f"{hour}:59:59"}
        run_dbt(stack, ["run", "--select", *MODELS], window)
    searched = "select searches, searches_clicked from pocm.search_daily where scope = 'all'"
    assert warehouse.query(searched).result_rows == [(1, 1)]
    campaigns = (
        "select campaign_type, currency, recommendations_clicked, promotion_sessions_converted,"
        " toInt64(affiliate_revenue) from pocm.marketing_daily where day < '2026-11-15' order by all"
    )
    assert warehouse.query(campaigns).result_rows == [
        ("affiliate", "CHF", 0, 0, 20),
        ("affiliate", "EUR", 0, 0, 0),
        ("promotion", "XXX", 0, 1, 0),
        ("recommendation", "XXX", 1, 0, 0),
    ]
