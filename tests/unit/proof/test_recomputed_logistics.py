"""The second engine's parcels and returns over hand-made deliveries."""

from datetime import date
from pathlib import Path
from typing import Any

from tests.unit.proof.shop import Shop, recomputed


def ships(shop: Shop, at: str, eta: str, name: str = "s", **fields: Any) -> Shop:
    place = {"warehouse_id": "w", "region": "Tirol", "city": "Innsbruck", "carrier": "x", "order_id": "o1"}
    return shop.sends("SHIPMENT_CREATED", at, shipment_id=name, eta=f"2026-11-{eta}:00Z", **(place | fields))


def revises(shop: Shop, at: str, eta: str, name: str = "s", zone: str = "Z") -> Shop:
    return shop.sends("ETA_REVISED", at, shipment_id=name, eta=f"2026-11-{eta}:00{zone}")


def delivers(shop: Shop, at: str, delivered_at: str, name: str = "s") -> Shop:
    moment = f"2026-11-{delivered_at}:00Z"
    return shop.sends("SHIPMENT_DELIVERED", at, shipment_id=name, delivered_at=moment)


def tries(shop: Shop, at: str, attempt: int, success: bool, name: str = "s") -> Shop:
    return shop.sends("DELIVERY_ATTEMPTED", at, shipment_id=name, attempt=attempt, success=success)


def days(shop: Shop, folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in recomputed(shop, "delivery_daily", folder)]


def test_a_promise_revised_before_the_delivery_counts_for_the_latest_only(tmp_path: Path) -> None:
    shop = ships(Shop(), "2026-11-16T10:00", "18T12:00")
    revises(shop, "2026-11-17T10:00", "18T17:00", zone="+01:00")
    delivers(shop, "2026-11-18T15:10", "18T15:00")
    assert days(shop, tmp_path, "day", "delivered", "on_time_rate", "on_time_latest_eta") == [
        (date(2026, 11, 16), 0, None, None),
        (date(2026, 11, 18), 1, 0.0, 1.0),
    ]


def test_a_promise_revised_after_the_delivery_counts_for_nothing(tmp_path: Path) -> None:
    shop = ships(Shop(), "2026-11-16T10:00", "18T12:00")
    delivers(shop, "2026-11-18T15:10", "18T15:00")
    revises(shop, "2026-11-18T15:01", "19T12:00")
    assert days(shop, tmp_path, "on_time_rate", "on_time_latest_eta")[1] == (0.0, 0.0)


def test_a_delivery_on_the_third_attempt_is_none_at_the_first(tmp_path: Path) -> None:
    shop = ships(Shop(), "2026-11-16T10:00", "18T12:00")
    tries(shop, "2026-11-16T18:00", 1, False)
    tries(shop, "2026-11-17T09:00", 2, False)
    tries(shop, "2026-11-17T18:00", 3, True)
    delivers(shop, "2026-11-17T18:01", "17T18:00")
    assert days(shop, tmp_path, "first_attempt_rate", "avg_delivery_hours")[1] == (0.0, 32.0)
    (row,) = recomputed(shop, "fact_shipments", tmp_path)
    assert (row["attempts"], row["delivered_attempt"]) == (3, 3)


def test_a_success_that_nobody_scanned_follows_the_failures(tmp_path: Path) -> None:
    shop = delivers(tries(Shop(), "10:00", 1, False), "12:00", "16T12:00")
    delivers(shop, "12:00", "16T12:00", name="never tried")
    found = {
        row["shipment_id"]: row["delivered_attempt"] for row in recomputed(shop, "fact_shipments", tmp_path)
    }
    assert found == {"s": 2, "never tried": 1}


def test_a_parcel_that_nobody_created_is_delivered_to_an_unknown_place(tmp_path: Path) -> None:
    shop = delivers(Shop(), "12:00", "16T12:00")
    assert days(
        shop, tmp_path, "region", "city", "shipped", "delivered", "on_time_rate", "avg_delivery_hours"
    ) == [("unknown", "unknown", 0, 1, 0.0, None)]


def test_returns_stand_on_their_own_day_and_their_rate_on_the_day_of_the_order(tmp_path: Path) -> None:
    shop = Shop().orders("2026-11-16T10:00", "o1", 9, quantity=4, currency="CHF")
    ships(shop, "2026-11-16T12:00", "18T12:00")
    back = {"product_id": "p", "reason": "x"}
    shop.sends("RETURN_RECEIVED", "2026-11-20T10:00", order_id="o1", quantity=3, **back)
    shop.sends("RETURN_RECEIVED", "2026-11-20T11:00", order_id="never placed", quantity=1, **back)
    columns = ("day", "currency", "returns", "items_returned", "return_rate")
    assert [tuple(row[c] for c in columns) for row in recomputed(shop, "kpi_daily", tmp_path)] == [
        (date(2026, 11, 16), "CHF", 0, 3, 0.75),
        (date(2026, 11, 20), "CHF", 3, 0, None),
        (date(2026, 11, 20), "XXX", 1, 0, None),
    ]
    assert days(shop, tmp_path, "day", "region", "returns")[1:] == [
        (date(2026, 11, 20), "Tirol", 3),
        (date(2026, 11, 20), "unknown", 1),
    ]


def test_a_parcel_that_comes_back_counts_on_the_day_it_was_created(tmp_path: Path) -> None:
    shop = Shop().orders("2026-11-16T10:00", "o1", 9)
    ships(shop, "2026-11-16T12:00", "18T12:00")
    ships(shop, "2026-11-16T12:00", "18T12:00", name="other")
    shop.sends("SHIPMENT_RETURNED_TO_ORIGIN", "2026-11-21T10:00", shipment_id="s", reason="refused")
    (row,) = recomputed(shop, "kpi_daily", tmp_path)
    assert (row["shipments"], row["rto"], row["rto_rate"]) == (2, 1, 0.5)
    assert days(shop, tmp_path, "day", "shipped", "rto") == [
        (date(2026, 11, 16), 2, 0),
        (date(2026, 11, 21), 0, 1),
    ]


def test_an_order_with_two_captured_payments_is_one_order_with_both_amounts(tmp_path: Path) -> None:
    shop = (
        Shop()
        .orders("10:00", "o1", 8)
        .pays("10:01", "p1", 5, order_id="o1")
        .pays("10:02", "p2", 3, order_id="o1")
    )
    (row,) = recomputed(shop, "kpi_daily", tmp_path)
    assert (row["orders"], row["payments_captured"], row["payments_captured_amount"]) == (1, 2, 8)
