import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

from orchestration.alerts import AlertError, build_failure_alert, post_json
from orchestration.resources import Platform
from orchestration.settings import Settings


class Receiver(http.server.ThreadingHTTPServer):
    """A webhook on loopback that remembers what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies: list[dict[str, Any]] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/s3cret"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        self.server.bodies.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def failed_run(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    """A run over two hours whose blocking check finds 7 broken rows."""
    hours = dg.HourlyPartitionsDefinition("2026-01-01-00:00")

    @dg.asset(key=["raw", "pocm"], partitions_def=hours, backfill_policy=dg.BackfillPolicy.single_run())
    def raw() -> None: ...

    @dg.asset_check(asset=raw, blocking=True)
    def gate() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=False, description="rule not_null(amount): 7 rows")

    job = dg.Definitions(
        assets=[raw], asset_checks=[gate], jobs=[dg.define_asset_job("pocm_hourly", selection="*")]
    ).resolve_job_def("pocm_hourly")
    tags = {
        "dagster/asset_partition_range_start": "2026-01-01-00:00",
        "dagster/asset_partition_range_end": "2026-01-01-01:00",
    }
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False)


def alert(instance: dg.DagsterInstance, run: dg.ExecuteInProcessResult, url: str | None) -> Any:
    context = dg.build_run_status_sensor_context(
        sensor_name="alert_on_failure",
        dagster_event=run.get_run_failure_event(),
        dagster_instance=instance,
        dagster_run=run.dagster_run,
        resources={"platform": Platform(Settings(alert_webhook_url=url, dagster_port=3123))},
    )
    return build_failure_alert(dg.DefaultSensorStatus.STOPPED)(context.for_run_failure())


def test_a_failed_run_tells_the_webhook_which_rule_rows_and_partition(receiver: Receiver) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = failed_run(instance)
        alert(instance, run, receiver.url)
    (body,) = receiver.bodies
    assert body["job"] == "pocm_hourly"
    assert body["partition"] == "2026-01-01-00:00...2026-01-01-01:00"
    assert body["failed_checks"] == [
        {"asset": "raw/pocm", "check": "gate", "description": "rule not_null(amount): 7 rows"}
    ]
    assert body["url"] == f"http://127.0.0.1:3123/runs/{run.run_id}"


def test_the_text_alone_says_what_happened(receiver: Receiver) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        alert(instance, failed_run(instance), receiver.url)
    text = receiver.bodies[0]["text"]
    assert text.startswith("pocm_hourly failed for 2026-01-01-00:00...2026-01-01-01:00")
    assert "rule not_null(amount): 7 rows" in text


def test_without_a_webhook_the_tick_says_that_nobody_was_told() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        skipped = alert(instance, failed_run(instance), None)
    assert "MILLRACE_ALERT_WEBHOOK_URL" in skipped.skip_message


def test_a_webhook_that_refuses_is_an_error_that_keeps_its_secret(receiver: Receiver) -> None:
    receiver.status = 403
    with pytest.raises(AlertError, match=r"127\.0\.0\.1 answered 403") as caught:
        post_json(receiver.url, {})
    assert "s3cret" not in str(caught.value)


def test_a_webhook_that_is_down_is_an_error_that_keeps_its_secret(receiver: Receiver) -> None:
    url = "http://127.0.0.1:9/hooks/s3cret"
    with pytest.raises(AlertError, match="cannot be reached") as caught:
        post_json(url, {})
    assert "s3cret" not in str(caught.value)


def test_a_webhook_that_is_no_http_address_is_refused() -> None:
    with pytest.raises(AlertError, match="http"):
        post_json("file:///etc/passwd", {})
