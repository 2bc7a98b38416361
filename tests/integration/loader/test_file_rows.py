"""A mapping may group, filter and multiply the rows of a file: each row of the file is accounted for all the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ingestion.contract import CONTRACTS_ROOT, Source, load_source
from ingestion.errors import LoadError
from ingestion.quarantine import samples
from ingestion.replay import replay
from lake.manifest import Counts, Manifest
from lake.store import ObjectStore
from orchestration.settings import PROJECT_ROOT
from tests.integration.loader.events import KEY, Loader, content, rows

SHIPPED = PROJECT_ROOT / "ingestion" / "mappings"
ORDERS = """
source: pocm
{lookups}
input: {query}
rules:
  - event_type: ORDER_PLACED
    envelope: {{event_id: id, occurred_at: "'2026-10-01T10:00:00Z'", tenant_id: "'shop'"}}
    payload:
      order_id: id
      amount: amount::decimal(18, 4)
      currency: "'EUR'"
      items: "[{{'product_id': 'p', 'quantity': 1, 'unit_price': abs(amount::decimal(18, 4))}}]"
"""
LINES = "id,amount\na,1\nb,2\na,3\nc,-4\nb,5\na,6\n"


@pytest.fixture
def mapped(loading: Loader, tmp_path: Path) -> Callable[..., Manifest]:
    """Loads a CSV through a query over its rows."""

    def run(text: str, query: str, *, lookups: str = "", **options: Any) -> Manifest:
        (tmp_path / "orders.csv").write_text(text)
        (tmp_path / "mapping.yaml").write_text(ORDERS.format(query=json.dumps(query), lookups=lookups))
        return loading(tmp_path / "orders.csv", mapping=tmp_path / "mapping.yaml", **options).manifest

    return run


def places(store: ObjectStore) -> list[tuple[int, str]]:
    """Row numbers and first codes of what is in quarantine, in order."""
    return sorted((sample.row_number, sample.violations[0][0]) for sample in samples(store, "pocm", key=KEY))


CLICKS = """event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:02 UTC,view,1,10,a.b,x,-5.00,u1,s1
2019-10-01 00:00:01 UTC,view,2,10,a.b,x,-7.00,u2,s2
2019-10-01 00:00:03 UTC,view,3,10,a.b,x,9.00,u3,s3
"""


def test_two_rejected_rows_of_a_click_stream_are_quarantined_at_their_places(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "clicks.csv").write_text(CLICKS)

    manifest = loading(tmp_path / "clicks.csv", mapping=SHIPPED / "rees46.yaml").manifest

    assert manifest.counts == Counts(read=3, accepted=1, quarantined=2)
    assert places(store) == [(1, "field_range"), (2, "field_range")]


def test_two_rejected_lines_of_an_access_log_are_quarantined_at_their_places(
    loading: Loader, store: ObjectStore, tmp_path: Path
) -> None:
    line = '{} - - [17/May/2015:10:05:0{} +0000] "GET / HTTP/1.1" 200 10 "-" "{}"\n'
    (tmp_path / "access.log").write_text(
        line.format("1.1.1.1", 3, "a" * 2_500) + "torn\n" + line.format("0.0.0.0", 2, "b" * 2_500)
    )

    manifest = loading(
        tmp_path / "access.log", mapping=SHIPPED / "apache_access_log.yaml", source=load_source("bilten")
    ).manifest

    assert manifest.counts == Counts(read=3, quarantined=3)
    assert [row["row_number"] for row in rows(store, manifest, "quarantine")] == [1, 2, 3]


def test_a_row_that_becomes_two_events_gives_both_and_counts_once(
    mapped: Callable[..., Manifest], store: ObjectStore
) -> None:
    query = "select * replace (kind || id as id) from (select *, unnest(['x', 'y']) as kind from input)"

    manifest = mapped("id,amount\na,1\nb,2\na,1\n", query)

    assert manifest.counts == Counts(read=3, accepted=4, duplicate=2, expanded=3)
    assert manifest.input.rows == 3


def test_nothing_of_one_row_gets_into_another(loading: Loader, store: ObjectStore, tmp_path: Path) -> None:
    people = ["u1,2026-10-01 10:00:00,ann@example.com,Rome", "u2,2026-10-01 11:00:00,bob@example.com,Oslo"]
    (tmp_path / "people.csv").write_text("\n".join(["id,ts,email,city", *people]))
    (tmp_path / "people.yaml").write_text(
        """
