"""The true values of parcels and returns, in plain pandas, from the formulas in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.figures import NO_CURRENCY, ORDER, UNKNOWN, day_of, period_text, ratio
from ingestion.simulator.model import DAY_MS, HOUR_MS, Frames, Rows
from ingestion.simulator.pocm.figures import first_orders

SHIPMENT = ["tenant_id", "shipment_id"]
OF_ORDER = ["tenant_id", "order_id"]
GRAIN = ["tenant_id", "day", "region", "city"]
SHIPMENT_EVENTS = (
    "SHIPMENT_CREATED",
    "ETA_REVISED",
    "DELIVERY_ATTEMPTED",
    "SHIPMENT_DELIVERED",
    "SHIPMENT_RETURNED_TO_ORIGIN",
)


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of fact_shipments, fact_returns and delivery_daily."""
    shipments, returns = shipments_of(events), returns_of(events)
    return {
        "fact_shipments": [_shipment_row(row) for row in shipments.to_dict("records")],
        "fact_returns": [_return_row(row) for row in returns.to_dict("records")],
        "delivery_daily": delivery_daily(shipments, returns),
    }


def kpi_counts(events: Frames) -> dict[str, pd.DataFrame]:
    """Return what the KPI marts add up."""
    shipments = shipments_of(events)
    created = shipments[shipments["created_at"].notna()]
    created = created.assign(occurred_at=created["created_at"].astype(np.int64))
    returns = returns_of(events).assign(value=lambda frame: frame["quantity"])
    ordered = first_orders(events)[[*OF_ORDER, "occurred_at", "currency"]]
    of_orders = returns[[*OF_ORDER, "value"]].merge(ordered, on=OF_ORDER)
    return {
        "returns": returns,
        "items_returned": of_orders,
        "shipments": created.assign(value=1),
        "rto": created.assign(value=created["returned_to_origin_at"].notna().astype(np.int64)),
    }


def shipments_of(events: Frames) -> pd.DataFrame:
    """Return every shipment that an event names, with what became of it; times are Int64, in milliseconds."""
    named = pd.concat([events[name][[*SHIPMENT, "occurred_at"]] for name in SHIPMENT_EVENTS])
    shipments = named.groupby(SHIPMENT, as_index=False)["occurred_at"].min()
    created = _firsts(events, "SHIPMENT_CREATED").rename(
        columns={"occurred_at": "created_at", "eta": "first_promised_eta"}
    )
    created = created[
        [
            *SHIPMENT,
            "order_id",
            "region",
            "city",
            "warehouse_id",
            "carrier",
            "created_at",
            "first_promised_eta",
        ]
    ]
    delivered = _firsts(events, "SHIPMENT_DELIVERED").rename(columns={"occurred_at": "told_at"})
    returned = _firsts(events, "SHIPMENT_RETURNED_TO_ORIGIN").rename(
        columns={"occurred_at": "returned_to_origin_at"}
    )
    shipments = (
        shipments.merge(created, on=SHIPMENT, how="left")
        .merge(delivered[[*SHIPMENT, "delivered_at", "told_at"]], on=SHIPMENT, how="left")
        .merge(returned[[*SHIPMENT, "returned_to_origin_at"]], on=SHIPMENT, how="left")
    )
    shipments = _with_attempts(events, shipments)
    shipments = shipments.merge(_last_promises(events, shipments), on=SHIPMENT, how="left")
    currencies = first_orders(events)[[*OF_ORDER, "currency"]]
    shipments = shipments.merge(currencies, on=OF_ORDER, how="left")
    times = [name for name in shipments.columns if name.endswith(("_at", "_eta"))]
    shipments[times] = shipments[times].astype("Int64")
    return shipments.fillna({"region": UNKNOWN, "city": UNKNOWN, "currency": NO_CURRENCY})


def _firsts(events: Frames, event_type: str) -> pd.DataFrame:
    return events[event_type].sort_values(ORDER).drop_duplicates(SHIPMENT)


def _with_attempts(events: Frames, shipments: pd.DataFrame) -> pd.DataFrame:
    """Add the greatest attempt number, and that of the first success; unscanned successes follow the failures."""
    tried = events["DELIVERY_ATTEMPTED"]
    most = tried.groupby(SHIPMENT, as_index=False)["attempt"].max().rename(columns={"attempt": "attempts"})
    hit = tried[tried["success"].astype(bool)].sort_values(ORDER).drop_duplicates(SHIPMENT)
    hit = hit[[*SHIPMENT, "attempt"]].rename(columns={"attempt": "delivered_attempt"})
    shipments = shipments.merge(most, on=SHIPMENT, how="left").merge(hit, on=SHIPMENT, how="left")
    shipments["attempts"] = shipments["attempts"].fillna(0).astype(np.int64)
    number = shipments["delivered_attempt"].fillna(shipments["attempts"] + 1)
    shipments["delivered_attempt"] = number.where(shipments["delivered_at"].notna()).astype("Int64")
    return shipments


