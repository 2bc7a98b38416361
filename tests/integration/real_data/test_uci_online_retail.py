"""A year of a UK shop's invoices, through the shipped mapping to the marts, against DuckDB on the file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from expectations.proof import verify
from lake.manifest import Counts
from orchestration.settings import PROJECT_ROOT
from tests.integration.real_data.pipeline import Platform, running_platform

pytestmark = [pytest.mark.stack, pytest.mark.shared_data]
MAPPING = PROJECT_ROOT / "ingestion" / "mappings" / "uci_online_retail.yaml"
CELLS = 1_435
"""53 cohorts with every week up to that of the last invoice, the week of Christmas without any included."""
KNOWN_CUSTOMERS = 4_339
COHORTS = """
    with
    first as (
        select customer, cast(date_trunc('week', min(day)) as date) as cohort
        from orders where customer is not null group by customer
    ),
    sizes as (select cohort, count(*) as size from first group by cohort),
    bought as (
        select first.cohort, customer, cast(date_trunc('week', day) as date) as week, gmv
        from orders inner join first using (customer)
    ),
    calendar as (
        select cohort, size, cast(unnest(generate_series(cohort, date '2011-12-05', interval 7 days)) as date) as week
        from sizes
    )
"""


@pytest.fixture(scope="module")
def invoices(shared_data: Path) -> duckdb.DuckDBPyConnection:
    """The file, without exact duplicate lines, and one row per invoice that is an order."""
    connection = duckdb.connect()
    file = shared_data / "uci_online_retail" / "online_retail_2010_2011.parquet"
    connection.execute("create table lines as select * from read_parquet($1)", [str(file)])
    connection.execute(
        """
        create table orders as
        select
            InvoiceNo as invoice,
            cast(min(InvoiceDate) as date) as day,
            sum(cast(UnitPrice as decimal(18, 4)) * Quantity) as gmv,
            sum(Quantity) as items,
            any_value(CustomerID) as customer
        from (select distinct * from lines)
        where InvoiceNo not like 'C%' and InvoiceNo not like 'A%'
        group by InvoiceNo
        having min(Quantity) >= 1 and min(UnitPrice) >= 0
        """
    )
    return connection


@pytest.fixture(scope="module")
def platform(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running_platform(tmp_path_factory.mktemp("uci")) as platform:
        platform.load(shared_data / "uci_online_retail" / "online_retail_2010_2011.parquet", MAPPING)
        platform.materialise()
        yield platform


def one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[Any, ...]:
    row = connection.execute(query).fetchone()
    assert row is not None
    return row


def test_the_file_is_the_one_whose_figures_are_known(invoices: duckdb.DuckDBPyConnection) -> None:
    assert one(
        invoices,
        """
        select
            count(*), count(distinct InvoiceNo), count(distinct CustomerID),
            count(*) filter (InvoiceNo like 'C%'),
            count(*) - (select count(*) from (select distinct * from lines)),
            cast(sum(Quantity * cast(UnitPrice as decimal(18, 4))) as varchar)
        from lines
        """,
    ) == (541_909, 25_900, 4_372, 9_288, 5_268, "9747747.9340")


def test_every_invoice_is_accounted_for(platform: Platform, invoices: duckdb.DuckDBPyConnection) -> None:
    counts = platform.manifests[0].counts
    orders = one(invoices, "select count(*) from orders")[0]
    cancelled = one(invoices, "select count(distinct InvoiceNo) from lines where InvoiceNo like 'C%'")[0]
    assert counts == Counts(
        read=541_909,
        accepted=orders + cancelled,
        quarantined=25_900 - orders - cancelled,
        folded=541_909 - 25_900,
    )
    assert platform.rows("select sum(read), sum(folded), sum(skipped), sum(expanded) from ops.loads") == [
        (541_909, 516_009, 0, 0)
    ]


def test_stock_adjustments_and_bad_debt_are_seen_in_quarantine(platform: Platform) -> None:
    assert platform.manifests[0].codes == {"field_range": 1_336, "type_unknown": 3}


def test_gmv_orders_and_items_over_all_days_equal_the_file_to_the_cent(
    platform: Platform, invoices: duckdb.DuckDBPyConnection
) -> None:
    expected = one(invoices, "select cast(sum(gmv) as varchar), count(*), sum(items) from orders")
    actual = platform.rows(
        "select toString(toDecimal128(sum(gmv), 4)), sum(orders), sum(items_sold) from pocm.kpi_daily"
        " where tenant_id = 'uci' and currency = 'GBP'"
    )[0]
    assert expected == ("10631048.7440", 20_725, 5_645_016)
    assert (f"{float(actual[0]):.4f}", *actual[1:]) == expected


def test_every_single_day_equals_the_file(platform: Platform, invoices: duckdb.DuckDBPyConnection) -> None:
    expected = invoices.execute(
        "select day, sum(gmv), count(*), sum(items), count(distinct customer) from orders"
        " group by day order by day"
    ).fetchall()
    actual = platform.rows(
        "select day, gmv, orders, items_sold, unique_purchasers from pocm.kpi_daily"
        " where orders > 0 order by day"
    )
    assert len(expected) == 305
    assert actual == expected


def test_a_cancelling_invoice_takes_nothing_off_an_order(platform: Platform) -> None:
    assert platform.rows(
        "select count(), uniqExact(order_id) from raw.events where event_type = 'ORDER_CANCELLED'"
    ) == [(3_836, 3_836)]


def test_every_cohort_comes_back_as_the_file_says(
    platform: Platform, invoices: duckdb.DuckDBPyConnection
) -> None:
    expected = invoices.execute(
        f"""
        {COHORTS}
        select
            cohort, (week - cohort) // 7 as week_number, size,
            (
                select count(distinct customer) from bought
                where bought.cohort = calendar.cohort and bought.week = calendar.week
            ) as retained
        from calendar
        order by cohort, week
        """
    ).fetchall()
    actual = platform.rows(
        "select cohort_week, week_number, cohort_users, retained_users from pocm.cohort_retention"
        " order by cohort_week, week_number"
    )
    assert actual == expected
    assert len(expected) == CELLS
    assert sum(size for _, week, size, _ in expected if week == 0) == KNOWN_CUSTOMERS
    assert [retained for _, _, _, retained in actual[:6]] == [303, 65, 73, 20, 0, 60]


def test_every_cohort_is_worth_what_the_file_says_to_the_cent(
    platform: Platform, invoices: duckdb.DuckDBPyConnection
) -> None:
    expected = invoices.execute(
        f"""
        {COHORTS}
        select
            calendar.cohort, calendar.week, coalesce(sum(gmv) filter (bought.week = calendar.week), 0),
            coalesce(sum(gmv), 0),
            cast(cast(coalesce(sum(gmv), 0) * 10000 as hugeint) // any_value(size) as decimal(22, 0)) * 0.0001
        from calendar
        left join bought on bought.cohort = calendar.cohort and bought.week <= calendar.week
        group by calendar.cohort, calendar.week
        order by calendar.cohort, calendar.week
        """
    ).fetchall()
    actual = platform.rows(
        "select cohort_week, activity_week, net_revenue, cumulative_net_revenue, ltv from pocm.cohort_ltv"
        " where currency = 'GBP' order by cohort_week, activity_week"
    )
    assert actual == expected
    assert len(expected) == CELLS
    assert f"{sum(row[2] for row in actual):.4f}" == "8887208.8940"


def test_weeks_and_months_count_every_customer_once(
    platform: Platform, invoices: duckdb.DuckDBPyConnection
) -> None:
    """Cancelling invoices are events of their customers too."""
    for unit, mart in (("week", "active_weekly"), ("month", "active_monthly")):
        expected = invoices.execute(
            f"""
            with invoices as (
                select InvoiceNo, any_value(CustomerID) as customer, min(InvoiceDate) as moment
                from lines
                where not InvoiceNo like 'A%'
                group by InvoiceNo
                having InvoiceNo like 'C%' or (min(Quantity) >= 1 and min(UnitPrice) >= 0)
            )
            select cast(date_trunc('{unit}', moment) as date), count(distinct customer)
            from invoices group by all order by all
            """
        ).fetchall()
        assert platform.rows(f"select {unit}, users from pocm.{mart} order by {unit}") == expected


def test_the_proof_agrees_with_every_value(platform: Platform) -> None:
    report = verify(platform.store, platform.client, "pocm")
    assert report.differences == ()
    assert report.ok
