"""Dagster's processes on a laptop: upstream's own command lines, which ask each other less often.

`python -m orchestration.embedded.dagster_process code-server --socket PATH …`: a component's name, then its options.
Upstream's intervals have no setting. They suit code servers that come and go behind a network; here there is one, and
an idle stack spent most of its processor time on asking it every second whether it was still the same.
"""

from __future__ import annotations

import sys
from importlib import import_module

from orchestration.warehouse import dbt_server

WATCH = ("dagster._grpc.server_watcher", "WATCH_INTERVAL", 10)
"""How often is the code server asked whether it has loaded its code anew?"""
RELOAD = ("dagster._daemon.controller", "RELOAD_WORKSPACE_INTERVAL", 3600)
"""How often does the daemon fetch all definitions, whatever the answer?"""
HEARTBEAT = ("dagster._grpc.client", "CLIENT_HEARTBEAT_INTERVAL", 10)
"""How often is the process that has loaded the code told to live on? It does for 30 s."""

COMPONENTS = {
    "code-server": ("dagster._cli", ["code-server", "start"], [HEARTBEAT]),
    "webserver": ("orchestration.webserver", [], [WATCH]),
    "daemon": ("dagster._daemon.cli", ["run"], [WATCH, RELOAD]),
}


def main() -> None:
    """Run one component with the options of upstream's command."""
    name, *options = sys.argv[1:]
    module, command, intervals = COMPONENTS[name]
    for place, constant, seconds in intervals:
        owner = import_module(place)
        if not hasattr(owner, constant):
            raise AttributeError(f"{place} has no {constant} any more: see what took its place")
        setattr(owner, constant, seconds)
    if name == "code-server":
        # It starts the processes of runs, each of which would import dbt and read the project first.
        dbt_server.lend()
    sys.argv = [name, *command, *options]
    import_module(module).main()


if __name__ == "__main__":
    main()
