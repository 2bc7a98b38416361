"""Campaigns and subscribers of the simulated shops behave as such do."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date
from typing import Any

import pytest

from ingestion.simulator.pocm import Pocm

from .conftest import World


@pytest.fixture(scope="module")
def events(clean: World) -> list[dict[str, Any]]:
    return clean.events()


def test_what_is_chosen_was_recommended_in_the_same_place(events: list[dict[str, Any]]) -> None:
    places: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
    for event in events:
        if event["type"].startswith("RECOMMENDATION"):
            told = event["payload"]
            places[event["type"]].add((told["recommendation_id"], told["product_id"], told["position"]))
    shown, clicked = places["RECOMMENDATION_SHOWN"], places["RECOMMENDATION_CLICKED"]
    assert clicked < shown
    assert 0.05 < len(clicked) / len(shown) < 0.5


def test_affiliates_are_credited_with_orders_that_named_them(events: list[dict[str, Any]]) -> None:
    orders = {
        event["payload"]["order_id"]: event["payload"]
        for event in events
        if event["type"] in ("ORDER_PLACED", "PURCHASE")
    }
    credits_ = [event["payload"] for event in events if event["type"] == "AFFILIATE_ATTRIBUTED"]
    assert all(orders[credit["order_id"]]["affiliate_id"] for credit in credits_)
    assert all(0 < credit["commission"] < orders[credit["order_id"]]["amount"] for credit in credits_)


def test_subscribers_of_a_year_come_renew_leave_and_come_back() -> None:
    """A year is simulated without files: a subscription's life is written on the day it begins."""
    start, moves = date(2026, 3, 2), defaultdict(list)
    for index in (0, 1, 2):
        for batch in Pocm().day(index, 365, start, 0.4, 11):
            if batch.event_type.startswith("SUBSCRIPTION"):
                for name, moment in zip(
                    batch.frame["subscription_id"], batch.frame["occurred_at"], strict=True
                ):
                    moves[name].append((moment, batch.event_type.removeprefix("SUBSCRIPTION_")))
    lives = [[move for _, move in sorted(life)] for life in moves.values()]
    returned = [life for life in lives if "STARTED" in life[life.index("CANCELLED") :]]
    older = [life for life in lives if life[0] != "STARTED"]
    assert len(lives) > 100
    assert 0 < len(returned) < len(lives) / 2
    assert older, "some were there before the data"
    assert Counter(move for life in lives for move in life)["RENEWED"] > 3 * len(lives)
