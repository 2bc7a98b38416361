"""The true values of stock and batches: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

from .conftest import World
from .test_pocm_truth import marts

NUMBERS = count()
Sent = tuple[str, dict[str, Any]]
WAREHOUSE = {"product_id": "p", "warehouse_id": "w", "batch_id": "b", "unit_cost": 20_000}


def sent(event_type: str, at: str, **values: Any) -> Sent:
    moment = datetime.fromisoformat(f"2026-{at}").replace(tzinfo=UTC)
    return event_type, {
        "event_id": f"s{next(NUMBERS):04d}",
        "tenant_id": "t",
        "user_id": None,
        "session_id": None,
        "occurred_at": int(moment.timestamp() * 1000),
        **WAREHOUSE,
        **values,
    }


def told(*events: Sent, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
    return [tuple(row[c] for c in columns) for row in marts(*events)["inventory_daily"]]


def test_the_oldest_goods_leave_first() -> None:
    rows = told(
        sent("STOCK_RECEIVED", "01-01", quantity=10),
        sent("STOCK_RECEIVED", "02-01", quantity=4),
        sent("STOCK_SHIPPED", "03-10", quantity=6, order_id="o"),
        sent("STOCK_SHIPPED", "04-10", quantity=9, order_id="o"),
        columns=(
            "stock_on_hand",
            "quantity_age_0_30",
            "quantity_age_31_60",
            "quantity_age_61_90",
            "quantity_age_over_90",
        ),
    )
    expected = {
        30: (10, 10, 0, 0, 0),
        61: (14, 4, 0, 10, 0),
        68: (8, 0, 4, 4, 0),
        91: (8, 0, 4, 0, 4),
        99: (-1, 0, 0, 0, 0),
    }
    assert {day: rows[day] for day in expected} == expected


def test_what_was_owed_is_paid_before_goods_lie_on_the_shelf() -> None:
    rows = told(
        sent("STOCK_SHIPPED", "01-01", quantity=3, order_id="o"),
        sent("STOCK_ADJUSTED", "01-02", delta=4, reason="return"),
        columns=("stock_on_hand", "quantity_age_0_30", "days_of_cover"),
    )
    assert rows == [(-3, 0, -28.0), (1, 1, 28 / 3)]


def test_a_threshold_counts_from_its_day_on_and_shrinkage_by_what_was_there() -> None:
    rows = told(
        sent("STOCK_RECEIVED", "01-01", quantity=4),
        sent("REORDER_THRESHOLD_SET", "01-02", threshold=4),
        sent("STOCK_ADJUSTED", "01-03", delta=-1, reason="shrinkage"),
        columns=("reorder_threshold", "below_reorder_threshold", "shrinkage_rate"),
    )
    assert rows == [(None, None, 0.0), (4, False, 0.0), (4, True, 0.25)]


def test_simulated_goods_run_out_and_the_recalled_batch_comes_back_more_often(clean: World) -> None:
    inventory, batches = clean.truth["inventory_daily"], clean.truth["batch_performance"]
    assert any(row["stockout"] for row in inventory)
    assert any(row["recalled_quantity"] for row in inventory)
    assert any(row["below_reorder_threshold"] for row in inventory)
    recalled = [row for row in batches if row["recalled"]]
    others = [row for row in batches if not row["recalled"]]
    assert {row["batch_id"] for row in recalled} == {"B-prd-cgm-patch-02"}
    assert rate(recalled) > 2 * rate(others)


def rate(batches: list[dict[str, Any]]) -> float:
    return sum(row["returned"] for row in batches) / sum(row["sold"] for row in batches)
