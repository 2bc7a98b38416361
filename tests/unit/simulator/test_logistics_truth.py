"""The true values of parcels and returns: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from ingestion.simulator.pocm.generate import day_events
from ingestion.simulator.pocm.logistics import logistics_events
from ingestion.simulator.pocm.places import RECALLED_BATCH, batch_of
from ingestion.simulator.run import DEFAULT_START

from .test_pocm_truth import DEFAULTS, marts

NUMBERS = count()
Sent = tuple[str, dict[str, Any]]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-03-{text}").replace(tzinfo=UTC).timestamp() * 1000)


def sent(event_type: str, at: str, **values: Any) -> Sent:
    """An event at `at` (day and time in March 2026) about shipment s1 unless told otherwise."""
    return event_type, {
        "event_id": f"l{next(NUMBERS):04d}",
        "tenant_id": "t",
        "occurred_at": ms(at),
        "user_id": None,
        "session_id": None,
        **values,
    }


def created(at: str, eta: str, shipment_id: str = "s1", **values: Any) -> Sent:
    place = {"warehouse_id": "w", "region": "Tirol", "city": "Innsbruck", "carrier": "x", "order_id": "o1"}
    return sent("SHIPMENT_CREATED", at, shipment_id=shipment_id, eta=ms(eta), **(place | values))


def revised(at: str, eta: str) -> Sent:
    return sent("ETA_REVISED", at, shipment_id="s1", eta=ms(eta))


def delivered(at: str, delivered_at: str, shipment_id: str = "s1") -> Sent:
    return sent("SHIPMENT_DELIVERED", at, shipment_id=shipment_id, delivered_at=ms(delivered_at))


def tried(at: str, attempt: int, success: bool) -> Sent:
    return sent("DELIVERY_ATTEMPTED", at, shipment_id="s1", attempt=attempt, success=success)


def returned(at: str, order_id: str, quantity: int) -> Sent:
    return sent("RETURN_RECEIVED", at, order_id=order_id, product_id="p", quantity=quantity, reason="x")


def ordered(at: str, order_id: str, quantity: int) -> Sent:
    placed = {
        **DEFAULTS["ORDER_PLACED"],
        "currency": "CHF",
        "items_quantity": quantity,
        "promotion_code": None,
    }
    return sent("ORDER_PLACED", at, **(placed | {"order_id": order_id}))


def days(*events: Sent, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in marts(*events)["delivery_daily"]]


ON_TIME = ("day", "on_time_rate", "on_time_latest_eta")


def test_a_promise_revised_before_the_delivery_counts_for_the_latest_only() -> None:
    arrival = delivered("18T15:10", "18T15:00")
    assert days(
        created("16T10:00", "18T12:00"), revised("17T10:00", "18T16:00"), arrival, columns=ON_TIME
    ) == [("2026-03-16", None, None), ("2026-03-18", 0.0, 1.0)]


def test_a_promise_revised_after_the_delivery_counts_for_nothing() -> None:
    arrival = delivered("18T15:10", "18T15:00")
    assert days(
        created("16T10:00", "18T12:00"), arrival, revised("18T15:01", "19T12:00"), columns=ON_TIME
    ) == [("2026-03-16", None, None), ("2026-03-18", 0.0, 0.0)]


def test_a_delivery_on_the_third_attempt_is_none_at_the_first() -> None:
    story = (
        created("16T10:00", "18T12:00"),
        tried("16T18:00", 1, False),
        tried("17T09:00", 2, False),
        tried("17T18:00", 3, True),
        delivered("17T18:01", "17T18:00"),
    )
    assert days(*story, columns=("first_attempt_rate", "avg_delivery_hours"))[1] == (0.0, 32.0)
    assert [row["delivered_attempt"] for row in marts(*story)["fact_shipments"]] == [3]


def test_a_parcel_that_nobody_created_is_delivered_to_an_unknown_place() -> None:
    columns = ("region", "city", "shipped", "delivered", "on_time_rate", "avg_delivery_hours")
    assert days(delivered("18T15:10", "18T15:00"), columns=columns) == [
        ("unknown", "unknown", 0, 1, 0.0, None)
    ]


def test_returns_stand_on_their_own_day_and_their_rate_on_the_day_of_the_order() -> None:
    rows = marts(ordered("16T10:00", "o1", 4), returned("20T10:00", "o1", 3), returned("20T11:00", "o9", 1))
    columns = ("day", "currency", "returns", "items_returned", "return_rate")
    assert [tuple(row[c] for c in columns) for row in rows["kpi_daily"]] == [
        ("2026-03-16", "CHF", 0, 3, 0.75),
        ("2026-03-20", "CHF", 3, 0, None),
        ("2026-03-20", "XXX", 1, 0, None),
    ]


def test_a_parcel_that_comes_back_counts_on_the_day_it_was_created() -> None:
    story = (
        ordered("16T10:00", "o1", 1),
        created("16T12:00", "18T12:00"),
        created("16T12:00", "18T12:00", shipment_id="s2"),
        sent("SHIPMENT_RETURNED_TO_ORIGIN", "21T10:00", shipment_id="s1", reason="refused"),
    )
    [row] = marts(*story)["kpi_daily"]
    assert (row["shipments"], row["rto"], row["rto_rate"]) == (2, 1, 0.5)
    assert days(*story, columns=("day", "shipped", "rto")) == [("2026-03-16", 2, 0), ("2026-03-21", 0, 1)]


def test_the_recalled_lot_comes_back_more_often_than_anything_else() -> None:
    shop = day_events(0, DEFAULT_START, 6.0, 5)
    frames = [batch.frame for batch in logistics_events(0, 5, shop) if batch.event_type == "RETURN_RECEIVED"]
    recalled = total = 0
    for back in frames:
        lots = batch_of(back["product_id"].to_numpy(dtype=object), back["order_id"].to_numpy(dtype=object))
        total += len(back)
        recalled += int((lots == RECALLED_BATCH).sum())
        assert set(back["reason"][lots == RECALLED_BATCH]) == {"recalled"}
    # One lot of four of one product of more than ten: by chance it would be one return in fifty.
    assert total > 40
    assert recalled > total / 10
