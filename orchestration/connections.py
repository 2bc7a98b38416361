"""Connections made from the settings; used by the command line and the Dagster resources only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lake.errors import MillraceError, TransientError
from lake.store import ObjectStore
from orchestration.settings import Settings

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from expectations.runner import Warehouse

REFUSED = ("AUTHENTICATION_FAILED", "REQUIRED_PASSWORD", "code 516", "Code: 516")
START_HINT = "start the laptop stack with `millrace up`"


class WarehouseUnreachableError(TransientError):
    """ClickHouse does not answer; the message says what to do."""


class WarehouseRefusedError(MillraceError):
    """ClickHouse refuses the user or the password; the message names the settings."""


def object_store(settings: Settings) -> ObjectStore:
    """Return the object store of the settings; it connects at first use."""
    return ObjectStore(
        endpoint_url=settings.s3_url,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key.get_secret_value(),
        bucket=settings.s3_bucket,
        region=settings.s3_region,
    )


def warehouse(settings: Settings, **options: Any) -> Client:
    """Connect to ClickHouse.

    Args:
        settings: where it is and who we are.
        options: further options of `clickhouse_connect.get_client`.

    Raises:
        WarehouseUnreachableError: when nothing answers.
        WarehouseRefusedError: when the user or password is refused.
    """
    import clickhouse_connect  # noqa: PLC0415  half a second that most commands need not pay
    from clickhouse_connect.driver.exceptions import ClickHouseError  # noqa: PLC0415

    address = f"{settings.clickhouse_host}:{settings.clickhouse_port}"
    try:
        return clickhouse_connect.get_client(
            host=settings.clickhouse_host,
            port=settings.clickhouse_port,
            username=settings.clickhouse_user,
            password=settings.clickhouse_password.get_secret_value(),
            secure=settings.clickhouse_secure,
            autogenerate_session_id=False,
            **options,
        )
    except ClickHouseError as error:
        if any(mark in str(error) for mark in REFUSED):
            raise WarehouseRefusedError(
                f"ClickHouse at {address} refuses user {settings.clickhouse_user!r}: "
                "check MILLRACE_CLICKHOUSE_USER and MILLRACE_CLICKHOUSE_PASSWORD"
            ) from error
        hint = START_HINT if settings.environment == "laptop" else "check MILLRACE_CLICKHOUSE_HOST"
        raise WarehouseUnreachableError(f"no ClickHouse answers at {address}: {hint}") from error


def gate_warehouse(settings: Settings, log_comment: str = "") -> Warehouse:
    """Return how gates reach ClickHouse; every query of theirs carries the comment."""
    from expectations.runner import Warehouse  # noqa: PLC0415  only gates need it

    return Warehouse(
        host=settings.clickhouse_host,
        port=settings.clickhouse_port,
        user=settings.clickhouse_user,
        password=settings.clickhouse_password.get_secret_value(),
        secure=settings.clickhouse_secure,
        log_comment=log_comment,
    )
