"""Metrics over some weeks on a real engine: what late samples restate, how values fold, that order does not matter."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from lake_writer import Event, write_load

from expectations.lineage import run_lineage
from expectations.marts_out import load_suite
from expectations.model import GateWindow
from expectations.runner import run_suite
from ingestion.contract import load_source
from lake.store import ObjectStore
from orchestration.assets.marts import failing_rows
from orchestration.connections import gate_warehouse, object_store
from orchestration.connections import warehouse as connected
from orchestration.embedded.testing import empty_warehouse
from orchestration.reports import load_reports, make_report
from orchestration.reports.periods import Range
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt
from orchestration.warehouse.raw import load_hours

pytestmark = pytest.mark.stack

Rows = list[tuple[Any, ...]]
MODELS = ["--select", "fqn:*.*.insights.*"]
MARTS = (
    "metric_values_minute",
    "metric_values_hour",
    "metric_values_day",
    "metric_catalog",
    "event_counts",
    "insights",
)
FIRST_DAY = datetime(2026, 11, 1)
QUERIES = {
    "requests": "select toString(minute), toFloat64(sum), resets from insights.metric_values_minute"
    " where tenant_id = 'counting' order by minute",
    "folded": "select dimensions['user'], samples, toFloat64(sum) from insights.metric_values_day"
    " where tenant_id = 'folding' and name = 'clicks' order by samples desc, dimensions_text limit 3",
    "parts": "select concat(table, ' ', partition_id), name from system.parts where active"
    " and table in ('metric_values_minute', 'int_insights__dimensions_daily')",
}


def sample(tenant: str, name: str, kind: str, at: str, **told: Any) -> Event:
    """A sample of a metric; the same words are the same event."""
    attributes = {"name": name, "type": kind, **told}
    payload = {"attributes": attributes}
    return Event(
        f"{tenant} {at} {json.dumps(attributes)}", at, "SYSTEM_METRIC", payload, tenant, user_key=None
    )


def counting(at: str, value: float) -> Event:
    return sample("counting", "requests", "COUNTER", at, value=value)


def folding(user: int, times: int) -> list[Event]:
    return [
        sample(
            "folding",
            "clicks",
            "gauge",
            f"2026-11-14 10:{n:02d}",
            value=1,
            dimensions={"user": f"u{user:03d}"},
        )
        for n in range(times)
    ]


def history() -> list[Event]:
    """A counter that goes on over midnight, silent days and a reset; more users than a dimension keeps."""
    counters = {
        "2026-11-01 09:00": 10,
        "2026-11-02 23:59": 100,
        "2026-11-03 00:00": 130,
        "2026-11-03 12:00": 7,
        "2026-11-06 08:00": 17,
        "2026-11-14 08:00": 50,
    }
    users = [event for user in range(1, 103) for event in folding(user, 2 if user == 102 else 1)]
    return [*(counting(at, value) for at, value in counters.items()), *users]


def late_samples() -> list[Event]:
    """Late readings between others, and the clicks of a user who was almost folded away."""
    return [counting("2026-11-03 00:01", 135), counting("2026-11-04 07:00", 9), *folding(101, 4)[1:]]


def random_week(seed: int) -> list[Event]:
    """A fortnight of two services whose metrics jump, reset and come in every type."""
    rng = random.Random(seed)
    events = []
    for hour in range(14 * 24):
        at = FIRST_DAY + timedelta(hours=hour, minutes=rng.randrange(60))
        for tenant in ("s1", "s2"):
            moment = f"{at:%Y-%m-%d %H:%M:%S}"
            shape = rng.choice([[1, 5], [1, 2, 5]])
            heights = sorted(rng.randrange(9) for _ in shape)
            events += [
                sample(
                    tenant,
                    "cpu",
                    "gauge",
                    moment,
                    value=rng.gauss(50, 2) + 40 * (hour == 300),
                    unit="percent",
                ),
                sample(tenant, "jobs", "counter", moment, value=hour % 50 * 3 + rng.randrange(3)),
                sample(
                    tenant,
                    "latency",
                    "histogram",
                    moment,
                    count=heights[-1] + rng.randrange(2),
                    sum=rng.random() * 30,
                    buckets=[{"le": le, "count": count} for le, count in zip(shape, heights, strict=True)],
                    dimensions={"host": rng.choice("abc")},
                ),
                sample(
                    tenant,
                    "size",
                    "summary",
                    moment,
                    count=rng.randrange(5),
                    sum=rng.randrange(90),
                    quantiles=[{"quantile": 0.5, "value": rng.random()}],
                ),
                Event(f"{tenant} a{hour}", moment, "USER_ACTION", {"attributes": {"name": "login"}}, tenant),
            ]
    return events


@dataclass(frozen=True)
class Built:
    """The warehouse after a history, late samples, and shuffled increments; what each step showed."""

    client: Client
    store: ObjectStore
    settings: Settings
    target: Path
    chapters: tuple[dict[str, Rows], ...]
    increments: dict[str, Rows]
    all_at_once: dict[str, Rows]

    def rewritten(self, table: str) -> set[str]:
        """Partitions of a table that the late samples replaced."""
        before, after = (dict(chapter["parts"]) for chapter in self.chapters[:2])
        return {
            part.split()[1]
            for part, name in after.items()
            if part.startswith(table) and before.get(part) != name
        }


@pytest.fixture(scope="module")
def built(stack: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    """Build increments in a shuffled order, then everything anew."""
    client = connected(stack)
    store = object_store(stack).for_bucket(f"test-{uuid.uuid4().hex[:12]}")
    store.ensure_bucket()
    empty_warehouse(client)
    chapters = (
        received(client, store, stack, "2026-11-20 10", history()),
        received(client, store, stack, "2026-11-20 11", late_samples()),
    )
    events = random_week(seed=3)
    random.Random(4).shuffle(events)
    for number in range(3):
        received(client, store, stack, f"2026-11-21 {10 + number}", [*events[number::3], *events[:40]])
    increments = contents(client)
    target = tmp_path_factory.mktemp("dbt")
    run_dbt(stack, ["build", *MODELS, "--full-refresh"], target_dir=target)
    yield Built(client, store, stack, target, chapters, increments, contents(client))
    empty_warehouse(client)
    client.close()


def received(
    client: Client, store: ObjectStore, stack: Settings, hour: str, events: Sequence[Event]
) -> dict[str, Rows]:
    """Load events under one hour of receipt, build the marts for it, and return what they show then."""
    manifest = write_load(store, f"{hour}:05", list(events), source="insights")
    load_hours(client, store, "insights", {manifest.hours[0].received_hour: [manifest]})
    end = datetime.fromisoformat(f"{hour}:00") + timedelta(hours=1)
    window = {"window_from": f"{hour}:00:00", "window_to": f"{end:%Y-%m-%d %H:%M:%S}"}
    run_dbt(stack, ["run", *MODELS], window)
    return {what: [tuple(row) for row in client.query(query).result_rows] for what, query in QUERIES.items()}


def contents(client: Client) -> dict[str, Rows]:
    """All rows of the marts, sorted; states as what they merge to."""
    found = {}
    for mart in MARTS:
        state = "except (quantiles_state), finalizeAggregation(quantiles_state)" if "values" in mart else ""
        found[mart] = sorted(client.query(f"select * {state} from insights.{mart}").result_rows, key=repr)
    return found


def test_a_counter_goes_on_over_midnight_silence_and_resets(built: Built) -> None:
    assert built.chapters[0]["requests"] == [
        ("2026-11-01 09:00:00", None, 0),
        ("2026-11-02 23:59:00", 90, 0),
        ("2026-11-03 00:00:00", 30, 0),
        ("2026-11-03 12:00:00", 7, 1),
        ("2026-11-06 08:00:00", 10, 0),
        ("2026-11-14 08:00:00", None, 0),
    ]


def test_a_late_reading_restates_the_increase_after_it_in_whatever_day(built: Built) -> None:
    assert built.chapters[1]["requests"] == [
        ("2026-11-01 09:00:00", None, 0),
        ("2026-11-02 23:59:00", 90, 0),
        ("2026-11-03 00:00:00", 30, 0),
        ("2026-11-03 00:01:00", 5, 0),
        ("2026-11-03 12:00:00", 7, 1),
        ("2026-11-04 07:00:00", 2, 0),
        ("2026-11-06 08:00:00", 8, 0),
        ("2026-11-14 08:00:00", None, 0),
    ]


def test_late_samples_rewrite_their_days_and_those_that_go_on_from_them(built: Built) -> None:
    assert built.rewritten("metric_values_minute") == {"20261103", "20261104", "20261106", "20261114"}


def test_values_with_the_fewest_samples_fold_and_late_ones_may_change_which(built: Built) -> None:
    assert built.chapters[0]["folded"] == [("__other__", 2, 2), ("u102", 2, 2), ("u001", 1, 1)]
    assert built.chapters[1]["folded"] == [("u101", 4, 4), ("__other__", 2, 2), ("u102", 2, 2)]


@pytest.mark.parametrize("mart", MARTS)
def test_shuffled_increments_with_repeats_equal_one_full_build(built: Built, mart: str) -> None:
    assert built.increments[mart] == built.all_at_once[mart]
    assert built.all_at_once[mart]


def test_hours_and_days_hold_what_their_minutes_do(built: Built) -> None:
    totals = {
        grain: built.client.query(
            "select tenant_id, name, type, sum(samples), sum(count), sum(sum), min(min), max(max), sum(resets),"
            " sumMap(bucket_bounds, bucket_counts), quantilesExactWeightedMerge(0.25, 0.75)(quantiles_state)"
            f" from insights.metric_values_{grain} group by all order by all"
        ).result_rows
        for grain in ("minute", "hour", "day")
    }
    assert totals["minute"] == totals["hour"] == totals["day"]
    assert len(totals["day"]) == 10


def test_the_planted_jump_is_the_strongest_insight_of_its_day(built: Built) -> None:
    day = FIRST_DAY + timedelta(hours=300)
    rows = built.client.query(
        "select tenant_id, name, toString(hour) from insights.insights"
        f" where rank = 1 and day = '{day:%Y-%m-%d}' order by all"
    ).result_rows
    assert rows == [("s1", "cpu", f"{day:%Y-%m-%d %H:%M:%S}"), ("s2", "cpu", f"{day:%Y-%m-%d %H:%M:%S}")]


def test_a_dimension_beyond_its_limit_is_warned_of_and_fails_nothing(built: Built) -> None:
    results = json.loads((built.target / "run_results.json").read_text())["results"]
    statuses = {
        item["unique_id"].split(".")[2]: item["status"]
        for item in results
        if item["unique_id"].startswith("test.")
    }
    assert statuses["dimensions_within_limit"] == "warn"
    assert {status for name, status in statuses.items() if name != "dimensions_within_limit"} == {"pass"}
    catalog = built.client.query(
        "select name, folded_dimensions, dimension_cardinality['user'] from insights.metric_catalog"
        " where notEmpty(folded_dimensions)"
    ).result_rows
    assert catalog == [("clicks", ["user"], 102)]


def test_the_warning_names_metric_and_dimension(built: Built) -> None:
    manifest = json.loads((built.target / "manifest.json").read_text())
    (test,) = [
        name for name in manifest["nodes"] if name.startswith("test.millrace.dimensions_within_limit.")
    ]
    assert failing_rows(built.client, test, manifest, built.target) == (
        ": tenant_id folding, day 2026-11-14, name clicks, dimension user, distinct_values 102"
    )
    assert failing_rows(built.client, "test.millrace.unknown", manifest, built.target) == ""


def test_the_gate_lets_sound_marts_pass_and_no_personal_field_reaches_one(built: Built) -> None:
    address = gate_warehouse(built.settings)
    start = datetime.fromisoformat("2026-11-20T00:00+00:00")
    window = GateWindow(start, start + timedelta(days=2))
    found = run_suite(
        address, load_suite(load_source("insights")), window, partition="2026-11-20", run_id="run-1"
    )
    assert found.success, found.message
    lineage = run_lineage(load_source("insights"), built.target / "manifest.json")
    assert lineage.success, lineage.message


def test_a_report_lies_in_the_lake_as_its_row_says_and_again_with_the_same_bytes(built: Built) -> None:
    manifest = json.loads((built.target / "manifest.json").read_text())
    report = load_reports(manifest)["insights/service_health"]
    start = datetime.fromisoformat("2026-11-13T00:00+00:00")
    span = Range(start, start + timedelta(days=1))

    made = make_report(built.client, built.store, report, span, run_id="r1")
    again = make_report(built.client, built.store, report, span, run_id="r2")

    page = built.store.get_bytes(made.key).decode()
    assert (made.rows, page.count("<tr>")) == (48, 49)
    assert "<td>2026-11-13 12:00:00</td>" in page
    assert (again.key, again.sha256) == (made.key, made.sha256)
    noted = built.client.query(
        "select source, report, mart, format, toString(range_from), toString(range_to), rows, bytes, sha256, key, run_id"
        " from ops.reports order by made_at"
    ).result_rows
    about = (
        "insights",
        "service_health",
        "metric_values_hour",
        "html",
        "2026-11-13 00:00:00",
        "2026-11-14 00:00:00",
    )
    assert noted == [(*about, 48, len(page.encode()), made.sha256, made.key, run) for run in ("r1", "r2")]


def test_every_shipped_report_runs(built: Built) -> None:
    manifest = json.loads((built.target / "manifest.json").read_text())
    start = datetime.fromisoformat("2026-11-09T00:00+00:00")
    span = Range(start, start + timedelta(days=7))
    reports = [report for report in load_reports(manifest).values() if report.source == "insights"]
    rows = {report.id: make_report(built.client, built.store, report, span).rows for report in reports}
    assert set(rows) == {"insights/service_health", "insights/weekly_insights"}
    assert min(rows.values()) > 0
