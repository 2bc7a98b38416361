"""Dagster's webserver, closed to the pages of other origins: `python -m orchestration.webserver`.

It takes the options of `dagster-webserver`. Upstream's serves every page that a browser shows, and runs mutations by
GET: an image on any web page could wipe assets.
"""

from __future__ import annotations

import sys
from collections.abc import Collection
from functools import partial
from typing import Any

from dagster._core.workspace.context import WorkspaceProcessContext, WorkspaceRequestContext
from dagster_webserver import app, cli
from dagster_webserver.webserver import DagsterWebserver
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from orchestration.origin import refusal
from orchestration.settings import SettingsError, load

_REFUSED = """Not served: {reason}.

Only programs and the pages of this server itself may ask it. If a link brought you here, paste the address into the
address bar of your browser. By another name than this machine's own the server is reached if MILLRACE_DAGSTER_URL,
the address of this UI as people reach it, has that name.
"""
_BY_POST_ONLY = "GraphQL runs by POST only: any page can make a browser send a GET."


class SameOriginOnly:
    """ASGI middleware: refuses requests and WebSockets that a page of another origin may have sent."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """Stand before `app`, which is asked under the names `hosts`."""
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is not refused."""
        reason = refusal(Headers(scope=scope), self._hosts) if scope["type"] != "lifespan" else None
        serve = PlainTextResponse(_REFUSED.format(reason=reason), 403) if reason else self._app
        await serve(scope, receive, send)


class Webserver(DagsterWebserver[WorkspaceProcessContext, WorkspaceRequestContext]):
    """Upstream's webserver behind that middleware, which runs no GraphQL but by POST."""

    def __init__(self, hosts: Collection[str], *args: Any, **options: Any) -> None:
        """Serve under the names `hosts`; the rest is upstream's."""
        self._hosts = hosts
        super().__init__(*args, **options)

    def build_middleware(self) -> list[Middleware]:
        """Put the refusals before everything."""
        return [Middleware(SameOriginOnly, hosts=self._hosts), *super().build_middleware()]

    async def execute_graphql_request(self, request: Request, *args: Any, **options: Any) -> JSONResponse:
        """Run a document that was posted. Refused here, it is refused by every path and however it is written."""
        if request.method != "POST":
            answer = {"data": None, "errors": [{"message": _BY_POST_ONLY}]}
            return JSONResponse(answer, 405, headers={"Allow": "POST"})
        return await super().execute_graphql_request(request, *args, **options)


def main() -> None:
    """Run upstream's command line around this webserver."""
    try:
        hosts = load().dagster_hosts
    except SettingsError as error:
        sys.exit(f"webserver: {error}")
    # Upstream makes its webserver by this name, and has no option that names another one.
    app.DagsterWebserver = partial(Webserver, hosts)  # type: ignore[attr-defined, assignment]
    cli.main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
