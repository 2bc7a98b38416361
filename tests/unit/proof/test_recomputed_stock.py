"""What the second engine makes of goods that come, move and go."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

from shop import Shop, recomputed

WAREHOUSE = {"product_id": "p", "warehouse_id": "w", "batch_id": "b"}


def received(shop: Shop, at: str, quantity: int, unit_cost: float = 2, **fields: Any) -> Shop:
    return shop.sends("STOCK_RECEIVED", at, **(WAREHOUSE | fields), quantity=quantity, unit_cost=unit_cost)


def shipped(shop: Shop, at: str, quantity: int, unit_cost: float = 2, **fields: Any) -> Shop:
    fields = {"order_id": "o"} | fields
    return shop.sends("STOCK_SHIPPED", at, **(WAREHOUSE | fields), quantity=quantity, unit_cost=unit_cost)


def adjusted(shop: Shop, at: str, delta: int, reason: str) -> Shop:
    return shop.sends("STOCK_ADJUSTED", at, **WAREHOUSE, delta=delta, reason=reason)


def told(shop: Shop, folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in recomputed(shop, "inventory_daily", folder)]


def test_a_day_without_movement_keeps_the_stock_of_the_day_before(tmp_path: Path) -> None:
    shop = shipped(received(Shop(), "2026-11-16T10:00", 5), "2026-11-18T10:00", 2)
    assert told(shop, tmp_path, "movements", "opening_stock", "stock_on_hand") == [
        (1, 0, 5),
        (0, 5, 5),
        (1, 5, 3),
    ]


def test_a_transfer_takes_from_one_warehouse_and_gives_to_the_other(tmp_path: Path) -> None:
    shop = received(Shop(), "2026-11-16T10:00", 5)
    shop.sends(
        "STOCK_TRANSFERRED",
        "2026-11-16T12:00",
        product_id="p",
        batch_id="b",
        quantity=2,
        **{"from": "w", "to": "x"},
    )
    assert told(shop, tmp_path, "warehouse_id", "stock_on_hand", "received", "quantity_age_0_30") == [
        ("w", 3, 5, 3),
        ("x", 2, 0, 2),
    ]


def test_without_a_sale_in_28_days_the_stock_covers_no_number_of_days(tmp_path: Path) -> None:
    shop = adjusted(
        shipped(received(Shop(), "2026-11-01T10:00", 5), "2026-11-01T11:00", 2),
        "2026-11-29T10:00",
        0,
        "count",
    )
    covers = told(shop, tmp_path, "days_of_cover")
    assert covers == [(42.0,)] * 28 + [(None,)]


def test_goods_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    shop = received(received(Shop(), "2026-08-01T10:00", 10), "2026-09-01T10:00", 4)
    shipped(shop, "2026-10-08T10:00", 6)
    ages = told(shop, tmp_path, "quantity_age_0_30", "quantity_age_31_60", "quantity_age_61_90")
    assert (ages[30], ages[31], ages[61], ages[-1]) == ((10, 0, 0), (4, 10, 0), (4, 0, 10), (0, 4, 4))


def test_a_return_is_on_hand_again_and_goods_that_were_never_there_have_no_age(tmp_path: Path) -> None:
    shop = adjusted(shipped(Shop(), "2026-11-16T10:00", 3), "2026-11-17T10:00", 4, "return")
    assert told(shop, tmp_path, "stock_on_hand", "quantity_age_0_30", "stock_value") == [
        (-3, 0, 0),
        (1, 1, 2),
    ]


def test_the_value_of_a_stock_is_its_mean_cost_cut_after_the_fourth_decimal(tmp_path: Path) -> None:
    shop = received(received(Shop(), "2026-11-16T10:00", 2, 5), "2026-11-16T11:00", 1, 0)
    [(cost, value, turnover)] = told(shop, tmp_path, "average_unit_cost", "stock_value", "turnover_30d")
    assert (cost, value, turnover) == (Decimal("3.3333"), Decimal("9.9999"), 0.0)


def test_what_is_left_of_a_recalled_batch_counts_from_the_recall_on(tmp_path: Path) -> None:
    shop = received(received(Shop(), "2026-11-16T10:00", 5), "2026-11-16T11:00", 9, batch_id="good")
    shop.sends("BATCH_RECALLED", "2026-11-17T23:59", product_id="p", batch_id="b", reason="leak")
    shipped(shop, "2026-11-18T10:00", 6)
    assert told(shop, tmp_path, "recalled_quantity") == [(0,), (5,), (0,)]


def test_a_return_belongs_to_the_batch_that_was_packed_when_the_order_names_none(tmp_path: Path) -> None:
    shop = Shop().orders("2026-11-16T10:00", "o", 5, quantity=2)
    shipped(shop, "2026-11-16T12:00", 2, batch_id="packed")
    shop.sends("RETURN_RECEIVED", "2026-11-20T10:00", order_id="o", product_id="p", quantity=1, reason="late")
    shop.sends("ADVERSE_EVENT_REPORTED", "2026-11-21T10:00", batch_id="packed", severity="mild", code="rash")
    [row] = recomputed(shop, "batch_performance", tmp_path)
    assert (row["batch_id"], row["sold"], row["returned"], row["return_rate"]) == ("packed", 2, 1, 0.5)
    assert (row["adverse_events"], row["adverse_events_mild"], row["recalled"]) == (1, 1, False)
