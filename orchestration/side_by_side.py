"""Work that does not wait for other work, in forks of this process, which have imported everything already.

Threads would not do: Dagster takes the standard output of its process for the length of a step.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
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
    done: dict[str, Result] = {}
    with _forks(at_once, work) as workers:
        waiting = list(names)
        at_work = {connection: waiting.pop(0) for connection in workers}
        for connection, name in at_work.items():
            connection.send(name)
        while at_work:
            for connection in (found for found in wait(list(at_work)) if isinstance(found, Connection)):
                try:
                    kind, value = connection.recv()
                except EOFError:
                    raise WorkerEndedError(
                        f"the process that worked on {at_work[connection]} was killed"
                    ) from None
                if kind == "told":
                    tell(value)
                    continue
                if kind == "raised":
                    raise value
                done[at_work.pop(connection)] = value
                if waiting:
                    at_work[connection] = waiting.pop(0)
                    connection.send(at_work[connection])
    return [done[name] for name in names]


@contextmanager
def _forks(number: int, work: Work[Any, Any]) -> Iterator[list[Connection]]:
    """Fork so many processes that do work for the length of the block; those that still do are interrupted then."""
    context = multiprocessing.get_context("fork")
    forks: dict[Connection, ForkProcess] = {}
    try:
        for _ in range(number):
            here, there = context.Pipe()
            fork = context.Process(target=_serve, args=(there, [here, *forks], work, os.getpid()))
            fork.start()
            there.close()
            forks[here] = fork
        yield list(forks)
    except BaseException:
        for fork in forks.values():
            if fork.pid is not None and fork.is_alive():
                os.kill(fork.pid, signal.SIGINT)
        raise
    finally:
        for connection in forks:
            connection.close()
        for fork in forks.values():
            fork.join(SECONDS_TO_END)
            if fork.is_alive():
                fork.kill()
                fork.join()


def _serve(connection: Connection, others: Sequence[Connection], work: Work[Any, Any], parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return
    # The terminal's interrupt goes to the process that started this one, which passes it on once.
    os.setpgrp()
    for other in others:
        other.close()
    with suppress(KeyboardInterrupt, EOFError, BrokenPipeError):
        while True:
            name = connection.recv()
            try:
                result = work(name, lambda told: connection.send(("told", told)))
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
