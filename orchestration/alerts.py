"""The webhook that hears of every failed run."""

# Dagster reads the annotations of steps when they are defined: no `from __future__ import annotations` here.
import json
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import dagster as dg

from lake.errors import MillraceError
from orchestration.places import partition_of
from orchestration.resources import Platform

TIMEOUT_SECONDS = 10.0
MAX_STEPS = 20
MAX_MESSAGE = 2000


class AlertError(MillraceError):
    """The webhook did not take the alert; the message says why."""


def post_json(url: str, payload: dict[str, Any], timeout: float = TIMEOUT_SECONDS) -> int:
    """POST a JSON document and return the HTTP status (2xx).

    Raises:
        AlertError: when the receiver cannot be reached or answers anything but 2xx; the URL's path and query
            are not repeated in the message, for they often carry the receiver's secret.
    """
    if not url.startswith(("http://", "https://")):
        raise AlertError("the alert webhook must be an http:// or https:// URL")
    body = json.dumps(payload, default=str).encode()
    request = urllib.request.Request(
        url, data=body, headers={"Content-Type": "application/json"}, method="POST"
    )
    host = urllib.parse.urlsplit(url).hostname
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        raise AlertError(f"the alert webhook at {host} answered {error.code}") from error
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise AlertError(f"the alert webhook at {host} cannot be reached: {error}") from error


def failure_payload(
    run: dg.DagsterRun,
    message: str,
    failed_steps: dict[str, str],
    failed_checks: list[dict[str, Any]],
    ui_url: str,
) -> dict[str, Any]:
    """The alert for one failed run.

    `text` alone is enough for a chat webhook; the other fields are for machines.
    """
    partition = partition_of(run.tags)
    headline = f"{run.job_name} failed" + (f" for {partition}" if partition else "")
    reasons = [f"{check['asset']}: {check['check']}: {check['description']}" for check in failed_checks]
    reasons += [
        f"{step}: {error.splitlines()[0] if error else 'no message'}" for step, error in failed_steps.items()
    ]
    return {
        "event": "run_failed",
        "text": "\n".join([headline, *reasons[:MAX_STEPS], f"{ui_url}/runs/{run.run_id}"]),
        "run_id": run.run_id,
        "job": run.job_name,
        "partition": partition,
        "message": message[:MAX_MESSAGE],
        "failed_steps": {step: error[:MAX_MESSAGE] for step, error in list(failed_steps.items())[:MAX_STEPS]},
        "failed_checks": failed_checks[:MAX_STEPS],
        "url": f"{ui_url}/runs/{run.run_id}",
    }


def failed_checks_of(instance: dg.DagsterInstance, run_id: str) -> list[dict[str, Any]]:
    """Every asset check of the run that did not pass with severity ERROR."""
    records = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    evaluations = [
        record.dagster_event.asset_check_evaluation_data
        for record in records
        if record.dagster_event is not None
    ]
    return [
        {
            "asset": evaluation.asset_key.to_user_string(),
            "check": evaluation.check_name,
            "description": evaluation.description or "",
        }
        for evaluation in evaluations
        if not evaluation.passed and evaluation.severity is dg.AssetCheckSeverity.ERROR
    ]


def build_failure_alert(default_status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """The sensor that posts to the webhook when a run of any job fails, runs of the command line included."""

    @dg.run_failure_sensor(
        name="alert_on_failure",
        description="POSTs a JSON document to MILLRACE_ALERT_WEBHOOK_URL for every failed run.",
        monitor_all_code_locations=True,
        default_status=default_status,
        minimum_interval_seconds=30,
    )
    def alert_on_failure(
        context: dg.RunFailureSensorContext, platform: dg.ResourceParam[Platform]
    ) -> dg.SkipReason | None:
        url = platform.settings.alert_webhook_url
        if not url:
            return dg.SkipReason("MILLRACE_ALERT_WEBHOOK_URL is not set: nobody was told")
        run = context.dagster_run
        steps = {
            event.step_key: step_error(event) for event in context.get_step_failure_events() if event.step_key
        }
        payload = failure_payload(
            run=run,
            message=context.failure_event.message or "",
            failed_steps=steps,
            failed_checks=failed_checks_of(context.instance, run.run_id),
            ui_url=platform.ui_url,
        )
        post_json(url, payload)
        return None

    return alert_on_failure


def step_error(event: dg.DagsterEvent) -> str:
    """Why a step failed, in the words of the error that caused it."""
    failure = event.step_failure_data
    if failure.user_failure_data is not None and failure.user_failure_data.description:
        return failure.user_failure_data.description
    if failure.error is None:
        return event.message or ""
    return (failure.error.cause or failure.error).message.strip()
