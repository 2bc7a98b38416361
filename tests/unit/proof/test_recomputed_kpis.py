"""The second engine's KPIs over hand-made deliveries, against figures worked out by hand."""

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.unit.proof.shop import Shop, recomputed


def daily(shop: Shop, folder: Path) -> dict[str, Any]:
    (row,) = recomputed(shop, "kpi_daily", folder)
    return row


def test_gmv_adds_exactly_where_floats_would_not(tmp_path: Path) -> None:
    shop = (
        Shop().orders("10:00", "o1", 0.1).orders("10:01", "o2", 0.2).orders("10:02", "o3", 99999999999.9999)
    )
    row = daily(shop, tmp_path)
    assert row["gmv"] == Decimal("100000000000.2999")
    assert row["orders"] == 3


def test_aov_and_arpu_are_truncated_at_the_fourth_decimal(tmp_path: Path) -> None:
    shop = Shop()
    for number, amount in enumerate((10, 10, 0.0002)):
        shop.orders("10:00", f"o{number}", amount, user_key=f"u{number % 2}")
    row = daily(shop, tmp_path)
    assert row["aov"] == Decimal("6.6667")  # 20.0002 / 3 = 6.66673…
    assert row["arpu"] == Decimal("10.0001")


def test_a_delivery_that_repeats_an_event_id_counts_once_whatever_its_load(tmp_path: Path) -> None:
    shop = (
        Shop()
        .orders("10:00", "o1", 5, event_id="e", load_id="b" * 32, received_at="11:00")
        .orders("10:00", "o9", 7, event_id="e", load_id="a" * 32, received_at="12:00")
    )
    row = daily(shop, tmp_path)
    assert (row["orders"], row["gmv"]) == (1, Decimal(5))


def test_the_smaller_load_id_wins_between_deliveries_of_one_moment(tmp_path: Path) -> None:
    shop = (
        Shop()
        .orders("10:00", "o1", 5, event_id="e", load_id="b" * 32)
        .orders("10:00", "o1", 7, event_id="e", load_id="a" * 32)
    )
    assert daily(shop, tmp_path)["gmv"] == Decimal(7)


def test_a_delivery_dropped_for_its_key_still_claims_its_event_id(tmp_path: Path) -> None:
    shop = (
        Shop()
        .orders("10:00", "o1", 1, event_id="a", idempotency_key="k", received_at="11:00")
        .orders("10:00", "o2", 2, event_id="b", idempotency_key="k", received_at="11:01")
        .orders("10:00", "o3", 4, event_id="b", received_at="11:02")
    )
    assert daily(shop, tmp_path)["gmv"] == Decimal(1)


def test_an_order_placed_under_two_event_ids_counts_with_its_first(tmp_path: Path) -> None:
    shop = Shop().orders("10:05", "o1", 9, quantity=9).orders("10:00", "o1", 5, quantity=2)
    row = daily(shop, tmp_path)
    assert (row["orders"], row["gmv"], row["items_sold"]) == (1, Decimal(5), 2)


def test_two_currencies_and_two_tenants_are_never_added(tmp_path: Path) -> None:
    shop = (
        Shop()
        .orders("10:00", "o1", 5)
        .orders("10:00", "o2", 6, currency="USD")
        .orders("10:00", "o1", 7, tenant="south")
    )
    rows = recomputed(shop, "kpi_daily", tmp_path)
    assert [(row["tenant_id"], row["currency"], row["gmv"]) for row in rows] == [
        ("north", "EUR", Decimal(5)),
        ("north", "USD", Decimal(6)),
        ("south", "EUR", Decimal(7)),
    ]


def test_a_ratio_without_denominator_is_null(tmp_path: Path) -> None:
    row = daily(Shop().pays("10:00", "p1", 5), tmp_path)
    assert (row["orders"], row["sessions"]) == (0, 0)
    assert [row[name] for name in ("conversion_rate", "aov", "arpu", "refund_rate", "zero_result_rate")] == [
        None
    ] * 5


def test_a_session_belongs_to_the_hour_it_started_and_its_payment_to_its_own(tmp_path: Path) -> None:
    shop = (
        Shop()
        .sends("PRODUCT_VIEWED", "10:59:59.999", session_id="s", currency="EUR", price=1, product_id="p")
        .pays("11:00", "p1", 5, session_id="s")
    )
    rows = recomputed(shop, "kpi_hourly", tmp_path)
    assert [(row["hour"], row["sessions"], row["payments_captured"]) for row in rows] == [
        (datetime(2026, 11, 16, 10), 1, 0),
        (datetime(2026, 11, 16, 11), 0, 1),
    ]


def test_a_search_counts_under_the_first_currency_its_session_names_later(tmp_path: Path) -> None:
    shop = (
        Shop()
        .sends("SEARCH", "10:00", session_id="s", search_id="x", query="q", results_count=0)
        .sends("PRODUCT_VIEWED", "10:02", session_id="s", currency="USD", price=1, product_id="p")
        .sends("PRODUCT_VIEWED", "10:01", session_id="s", currency="EUR", price=1, product_id="p")
        .sends("SEARCH", "10:00", search_id="y", query="q", results_count=3)
    )
    rows = recomputed(shop, "kpi_daily", tmp_path)
    assert [
        (row["currency"], row["searches"], row["zero_result_searches"], row["zero_result_rate"])
        for row in rows
    ] == [("EUR", 1, 1, 1.0), ("XXX", 1, 0, 0.0)]


def test_refunds_count_on_their_own_day_and_the_refunded_order_on_its_own(tmp_path: Path) -> None:
    shop = (
        Shop()
        .orders("10:00", "o1", 5)
        .orders("10:00", "o2", 5)
        .refunds("2026-11-18T09:00", "p1", 2, order_id="o1")
    )
    rows = recomputed(shop, "kpi_daily", tmp_path)
    assert [(row["day"], row["refunds"], row["orders_refunded"], row["refund_rate"]) for row in rows] == [
        (date(2026, 11, 16), 0, 1, 0.5),
        (date(2026, 11, 18), 1, 0, None),
    ]


def test_a_cart_is_abandoned_unless_it_is_ordered_within_72_hours(tmp_path: Path) -> None:
    shop = Shop()
    for cart, ordered in {"kept": "2026-11-19T10:00:00", "late": "2026-11-19T10:00:00.001"}.items():
        shop.sends("CART_CREATED", "10:00", cart_id=cart, currency="EUR")
        shop.orders(ordered, f"o-{cart}", 1, cart_id=cart)
    shop.sends("CART_CREATED", "10:00", cart_id="left", currency="EUR")
    row = recomputed(shop, "kpi_daily", tmp_path)[0]
    assert (row["carts_created"], row["carts_abandoned"], row["cart_abandonment_rate"]) == (3, 2, 2 / 3)


def test_purchasers_are_counted_once_and_unknown_users_not_at_all(tmp_path: Path) -> None:
    shop = Shop().orders("10:00", "o1", 4, user_key="u").orders("11:00", "o2", 4, user_key="u")
    row = daily(shop.orders("12:00", "o3", 4), tmp_path)
    assert (row["unique_purchasers"], row["arpu"]) == (1, Decimal(12))


def test_texts_and_numbers_of_any_spelling_keep_their_value(tmp_path: Path) -> None:
    shop = Shop().orders("10:00", "nul\u0000a", 1e2).orders("10:00", "nul\u0000b", 1e-4, quantity=2.0)
    row = daily(shop.orders("10:00", "\U0001f600", 5), tmp_path)
    assert (row["orders"], row["gmv"], row["items_sold"]) == (3, Decimal("105.0001"), 4)
