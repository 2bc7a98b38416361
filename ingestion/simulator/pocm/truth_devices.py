"""The true values of devices, therapy, readings and harm, in plain pandas, from the formulas in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.figures import NO_CURRENCY, ORDER, UNKNOWN, day_of, period_text, ratio
from ingestion.simulator.model import DAY_MS, Frames, Ints, Rows

TELEMETRY = (
    "DEVICE_ACTIVATED",
    "PATCH_APPLIED",
    "DOSE_DELIVERED",
    "SENSOR_READING",
    "DEVICE_STATUS",
    "FIRMWARE_UPDATED",
    "DEVICE_INTERACTION",
)
DEVICE = ["tenant_id", "device_id"]
SENSOR = [*DEVICE, "sensor"]
VERSION = ["device_type", "firmware_version"]
GRAIN = ["tenant_id", "day", *VERSION]
KPI_OF_DAYS = ("patch_days_prescribed", "patch_days_valid")
"""Columns of kpi_daily that are null in kpi_hourly: an hour has no days of a prescription."""
WEEK = 7
SCALE = 10_000
"""Statistics are those of values in ten-thousandths, whose sums are exact."""


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of device_metrics and of the three facts."""
    readings = judged_readings(events)
    return {
        "device_metrics": device_metrics(events, readings),
        "fact_device_readings": [_reading_row(row) for row in readings.to_dict("records")],
        "fact_adverse_events": [
            _adverse_row(row) for row in events["ADVERSE_EVENT_REPORTED"].to_dict("records")
        ],
        "dim_devices": [_version_row(row) for row in _versions(events).to_dict("records")],
    }