source: pocm
input: select *, unnest(['registered', 'login']) as kind from input
rules:
  - when: kind = 'registered'
    event_type: USER_REGISTERED
    envelope: &e {event_id: "kind || '-' || id", occurred_at: ts::timestamp, tenant_id: "'shop'", user_id: id}
    payload: {region: city, city: city, channel: "'web'", email: email}
  - when: kind = 'login'
    event_type: LOGIN
    envelope: *e
    payload: {method: "'password'", success: "true"}
"""
    )

    manifest = loading(tmp_path / "people.csv", mapping=tmp_path / "people.yaml").manifest

    assert manifest.counts == Counts(read=2, accepted=4, expanded=2)
    found = {row["event_id"]: json.loads(row["payload"]) for row in rows(store, manifest)}
    assert (found["registered-u1"]["city"], found["registered-u2"]["city"]) == ("Rome", "Oslo")
    assert found["login-u1"] == found["login-u2"] == {"method": "password", "success": True}
    assert not any(b"@example.com" in data for data in content(store).values())


def test_a_join_that_fans_out_gives_one_event(
    mapped: Callable[..., Manifest], store: ObjectStore, tmp_path: Path
) -> None:
    (tmp_path / "tags.csv").write_text("id,tag\na,1\na,2\n")

    manifest = mapped(
        "id,amount\na,1\n",
        "select * from input left join tags using (id)",
        lookups="lookups: {tags: tags.csv}",
    )

    assert manifest.counts == Counts(read=1, accepted=1, duplicate=1, expanded=1)
    assert len(rows(store, manifest)) == 1


def test_a_row_that_the_query_leaves_out_is_skipped(
    mapped: Callable[..., Manifest], store: ObjectStore
) -> None:
    manifest = mapped(LINES, "select * from input where id <> 'b'")

    assert manifest.counts == Counts(read=6, accepted=1, duplicate=2, quarantined=1, skipped=2)
    assert places(store) == [(4, "field_range")]


GROUPED = "select id, sum(amount::int) as amount, list(millrace_row) as millrace_row from input group by id"


def test_rows_that_are_grouped_are_folded(mapped: Callable[..., Manifest], store: ObjectStore) -> None:
    manifest = mapped(LINES, GROUPED)

    assert manifest.counts == Counts(read=6, accepted=2, quarantined=1, folded=3)
    (rejected,) = samples(store, "pocm", key=KEY)
    # No row of the file is the row of a group: its number is none of theirs, and its original names them.
    assert rejected.row_number > 6
    assert json.loads(rejected.original or b"")["millrace_row"] == [4]


def test_rows_that_are_filtered_and_grouped_are_skipped_and_folded(mapped: Callable[..., Manifest]) -> None:
    manifest = mapped(LINES, GROUPED.replace("group", "where id <> 'b' group"))

    assert manifest.counts == Counts(read=6, accepted=1, quarantined=1, skipped=2, folded=2)


@pytest.mark.parametrize(
    ("query", "counts"),
    [
        ("select id, sum(amount::int) as amount from input group by id", {"folded": 3}),
        ("select id || '-' || n as id, 1 as amount from input, range(2) as r(n)", {"expanded": 6}),
    ],
)
def test_a_query_that_says_nothing_of_its_rows_gives_the_sums(
    mapped: Callable[..., Manifest], query: str, counts: dict[str, int]
) -> None:
    found = mapped(LINES, query).counts

    assert found.read == 6
    assert found.balances
    assert {"folded": found.folded, "expanded": found.expanded, "skipped": found.skipped} == {
        "folded": 0,
        "expanded": 0,
        "skipped": 0,
        **counts,
    }


def test_a_row_out_of_no_row_of_the_file_is_expanded(mapped: Callable[..., Manifest], tmp_path: Path) -> None:
    (tmp_path / "others.csv").write_text("id,price\na,1\nz,2\n")
    query = (
        "select id, coalesce(amount, price) as amount, millrace_row from input right join others using (id)"
    )

    manifest = mapped("id,amount\na,1\nb,2\n", query, lookups="lookups: {others: others.csv}")

    assert manifest.counts == Counts(read=2, accepted=2, skipped=1, expanded=1)


def test_a_broken_record_counts_and_keeps_its_place_beside_a_query(
    mapped: Callable[..., Manifest], store: ObjectStore
) -> None:
    manifest = mapped("id,amount\na,1\nb\nc,-3\n", "select * from input")

    assert manifest.counts == Counts(read=3, accepted=1, quarantined=2)
    assert places(store) == [(2, "field_missing"), (3, "field_range")]


def test_a_broken_record_keeps_its_place_beside_rows_that_have_none(
    mapped: Callable[..., Manifest], store: ObjectStore
) -> None:
    manifest = mapped(
        "id,amount\na,1\nb\nc,-3\na,2\n", "select id, sum(amount::int) as amount from input group by 1"
    )

    assert manifest.counts == Counts(read=4, accepted=1, quarantined=2, folded=1)
    assert [code for _, code in places(store)] == ["field_missing", "field_range"]
    assert places(store)[0][0] == 2


def test_the_order_of_the_file_decides_which_delivery_is_the_first(
    mapped: Callable[..., Manifest], store: ObjectStore
) -> None:
    manifest = mapped("id,amount\na,9\na,1\n", "select * from input order by amount")

    assert [(row["row_number"], json.loads(row["payload"])["amount"]) for row in rows(store, manifest)] == [
        (1, 9)
    ]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("'one'", "millrace_row is VARCHAR, not the number of a row of the file or a list of them"),
        ("1.5::double", "millrace_row is DOUBLE, not the number"),
        ("7", "millrace_row says 7, and the file has no such row"),
        ("[1, 0]", "millrace_row says 0, and the file has no such row"),
    ],
)
def test_a_row_that_comes_from_nowhere_is_refused(
    mapped: Callable[..., Manifest], store: ObjectStore, column: str, message: str
) -> None:
    with pytest.raises(LoadError, match=message.replace("[", r"\[")):
        mapped(LINES, f"select id, amount, {column} as millrace_row from input")

    assert list(store.list()) == []


def test_a_replay_keeps_what_was_skipped_and_folded(
    mapped: Callable[..., Manifest], store: ObjectStore, pocm: Source, tmp_path: Path
) -> None:
    contract = CONTRACTS_ROOT / "pocm" / "ORDER_PLACED.v1.yaml"
    shutil.copytree(contract.parent, tmp_path / "strict" / "pocm")
    text = contract.read_text()
    text = text.replace(
        "    amount:\n        type: number\n", "    amount:\n        type: number\n        maximum: 8\n", 1
    )
    (tmp_path / "strict" / "pocm" / contract.name).write_text(text)
    query = GROUPED.replace("group", "where id <> 'b' or amount <> '2' group")

    loaded = mapped(LINES, query, source=load_source("pocm", tmp_path / "strict"))
    (result,) = replay(store, pocm, key=KEY)

    assert loaded.counts == Counts(read=6, accepted=1, quarantined=2, skipped=1, folded=2)
    assert result.manifest.counts == Counts(read=6, accepted=2, quarantined=1, skipped=1, folded=2)


OWN = "id,type,tenant_id,occurred_at,data_json,{}\n"
EVENT = '{},PRODUCT_VIEWED,t1,2026-03-10T10:00:00Z,"{{""product_id"":""p"",""price"":{},""currency"":""EUR""}}",1\n'


@pytest.mark.parametrize("name", ["millrace_row", "Millrace_Row", "millrace_row_"])
def test_a_file_may_have_a_column_of_the_name_that_numbers_its_rows(
    loading: Loader, store: ObjectStore, tmp_path: Path, name: str
) -> None:
    (tmp_path / "a.csv").write_text(
        OWN.format(name) + "".join(EVENT.format(f"e{n}", -1 if n == 2 else 1) for n in range(4))
    )

    manifest = loading(tmp_path / "a.csv").manifest

    assert manifest.counts == Counts(read=4, accepted=3, quarantined=1)
    assert [row["row_number"] for row in rows(store, manifest)] == [1, 2, 4]


def test_a_query_cannot_have_a_file_with_a_column_of_that_name(mapped: Callable[..., Manifest]) -> None:
    with pytest.raises(LoadError, match=r"orders\.csv has a column Millrace_Row.*rename the column"):
        mapped("id,amount,Millrace_Row\na,1,1\n", "select * from input")


@pytest.mark.parametrize("name", ["file_row_number", "millrace_row", "filename", "file_index"])
def test_a_parquet_file_may_have_columns_of_any_name(
    loading: Loader, store: ObjectStore, tmp_path: Path, name: str
) -> None:
    table: dict[str, list[Any]] = {
        "id": ["e1", "e2", "e3"],
        "type": ["PRODUCT_VIEWED"] * 3,
        "tenant_id": ["t1"] * 3,
        "occurred_at": ["2026-03-10T10:00:00Z"] * 3,
        "data_json": [
            json.dumps({"product_id": "p", "price": price, "currency": "EUR"}) for price in (1, -1, 1)
        ],
        name: [5, 5, 5],
    }
    pq.write_table(pa.table(table), tmp_path / "a.parquet")

    manifest = loading(tmp_path / "a.parquet").manifest

    assert manifest.counts == Counts(read=3, accepted=2, quarantined=1)
    assert [row["row_number"] for row in rows(store, manifest)] == [1, 3]
