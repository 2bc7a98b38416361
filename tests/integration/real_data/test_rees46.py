"""Fifty minutes of a shop's click stream, torn off in the last line, against DuckDB on the file itself."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.proof import verify
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPING = PROJECT_ROOT / "ingestion" / "mappings" / "rees46.yaml"
TORN_USER = "52040330"


@pytest.fixture(scope="module")
def clicks(shared_data: Path) -> duckdb.DuckDBPyConnection:
    """The whole rows of the file; the torn one has no session."""
    connection = duckdb.connect()
    file = shared_data / "rees46_2019oct_head" / "2019-Oct.csv.gz"
    connection.execute(
        """
        create table clicks as
        select
            event_type, product_id, user_session, user_id,
            cast(price as decimal(18, 4)) as price,
            strptime(event_time, '%Y-%m-%d %H:%M:%S UTC') as clicked_at
        from read_csv($1, header = true, all_varchar = true, null_padding = true)
        where user_session is not null
        """,
        [str(file)],
    )
    return connection


@pytest.fixture(scope="module")
def platform(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("rees46")) as platform:
        platform.load(shared_data / "rees46_2019oct_head" / "2019-Oct.csv.gz", MAPPING)
        platform.materialise()
        yield platform


def funnel(clicks: duckdb.DuckDBPyConnection, *, per_product: bool) -> list[tuple[Any, ...]]:
    """Count sessions that viewed, and that then put in the cart; the feed has no other step of the funnel."""
    scope = "product_id" if per_product else "'all'"
    return clicks.execute(
        f"""
        with
        scoped as (select *, {scope} as scope from clicks),
        started as (select user_session, cast(min(clicked_at) as date) as day from clicks group by all),
        viewed as (
            select user_session, scope, min(clicked_at) as viewed_at
            from scoped where event_type = 'view' group by all
        ),
        carted as (
            select viewed.user_session, viewed.scope, min(scoped.clicked_at) as carted_at
            from viewed inner join scoped
                on viewed.user_session = scoped.user_session and viewed.scope = scoped.scope
            where scoped.event_type = 'cart' and scoped.clicked_at >= viewed.viewed_at
            group by all
        )
        select
            day, scope, count(*) as views, count(carted_at) as carts, 1 - count(carted_at) / count(*) as lost,
            cast(
                list_sort(list(date_diff('second', viewed_at, carted_at)) filter (carted_at is not null))
                [count(carted_at) // 2 + 1] as double
            ) as wait
        from viewed left join carted using (user_session, scope) inner join started using (user_session)
        group by day, scope order by day, scope
        """
    ).fetchall()


def test_all_whole_rows_land_and_the_torn_one_is_in_quarantine(platform: Platform) -> None:
    counts = platform.manifests[0].counts
    assert (counts.read, counts.accepted, counts.duplicate, counts.quarantined) == (17_435, 17_434, 0, 1)
    assert platform.rows(
        "select event_type, count() from raw.events group by event_type order by event_type"
    ) == [
        ("CART_ITEM_ADDED", 165),
        ("ORDER_PLACED", 214),
        ("PRODUCT_VIEWED", 17_055),
    ]
    assert platform.rows("select codes, row_number from ops.quarantine") == [(["field_missing"], 17_435)]


def test_the_purchases_of_200_sessions_are_orders_at_their_price(
    platform: Platform, clicks: duckdb.DuckDBPyConnection
) -> None:
    paid = clicks.execute("select sum(price) from clicks where event_type = 'purchase'").fetchone()
    assert paid is not None
    assert platform.rows("select sum(orders), sum(gmv) from pocm.kpi_daily where currency = 'USD'") == [
        (214, paid[0])
    ]
    assert platform.rows(
        "select uniqExact(session_id) from raw.events where event_type = 'ORDER_PLACED'"
    ) == [(200,)]


def test_the_torn_line_invents_no_session(platform: Platform, clicks: duckdb.DuckDBPyConnection) -> None:
    sessions = clicks.execute("select count(distinct user_session) from clicks").fetchone()
    assert sessions is not None
    assert platform.rows("select sum(sessions) from pocm.kpi_daily") == [(sessions[0],)]
    users = clicks.execute("select count(distinct user_id) from clicks").fetchone()
    assert platform.rows("select uniqExact(user_key) from raw.events") == [users]


def test_the_funnel_over_everything_equals_duckdb_on_the_file(
    platform: Platform, clicks: duckdb.DuckDBPyConnection
) -> None:
    expected = funnel(clicks, per_product=False)
    assert (
        platform.rows(
            "select day, scope, sessions, sessions_next, drop_off_rate, median_seconds_to_next"
            " from pocm.funnel_step"
            " where scope = 'all' and step = 'product_view' order by day"
        )
        == expected
    )
    assert platform.rows(
        "select step, sum(sessions) from pocm.funnel_step where scope = 'all' group by step, step_number"
        " order by step_number"
    ) == [
        ("search", 0),
        ("product_view", sum(row[2] for row in expected)),
        ("add_to_cart", sum(row[3] for row in expected)),
        ("checkout", 0),
        ("payment", 0),
    ]


def test_the_funnel_of_every_product_equals_duckdb_on_the_file(
    platform: Platform, clicks: duckdb.DuckDBPyConnection
) -> None:
    assert platform.rows(
        "select day, scope, sessions, sessions_next, drop_off_rate, median_seconds_to_next"
        " from pocm.funnel_step"
        " where scope != 'all' and step = 'product_view' and sessions > 0 order by day, scope"
    ) == funnel(clicks, per_product=True)


def test_the_proof_agrees_with_every_value(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "pocm")
    assert report.differences == ()
    assert report.ok
