"""A refused password is told apart from a server that does not answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from orchestration.connections import WarehouseRefusedError, WarehouseUnreachableError, warehouse
from orchestration.embedded.testing import running_stack, settings_for


def test_a_wrong_password_names_the_user_and_the_variables(tmp_path: Path) -> None:
    with running_stack(tmp_path, clickhouse_password="right") as settings:
        client = warehouse(settings)
        assert client.query("select 1").result_rows == [(1,)]
        client.close()
        with pytest.raises(
            WarehouseRefusedError, match=r"refuses user 'default'.*MILLRACE_CLICKHOUSE_PASSWORD"
        ):
            warehouse(settings.model_copy(update={"clickhouse_password": SecretStr("wrong")}))


def test_a_server_that_is_not_there_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(WarehouseUnreachableError, match=r"no ClickHouse answers at .*`millrace up`"):
        warehouse(settings_for(tmp_path))
