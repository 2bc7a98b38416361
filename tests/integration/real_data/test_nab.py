"""Seven metric series with labelled anomalies, through the shipped mapping: what the mart `insights` finds in them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.proof import verify
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPING = PROJECT_ROOT / "ingestion" / "mappings" / "nab.yaml"
REPORT = PROJECT_ROOT / "docs" / "insights-on-nab.md"
FOLDER = "realKnownCause"
SCORES = """
with
series as (
    select
        name,
        count(*) as points,
        date_diff('minute', min(moment), max(moment)) as minutes
    from points
    group by all
),

alerts as (
    select
        insights.*,
        windows.since is not null as is_right
    from insights
    left join windows
        on insights.name = windows.name and hour + interval 59 minute >= since and hour <= until
),

found as (
    select
        windows.name,
        count(*) as labelled,
        list(date_diff('minute', since, until) / minutes) as shares,
        count(*) filter (exists (
            select 1 from alerts
            where alerts.name = windows.name and hour + interval 59 minute >= since and hour <= until
        )) as found
    from windows inner join series using (name)
    group by all
),

raised as (
    select
        series.name,
        count(alerts.name) as alerts,
        count(alerts.name) filter (not is_right) as false_alerts
    from series left join alerts using (name)
    group by all
)

select
    name,
    points,
    labelled,
    found,
    list_sum(list_transform(shares, lambda share: 1 - power(1 - share, alerts))) as by_chance,
    false_alerts
from series
inner join found using (name)
inner join raised using (name)
order by name
"""
"""An hour is right when one of its minutes lies in a labelled window of its series, and a window found when an hour is.
By chance: the windows that as many hours drawn at random would be expected to find."""


@pytest.fixture(scope="module")
def platform(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("nab"), "insights") as platform:
        for file in sorted((shared_data / "nab" / "data" / FOLDER).iterdir()):
            platform.load(file, MAPPING)
        platform.materialise()
        yield platform


@pytest.fixture(scope="module")
def scores(platform: Platform, shared_data: Path) -> list[tuple[Any, ...]]:
    """Name, points, labelled windows, windows found, by the mart and by chance, and false alerts of every series."""
    labels = json.loads((shared_data / "nab" / "labels" / "combined_windows.json").read_text())
    connection = duckdb.connect()
    connection.execute("create table windows (name varchar, since timestamp, until timestamp)")
    connection.execute("create table insights (name varchar, hour timestamp)")
    connection.execute("create table points (name varchar, moment timestamp)")
    for key, windows in labels.items():
        folder, _, name = key.removesuffix(".csv").rpartition("/")
        if folder == FOLDER and windows:
            connection.executemany("insert into windows values ($1, $2, $3)", [(name, *w) for w in windows])
    alerts = platform.rows("select name, toString(hour) from insights.insights where tenant_id = 'nab'")
    connection.executemany("insert into insights values ($1, $2)", alerts)
    files = str(shared_data / "nab" / "data" / FOLDER / "*")
    connection.execute(
        "insert into points select split_part(parse_filename(filename), '.', 1), timestamp "
        "from read_csv($1, filename = true)",
        [files],
    )
    return connection.execute(SCORES).fetchall()


def table(scores: list[tuple[Any, ...]]) -> str:
    """The figures as the report prints them; every other series, by name, is one that parameters were chosen on."""
    lines = [
        "| series | used for | points | labelled windows | found | by chance | false alerts | per 1,000 points |"
    ]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    series = [(row[0], ("tuning", "test")[place % 2], *row[1:]) for place, row in enumerate(scores)]
    rows = list(series)
    for label, use in (("tuning series", "tuning"), ("test series", "test"), ("all series", None)):
        chosen = [row[2:] for row in series if use is None or row[1] == use]
        rows.append((f"**{label}**", "", *map(sum, zip(*chosen, strict=True))))
    for name, use, points, labelled, found, chance, wrong in rows:
        rate = 1000 * wrong / points
        lines.append(
            f"| {name} | {use} | {points:,} | {labelled} | {found} | {chance:.1f} | {wrong} | {rate:.2f} |"
        )
    return "\n".join(lines)


def test_every_point_of_every_series_arrives(platform: Platform) -> None:
    counts = [manifest.counts for manifest in platform.manifests]
    assert sum(c.read for c in counts) == sum(c.accepted for c in counts) == 69_561
    assert platform.rows("select count(), uniqExact(name) from staging.stg_insights__system_metrics") == [
        (69_561, 7)
    ]


def test_the_second_engine_finds_the_same_deviations(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "insights")
    assert report.differences == ()
    assert {mart.mart for mart in report.marts if mart.rows} >= {"insights", "metric_values_hour"}


def test_the_report_tells_what_the_mart_finds(scores: list[tuple[Any, ...]]) -> None:
    assert table(scores) in REPORT.read_text(encoding="utf-8")
