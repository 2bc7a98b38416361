"""Ten thousand lines of a web server's access log, through the shipped mapping to the marts."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from expectations.proof import verify
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPING = PROJECT_ROOT / "ingestion" / "mappings" / "apache_user_actions.yaml"


@pytest.fixture(scope="module")
def log(shared_data: Path) -> Path:
    return shared_data / "apache_access_log" / "apache_logs.gz"


def lines(log: Path) -> list[bytes]:
    with gzip.open(log) as content:
        return content.read().splitlines()


@pytest.fixture(scope="module")
def platform(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("log"), "insights") as platform:
        platform.load(log, MAPPING)
        platform.materialise()
        yield platform


def test_all_ten_thousand_lines_arrive(platform: Platform) -> None:
    (manifest,) = platform.manifests
    assert (manifest.counts.read, manifest.counts.accepted) == (10_000, 10_000)
    assert platform.rows("select sum(events), count(distinct name) from insights.event_counts") == [
        (10_000, 4)
    ]


def test_requests_count_by_method_as_in_the_file(platform: Platform, log: Path) -> None:
    methods = [line.split(b'"')[1].split()[0].decode().lower() for line in lines(log)]
    counted = dict(platform.rows("select name, sum(events) from insights.event_counts group by name"))
    assert counted == {name: methods.count(name) for name in set(methods)}


def test_no_address_of_a_visitor_is_stored(platform: Platform, log: Path) -> None:
    addresses = {line.split(b" ", 1)[0].decode() for line in lines(log)}
    stored = platform.rows("select payload, user_key from raw.events")
    assert len(addresses) == 1_753
    assert not [payload for payload, _ in stored if any(f'"{address}"' in payload for address in addresses)]
    assert {len(key) for _, key in stored} == {32}


def test_the_second_engine_counts_the_same(platform: Platform) -> None:
    assert verify(platform.store, platform.client, "insights").differences == ()
