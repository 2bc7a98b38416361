"""The Open University's students, through the shipped mappings to the lake and the marts, against DuckDB on the files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.proof import verify
from lake.manifest import Counts, Manifest
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPINGS = PROJECT_ROOT / "ingestion" / "mappings"
FILES = {
    "oulad_registrations": "studentRegistration.csv.gz",
    "oulad_assessments": "studentAssessment.csv.gz",
    "oulad_clicks": "studentVle.csv.gz",
}
MARTS = ("daily_activity_summary", "learning_sessions", "learning_overview", "hourly_analytics_summary")
START_OF = "make_date(code_presentation[1:4]::int, if(code_presentation[5:] = 'B', 2, 10), 1)"


@pytest.fixture(scope="module")
def files(shared_data: Path) -> duckdb.DuckDBPyConnection:
    """The files as they are, each under its own name, with the days as dates."""
    connection = duckdb.connect()
    for file in (shared_data / "oulad").glob("*.csv*"):
        name = file.name.partition(".")[0]
        connection.execute(
            f"create table {name} as from read_csv('{file}', all_varchar = true, nullstr = '')"
        )
    connection.execute(
        f"""
        create table submitted as
        select *, {START_OF} + date_submitted::int as day
        from studentAssessment inner join assessments using (id_assessment);
        create table clicked as select *, {START_OF} + date::int as day from studentVle
        """
    )
    return connection


@pytest.fixture(scope="module")
def platform(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("oulad"), "studyin") as platform:
        yield platform


@pytest.fixture(scope="module")
def loads(shared_data: Path, platform: Platform) -> dict[str, Manifest]:
    return {
        mapping: platform.load(shared_data / "oulad" / file, MAPPINGS / f"{mapping}.yaml")
        for mapping, file in FILES.items()
    }


@pytest.fixture(scope="module")
def marts(loads: dict[str, Manifest], platform: Platform) -> Platform:
    """The platform with the marts built of what was loaded."""
    platform.materialise()
    return platform


def one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def lake(platform: Platform, manifest: Manifest, query: str) -> tuple[Any, ...]:
    """Ask DuckDB about the raw files of a load, under the name `raw`."""
    paths = []
    connection = duckdb.connect()
    folder = platform.settings.state_dir
    for number, file in enumerate(f for f in manifest.files if f.kind == "raw"):
        paths.append(str(folder / f"{manifest.load_id}-{number}.parquet"))
        platform.store.download(file.key, Path(paths[-1]))
    connection.execute("set timezone = 'UTC'")
    connection.execute(f"create view raw as select * from read_parquet({paths})")
    return one(connection, query)


def test_the_files_are_those_whose_figures_are_known(files: duckdb.DuckDBPyConnection) -> None:
    assert one(files, "select count(*), count(*) filter (score is null) from studentAssessment") == (
        173_912,
        173,
    )
    assert one(files, "select count(*), sum(sum_click::int) from studentVle") == (13_905, 61_980)
    assert one(files, "select count(*), count(date_unregistration) from studentRegistration") == (
        32_593,
        10_072,
    )


def test_every_submission_is_in_the_lake_scored_or_not(
    platform: Platform, loads: dict[str, Manifest], files: duckdb.DuckDBPyConnection
) -> None:
    manifest = loads["oulad_assessments"]
    assert (manifest.counts.read, manifest.counts.accepted) == (173_912, 173_912)
    found = lake(
        platform,
        manifest,
        """
        select
            count(*), count(*) filter (json_extract(payload, '$.score') is null),
            sum(json_extract_string(payload, '$.score')::int), count(distinct user_key), count(distinct session_id),
            min(occurred_at)::date, max(occurred_at)::date
        from raw
        """,
    )
    assert found == one(
        files,
        """
        select
            count(*), count(*) filter (score is null), sum(score::int), count(distinct id_student),
            count(distinct (code_module, code_presentation, id_student)), min(day), max(day)
        from submitted
        """,
    )
    assert found[:2] == (173_912, 173)


def test_every_click_is_in_the_lake(platform: Platform, loads: dict[str, Manifest]) -> None:
    manifest = loads["oulad_clicks"]
    assert (manifest.counts.read, manifest.counts.accepted) == (13_905, 13_905)
    clicks = "select count(*), sum(json_extract_string(payload, '$.clicks')::int) from raw"
    assert lake(platform, manifest, clicks) == (13_905, 61_980)


def test_a_site_is_of_the_type_that_the_other_file_says(
    platform: Platform, loads: dict[str, Manifest], files: duckdb.DuckDBPyConnection
) -> None:
    types = "select list_sort(list(distinct {})) from {}"
    assert lake(
        platform,
        loads["oulad_clicks"],
        types.format("json_extract_string(payload, '$.material_type')", "raw"),
    ) == one(files, types.format("activity_type", "studentVle inner join vle using (id_site)"))


def test_a_registration_without_a_day_is_kept_in_quarantine(loads: dict[str, Manifest]) -> None:
    counts = loads["oulad_registrations"].counts
    assert counts == Counts(read=32_593, accepted=32_548 + 10_072, quarantined=45, expanded=10_072)
    assert loads["oulad_registrations"].codes == {"envelope_missing": 45}


def test_the_marts_hold_every_submission_and_every_click(marts: Platform) -> None:
    assert marts.rows(
        """
        select
            sum(assessments_submitted), sum(assessments_submitted - assessments_scored),
            sum(materials_viewed), sum(material_clicks)
        from studyin.daily_activity_summary where tenant_id = 'oulad'
        """
    ) == [(173_912, 173, 13_905, 61_980)]


def test_days_are_counted_from_the_start_of_the_presentation(
    marts: Platform, files: duckdb.DuckDBPyConnection
) -> None:
    expected = files.execute(
        """
        select day, count(*), count(score), sum(score::decimal(18, 4)) from submitted group by day order by day
        """
    ).fetchall()
    actual = marts.rows(
        """
        select day, assessments_submitted, assessments_scored, assessment_score_sum
        from studyin.daily_activity_summary where assessments_submitted > 0 order by day
        """
    )
    assert [row[:3] for row in actual] == [row[:3] for row in expected]
    assert [row[3] for row in actual] == [row[3] or 0 for row in expected]


def test_who_withdrew_has_closed_the_session_and_who_stayed_has_not(marts: Platform) -> None:
    assert (
        marts.rows("select count(), countIf(ends > 0), countIf(is_closed) from studyin.learning_sessions")[0][
            1
        ]
        == 10_072
    )


def test_the_second_engine_agrees(marts: Platform) -> None:
    report = verify(marts.store, marts.client, "studyin", marts=MARTS)
    assert report.differences == ()
    assert all(result.values > 0 for result in report.marts)
