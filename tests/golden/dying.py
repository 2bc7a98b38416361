"""A process that kills itself in the middle of its work; its first argument is its orders as JSON.

Orders: `stage` (load or take_in), `at` (dies right before its n-th request to the store or to the warehouse),
`state_dir`, `bucket`, `source`, and `landing` (the folder with the files) with `files`, or `hours`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.httpclient import HttpClient
from pipeline import Landing, Pipeline

from lake.store import ObjectStore
from orchestration.connections import object_store, warehouse
from orchestration.settings import Settings


def die_before(owner: Any, names: tuple[str, ...], at: int) -> None:
    """Count the calls of methods and die before the call number `at`, as by power failure."""
    calls = 0

    def counted(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*args, **kwargs)

        return call

    for name in names:
        setattr(owner, name, counted(getattr(owner, name)))


def main(orders: dict[str, Any]) -> None:
    settings = Settings(state_dir=Path(orders["state_dir"]))
    store = object_store(settings).for_bucket(orders["bucket"])
    pipeline = Pipeline(settings, store, warehouse(settings), orders["source"])
    if orders["stage"] == "load":
        die_before(ObjectStore, ("put_bytes", "put_file"), orders["at"])
        pipeline.load(Landing.read(Path(orders["landing"])), orders["files"])
    else:
        die_before(HttpClient, ("command", "query", "insert"), orders["at"])
        pipeline.take_in([datetime.fromisoformat(hour) for hour in orders["hours"]])


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
