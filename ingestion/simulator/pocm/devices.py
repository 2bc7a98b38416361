"""Medical devices and the people who wear them: activation, therapy, readings, faults, harm.

A tenant's fleet follows from the seed alone, so that every day knows in which state it finds each device.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.drawing import Minter, draw
from ingestion.simulator.model import DAY_MS, HOUR_MS, EventBatch, Ints
from ingestion.simulator.pocm import places
from ingestion.simulator.pocm.generate import _batch, _midnight, _where
from ingestion.simulator.pocm.tables import TENANTS, Tenant

FIRST_ID = 3 << 35
"""Ids given out by the other parts of a tenant's day lie below and above."""
STREAM = 1_000_105
FLEET = 0.125
"""Devices per visit of an average day."""

KINDS = ("glucose-sensor", "insulin-pump", "ecg-patch")
KIND_SHARES = (0.5, 0.25, 0.25)
PRODUCT_OF_KIND = np.array(["prd-cgm-patch", "prd-ins-pod", "prd-ecg-patch"], dtype=object)
PUMP = 1
SENSORS = (
    ("glucose", "mg/dL", (0, 1), 24, 118.0, 22.0, 1),
    ("heart_rate", "bpm", (2,), 16, 74.0, 9.0, 0),
    ("temperature", "Cel", (2,), 8, 36.5, 0.02, 1),
)
"""(sensor, unit, kinds that have it, readings a day, level, spread, decimals); most temperatures are equal."""
FIRMWARE = np.array(["2.3.0", "2.4.1", "2.5.0"], dtype=object)
LENGTHS = np.array([3, 7, 14, 30])
STATUSES = ("ok", "ok", "ok", "ok", "low_battery", "fault")
ERRORS = ("E-17", "E-04", "SIGNAL_LOST")
ACTIONS = ("acknowledge_alarm", "view_trend", "calibrate", "pause_delivery")
SCREENS = ("home_screen", "alarm_screen", "settings")
SEVERITIES = np.array(["mild", "moderate", "severe", "fatal"], dtype=object)
SEVERITY_SHARES = (0.62, 0.26, 0.1, 0.02)
CODES = ("skin_irritation", "wrong_dose", "bleeding", "signal_lost", "detached")

RATES = {
    "applies_patch": 0.88,
    "patch_valid": 0.9,
    "tries_again": 0.6,
    "dose_succeeds": 0.97,
    "reading_lost": 0.05,
    "outlier": 0.012,
    "interacts": 0.9,
    "harmed": 0.08,
    "reported_by_phone": 0.2,
    "harm_names_batch": 0.7,
    "harm_of_recalled_batch": 0.4,
}
"""Shares of whatever each step acts on: device days, patches, doses, readings, reports."""


@dataclass
class Fleet:
    """A tenant's devices, as columns over all of them; days count from the first simulated one."""

    device_id: pd.Series
    user_id: pd.Series
    kind: Ints
    begins: Ints
    """Day of its activation; -1 for those in service before, whose activation was never exported."""
    begins_ms: Ints
    """Time of the activation within its day."""
    firmware: Ints
    updates: Ints
    """Day on which newer firmware is installed; -1 for never."""
    updates_ms: Ints
    prescribed_from: Ints
    """Day of the first prescription; -1 for none."""
    starts_after: Ints
    """Days from the first prescription to the first day of the therapy; negative when it was late to be told."""
    length: Ints
    """Days of each prescription; the next follows at once."""
    level: npt.NDArray[np.float64]
    """How far the wearer's values lie from the usual, in spreads."""


@dataclass
class Part:
    """One tenant's day."""

    tenant: Tenant
    rng: np.random.Generator
    ids: Minter
    fleet: Fleet
    index: int
    start: date
    midnight: int

    def chance(self, rate: str, size: int) -> npt.NDArray[np.bool_]:
        """Return which of `size` trials succeed at a rate of `RATES`."""
        return self.rng.random(size) < RATES[rate]

    def moments(self, size: int) -> Ints:
        """Return times within the day."""
        return self.midnight + self.rng.integers(0, DAY_MS, size)

    def frame(self, device: Ints, occurred_at: Ints, **columns: Any) -> pd.DataFrame:
        """Return events of devices, without those that a device could not have sent before its activation."""
        fleet = self.fleet
        frame = pd.DataFrame(
            {
                "device_id": fleet.device_id.to_numpy(object)[device],
                "user_id": fleet.user_id.to_numpy(object)[device],
                "occurred_at": occurred_at,
                **columns,
            }
        )
        began = np.where(fleet.begins == self.index, self.midnight + fleet.begins_ms, 0)
        return frame[occurred_at >= began[device]]


