import os
import subprocess
import sys

import dagster as dg
import pytest

from orchestration.run import PROCESS_TAG, bury_dead_runs, process_name

POOL = "pocm_warehouse"


@dg.op(pool=POOL)
def rebuild() -> None: ...


@dg.job
def hourly() -> None:
    rebuild()


@pytest.fixture
def instance() -> dg.DagsterInstance:
    opened = dg.DagsterInstance.local_temp(overrides={"concurrency": {"pools": {"default_limit": 1}}})
    opened.event_log_storage.initialize_concurrency_limit_to_default(POOL)
    return opened


def started_run(instance: dg.DagsterInstance, process: str) -> dg.DagsterRun:
    """A run that holds the pool and never ends."""
    run = instance.create_run_for_job(hourly, tags={PROCESS_TAG: process})
    instance.report_dagster_event(
        dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, run.job_name, message="started"), run.run_id
    )
    assert instance.event_log_storage.claim_concurrency_slot(POOL, run.run_id, "rebuild").is_claimed
    return run


def process_that_was_killed() -> str:
    """The name of a process of this machine that has just been killed."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    name = process_name(child.pid)
    child.kill()
    child.communicate()
    return name


def test_a_killed_run_gives_its_place_in_the_pool_back(instance: dg.DagsterInstance) -> None:
    run = started_run(instance, process_that_was_killed())
    assert bury_dead_runs(instance) == [run.run_id]
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    assert found.status is dg.DagsterRunStatus.FAILURE
    assert instance.event_log_storage.claim_concurrency_slot(POOL, "the next", "rebuild").is_claimed


def test_a_run_whose_process_lives_keeps_its_place(instance: dg.DagsterInstance) -> None:
    started_run(instance, process_name(os.getpid()))
    assert bury_dead_runs(instance) == []
    assert not instance.event_log_storage.claim_concurrency_slot(POOL, "the next", "rebuild").is_claimed


@pytest.mark.parametrize("process", ["", "another-machine/1/2"])
def test_a_run_of_another_machine_or_of_the_daemon_is_left_alone(
    instance: dg.DagsterInstance, process: str
) -> None:
    started_run(instance, process)
    assert bury_dead_runs(instance) == []
