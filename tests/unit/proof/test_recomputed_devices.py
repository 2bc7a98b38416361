"""The second engine's figures of devices over hand-made deliveries, against figures worked out by hand."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.unit.proof.shop import Shop, recomputed

DAY = date(2026, 11, 16)
READ = {"sensor": "glucose", "unit": "mg/dL", "device_id": "d1"}
PUMP = {"device_type": "pump", "firmware_version": "1.0", "batch_id": "b"}


def patched(shop: Shop, at: str, valid: bool, device_id: str = "d1") -> Shop:
    return shop.sends("PATCH_APPLIED", at, patch_id=at, valid=valid, wear_minutes=60, device_id=device_id)


def prescribed(
    shop: Shop, at: str, starts_on: str, days: int, name: str = "rx", device_id: str = "d1"
) -> Shop:
    therapy = {"prescription_id": name, "starts_on": starts_on, "prescribed_days": days}
    return shop.sends("PRESCRIPTION_ASSIGNED", at, device_id=device_id, **therapy)


def days(shop: Shop, folder: Path) -> list[tuple[Any, ...]]:
    rows = recomputed(shop, "kpi_daily", folder)
    return [(row["day"].day, row["patch_days_valid"], row["patch_days_prescribed"]) for row in rows]


def test_telemetry_makes_a_device_active_and_what_people_say_of_it_does_not(tmp_path: Path) -> None:
    shop = (
        Shop().sends("DEVICE_STATUS", "10:00", device_id="d1").sends("DEVICE_STATUS", "11:00", device_id="d1")
    )
    shop.sends("ADVERSE_EVENT_REPORTED", "11:00", device_id="d2", severity="mild", code="c")
    prescribed(shop, "11:00", "2026-12-01", 3, device_id="d3").sends("DEVICE_STATUS", "11:00")
    (row,) = recomputed(shop, "kpi_daily", tmp_path)
    assert (row["currency"], row["active_devices"], row["adverse_events"]) == ("XXX", 1, 1)
    assert (row["adverse_event_rate"], row["device_adherence"]) == (1.0, None)


def test_without_an_active_device_there_is_no_rate(tmp_path: Path) -> None:
    (row,) = recomputed(Shop().sends("ADVERSE_EVENT_REPORTED", "11:00", code="c"), "kpi_daily", tmp_path)
    assert (row["adverse_events"], row["active_devices"], row["adverse_event_rate"]) == (1, 0, None)


def test_a_valid_patch_counts_whatever_refused_one_lies_beside_it(tmp_path: Path) -> None:
    shop = prescribed(Shop(), "08:00", "2026-11-16", 2)
    patched(patched(patched(shop, "09:00", True), "10:00", False), "2026-11-17T10:00", False)
    assert days(shop, tmp_path) == [(16, 1, 1), (17, 0, 1)]


def test_patches_without_prescription_make_no_adherence(tmp_path: Path) -> None:
    assert days(patched(Shop(), "09:00", True), tmp_path) == [(16, 0, 0)]


def test_a_prescription_elapses_until_its_tenant_was_last_heard_of(tmp_path: Path) -> None:
    shop = prescribed(Shop(), "08:00", "2026-11-15", 30).sends(
        "LOGIN", "2026-11-18T23:00", method="m", success=True
    )
    shop.sends("LOGIN", "2026-11-25T10:00", tenant="south", method="m", success=True)
    assert days(shop, tmp_path) == [(day, 0, 1) for day in (15, 16, 17, 18)]


def test_a_prescription_holds_as_it_was_first_assigned(tmp_path: Path) -> None:
    shop = prescribed(prescribed(Shop(), "09:00", "2026-11-10", 30), "08:00", "2026-11-16", 1)
    assert days(shop, tmp_path) == [(16, 0, 1)]


def test_an_hour_has_no_days_of_a_prescription(tmp_path: Path) -> None:
    shop = prescribed(Shop(), "08:00", "2026-11-16", 1).sends("DEVICE_STATUS", "10:00", device_id="d1")
    (row,) = recomputed(shop, "kpi_hourly", tmp_path)
    assert (row["hour"].hour, row["active_devices"], row["patch_days_prescribed"]) == (10, 1, None)
    assert row["device_adherence"] is None


def test_firmware_updated_in_the_middle_of_a_day_parts_it(tmp_path: Path) -> None:
    shop = Shop().sends("DEVICE_ACTIVATED", "10:00", device_id="d1", **PUMP)
    shop.sends("DEVICE_STATUS", "09:00", device_id="d1")
    shop.sends("FIRMWARE_UPDATED", "12:00", device_id="d1", **{"from": "1.0", "to": "1.1"})
    shop.sends("DOSE_DELIVERED", "12:00", device_id="d1", success=False)
    prescribed(shop, "13:00", "2026-11-16", 1)
    rows = recomputed(shop, "device_metrics", tmp_path)
    assert [
        (row["device_type"], row["firmware_version"], row["active_devices"], row["doses"]) for row in rows
    ] == [("pump", "1.0", 1, 0), ("pump", "1.1", 1, 1)]
    assert [row["patch_days_prescribed"] for row in rows] == [0, 1]
    assert [row["dose_success_rate"] for row in rows] == [None, 0.0]


def test_a_device_that_told_of_no_type_is_unknown(tmp_path: Path) -> None:
    shop = Shop().sends("DEVICE_STATUS", "10:00", device_id="d1", firmware_version="9")
    (row,) = recomputed(shop, "device_metrics", tmp_path)
    assert (row["device_type"], row["firmware_version"]) == ("unknown", "unknown")


@pytest.mark.parametrize(("value", "is_anomaly"), [(159_304, False), (159_305, True)])
def test_a_reading_at_four_robust_deviations_is_inside(tmp_path: Path, value: int, is_anomaly: bool) -> None:
    shop = Shop()
    for minute, usual in enumerate((90_000, 90_000, 90_000, 100_000, 110_000, 110_000)):
        shop.sends("SENSOR_READING", f"10:{minute:02}", value=usual, **READ)
    shop.sends("SENSOR_READING", "2026-11-15T10:00", value=-5, **READ)
    shop.sends("SENSOR_READING", "2026-11-22T10:00", value=value, **READ)
    late = recomputed(shop, "fact_device_readings", tmp_path)[-1]
    assert late["reading_date"] == date(2026, 11, 22)
    assert (late["trailing_mad"], late["is_anomaly"]) == (10_000, is_anomaly)


def test_a_sensor_without_spread_has_no_anomalies(tmp_path: Path) -> None:
    shop = Shop()
    for minute, value in enumerate((36.5, 36.5, 41)):
        shop.sends("SENSOR_READING", f"10:0{minute}", value=value, **READ)
    rows = recomputed(shop, "fact_device_readings", tmp_path)
    assert [(row["robust_deviations"], row["is_anomaly"]) for row in rows] == [(None, False)] * 3


def test_mean_and_variation_stand_beside_each_sensor(tmp_path: Path) -> None:
    shop = Shop()
    for minute, value in enumerate((1, 2, 3)):
        shop.sends("SENSOR_READING", f"10:0{minute}", value=value, **READ)
    shop.sends("SENSOR_READING", "10:00", value=7, **(READ | {"sensor": "alone"}))
    (row,) = recomputed(shop, "device_metrics", tmp_path)
    assert row["readings"] == {"alone": 1, "glucose": 3}
    assert row["reading_mean"] == {"alone": 7, "glucose": 2}
    assert row["reading_variation"] == {"alone": None, "glucose": 0.5}
