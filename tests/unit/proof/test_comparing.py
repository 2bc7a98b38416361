"""The comparer over small relations: equal to the last digit, or named."""

from collections.abc import Iterator

import duckdb
import pytest

from expectations.proof.compare import Comparison, compare
from expectations.proof.marts import PROOF_ROOT, load_proof


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def compared(
    connection: duckdb.DuckDBPyConnection, expected: str, actual: str, keep: int = 200
) -> Comparison:
    connection.execute(f"create table expected as {expected}")
    connection.execute(f"create table actual as {actual}")
    return compare(
        connection, "mart", expected="expected", actual="actual", grain=["tenant", "day"], keep=keep
    )


ROW = "select 'north' as tenant, date '2026-11-16' as day, {} as value"


def lines(comparison: Comparison) -> list[str]:
    return [str(difference) for difference in comparison.differences]


def test_equal_decimals_of_another_width_are_equal(connection: duckdb.DuckDBPyConnection) -> None:
    result = compared(
        connection, ROW.format("cast(1.5 as decimal(38, 4))"), ROW.format("cast(1.5 as decimal(18, 4))")
    )
    assert (result.rows, result.values, result.differences) == (1, 1, ())


def test_the_last_digit_of_a_large_amount_counts(connection: duckdb.DuckDBPyConnection) -> None:
    result = compared(
        connection,
        ROW.format("cast('99999999999999.9999' as decimal(18, 4))"),
        ROW.format("cast('99999999999999.9998' as decimal(18, 4))"),
    )
    assert lines(result) == [
        "mart[tenant=north, day=2026-11-16].value: expected 99999999999999.9999, found 99999999999999.9998"
    ]


def test_null_is_neither_zero_nor_nan(connection: duckdb.DuckDBPyConnection) -> None:
    zero = compared(connection, ROW.format("cast(null as double)"), ROW.format("cast(0 as double)"))
    assert lines(zero) == ["mart[tenant=north, day=2026-11-16].value: expected null, found 0.0"]
    connection.execute("drop table expected; drop table actual")
    nan = compared(connection, ROW.format("cast(null as double)"), ROW.format("cast('nan' as double)"))
    assert nan.different == 1


def test_rows_without_a_tenant_meet_each_other(connection: duckdb.DuckDBPyConnection) -> None:
    nobody = ROW.replace("'north'", "cast(null as varchar)")
    assert lines(compared(connection, nobody.format(1), nobody.format(2))) == [
        "mart[tenant=null, day=2026-11-16].value: expected 1, found 2"
    ]


def test_a_float_is_no_substitute_for_exact_money(connection: duckdb.DuckDBPyConnection) -> None:
    result = compared(connection, ROW.format("cast(1 as decimal(18, 4))"), ROW.format("cast(1 as double)"))
    assert lines(result) == ["mart.value: expected type DECIMAL(18,4), found type DOUBLE"]


def test_all_differences_are_counted_though_only_some_are_kept(connection: duckdb.DuckDBPyConnection) -> None:
    many = "select 'x' as tenant, date '2026-01-01' + cast(i as int) as day, i as value from range(90) t(i)"
    result = compared(connection, many, many.replace("i as value", "i + 1 as value"), keep=10)
    assert (result.rows, result.different, len(result.differences)) == (90, 90, 10)


def test_every_file_of_a_proof_is_declared() -> None:
    for folder in (path.parent for path in PROOF_ROOT.glob("*/proof.yaml")):
        proof = load_proof(folder.name)
        assert {mart.name for mart in proof.marts} == {path.stem for path in folder.glob("*.sql")}
        assert len(proof.relations) == len(list((folder / "relations").glob("*.sql")))
