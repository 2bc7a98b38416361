"""Glucose monitors of nineteen people and a year of device reports, through the shipped mappings to the marts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.proof import verify
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPINGS = PROJECT_ROOT / "ingestion" / "mappings"
ANOMALIES = 650
REPORTS_WITH_LOT = (333, 156, 10, 1)
"""Mild, severe, fatal ones, and one that does not say."""
EXACTLY = 1e-12
"""Relative: DuckDB adds floats up, the mart whole numbers."""


@pytest.fixture(scope="module")
def readings(shared_data: Path) -> duckdb.DuckDBPyConnection:
    """The file of readings, as DuckDB reads it."""
    connection = duckdb.connect()
    connection.execute(
        "create table readings as select id, time, gl, cast(time as date) as day from read_csv($1)",
        [str(shared_data / "cgm" / "example_data_hall.csv.gz")],
    )
    return connection


@pytest.fixture(scope="module")
def platform(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("devices")) as platform:
        platform.load(shared_data / "cgm" / "example_data_hall.csv.gz", MAPPINGS / "cgm_readings.yaml")
        platform.load(
            shared_data / "maude_bone_cement_2017" / "maude.csv", MAPPINGS / "maude_adverse_events.yaml"
        )
        platform.materialise()
        yield platform


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_every_reading_and_every_report_is_accounted_for(platform: Platform) -> None:
    counts = {manifest.counts.read: manifest.counts for manifest in platform.manifests}
    assert (counts[34_890].accepted, counts[34_890].quarantined) == (34_890, 0)
    assert (counts[535].accepted, counts[535].quarantined) == (535, 0)
    assert platform.rows(
        "select count(), uniqExact(device_id), uniqExact(event_id) from pocm.fact_device_readings"
    ) == [(34_890, 19, 34_890)]


def test_daily_mean_and_variation_of_every_device_are_those_of_duckdb(
    platform: Platform, readings: duckdb.DuckDBPyConnection
) -> None:
    expected = rows(
        readings,
        "select id, day, count(*), avg(gl), stddev_samp(gl) / avg(gl) from readings group by all order by all",
    )
    actual = platform.rows(
        """
        select
            device_id, day, sum(readings) as number, sum(value_sum) / number / 10000 as mean,
            sqrt((sum(square_sum) / 1e8 - number * mean * mean) / (number - 1)) / mean
        from intermediate.int_pocm__sensor_spans_daily
        where sensor = 'glucose' group by device_id, day order by device_id, day
        """
    )
    assert len(expected) == 152
    assert [row[:3] for row in actual] == [row[:3] for row in expected]
    assert [row[3] for row in actual] == pytest.approx([row[3] for row in expected], rel=EXACTLY)
    assert [row[4] for row in actual] == pytest.approx([row[4] for row in expected], rel=1e-9)


def test_device_metrics_of_every_day_are_those_of_duckdb(
    platform: Platform, readings: duckdb.DuckDBPyConnection
) -> None:
    expected = rows(
        readings,
        """
        select day, count(distinct id), count(*), avg(gl), stddev_samp(gl) / avg(gl)
        from readings group by all order by all
        """,
    )
    actual = platform.rows(
        """
        select day, active_devices, readings['glucose'], reading_mean['glucose'], reading_variation['glucose']
        from pocm.device_metrics
        where tenant_id = 'hall-2018' and device_type = 'unknown' and firmware_version = 'unknown' order by day
        """
    )
    assert [row[:3] for row in actual] == [row[:3] for row in expected]
    for column in (3, 4):
        assert [row[column] for row in actual] == pytest.approx(
            [row[column] for row in expected], rel=EXACTLY
        )


def test_the_anomalies_are_those_that_duckdb_finds(
    platform: Platform, readings: duckdb.DuckDBPyConnection
) -> None:
    expected = rows(
        readings,
        """
        with
        weeks as (
            select own.id, own.day, list_sort(list(week.gl)) as seen, seen[1 + len(seen) // 2] as median
            from (select distinct id, day from readings) as own
            inner join readings as week on own.id = week.id and week.day between own.day - 6 and own.day
            group by all
        ),
        spreads as (
            select
                id, day, median,
                list_sort(list_transform(seen, lambda value: abs(value - median)))[1 + len(seen) // 2] as mad
            from weeks
        )
        select id, strftime(time, '%Y-%m-%d %H:%M:%S'), gl
        from readings inner join spreads using (id, day)
        where mad > 0 and abs(gl - median) > 4 * 1.4826 * mad
        order by all
        """,
    )
    actual = platform.rows(
        "select device_id, formatDateTime(read_at, '%Y-%m-%d %H:%i:%S', 'UTC'), value"
        " from pocm.fact_device_readings where is_anomaly order by device_id, read_at"
    )
    assert actual == expected
    assert len(actual) == ANOMALIES
    assert platform.rows("select sum(anomalies) from pocm.device_metrics") == [(ANOMALIES,)]


def test_reports_keep_their_severity_and_none_is_invented(platform: Platform) -> None:
    assert platform.rows(
        "select code, severity, count() from pocm.fact_adverse_events group by all order by 3 desc"
    ) == [
        ("malfunction", "mild", 341),
        ("injury", "severe", 182),
        ("death", "fatal", 11),
        ("no answer provided", "unknown", 1),
    ]


def test_every_lot_is_a_batch_with_its_reports_by_severity(platform: Platform) -> None:
    assert platform.rows(
        """
        select
            count(), sum(adverse_events), sum(adverse_events_mild), sum(adverse_events_severe),
            sum(adverse_events_fatal), sum(adverse_events_unknown), countIf(recalled)
        from pocm.batch_performance where tenant_id = 'maude'
        """
    ) == [(300, 500, *REPORTS_WITH_LOT, 0)]
    assert platform.rows("select count() from pocm.fact_adverse_events where batch_id is null") == [(35,)]


def test_reports_without_devices_have_no_rate(platform: Platform) -> None:
    assert platform.rows(
        "select sum(adverse_events), sum(active_devices), countIf(adverse_event_rate is not null)"
        " from pocm.kpi_daily where tenant_id = 'maude'"
    ) == [(535, 0, 0)]


def test_the_proof_agrees_with_every_value(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "pocm")
    assert report.differences == ()
    assert report.ok
