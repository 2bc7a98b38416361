"""Every model says how long its rows are kept, or is refused by its name."""

from __future__ import annotations

from typing import Any

import pytest

from ingestion.contract import source_names
from orchestration.assets.marts import read_manifest
from orchestration.settings import Settings
from orchestration.warehouse.dbt import MANIFEST_PATH, prepare_manifest
from orchestration.warehouse.lifetimes import LifetimeError, followers, lifetimes, lint


def model(
    name: str, materialized: str, *reads: str, layer: str = "marts", tags: tuple[str, ...] = (), **config: Any
) -> dict[str, Any]:
    return {
        "resource_type": "model",
        "name": name,
        "alias": name,
        "schema": "shop" if layer == "marts" else layer,
        "fqn": ["millrace", layer, "shop", name],
        "tags": tags,
        "config": {"materialized": materialized, "meta": {}, **config},
        "depends_on": {"nodes": list(reads)},
    }


def manifest(*models: dict[str, Any]) -> dict[str, Any]:
    events = model("stg_events", "view", "source.millrace.raw.events", layer="staging")
    return {"nodes": {node["name"]: node for node in (events, *models)}}


def kept(*models: dict[str, Any]) -> dict[str, str]:
    return {lifetime.table: lifetime.kept for lifetime in lifetimes(manifest(*models), "shop")}


def by_date(name: str, column: str, **more: Any) -> dict[str, Any]:
    return model(name, "partition_replace", "stg_events", date_column=column, **more)


@pytest.mark.parametrize("source", source_names())
def test_every_model_of_the_project_says_how_long_its_rows_are_kept(source: str) -> None:
    prepare_manifest(Settings())
    assert lint(read_manifest(MANIFEST_PATH), source) == []


def test_a_mart_is_kept_by_what_its_rows_stand_for() -> None:
    marts = [by_date(column, column) for column in ("minute", "hour", "day", "order_date", "week")]
    assert kept(*marts) == {
        "minute": "minute_rollups",
        "hour": "hour_rollups",
        "day": "day_rollups",
        "order_date": "day_rollups",
        "week": "day_rollups",
    }


def test_an_intermediate_table_is_kept_as_long_as_the_rollups_of_days_built_from_it() -> None:
    assert kept(by_date("int_hours", "hour", layer="intermediate")) == {"int_hours": "day_rollups"}


def test_a_model_may_say_otherwise() -> None:
    state = by_date("int_states", "changed_date", meta={"retention": "state"})
    hours = by_date("dim_time", "hour", meta={"retention": "day"})
    recent = model(
        "recent", "table", "stg_events", meta={"retention": {"keeps": "raw_events", "by": "received_at"}}
    )
    assert kept(state, hours, recent) == {"dim_time": "day_rollups", "recent": "raw_events"}


def test_a_week_is_over_after_its_seventh_day_and_a_month_after_its_last() -> None:
    models = [by_date("w", "week", tags=("weekly",)), by_date("m", "month", tags=("monthly",))]
    ended = {lifetime.table: lifetime.ended for lifetime in lifetimes(manifest(*models), "shop")}
    assert ended == {
        "w": "toDateTime(toDate(week) + 7, 'UTC')",
        "m": "toDateTime(addMonths(toStartOfMonth(toDate(month)), 1), 'UTC')",
    }


def test_what_is_built_anew_from_tables_follows_them() -> None:
    facts = by_date("fact_orders", "order_date")
    view = model("orders_by_city", "view", "fact_orders")
    assert followers(manifest(facts, view), "shop") == ["shop.orders_by_city"]


def by_key(changes: dict[str, Any]) -> dict[str, Any]:
    return manifest(changes, model("dim", "key_replace", changes["name"], changed_in=changes["name"]))


def test_a_mart_by_key_keeps_its_rows_and_needs_every_change_for_that() -> None:
    changes = by_date("int_changed", "changed_date", layer="intermediate", meta={"retention": "state"})
    assert lifetimes(by_key(changes), "shop") == followers(by_key(changes), "shop") == []
    with pytest.raises(LifetimeError, match=r"dim restates .* from int_changed, which loses rows by age"):
        lifetimes(by_key(by_date("int_changed", "changed_date", layer="intermediate")), "shop")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (model("m", "incremental"), r"m \(incremental\) does not say how long its rows are kept"),
        (
            by_date("m", "day", meta={"retention": "decade"}),
            "m: meta.retention is 'decade'; valid: minute, hour, day",
        ),
        (
            model("m", "table", meta={"retention": "day"}),
            "m: meta.retention is day, but the model has no date_column",
        ),
        (model("m", "table", meta={"retention": {"keeps": "raw_events"}}), "m: .* needs `by`"),
        (model("m", "table", "stg_events"), "m is built anew from stg_events, which loses events"),
    ],
)
def test_a_model_that_does_not_say_it_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(LifetimeError, match=message):
        lifetimes(manifest(wrong), "shop")


def test_a_view_between_a_table_and_its_events_hides_nothing() -> None:
    view = model("int_joined", "view", "stg_events", layer="intermediate")
    with pytest.raises(LifetimeError, match="dim is built anew from stg_events"):
        lifetimes(manifest(view, model("dim", "table", "int_joined")), "shop")
