"""The second engine's cohorts and distinct counts over hand-made deliveries, against figures worked out by hand."""

from datetime import date
from decimal import Decimal
from pathlib import Path

from tests.unit.proof.shop import Shop, recomputed


def test_a_cohort_that_nobody_comes_back_to_has_every_week_across_the_turn_of_the_year(
    tmp_path: Path,
) -> None:
    shop = Shop().orders("2026-12-23T10:00", "o1", 5, user_key="ann")
    shop.orders("2026-12-24T10:00", "o2", 5, user_key="bob").orders(
        "2027-01-04T00:00", "o3", 5, user_key="eve"
    )
    found = [
        (
            row["cohort_week"],
            row["activity_week"],
            row["week_number"],
            row["cohort_users"],
            row["retained_users"],
        )
        for row in recomputed(shop, "cohort_retention", tmp_path)
    ]
    christmas = date(2026, 12, 21)
    assert found == [
        (christmas, christmas, 0, 2, 2),
        (christmas, date(2026, 12, 28), 1, 2, 0),
        (christmas, date(2027, 1, 4), 2, 2, 0),
        (date(2027, 1, 4), date(2027, 1, 4), 0, 1, 1),
    ]


def test_the_first_order_makes_the_cohort_in_whatever_order_it_arrives(tmp_path: Path) -> None:
    shop = Shop().orders("2026-11-18T10:00", "o2", 5, user_key="ann")
    shop.orders("2026-11-10T10:00", "o1", 5, user_key="ann", received_at="2026-11-30T10:00")
    shop.orders("2026-11-02T10:00", "o0", 5)
    found = recomputed(shop, "cohort_retention", tmp_path)
    assert {row["cohort_week"] for row in found} == {date(2026, 11, 9)}
    assert [row["retention_rate"] for row in found] == [1, 1]


def test_a_refund_lowers_the_value_of_who_placed_the_order_in_its_own_week_and_currency(
    tmp_path: Path,
) -> None:
    shop = Shop().orders("2026-11-09T10:00", "o1", 1, user_key="ann")
    shop.orders("2026-11-09T11:00", "o2", 1, user_key="bob").orders(
        "2026-11-09T12:00", "o3", 0, user_key="eve"
    )
    shop.orders("2026-11-10T12:00", "o4", 7, user_key="eve", currency="USD")
    shop.refunds("2026-11-20T10:00", "p", 3, order_id="o1", user_key="clerk")
    shop.refunds("2026-11-20T11:00", "p", 9, order_id="never seen", user_key="ann")
    found = [
        (row["currency"], row["week_number"], row["net_revenue"], row["cumulative_net_revenue"], row["ltv"])
        for row in recomputed(shop, "cohort_ltv", tmp_path)
    ]
    assert sorted(found) == [
        ("EUR", 0, 2, 2, Decimal("0.6666")),
        ("EUR", 1, -3, -1, Decimal("-0.3333")),
        ("USD", 0, 7, 7, Decimal("2.3333")),
        ("USD", 1, 0, 7, Decimal("2.3333")),
    ]


def test_a_visitor_of_two_days_is_one_of_the_week_and_one_of_each_month(tmp_path: Path) -> None:
    shop = Shop()
    for at, device in (("2026-11-30T23:59", "d1"), ("2026-12-01T00:00", "d2"), ("2026-12-07T00:00", "d2")):
        shop.sends(
            "LOGIN", at, user_key="ann", device_id=device, session_id="s", method="password", success=True
        )
    weeks, months = (recomputed(shop, mart, tmp_path) for mart in ("active_weekly", "active_monthly"))
    assert [(row["week"].day, row["users"], row["devices"], row["sessions"]) for row in weeks] == [
        (30, 1, 2, 1),
        (7, 1, 1, 1),
    ]
    assert [(row["month"].month, row["users"], row["devices"]) for row in months] == [(11, 1, 1), (12, 1, 1)]
