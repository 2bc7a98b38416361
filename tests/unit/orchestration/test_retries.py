import importlib
import pkgutil

import dagster as dg
import pytest

import expectations
import ingestion
import lake
import orchestration
from ingestion.errors import LoadError
from lake.errors import MillraceError
from lake.store import StoreUnreachableError
from orchestration.connections import WarehouseRefusedError, WarehouseUnreachableError
from orchestration.embedded.front import _CutOffError
from orchestration.retries import RETRY, is_transient, permanent_errors_fail_at_once
from orchestration.warehouse.dbt import DbtError
from orchestration.warehouse.raw_load import RawLoadError


@pytest.mark.parametrize(
    "message",
    [
        "HTTPDriver for http://h returned response code 500, error code 241: Memory limit (total) exceeded",
        "Code: 210. DB::NetException: Connection refused (NETWORK_ERROR)",
        "<urlopen error [Errno 111] Connection refused>",
        "cannot list s3://m/raw/: the object store is unreachable",
    ],
)
def test_a_passing_fault_is_tried_again(message: str) -> None:
    assert is_transient(message)


@pytest.mark.parametrize(
    "message",
    [
        "Code: 62. DB::Exception: Syntax error: failed at position 8",
        "error code 60: Table pocm.kpi_daily does not exist. Query timed out after",
        "KeyError: 'amount'",
    ],
)
def test_a_fault_that_will_come_again_is_not(message: str) -> None:
    assert not is_transient(message)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LoadError("file:///exports/timeout.csv has no header: its first line is 'connection reset'"), False),
        (RawLoadError("raw files of pocm hold 210 rows, not the 241 that their manifests say"), False),
        (WarehouseRefusedError("ClickHouse refuses user 'default'"), False),
        (StoreUnreachableError("cannot list s3://m/raw/: SlowDown"), True),
        (WarehouseUnreachableError("no ClickHouse answers"), True),
        (DbtError("1 of 2 dbt nodes failed: Code: 241. DB::Exception: Memory limit exceeded"), True),
        (DbtError("1 of 2 dbt nodes failed: Code: 62. DB::Exception: Syntax error"), False),
    ],
)
def test_errors_of_the_platform_say_by_their_type(error: MillraceError, expected: bool) -> None:
    assert is_transient(error) is expected


def test_every_error_of_the_platform_is_one_that_the_command_line_prints() -> None:
    own = {
        value
        for package in (lake, ingestion, expectations, orchestration)
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, type) and issubclass(value, Exception) and value.__module__ == module.name
    }
    assert {error for error in own if not issubclass(error, MillraceError)} == {_CutOffError}


def test_the_cause_of_an_error_decides_too() -> None:
    error = RuntimeError("could not load the hour")
    error.__cause__ = OSError("Connection reset by peer")
    assert is_transient(error)


def test_a_permanent_error_fails_without_another_try() -> None:
    with pytest.raises(dg.Failure) as caught, permanent_errors_fail_at_once():
        raise ValueError("wrong column")
    assert caught.value.allow_retries is False
    assert "wrong column" in str(caught.value)


def test_a_transient_error_reaches_the_retry_policy_unchanged() -> None:
    with pytest.raises(ConnectionResetError), permanent_errors_fail_at_once():
        raise ConnectionResetError("connection reset")


def test_waits_grow_and_are_drawn_at_random() -> None:
    assert (RETRY.backoff, RETRY.jitter) == (dg.Backoff.EXPONENTIAL, dg.Jitter.FULL)
    waits = {RETRY.calculate_delay(attempt) for attempt in (3, 3, 3, 3)}
    assert len(waits) > 1
    assert max(waits) <= 28


def test_a_step_with_a_permanent_error_runs_once_and_with_a_transient_one_again() -> None:
    tries: dict[str, int] = {"permanent": 0, "transient": 0}
    quick = dg.RetryPolicy(max_retries=2, delay=0)

    def build(name: str, error: Exception) -> dg.AssetsDefinition:
        @dg.asset(name=name, retry_policy=quick)
        def step() -> None:
            tries[name] += 1
            with permanent_errors_fail_at_once():
                raise error

        return step

    steps = [
        build("permanent", ValueError("wrong")),
        build("transient", ConnectionError("connection refused")),
    ]
    dg.materialize(steps, raise_on_error=False)
    assert tries == {"permanent": 1, "transient": 3}
