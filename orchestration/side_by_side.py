"""Work that does not wait for other work, in forks of this process, which have imported everything already.

Threads would not do: Dagster takes the standard output of its process for the length of a step.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar

from lake.errors import MillraceError

MOST = 4
"""However many processors there are: each fork holds some hundred MiB of its own."""
SECONDS_TO_END = 10
PR_SET_PDEATHSIG = 1

Result = TypeVar("Result")
Told = TypeVar("Told")
Work = Callable[[str, Callable[[Told], None]], Result]


class WorkerEndedError(MillraceError):
    """A fork ended before its work did; the message names the work."""


def side_by_side(
    names: Sequence[str], work: Work[Told, Result], tell: Callable[[Told], None]
) -> list[Result]:
    """Do the work of every name, some at a time, the first ones first.

    One alone, or all on one processor, is done in this process. Forks end with this process, however it ends.

    Args:
        names: what to work on.
        work: takes a name, and what to tell of its progress; what it tells and returns must pickle.
        tell: called in this process with what is told there.

    Returns:
        What `work` returned, in the order of the names.

    Raises:
        WorkerEndedError: when a fork was killed.
        Exception: what `work` raised.
    """
    at_once = min(len(names), len(os.sched_getaffinity(0)), MOST)
    if at_once < 2:
        return [work(name, tell) for name in names]
    context = multiprocessing.get_context("fork")
    waiting, done = list(names), dict[str, Result]()
    workers: dict[Connection, BaseProcess] = {}
    at_work: dict[Connection, str] = {}
    try:
        for _ in range(at_once):
            here, there = context.Pipe()
            worker = context.Process(target=_serve, args=(there, [here, *workers], work, os.getpid()))
            worker.start()
            there.close()
            workers[here] = worker
            at_work[here] = waiting.pop(0)
            here.send(at_work[here])
        while at_work:
            for ready in wait(list(at_work)):
                assert isinstance(ready, Connection)
                try:
                    kind, value = ready.recv()
                except EOFError:
                    raise WorkerEndedError(
                        f"the process that worked on {at_work[ready]} was killed"
                    ) from None
                if kind == "told":
                    tell(value)
                    continue
                name = at_work.pop(ready)
                if kind == "raised":
                    raise value
                done[name] = value
                if waiting:
                    at_work[ready] = waiting.pop(0)
                    ready.send(at_work[ready])
    finally:
        for connection, worker in workers.items():
            if connection in at_work and worker.pid is not None and worker.is_alive():
                os.kill(worker.pid, signal.SIGINT)
            connection.close()
        for worker in workers.values():
            worker.join(SECONDS_TO_END)
            if worker.is_alive():
                worker.kill()
                worker.join()
    return [done[name] for name in names]


def _serve(connection: Connection, others: Sequence[Connection], work: Work[Any, Any], parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    # The terminal's interrupt goes to the process that started this one, which passes it on once.
    os.setpgrp()
    for other in others:
        other.close()
    while True:
        try:
            name = connection.recv()
        except EOFError:
            return
        try:
            result = work(name, lambda told: connection.send(("told", told)))
        except KeyboardInterrupt:
            return
        except Exception as error:
            connection.send(("raised", _portable(error)))
        else:
            connection.send(("done", result))


def _portable(error: Exception) -> Exception:
    """The error as it is where it is one of ours, or Python's; else its words."""
    try:
        copy = multiprocessing.reduction.ForkingPickler.loads(
            multiprocessing.reduction.ForkingPickler.dumps(error)
        )
    except Exception:
        return MillraceError(f"{type(error).__name__}: {error}")
    return copy if isinstance(copy, Exception) else MillraceError(str(error))
