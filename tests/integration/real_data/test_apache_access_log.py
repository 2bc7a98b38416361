"""Ten thousand requests of a web server, line by line through the shipped mapping to sessions."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.proof import verify
from ingestion.quarantine import samples
from lake.manifest import Counts
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import KEY, Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPING = PROJECT_ROOT / "ingestion" / "mappings" / "apache_access_log.yaml"
LINES, TORN = 10_000, 1
STATUSES = {200: 9_126, 304: 445, 404: 213, 301: 164}
CRAWLERS = "regexp_matches(agent, '(?i)googlebot|bingbot|msnbot|baiduspider|yandexbot|slurp|archive.org_bot')"


@pytest.fixture(scope="module")
def log(shared_data: Path) -> Path:
    return shared_data / "apache_access_log" / "apache_logs.gz"


@pytest.fixture(scope="module")
def requests(log: Path) -> duckdb.DuckDBPyConnection:
    """The whole lines of the file, taken apart by DuckDB itself."""
    connection = duckdb.connect()
    lines = gzip.decompress(log.read_bytes()).decode().splitlines()
    connection.execute("create table lines as select unnest(?::varchar[]) as line", [lines])
    connection.execute(
        """create table requests as
        select
            split_part(line, ' ', 1) as address,
            strptime(regexp_extract(line, '\\[([^ ]+) ', 1), '%d/%b/%Y:%H:%M:%S') as moment,
            regexp_extract(line, '"([^"]*)"$', 1) as agent
        from lines where ends_with(line, '"')"""
    )
    return connection


@pytest.fixture(scope="module")
def platform(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("weblog"), "bilten") as platform:
        platform.load(log, MAPPING)
        platform.materialise()
        yield platform


def rows(connection: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()


def test_every_line_is_accounted_for_and_the_torn_one_kept(platform: Platform) -> None:
    (manifest,) = platform.manifests
    assert manifest.counts == Counts(read=LINES, accepted=LINES - TORN, quarantined=TORN)
    ((line, code),) = [
        (sample.original, sample.violations[0][0]) for sample in samples(platform.store, "bilten", key=KEY)
    ]
    assert (line is not None and line.endswith(b"bot.html"), code) == (True, "field_format")


def test_the_answers_of_the_server_are_those_that_are_known_of_the_file(platform: Platform) -> None:
    # The torn line was answered with 200.
    expected = STATUSES | {200: STATUSES[200] - TORN}
    found = dict(
        platform.rows(
            "select http_status, count() from staging.stg_bilten__tracked_events group by http_status"
        )
    )
    assert {status: found[status] for status in STATUSES} == expected


def test_sessions_by_silence_are_those_of_duckdb(
    platform: Platform, requests: duckdb.DuckDBPyConnection
) -> None:
    expected = rows(
        requests,
        """with apart as (
            select *, moment - lag(moment) over visits >= interval 30 minutes as is_next
            from requests window visits as (partition by address, agent order by moment)
        ),
        numbered as (
            select *, count(*) filter (is_next) over (
                partition by address, agent order by moment range unbounded preceding
            ) as visit
            from apart
        ),
        sessions as (
            select min(moment) as started_at, max(moment) as ended_at, count(*) as events
            from numbered group by address, agent, visit
        )
        select cast(started_at as date), count(*), sum(events), sum(epoch_ms(ended_at) - epoch_ms(started_at))
        from sessions group by 1 order by 1""",
    )
    found = platform.rows(
        "select session_date, count(), sum(events), sum(duration_ms) from bilten.fact_sessions "
        "group by session_date order by session_date"
    )
    assert found == expected
    assert sum(row[2] for row in found) == LINES - TORN


def test_crawlers_are_marked_and_count_nowhere(
    platform: Platform, requests: duckdb.DuckDBPyConnection
) -> None:
    ((crawls,),) = rows(requests, f"select count(*) from requests where {CRAWLERS}")
    marked = platform.rows(
        "select countIf(is_bot), countIf(not is_bot) from bilten.fact_events "
        "where match(browser, '(?i)googlebot|bingbot|msnbot|baiduspider|yandexbot|slurp|archive.org_bot')"
    )
    assert crawls > 0
    assert marked[0][1] == 0
    ((bots,),) = platform.rows("select countIf(is_bot) from bilten.fact_events")
    ((views,),) = platform.rows("select sum(page_views) from bilten.kpi_daily")
    assert bots >= crawls
    assert views == LINES - TORN - bots


def test_no_address_reaches_the_warehouse(platform: Platform, requests: duckdb.DuckDBPyConnection) -> None:
    ((address,),) = rows(requests, "select address from requests group by 1 order by count(*) desc limit 1")
    assert platform.rows(f"select count() from raw.events where position(payload, '{address}') > 0") == [(0,)]


def test_every_value_of_every_proven_mart_agrees(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "bilten")
    assert report.differences == ()
    assert report.ok