def kpi_counts(events: Frames, period_ms: int) -> dict[str, pd.DataFrame]:
    """Return what the KPI marts add up over periods of a length: a device counts once in each."""
    seen = _telemetry(events)
    seen = seen.assign(occurred_at=seen["occurred_at"] // period_ms * period_ms)
    days = prescription_days(events).rename(columns={"day": "occurred_at"})
    counted = {
        "active_devices": seen.drop_duplicates(["occurred_at", *DEVICE]).assign(value=1),
        "adverse_events": events["ADVERSE_EVENT_REPORTED"].assign(value=1),
    }
    if period_ms == DAY_MS:
        counted["patch_days_prescribed"] = days.assign(value=1)
        counted["patch_days_valid"] = days.assign(value=days["worn"].astype(np.int64))
    return {
        name: frame.assign(currency=NO_CURRENCY)[["tenant_id", "occurred_at", "currency", "value"]]
        for name, frame in counted.items()
    }


def prescription_days(events: Frames) -> pd.DataFrame:
    """Return every day of every prescription up to its tenant's newest day, and whether a valid patch was worn."""
    frames = [frame[["tenant_id", "occurred_at"]] for frame in events.values()]
    newest = day_of(pd.concat(frames).groupby("tenant_id", as_index=False).max()).to_numpy()
    tenants = pd.concat(frames).groupby("tenant_id", as_index=False).max()["tenant_id"]
    until = pd.DataFrame({"tenant_id": tenants, "newest": newest})
    assigned = events["PRESCRIPTION_ASSIGNED"].sort_values(ORDER)
    first = assigned.dropna(subset=["device_id"]).drop_duplicates(["tenant_id", "prescription_id"])
    first = first.assign(first_day=_midnights(first["starts_on"])).merge(until, on="tenant_id")
    length = np.minimum(first["prescribed_days"], (first["newest"] - first["first_day"]) // DAY_MS + 1).clip(
        lower=0
    )
    days = first.loc[first.index.repeat(length)].reset_index(drop=True)
    number = days.groupby(["tenant_id", "prescription_id"]).cumcount()
    days = days.assign(day=days["first_day"] + number * DAY_MS)[[*DEVICE, "prescription_id", "day"]]
    patches = events["PATCH_APPLIED"]
    valid = patches[patches["valid"].astype(bool)]
    worn = valid.assign(day=day_of(valid), worn=True)[[*DEVICE, "day", "worn"]].drop_duplicates()
    merged = days.merge(worn, on=[*DEVICE, "day"], how="left")
    return merged.assign(worn=merged["worn"].eq(True))


def judged_readings(events: Frames) -> pd.DataFrame:
    """Return the readings with median and MAD of what their sensor read on the day and on the six before."""
    readings = events["SENSOR_READING"].dropna(subset=["device_id"])
    readings = readings.assign(day=day_of(readings)).sort_values([*SENSOR, *ORDER]).reset_index(drop=True)
    median, mad = np.zeros(len(readings)), np.zeros(len(readings))
    values = readings["value"].to_numpy(np.float64)
    for _, rows in readings.groupby(SENSOR, sort=False):
        days = rows["day"].to_numpy(np.int64)
        for day in np.unique(days):
            at = np.sort(values[rows.index[(days <= day) & (days > day - WEEK * DAY_MS)]])
            middle = at[len(at) // 2]
            mine = rows.index[days == day]
            median[mine], mad[mine] = middle, np.sort(np.abs(at - middle))[len(at) // 2]
    distance = np.abs(values - median)
    robust = np.divide(distance, 1.4826 * mad, out=np.full(len(mad), np.nan), where=mad > 0)
    return readings.assign(
        median=median, mad=mad, robust=robust, is_anomaly=(mad > 0) & (distance > 4 * 1.4826 * mad)
    )


def device_metrics(events: Frames, readings: pd.DataFrame) -> Rows:
    """Return one row per tenant, day, type and firmware; every event under the version of its time."""
    versions = _versions(events)
    seen = _with_version(_telemetry(events), versions)
    days = prescription_days(events)
    # A day of a prescription belongs to the version with which the day ended.
    days = _with_version(days.assign(occurred_at=days["day"] + DAY_MS - 1), versions)
    judged = _with_version(readings, versions)
    doses = seen[seen["event_type"] == "DOSE_DELIVERED"]
    table = pd.DataFrame(
        {
            "activations": seen[seen["event_type"] == "DEVICE_ACTIVATED"].groupby(GRAIN).size(),
            "active_devices": seen.groupby(GRAIN)["device_id"].nunique(),
            "patch_days_valid": days[days["worn"]].groupby(GRAIN).size(),
            "patch_days_prescribed": days.groupby(GRAIN).size(),
            "doses": doses.groupby(GRAIN).size(),
            "doses_successful": doses[doses["success"].eq(True)].groupby(GRAIN).size(),
            "anomalies": judged[judged["is_anomaly"]].groupby(GRAIN).size(),
        }
    )
    table = table.fillna(0).astype(np.int64)
    sensors: dict[Any, dict[str, Ints]] = {}
    for (*group, sensor), values in judged.groupby([*GRAIN, "sensor"])["value"]:
        scaled = np.floor(values.to_numpy(np.float64) * SCALE + 0.5).astype(np.int64)
        sensors.setdefault(tuple(group), {})[str(sensor)] = scaled
    return [
        _metrics_row(key, row, sensors.get(key, {}))
        for key, row in zip(table.index, table.to_dict("records"), strict=True)
    ]


def _metrics_row(key: Any, row: dict[str, Any], sensors: dict[str, Ints]) -> dict[str, Any]:
    tenant, day, device_type, firmware = key
    return {
        "tenant_id": tenant,
        "day": period_text(day, "day"),
        "device_type": device_type,
        "firmware_version": firmware,
        **row,
        "device_adherence": ratio(row["patch_days_valid"], row["patch_days_prescribed"]),
        "dose_success_rate": ratio(row["doses_successful"], row["doses"]),
        "readings": {name: len(values) for name, values in sensors.items()},
        "reading_mean": {name: int(values.sum()) / len(values) / SCALE for name, values in sensors.items()},
        "reading_variation": {name: variation(values) for name, values in sensors.items()},
    }


def variation(values: Ints) -> float | None:
    """Return sample standard deviation over mean of whole numbers; None below two, and where the mean is 0."""
    size, total = len(values), int(values.sum())
    if size < 2 or total == 0:
        return None
    squares = sum(int(value) ** 2 for value in values)
    spread = float(size * squares - total**2) / (float(size) * float(size - 1))
    return float(np.sqrt(spread)) / abs(float(total) / float(size))


def _telemetry(events: Frames) -> pd.DataFrame:
    """Return the events that show a device at work."""
    columns = [*DEVICE, "occurred_at", "event_type", "success"]
    frames = [
        events[name].assign(event_type=name).reindex(columns=columns).astype({"success": object})
        for name in TELEMETRY
    ]
    seen = pd.concat(frames, ignore_index=True).dropna(subset=["device_id"])
    return seen.assign(day=day_of(seen))


def _versions(events: Frames) -> pd.DataFrame:
    """Return the versions of devices; an update changes the firmware of what was last activated."""
    activated = events["DEVICE_ACTIVATED"].rename(columns={"batch_id": "batch", "product_id": "product"})
    updated = events["FIRMWARE_UPDATED"].rename(columns={"to": "firmware_version"})
    columns = [*DEVICE, *ORDER, *VERSION, "batch", "product", "activated"]
    changes = pd.concat(
        [
            activated.assign(activated=True).reindex(columns=columns).astype(object),
            updated.assign(activated=False).reindex(columns=columns).astype(object),
        ],
        ignore_index=True,
    )
    changes = changes.dropna(subset=["device_id"]).sort_values([*DEVICE, *ORDER])
    kept = ["device_type", "batch", "product"]
    last = changes["activated"].astype(bool).groupby([changes[name] for name in DEVICE]).cumsum()
    changes[kept] = changes.groupby([*[changes[name] for name in DEVICE], last])[kept].transform("first")
    changes = changes.astype({"occurred_at": "int64"}).drop_duplicates([*DEVICE, "occurred_at"], keep="last")
    attributes = changes[[*VERSION, "batch", "product"]].fillna("").astype(str).agg("|".join, axis=1)
    before = attributes.groupby([changes[name] for name in DEVICE]).shift()
    versions = changes[attributes != before]
    ends = versions.groupby(DEVICE)["occurred_at"].shift(-1)
    return versions.assign(number=versions.groupby(DEVICE).cumcount() + 1, ends=ends)


def _with_version(frame: pd.DataFrame, versions: pd.DataFrame) -> pd.DataFrame:
    """Attach type and firmware of the time; what is older than the first version is of that one."""
    starts = versions.assign(
        since=versions["occurred_at"].where(versions["number"] > 1, 0).astype("int64")
    ).rename(columns={"occurred_at": "began"})
    as_text = dict.fromkeys(DEVICE, "str")
    merged = pd.merge_asof(
        frame.astype(as_text).sort_values("occurred_at"),
        starts[[*DEVICE, "since", *VERSION]].astype(as_text).sort_values("since"),
        left_on="occurred_at",
        right_on="since",
        by=DEVICE,
    )
    return merged.fillna(dict.fromkeys(VERSION, UNKNOWN))


def _reading_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": row["tenant_id"],
        "reading_date": period_text(row["day"], "day"),
        "device_id": row["device_id"],
        "sensor": row["sensor"],
        "value": float(row["value"]),
        "trailing_median": float(row["median"]),
        "trailing_mad": float(row["mad"]),
        "robust_deviations": None if np.isnan(row["robust"]) else float(row["robust"]),
        "is_anomaly": bool(row["is_anomaly"]),
        "event_id": row["event_id"],
    }


def _adverse_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": row["tenant_id"],
        "reported_date": period_text(row["occurred_at"], "day"),
        "device_id": _text(row["device_id"]),
        "batch_id": _text(row["batch_id"]),
        "severity": row["severity"],
        "code": row["code"],
        "event_id": row["event_id"],
    }


def _version_row(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "tenant_id": row["tenant_id"],
        "device_id": row["device_id"],
        "version_number": int(row["number"]),
        "valid_from": period_text(row["occurred_at"], "second"),
        "valid_to": None if np.isnan(row["ends"]) else period_text(int(row["ends"]), "second"),
        "device_type": _text(row["device_type"]),
        "firmware_version": row["firmware_version"],
        "batch_id": _text(row["batch"]),
        "product_id": _text(row["product"]),
    }


def _text(value: Any) -> str | None:
    return None if pd.isna(value) else str(value)


def _midnights(dates: pd.Series) -> pd.Series:
    return pd.to_datetime(dates).astype("datetime64[ms]").astype("int64")
