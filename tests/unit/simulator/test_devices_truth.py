"""The true values of devices: each test is one rule on a handful of events."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest

from .test_pocm_truth import marts

NUMBERS = count()
Sent = tuple[str, dict[str, Any]]


def sent(event_type: str, at: str, **values: Any) -> Sent:
    """An event of device d1 at `at`, day and time in March 2026."""
    moment = datetime.fromisoformat(f"2026-03-{at}").replace(tzinfo=UTC)
    return event_type, {
        "event_id": f"d{next(NUMBERS):04d}",
        "tenant_id": "t",
        "occurred_at": int(moment.timestamp() * 1000),
        "user_id": None,
        "session_id": None,
        "device_id": "d1",
        **values,
    }


def prescribed(at: str, starts_on: str, days: int, name: str = "rx") -> Sent:
    therapy = {"prescription_id": name, "starts_on": starts_on, "prescribed_days": days}
    return sent("PRESCRIPTION_ASSIGNED", at, **therapy)


def patched(at: str, valid: bool) -> Sent:
    return sent("PATCH_APPLIED", at, valid=valid)


def read(at: str, value: float, sensor: str = "glucose") -> Sent:
    return sent("SENSOR_READING", at, sensor=sensor, value=value)


def adherence(*events: Sent) -> list[tuple[Any, ...]]:
    rows = marts(*events)["kpi_daily"]
    return [(row["day"][-2:], row["patch_days_valid"], row["patch_days_prescribed"]) for row in rows]


def test_harm_without_an_active_device_has_no_rate() -> None:
    [row] = marts(
        sent("ADVERSE_EVENT_REPORTED", "02 10:00", device_id=None, batch_id=None, severity="mild", code="c")
    )["kpi_daily"]
    assert (row["currency"], row["adverse_events"], row["active_devices"]) == ("XXX", 1, 0)
    assert (row["adverse_event_rate"], row["device_adherence"]) == (None, None)


def test_a_device_counts_once_in_a_day_and_once_in_each_of_its_hours() -> None:
    values = marts(
        sent("DEVICE_STATUS", "02 10:00"),
        sent("DEVICE_STATUS", "02 10:30"),
        sent("DEVICE_STATUS", "02 11:00"),
    )
    assert [row["active_devices"] for row in values["kpi_daily"]] == [1]
    assert [row["active_devices"] for row in values["kpi_hourly"]] == [1, 1]
    assert [row["patch_days_prescribed"] for row in values["kpi_hourly"]] == [None, None]


def test_a_valid_patch_counts_whatever_refused_one_lies_beside_it() -> None:
    therapy = prescribed("02 08:00", "2026-03-02", 2)
    assert adherence(
        therapy, patched("02 09:00", True), patched("02 10:00", False), patched("03 10:00", False)
    ) == [
        ("02", 1, 1),
        ("03", 0, 1),
    ]


def test_patches_without_prescription_make_no_adherence() -> None:
    assert adherence(patched("02 09:00", True)) == [("02", 0, 0)]


def test_a_prescription_holds_as_first_assigned_until_its_tenant_was_last_heard_of() -> None:
    events = (
        prescribed("02 09:00", "2026-02-20", 30),
        prescribed("02 08:00", "2026-03-01", 30),
        sent("LOGIN", "03 09:00"),
    )
    assert adherence(*events) == [("01", 0, 1), ("02", 0, 1), ("03", 0, 1)]


def test_firmware_updated_in_the_middle_of_a_day_parts_it() -> None:
    rows = marts(
        sent("DEVICE_STATUS", "02 09:00"),
        sent(
            "DEVICE_ACTIVATED",
            "02 10:00",
            device_type="pump",
            firmware_version="1.0",
            batch_id="b",
            product_id="p",
        ),
        sent("FIRMWARE_UPDATED", "02 12:00", **{"from": "1.0", "to": "1.1"}),
        sent("DOSE_DELIVERED", "02 12:00", success=False),
        prescribed("02 13:00", "2026-03-02", 1),
    )["device_metrics"]
    names = ("firmware_version", "active_devices", "doses", "patch_days_prescribed", "dose_success_rate")
    assert [tuple(row[name] for name in names) for row in rows] == [
        ("1.0", 1, 0, 0, None),
        ("1.1", 1, 1, 1, 0.0),
    ]


@pytest.mark.parametrize(("value", "is_anomaly"), [(159_304, False), (159_305, True)])
def test_a_reading_at_four_robust_deviations_is_inside(value: float, is_anomaly: bool) -> None:
    usual = [
        read(f"02 10:0{n}", v) for n, v in enumerate((90_000, 90_000, 90_000, 100_000, 110_000, 110_000))
    ]
    rows = marts(read("01 10:00", -5), *usual, read("08 10:00", value))["fact_device_readings"]
    late = next(row for row in rows if row["reading_date"] == "2026-03-08")
    assert (late["trailing_median"], late["trailing_mad"], late["is_anomaly"]) == (
        100_000,
        10_000,
        is_anomaly,
    )


def test_a_sensor_without_spread_has_no_anomalies() -> None:
    rows = marts(read("02 10:00", 36.5), read("02 10:01", 36.5), read("02 10:02", 41))["fact_device_readings"]
    assert [(row["robust_deviations"], row["is_anomaly"]) for row in rows] == [(None, False)] * 3


def test_mean_and_variation_stand_beside_each_sensor() -> None:
    readings = [read(f"02 10:0{n}", n) for n in (1, 2, 3)]
    [row] = marts(*readings, read("02 10:00", 7, sensor="alone"))["device_metrics"]
    assert row["readings"] == {"alone": 1, "glucose": 3}
    assert row["reading_mean"] == {"alone": 7, "glucose": 2}
    assert row["reading_variation"] == {"alone": None, "glucose": 0.5}
