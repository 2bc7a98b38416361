"""Devices over two months on a real engine: what events that come late restate, and what they leave alone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from lake.store import ObjectStore
from orchestration.connections import object_store
from orchestration.connections import warehouse as connected
from orchestration.embedded.testing import empty_warehouse
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

MODELS = ["run", "--select", "+pocm__kpi_daily", "+pocm__device_metrics"]
READ = {"sensor": "glucose", "unit": "mg/dL"}
QUERIES = {
    "kpis": "select tenant_id, toString(day), active_devices, adverse_events, patch_days_prescribed, patch_days_valid"
    " from pocm.kpi_daily order by tenant_id, day",
    "metrics": "select tenant_id, toString(day), device_type, firmware_version, active_devices"
    " from pocm.device_metrics order by tenant_id, day, device_type, firmware_version",
    "medians": "select tenant_id, toString(reading_date), any(trailing_median), max(trailing_mad)"
    " from pocm.fact_device_readings group by tenant_id, reading_date order by tenant_id, reading_date",
    "parts": "select concat(table, ' ', partition_id), name from system.parts where active and table in"
    " ('kpi_daily', 'fact_adverse_events', 'int_pocm__device_spans_daily')",
}

Rows = list[tuple[Any, ...]]


def told(tenant: str, event_type: str, at: str, **payload: Any) -> Event:
    """What the tenant's only device told at a time."""
    return Event(f"{tenant} {event_type} {at}", at, event_type, payload, tenant, device_id="d1")


@dataclass(frozen=True)
class Story:
    """The marts after each of three loads."""

    chapters: tuple[dict[str, Rows], ...]

    def of(self, tenant: str, what: str, chapter: int) -> Rows:
        return [row[1:] for row in self.chapters[chapter][what] if row[0] == tenant]

    def rewritten(self, table: str, chapter: int) -> set[str]:
        before, after = dict(self.chapters[chapter - 1]["parts"]), dict(self.chapters[chapter]["parts"])
        return {part for part, name in after.items() if part.startswith(table) and before.get(part) != name}


def history() -> list[Event]:
    patch = {"patch_id": "p", "batch_id": "b", "valid": True, "wear_minutes": 60}
    activated = {"device_type": "pump", "firmware_version": "1.0", "batch_id": "b"}
    values = {"2026-10-02": (90, 100, 110), "2026-10-08": (100, 130), "2026-10-09": (100, 130)}
    return [
        told("harm", "DEVICE_STATUS", "2026-10-05 10:00", status="ok"),
        told("harm", "DEVICE_STATUS", "2026-11-05 10:00", status="ok"),
        told("harm", "ADVERSE_EVENT_REPORTED", "2026-11-05 11:00", severity="mild", code="c"),
        told("firmware", "DEVICE_ACTIVATED", "2026-10-05 10:00", **activated),
        told("firmware", "DEVICE_STATUS", "2026-10-05 20:00", status="ok"),
        told("firmware", "DEVICE_STATUS", "2026-10-20 10:00", status="ok"),
        told("therapy", "PATCH_APPLIED", "2026-10-03 10:00", **patch),
        told("therapy", "DEVICE_STATUS", "2026-10-04 10:00", status="ok"),
        *(
            told("readings", "SENSOR_READING", f"{day} 10:0{minute}", value=value, **READ)
            for day, read in values.items()
            for minute, value in enumerate(read)
        ),
    ]


def late_events() -> list[Event]:
    therapy = {"prescription_id": "rx", "starts_on": "2026-10-02", "prescribed_days": 30}
    return [
        told("harm", "ADVERSE_EVENT_REPORTED", "2026-10-05 23:00", severity="fatal", code="c"),
        told("firmware", "FIRMWARE_UPDATED", "2026-10-05 15:00", **{"from": "1.0", "to": "1.1"}),
        told("therapy", "PRESCRIPTION_ASSIGNED", "2026-10-03 09:00", **therapy),
        told("readings", "SENSOR_READING", "2026-10-02 11:00", value=131, **READ),
    ]


