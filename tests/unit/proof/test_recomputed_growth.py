"""The second engine's searches, campaigns and subscriptions over hand-made deliveries."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.unit.proof.shop import Shop, recomputed


def subscribes(shop: Shop, move: str, at: str, name: str = "s", **fields: Any) -> Shop:
    terms = {"plan": "basic", "currency": "EUR", "period": "month", "amount": 10}
    return shop.sends(f"SUBSCRIPTION_{move}", at, subscription_id=name, **(terms | fields))


def months(shop: Shop, folder: Path, *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in recomputed(shop, "subscriptions_monthly", folder)]


def test_a_subscription_cancelled_and_restarted_in_one_month_leaves_and_comes(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "STARTED", "2026-10-16T10:00")
    subscribes(shop, "CANCELLED", "2026-11-05T10:00")
    subscribes(shop, "STARTED", "2026-11-25T10:00")
    assert months(
        shop, tmp_path, "month", "active_at_start", "started", "cancelled", "active_at_end", "churn_rate"
    ) == [
        (date(2026, 10, 1), 0, 1, 0, 1, None),
        (date(2026, 11, 1), 1, 1, 1, 1, 1.0),
    ]


def test_a_yearly_plan_brings_a_twelfth_a_month_cut_after_the_fourth_decimal(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "STARTED", "2026-10-16T10:00", period="year", amount=299)
    subscribes(shop, "STARTED", "2026-10-17T10:00", "other", amount=29.9)
    assert months(shop, tmp_path, "monthly_amount", "yearly_amount", "mrr") == [
        (Decimal("29.9000"), Decimal("299.0000"), Decimal("54.8166"))
    ]


def test_currencies_of_a_plan_stand_side_by_side(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "STARTED", "2026-10-16T10:00", currency="EUR")
    subscribes(shop, "STARTED", "2026-10-16T10:00", "other", currency="CHF", amount=11)
    assert months(shop, tmp_path, "currency", "active_at_end", "mrr") == [("CHF", 1, 11), ("EUR", 1, 10)]


def test_a_late_cancellation_counts_when_it_happened(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "STARTED", "2026-09-16T10:00")
    subscribes(shop, "STARTED", "2026-11-16T10:00", "other", plan="plus")
    subscribes(shop, "CANCELLED", "2026-10-31T23:59", received_at="2026-11-20T10:00")
    assert months(shop, tmp_path, "month", "plan", "active_at_start", "cancelled", "active_at_end") == [
        (date(2026, 9, 1), "basic", 0, 0, 1),
        (date(2026, 10, 1), "basic", 1, 1, 0),
        (date(2026, 11, 1), "plus", 0, 0, 1),
    ]


def test_the_first_moment_of_a_month_belongs_to_it(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "STARTED", "2026-10-01T00:00:00.000")
    subscribes(shop, "CANCELLED", "2026-11-01T00:00:00.000")
    assert months(shop, tmp_path, "active_at_start", "started", "cancelled", "active_at_end") == [
        (0, 1, 0, 1),
        (1, 0, 1, 0),
    ]


def test_another_plan_is_neither_a_start_nor_a_cancellation(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "STARTED", "2026-10-16T10:00")
    subscribes(shop, "RENEWED", "2026-11-16T10:00", plan="plus", amount=20)
    assert months(
        shop, tmp_path, "plan", "started", "switched_in", "cancelled", "switched_out", "active_at_end"
    ) == [
        ("basic", 1, 0, 0, 0, 1),
        ("basic", 0, 0, 0, 1, 0),
        ("plus", 0, 1, 0, 0, 1),
    ]


def test_a_subscription_older_than_the_data_is_first_seen_when_it_renews(tmp_path: Path) -> None:
    shop = subscribes(Shop(), "CANCELLED", "10:00", "never-active")
    subscribes(shop, "RENEWED", "11:00", "older", user_key="u")
    found = recomputed(shop, "fact_subscriptions", tmp_path)
    assert [(row["is_start_known"], row["is_active"], row["times_started"], row["cancelled_at"]) for row in found] == [
        (False, False, 0, None),
        (False, True, 1, None),
    ]  # fmt: skip


def searches(shop: Shop, at: str, search_id: str, results: int, query: str = "patch") -> Shop:
    return shop.sends("SEARCH", at, search_id=search_id, query=query, results_count=results)


def clicks(shop: Shop, at: str, search_id: str, position: int) -> Shop:
    return shop.sends("SEARCH_RESULT_CLICKED", at, search_id=search_id, product_id="p", position=position)


def test_a_place_counts_where_as_many_results_were_found_or_somebody_chose_it(tmp_path: Path) -> None:
    shop = searches(searches(Shop(), "10:00", "a", 5), "10:01", "b", 1)
    clicks(clicks(shop, "10:02", "a", 2), "2026-11-17T00:01", "b", 3)
    rows = recomputed(shop, "search_daily", tmp_path)
    places = {row["position"]: row for row in rows if row["scope"] == "position"}
    assert {place: (row["searches"], row["click_rate"]) for place, row in places.items()} == {
        2: (1, 1.0),
        3: (2, 0.5),
    }
    assert {row["day"] for row in rows} == {date(2026, 11, 16)}


def test_a_day_with_choices_but_without_a_search_has_no_rate(tmp_path: Path) -> None:
    [row] = recomputed(clicks(Shop(), "10:00", "lost", 1), "search_daily", tmp_path)
    assert (row["searches"], row["clicks_without_search"]) == (0, 1)
    assert (row["zero_result_rate"], row["click_rate"]) == (None, None)


def test_the_choices_of_a_repeated_search_belong_to_its_first_event(tmp_path: Path) -> None:
    shop = searches(searches(Shop(), "10:05", "a", 1, "second"), "10:00", "a", 1, "first")
    clicks(shop, "10:06", "a", 1)
    rows = recomputed(shop, "search_daily", tmp_path)
    clicked = {row["query"]: row["searches_clicked"] for row in rows if row["scope"] == "query"}
    assert clicked == {"first": 1, "second": 0}


def test_the_most_frequent_query_comes_first_and_equals_share_a_rank(tmp_path: Path) -> None:
    shop = Shop()
    for number, query in enumerate(("a", "b", "b", "c", "c", "d")):
        searches(shop, f"10:0{number}", f"s{number}", 1, query)
    ranks = {
        row["query"]: row["query_rank"]
        for row in recomputed(shop, "search_daily", tmp_path)
        if row["scope"] == "query"
    }
    assert ranks == {"b": 1, "c": 1, "a": 3, "d": 3}


def test_a_promotion_converts_the_session_that_orders_under_its_code_after_seeing_it(tmp_path: Path) -> None:
    shop = Shop()
    for session in ("buys", "bought-before", "another-code"):
        shop.sends("PROMOTION_SHOWN", "23:50", promotion_code="A", session_id=session)
    shop.orders("2026-11-17T00:10", "o1", 20, session_id="buys", promotion_code="A")
    shop.orders("23:49", "o2", 30, session_id="bought-before", promotion_code="A")
    shop.orders("23:55", "o3", 40, session_id="another-code", promotion_code="B")
    rows = {
        (row["day"].day, row["campaign"], row["currency"]): row
        for row in recomputed(shop, "marketing_daily", tmp_path)
    }
    shown = rows[16, "A", "XXX"]
    assert (shown["promotion_sessions"], shown["promotion_sessions_converted"]) == (3, 1)
    assert shown["promotion_conversion"] == 1 / 3
    assert rows[17, "A", "EUR"]["promotion_revenue"] == 20
    assert rows[16, "A", "EUR"]["promotion_conversion"] is None


def test_an_order_is_credited_once_in_its_own_currency(tmp_path: Path) -> None:
    shop = Shop().orders("10:00", "o1", 20, currency="CHF")
    credit = {"order_id": "o1", "currency": "EUR", "commission": 2}
    shop.sends("AFFILIATE_ATTRIBUTED", "11:00", affiliate_id="f1", **credit)
    shop.sends("AFFILIATE_ATTRIBUTED", "12:00", affiliate_id="f2", **credit)
    rows = recomputed(shop, "marketing_daily", tmp_path)
    assert [
        (row["campaign"], row["currency"], row["affiliate_revenue"], row["affiliate_commission"]) for row in rows
    ] == [("f1", "CHF", 20, 0), ("f1", "EUR", 0, 2)]  # fmt: skip


def test_a_recommended_product_is_shown_once_and_chosen_once(tmp_path: Path) -> None:
    shop, product = Shop(), {"recommendation_id": "r", "product_id": "p", "position": 1, "campaign": "c"}
    shop.sends("RECOMMENDATION_SHOWN", "23:00", **product).sends("RECOMMENDATION_SHOWN", "23:10", **product)
    for at in ("2026-11-17T00:01", "2026-11-17T00:02"):
        shop.sends("RECOMMENDATION_CLICKED", at, **product)
    rows = recomputed(shop, "marketing_daily", tmp_path)
    assert [
        (row["day"].day, row["recommendations_shown"], row["recommendations_clicked"], row["recommendation_clicks"])
        for row in rows
    ] == [(16, 1, 1, 0), (17, 0, 0, 2)]  # fmt: skip
    assert [row["recommendation_ctr"] for row in rows] == [1.0, None]