def _last_promises(events: Frames, shipments: pd.DataFrame) -> pd.DataFrame:
    """A promise made after the parcel arrived promises nothing; the first one always counts."""
    revised = events["ETA_REVISED"].merge(shipments[[*SHIPMENT, "delivered_at"]], on=SHIPMENT)
    revised = revised[~(revised["occurred_at"] > revised["delivered_at"])]
    promises = pd.concat([_firsts(events, "SHIPMENT_CREATED"), revised])[[*SHIPMENT, *ORDER, "eta"]]
    last = promises.sort_values(ORDER).drop_duplicates(SHIPMENT, keep="last")
    return last[[*SHIPMENT, "eta"]].rename(columns={"eta": "last_promised_eta"})


def returns_of(events: Frames) -> pd.DataFrame:
    """Return what came back, with the currency of its order and the place of the order's first shipment."""
    places = events["SHIPMENT_CREATED"].sort_values(ORDER).drop_duplicates(SHIPMENT)
    places = places.drop_duplicates(OF_ORDER)[[*OF_ORDER, "region", "city"]]
    orders = first_orders(events)[[*OF_ORDER, "currency", "occurred_at"]]
    orders = orders.rename(columns={"occurred_at": "placed_at"})
    returns = events["RETURN_RECEIVED"].merge(orders, on=OF_ORDER, how="left")
    returns = returns.merge(places, on=OF_ORDER, how="left")
    returns["placed_at"] = returns["placed_at"].astype("Int64")
    return returns.fillna({"region": UNKNOWN, "city": UNKNOWN, "currency": NO_CURRENCY})


def delivery_daily(shipments: pd.DataFrame, returns: pd.DataFrame) -> Rows:
    """Return one row per tenant, day, region and city: each measure on the day it happened."""

    def on(moment: str) -> pd.DataFrame:
        rows = shipments[shipments[moment].notna()].copy()
        return rows.assign(day=rows[moment].astype(np.int64) // DAY_MS * DAY_MS)

    delivered = on("told_at")
    known = delivered[delivered["created_at"].notna()]
    took = (known["delivered_at"] - known["created_at"]).astype(np.int64)
    counts = {
        "shipped": on("created_at").groupby(GRAIN).size(),
        "delivered": delivered.groupby(GRAIN).size(),
        "delivered_on_time": delivered[_kept(delivered, "first_promised_eta")].groupby(GRAIN).size(),
        "delivered_on_time_latest_eta": delivered[_kept(delivered, "last_promised_eta")]
        .groupby(GRAIN)
        .size(),
        "delivered_first_attempt": delivered[delivered["delivered_attempt"] == 1].groupby(GRAIN).size(),
        "delivered_timed": known.groupby(GRAIN).size(),
        "delivery_ms": known.assign(took=took).groupby(GRAIN)["took"].sum(),
        "rto": on("returned_to_origin_at").groupby(GRAIN).size(),
        "returns": returns.assign(day=day_of(returns)).groupby(GRAIN)["quantity"].sum(),
    }
    table = pd.DataFrame(counts).fillna(0).astype(np.int64).reset_index()
    return [_daily_row(row) for row in table.sort_values(GRAIN).to_dict("records")]


def _kept(shipments: pd.DataFrame, promise: str) -> pd.Series:
    return (shipments["delivered_at"] <= shipments[promise]).fillna(False).astype(bool)


def _daily_row(row: dict[str, Any]) -> dict[str, Any]:
    hours = ratio(row["delivery_ms"], row["delivered_timed"])
    return {
        **row,
        "day": period_text(row["day"], "day"),
        "on_time_rate": ratio(row["delivered_on_time"], row["delivered"]),
        "on_time_latest_eta": ratio(row["delivered_on_time_latest_eta"], row["delivered"]),
        "first_attempt_rate": ratio(row["delivered_first_attempt"], row["delivered"]),
        "avg_delivery_hours": None if hours is None else hours / HOUR_MS,
    }


def _moment(value: Any) -> str | None:
    return None if pd.isna(value) else period_text(value, "moment")


def _shipment_row(row: dict[str, Any]) -> dict[str, Any]:
    started = row["occurred_at"] if pd.isna(row["created_at"]) else row["created_at"]
    times = ("created_at", "first_promised_eta", "last_promised_eta", "delivered_at", "returned_to_origin_at")
    attempt = row["delivered_attempt"]
    return {
        "tenant_id": row["tenant_id"],
        "shipment_id": row["shipment_id"],
        "shipment_date": period_text(started, "day"),
        "region": row["region"],
        "city": row["city"],
        "currency": row["currency"],
        "attempts": row["attempts"],
        "delivered_attempt": None if pd.isna(attempt) else int(attempt),
        **{name: _moment(row[name]) for name in times},
    }


def _return_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": row["tenant_id"],
        "event_id": row["event_id"],
        "return_date": period_text(row["occurred_at"], "day"),
        **{name: row[name] for name in ("order_id", "product_id", "quantity", "reason", "currency")},
        "region": row["region"],
        "city": row["city"],
        "placed_at": _moment(row["placed_at"]),
    }