def device_events(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return what the devices and their wearers cause on day `index` after `start`."""
    found = []
    for number, tenant in enumerate(TENANTS):
        rng = np.random.default_rng([seed, index, number, STREAM])
        ids = Minter(seed, index, number, used=FIRST_ID)
        fleet = _fleet(tenant, ids, np.random.default_rng([seed, number, STREAM]), scale)
        part = Part(tenant, rng, ids, fleet, index, start, _midnight(start, index))
        active = np.flatnonzero(fleet.begins <= index)
        frames = {
            "DEVICE_ACTIVATED": _activations(part),
            "FIRMWARE_UPDATED": _updates(part),
            "PRESCRIPTION_ASSIGNED": _prescriptions(part),
            "PATCH_APPLIED": _patches(part, active),
            "DOSE_DELIVERED": _doses(part, active),
            "SENSOR_READING": _readings(part, active),
            "DEVICE_STATUS": _statuses(part, active),
            "DEVICE_INTERACTION": _interactions(part, active),
            "ADVERSE_EVENT_REPORTED": _harm(part, active),
        }
        found += [_batch(name, tenant, ids, frame) for name, frame in frames.items() if len(frame)]
    return found


def _fleet(tenant: Tenant, ids: Minter, rng: np.random.Generator, scale: float) -> Fleet:
    size = max(8, round(tenant.visits_per_day * scale * FLEET))
    drawn = rng.random(size)
    later = 1 + rng.integers(0, 12, size)
    begins = np.where(drawn < 0.12, -1, np.where(drawn < 0.7, 0, later))
    updated = rng.random(size) < 0.7
    first = np.maximum(begins, 0)
    return Fleet(
        device_id=ids.of("mdv_", np.arange(size)),
        user_id=ids.of("usr_", rng.integers(0, max(1, round(tenant.users * scale)), size)),
        kind=rng.choice(len(KINDS), size=size, p=KIND_SHARES).astype(np.int64),
        begins=begins,
        begins_ms=rng.integers(6 * HOUR_MS, 20 * HOUR_MS, size),
        firmware=rng.integers(0, 2, size),
        updates=np.where(updated, first + rng.integers(1, 6, size), -1),
        updates_ms=rng.integers(2 * HOUR_MS, 22 * HOUR_MS, size),
        prescribed_from=np.where(rng.random(size) < 0.75, first, -1),
        starts_after=rng.integers(-2, 3, size),
        length=LENGTHS[rng.integers(0, len(LENGTHS), size)],
        level=rng.normal(0, 1, size),
    )


def _activations(part: Part) -> pd.DataFrame:
    fleet = part.fleet
    device = np.flatnonzero(fleet.begins == part.index)
    product = PRODUCT_OF_KIND[fleet.kind[device]]
    return part.frame(
        device,
        part.midnight + fleet.begins_ms[device],
        device_type=np.array(KINDS, dtype=object)[fleet.kind[device]],
        firmware_version=FIRMWARE[fleet.firmware[device]],
        batch_id=places.batch_of(product, fleet.device_id.to_numpy(object)[device]),
        product_id=product,
    )


def _updates(part: Part) -> pd.DataFrame:
    fleet = part.fleet
    device = np.flatnonzero(fleet.updates == part.index)
    columns = {
        "from": FIRMWARE[fleet.firmware[device]],
        "to": np.full(len(device), FIRMWARE[-1], dtype=object),
    }
    return part.frame(device, part.midnight + fleet.updates_ms[device], **columns)


def _prescriptions(part: Part) -> pd.DataFrame:
    """The first prescription, and each that follows on the day on which the one before has ended."""
    fleet = part.fleet
    begun = (fleet.prescribed_from >= 0) & (fleet.prescribed_from <= part.index)
    elapsed = part.index - fleet.prescribed_from - fleet.starts_after
    first = fleet.prescribed_from == part.index
    device = np.flatnonzero(begun & (first | ((elapsed > 0) & (elapsed % fleet.length == 0))))
    shift = np.where(first[device], fleet.starts_after[device], 0)
    days = [(part.start + timedelta(days=part.index + int(n))).isoformat() for n in shift]
    return part.frame(
        device,
        part.midnight + fleet.begins_ms[device] + part.rng.integers(0, HOUR_MS, len(device)),
        prescription_id=part.ids.new("rx_", len(device)).to_numpy(object),
        starts_on=np.array(days, dtype=object),
        prescribed_days=fleet.length[device],
        product_id=PRODUCT_OF_KIND[fleet.kind[device]],
    )


def _patches(part: Part, active: Ints) -> pd.DataFrame:
    """A patch a day; one that the device refuses is often followed by another."""
    rng, fleet = part.rng, part.fleet
    device = active[part.chance("applies_patch", len(active))]
    valid = part.chance("patch_valid", len(device))
    again = device[~valid & part.chance("tries_again", len(device))]
    at = part.moments(len(device))
    device, at = np.concatenate([device, again]), np.concatenate([at, part.moments(len(again))])
    product = PRODUCT_OF_KIND[fleet.kind[device]]
    patch_id = part.ids.new("pat_", len(device)).to_numpy(object)
    return part.frame(
        device,
        at,
        patch_id=patch_id,
        batch_id=places.batch_of(product, patch_id),
        valid=np.concatenate([valid, np.ones(len(again), dtype=bool)]),
        wear_minutes=rng.integers(20, 1_440, len(device)),
        product_id=product,
    )


def _doses(part: Part, active: Ints) -> pd.DataFrame:
    rng = part.rng
    device = np.repeat(active[part.fleet.kind[active] == PUMP], 4)
    wanted = np.round(rng.uniform(0.5, 8.0, len(device)), 1)
    success = part.chance("dose_succeeds", len(device))
    return part.frame(
        device,
        part.moments(len(device)),
        dose_id=part.ids.new("dos_", len(device)).to_numpy(object),
        prescribed_mg=wanted,
        delivered_mg=np.where(success, wanted, np.round(wanted * rng.random(len(device)), 1)),
        success=success,
    )


def _readings(part: Part, active: Ints) -> pd.DataFrame:
    """Values around the wearer's own level; a few lie far off."""
    rng, fleet = part.rng, part.fleet
    parts = []
    for sensor, unit, kinds, times, level, spread, decimals in SENSORS:
        mine = np.repeat(active[np.isin(fleet.kind[active], kinds)], times)
        slot = np.tile(np.arange(times), len(mine) // times)
        kept = ~part.chance("reading_lost", len(mine))
        device, slot = mine[kept], slot[kept]
        length = DAY_MS // times
        off = np.where(part.chance("outlier", len(device)), rng.uniform(-12, 25, len(device)), 0.0)
        value = level + spread * (fleet.level[device] + rng.normal(0, 0.6, len(device)) + off)
        parts.append(
            part.frame(
                device,
                part.midnight + slot * length + rng.integers(0, length, len(device)),
                sensor=np.full(len(device), sensor, dtype=object),
                value=np.round(value, decimals) + 0.0,
                unit=np.full(len(device), unit, dtype=object),
            )
        )
    return pd.concat(parts, ignore_index=True)


def _statuses(part: Part, active: Ints) -> pd.DataFrame:
    """Two reports a day; what a device says of its firmware is what runs on it."""
    rng, fleet = part.rng, part.fleet
    device = np.repeat(active, 2)
    at = part.moments(len(device))
    status = draw(rng, STATUSES, len(device))
    updated = (fleet.updates[device] >= 0) & (
        (fleet.updates[device] < part.index)
        | ((fleet.updates[device] == part.index) & (at >= part.midnight + fleet.updates_ms[device]))
    )
    return part.frame(
        device,
        at,
        status=status,
        battery_pct=rng.integers(2, 101, len(device)),
        firmware_version=FIRMWARE[np.where(updated, len(FIRMWARE) - 1, fleet.firmware[device])],
        error_code=_where(status == "fault", draw(rng, ERRORS, len(device))),
    )


def _interactions(part: Part, active: Ints) -> pd.DataFrame:
    rng = part.rng
    device = active[part.chance("interacts", len(active))]
    return part.frame(
        device,
        part.moments(len(device)),
        action=draw(rng, ACTIONS, len(device)),
        duration=np.round(rng.lognormal(1.2, 0.8, len(device)), 1),
        location=_where(rng.random(len(device)) < 0.9, draw(rng, SCREENS, len(device))),
    )


def _harm(part: Part, active: Ints) -> pd.DataFrame:
    """Reports of harm; who telephones names no device, and many of the recalled lot are reported."""
    rng, fleet = part.rng, part.fleet
    device = active[part.chance("harmed", len(active))]
    size = len(device)
    product = PRODUCT_OF_KIND[fleet.kind[device]]
    recalled = part.chance("harm_of_recalled_batch", size)
    batch = np.where(
        recalled, places.RECALLED_BATCH, places.batch_of(product, fleet.device_id.to_numpy(object)[device])
    )
    frame = part.frame(
        device,
        part.moments(size),
        severity=SEVERITIES[rng.choice(len(SEVERITIES), size=size, p=SEVERITY_SHARES)],
        code=draw(rng, CODES, size),
        batch_id=_where(part.chance("harm_names_batch", size), batch),
        phoned=part.chance("reported_by_phone", size),
    )
    phoned = frame.pop("phoned").to_numpy(bool)
    frame["device_id"] = _where(~phoned, frame["device_id"].to_numpy(object))
    return frame
