"""A gate that could not run has failed."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime

from expectations.model import Check, GateWindow, Suite, Table
from expectations.runner import Warehouse, run_suite

WINDOW = GateWindow(datetime(2026, 11, 16, 10, tzinfo=UTC), datetime(2026, 11, 16, 11, tzinfo=UTC))
NOWHERE = Warehouse("127.0.0.1", 9, password="s3cret")
CHECK = Check("s.a.grain", "a", "unique", "analytics", "one row a day", arguments={"columns": ("day",)})
SUITE = Suite("s", "pocm", "marts_out", {"a": Table("pocm", "a", "day", "day")}, (CHECK,))


def test_unreachable_warehouse_fails_every_check_and_says_why() -> None:
    result = run_suite(NOWHERE, SUITE, WINDOW, partition="p", run_id="r")

    assert not result.success
    assert "s.a.grain could not run" in result.message
    assert "127.0.0.1" in result.message


def test_suite_without_checks_fails() -> None:
    result = run_suite(NOWHERE, Suite("s", "pocm", "marts_out", {}, ()), WINDOW, partition="p", run_id="r")

    assert not result.success
    assert "the suite has no checks" in result.message


def test_password_is_in_no_representation() -> None:
    assert "s3cret" not in repr(NOWHERE)


def test_password_with_special_characters_survives_the_url() -> None:
    from sqlalchemy import make_url

    warehouse = Warehouse("ch", 8123, "me@here", "a/b:c@d%e", log_comment='{"run": "1&2"}')
    url = make_url(warehouse.url)

    assert (url.username, url.password, url.host) == ("me@here", "a/b:c@d%e", "ch")
    assert url.query["log_comment"] == '{"run": "1&2"}'


def test_importing_the_gates_does_not_import_the_slow_libraries() -> None:
    code = (
        "import sys, expectations.runner, expectations.raw_in, expectations.marts_out, expectations.lineage,"
        " expectations.bridge, expectations.evidence;"
        "slow = ('great_expectations', 'sqlglot', 'dagster', 'clickhouse_connect');"
        "print([name for name in slow if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
