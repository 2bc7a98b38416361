"""The second engine's funnel and payment figures over hand-made deliveries."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.unit.proof.shop import Shop, recomputed


def browse(shop: Shop, session: str, *steps: tuple[str, str], product: str = "p") -> Shop:
    """Let a session take steps at times: view, cart, checkout, pay, search, click."""
    types = {
        "search": "SEARCH",
        "click": "SEARCH_RESULT_CLICKED",
        "view": "PRODUCT_VIEWED",
        "cart": "CART_ITEM_ADDED",
        "checkout": "CHECKOUT_STARTED",
        "pay": "PAYMENT_CAPTURED",
    }
    for step, at in steps:
        shop.sends(
            types[step], at, session_id=session, product_id=product, currency="EUR", payment_id=session
        )
    return shop


def funnel(shop: Shop, folder: Path, scope: str = "all") -> list[dict[str, Any]]:
    rows = [row for row in recomputed(shop, "funnel_step", folder) if row["scope"] == scope]
    assert [row["step_number"] for row in rows] == [1, 2, 3, 4, 5]
    return rows


def sessions(rows: list[dict[str, Any]]) -> list[int]:
    return [row["sessions"] for row in rows]


def test_the_funnel_counts_the_sessions_at_each_step_and_what_they_lose(tmp_path: Path) -> None:
    shop = Shop()
    browse(shop, "a", ("search", "10:00"), ("view", "10:01"), ("cart", "10:02"), ("checkout", "10:03"))
    browse(shop, "b", ("view", "10:00"), ("cart", "10:05"))
    browse(shop, "c", ("view", "10:00"))
    browse(shop, "d", ("search", "10:00"))
    rows = funnel(shop, tmp_path)
    assert sessions(rows) == [2, 3, 2, 1, 0]
    assert [row["sessions_next"] for row in rows] == [1, 2, 1, 0, None]
    assert [row["drop_off_rate"] for row in rows] == [0.5, 1 - 2 / 3, 0.5, 1.0, None]
    assert [row["median_seconds_to_next"] for row in rows] == [60.0, 300.0, 60.0, None, None]


def test_a_cart_before_any_view_reaches_nothing(tmp_path: Path) -> None:
    shop = browse(Shop(), "a", ("cart", "10:00"), ("view", "10:01"), ("checkout", "10:02"), ("pay", "10:03"))
    assert sessions(funnel(shop, tmp_path)) == [0, 1, 0, 0, 0]


def test_a_later_event_of_a_step_carries_on_after_an_early_one(tmp_path: Path) -> None:
    shop = browse(Shop(), "a", ("cart", "10:00"), ("view", "10:01"), ("cart", "10:02:00.250"))
    rows = funnel(shop, tmp_path)
    assert sessions(rows) == [0, 1, 1, 0, 0]
    assert rows[1]["median_seconds_to_next"] == 60.25


def test_steps_of_one_moment_follow_each_other(tmp_path: Path) -> None:
    shop = browse(Shop(), "a", ("view", "10:00"), ("cart", "10:00"), ("checkout", "10:00"), ("pay", "10:00"))
    assert sessions(funnel(shop, tmp_path)) == [0, 1, 1, 1, 1]


def test_a_session_over_midnight_counts_on_the_day_it_started(tmp_path: Path) -> None:
    shop = browse(Shop(), "a", ("view", "23:59"), ("cart", "2026-11-17T00:01:00"))
    rows = recomputed(shop, "funnel_step", tmp_path)
    assert {row["day"] for row in rows} == {date(2026, 11, 16)}
    assert sessions([row for row in rows if row["scope"] == "all"]) == [0, 1, 1, 0, 0]


def test_a_product_is_followed_by_its_own_cart_item_and_any_checkout(tmp_path: Path) -> None:
    shop = browse(Shop(), "a", ("click", "09:59"), ("view", "10:00"), product="p")
    browse(shop, "a", ("cart", "10:01"), product="q")
    browse(shop, "a", ("cart", "10:02"), product="p")
    browse(shop, "a", ("checkout", "10:03"), ("pay", "10:04"), product="none")
    assert sessions(funnel(shop, tmp_path, "p")) == [1, 1, 1, 1, 1]
    assert sessions(funnel(shop, tmp_path, "q")) == [0, 0, 0, 0, 0]
    assert not [row for row in recomputed(shop, "funnel_step", tmp_path) if row["scope"] == "none"]


def test_the_median_of_four_waits_is_the_third(tmp_path: Path) -> None:
    shop = Shop()
    for number, seconds in enumerate((40, 10, 30, 20)):
        browse(shop, f"s{number}", ("view", "10:00"), ("cart", f"10:00:{seconds}"))
    assert funnel(shop, tmp_path)[1]["median_seconds_to_next"] == 30.0


def test_percentiles_are_elements_of_the_sorted_latencies(tmp_path: Path) -> None:
    shop = Shop()
    for number in range(20):
        shop.pays("10:00", f"p{number}", 1, latency_ms=number, captured=number > 4)
    shop.pays("10:00", "p-null", 1, latency_ms=None)
    (row,) = recomputed(shop, "payments_daily", tmp_path)
    assert [row[f"latency_p{level}_ms"] for level in (50, 95, 99)] == [10, 19, 19]
    assert (row["captured"], row["failed"], row["success_rate"]) == (16, 5, 16 / 21)


def test_risk_bands_start_at_their_lower_bound(tmp_path: Path) -> None:
    shop = Shop()
    for number, score in enumerate((0.0, 0.2999, 0.3, 0.6999, 0.7, 1, None)):
        shop.pays("10:00", f"p{number}", 1, risk_score=score)
    (row,) = recomputed(shop, "payments_daily", tmp_path)
    assert [row[f"risk_{band}"] for band in ("low", "medium", "high", "unknown")] == [2, 2, 2, 1]


def test_a_refund_is_partial_until_the_payment_is_given_back_whole(tmp_path: Path) -> None:
    shop = Shop().pays("10:00", "p1", 10).refunds("11:00", "p1", 4).refunds("12:00", "p1", 6)
    shop.refunds("13:00", "nobody", 1)
    rows = recomputed(shop, "payments_daily", tmp_path)
    assert [(r["gateway"], r["refunds_partial"], r["refunds_full"], r["refund_amount"]) for r in rows] == [
        ("adyen", 1, 1, Decimal(10)),
        ("unknown", 0, 1, Decimal(1)),
    ]


def test_a_chargeback_counts_on_its_own_day_under_the_gateway_of_its_payment(tmp_path: Path) -> None:
    shop = Shop().pays("10:00", "p1", 10)
    shop.sends(
        "CHARGEBACK_OPENED", "2026-11-20T10:00", payment_id="p1", order_id="o", amount=10, currency="EUR"
    )
    rows = recomputed(shop, "payments_daily", tmp_path)
    assert [(r["day"], r["gateway"], r["captured"], r["chargebacks"], r["success_rate"]) for r in rows] == [
        (date(2026, 11, 16), "adyen", 1, 0, 1.0),
        (date(2026, 11, 20), "adyen", 0, 1, None),
    ]