@pytest.fixture(scope="module")
def story(stack: Settings) -> Iterator[Story]:
    """A history, then late events of every kind, then a day of therapy after two silent ones."""
    client = connected(stack)
    store = object_store(stack).for_bucket(f"test-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    empty_warehouse(client)
    later = [told("therapy", "DEVICE_STATUS", "2026-10-07 10:00", status="ok")]
    loads = {"2026-11-20": history(), "2026-11-21": late_events(), "2026-11-22": later}
    yield Story(tuple(received(client, store, stack, day, events) for day, events in loads.items()))
    empty_warehouse(client)
    client.close()


def received(
    client: Client, store: ObjectStore, stack: Settings, day: str, events: Sequence[Event]
) -> dict[str, Rows]:
    """Load events under one hour of receipt, build the marts for it, and return what they hold then."""
    manifest = write_load(store, f"{day} 10:05", list(events))
    load_hours(client, store, "pocm", {manifest.hours[0].received_hour: [manifest]})
    run_dbt(stack, MODELS, {"window_from": f"{day} 10:00:00", "window_to": f"{day} 11:00:00"})
    return {what: [tuple(row) for row in client.query(query).result_rows] for what, query in QUERIES.items()}


def test_an_adverse_event_of_last_month_restates_its_day_alone(story: Story) -> None:
    before, after = (story.of("harm", "kpis", chapter) for chapter in (0, 1))
    assert before == [("2026-10-05", 1, 0, 0, 0), ("2026-11-05", 1, 1, 0, 0)]
    assert after == [("2026-10-05", 1, 1, 0, 0), ("2026-11-05", 1, 1, 0, 0)]


def test_events_of_last_month_rewrite_nothing_of_this_one(story: Story) -> None:
    assert story.rewritten("kpi_daily", 1) == {"kpi_daily 202610"}
    assert story.rewritten("fact_adverse_events", 1) == {"fact_adverse_events 202610"}


def test_a_late_firmware_update_shows_from_its_time_on(story: Story) -> None:
    assert story.of("firmware", "metrics", 0) == [
        ("2026-10-05", "pump", "1.0", 1),
        ("2026-10-20", "pump", "1.0", 1),
    ]
    assert story.of("firmware", "metrics", 1) == [
        ("2026-10-05", "pump", "1.0", 1),
        ("2026-10-05", "pump", "1.1", 1),
        ("2026-10-20", "pump", "1.1", 1),
    ]


def test_a_late_firmware_update_rebuilds_no_later_day(story: Story) -> None:
    assert "int_pocm__device_spans_daily 20261005" in story.rewritten("int_pocm__device_spans_daily", 1)
    assert "int_pocm__device_spans_daily 20261020" not in story.rewritten("int_pocm__device_spans_daily", 1)


def test_a_late_prescription_counts_every_day_of_it_that_has_passed(story: Story) -> None:
    assert story.of("therapy", "kpis", 0) == [("2026-10-03", 1, 0, 0, 0), ("2026-10-04", 1, 0, 0, 0)]
    assert story.of("therapy", "kpis", 1) == [
        ("2026-10-02", 0, 0, 1, 0),
        ("2026-10-03", 1, 0, 1, 1),
        ("2026-10-04", 1, 0, 1, 0),
    ]


def test_days_without_any_event_pass_when_the_next_one_comes(story: Story) -> None:
    prescribed = [(row[0], row[3]) for row in story.of("therapy", "kpis", 2)]
    assert prescribed == [(f"2026-10-0{day}", 1) for day in range(2, 8)]


def test_a_late_reading_judges_its_day_and_the_six_after_it_anew_and_not_the_seventh(story: Story) -> None:
    assert story.of("readings", "medians", 0) == [
        ("2026-10-02", 100, 10),
        ("2026-10-08", 100, 10),
        ("2026-10-09", 130, 30),
    ]
    assert story.of("readings", "medians", 1) == [
        ("2026-10-02", 110, 20),
        ("2026-10-08", 110, 20),
        ("2026-10-09", 130, 30),
    ]
