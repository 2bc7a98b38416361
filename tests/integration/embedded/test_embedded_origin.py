"""What pages of other origins can make a browser send to the Dagster UI, sent to the server as the stack starts it."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import dagster as dg
import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from orchestration.embedded import stack
from orchestration.embedded.testing import free_port, settings_for
from orchestration.settings import Settings
from tests.integration.dagster.production import Services

ASSET = dg.AssetKey(["precious"])
DEFINITIONS = """
import dagster as dg

@dg.asset
def precious() -> None: ...

defs = dg.Definitions(assets=[precious])
"""
WIPE = '{ wipeAssets(assetPartitionRanges: [{assetKey: {path: ["precious"]}}]) { __typename } }'
MUTATION = f"mutation {WIPE}"
QUERY = "{ version }"
PUBLIC_NAME = "dagster.example.com"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The UI alone, over an instance of its own."""
    folder = tmp_path_factory.mktemp("origin")
    (folder / "definitions.py").write_text(DEFINITIONS)
    settings = settings_for(folder / "state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stack, "DEFINITIONS", ("--python-file", str(folder / "definitions.py")))
        try:
            stack.up(settings, components=["code-server", "dagster-webserver"])
            yield settings
        finally:
            stack.down(settings)


@pytest.fixture(scope="module")
def instance(served: Settings) -> Iterator[dg.DagsterInstance]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(served.dagster_home))
        with dg.DagsterInstance.from_config(str(served.dagster_home)) as opened:
            yield opened


@pytest.fixture
def events(instance: dg.DagsterInstance) -> Iterator[int]:
    """How many events the asset has; after the test it must have as many."""
    if not count(instance):
        instance.report_runless_asset_event(dg.AssetMaterialization(ASSET))
    before = count(instance)
    yield before
    assert count(instance) == before, "the request was refused, and yet carried out"


def count(instance: dg.DagsterInstance) -> int:
    return len(instance.fetch_materializations(ASSET, limit=100).records)


@pytest.fixture
def http(served: Settings) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{served.dagster_port}", timeout=60) as client:
        yield client


def foreign(port: int) -> dict[str, dict[str, str]]:
    """What browsers add to the requests of a page that is not the UI's own, by the page."""
    return {
        "a page of the web": {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        "a page in a browser without Sec-Fetch-Site": {"Origin": "https://evil.example"},
        "an image of a page": {"Sec-Fetch-Site": "cross-site"},
        "a page of another port": {
            "Origin": f"http://127.0.0.1:{port + 1}",
            "Sec-Fetch-Site": "same-site",
        },
        "an old browser's page of another port": {"Origin": f"http://127.0.0.1:{port + 1}"},
        "an image of a page of another port": {"Sec-Fetch-Site": "same-site"},
        "a page of this port under another name": {"Origin": f"http://localhost:{port}"},
        "a page without an origin": {"Origin": "null"},
        "a page whose name resolves to this machine": {
            "Host": f"evil.example:{port}",
            "Origin": f"http://evil.example:{port}",
            "Sec-Fetch-Site": "same-origin",
        },
        "its image": {"Host": "evil.example"},
    }


PAGES = sorted(foreign(0))


@pytest.mark.parametrize("path", ["/graphql", "/graphql%0A", "//graphql", "/graphql/"])
@pytest.mark.parametrize(
    ("document", "operation"),
    [
        (MUTATION, None),
        (f"# {{ version }}\nmutation Wipe {WIPE}", None),
        (f"query Harmless {QUERY} mutation Wipe {WIPE}", "Wipe"),
        (f"mutation Wipe {WIPE} query Harmless {QUERY}", "Wipe"),
        (
            'mutation { ...Wipe } fragment Wipe on Mutation { wipeAssets(assetPartitionRanges: '
            '[{assetKey: {path: ["precious"]}}]) { __typename } }',
            None,
        ),
        (f"\ufeff\tmutation\n{WIPE}", None),
    ],
)  # fmt: skip
def test_no_mutation_runs_by_get(
    http: httpx.Client, events: int, document: str, operation: str | None, path: str
) -> None:
    params = {"query": document} | ({"operationName": operation} if operation else {})
    answer = http.get(path, params=params, headers={"Accept": "image/*"})
    assert "AssetWipeSuccess" not in answer.text
    if path == "/graphql":
        assert answer.status_code == 405
        assert "GraphQL runs by POST only" in answer.text


def test_no_query_runs_by_get(http: httpx.Client) -> None:
    assert http.get("/graphql", params={"query": QUERY}).status_code == 405


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("kind", ["fetch", "form", "get"])
def test_no_mutation_of_a_foreign_page_runs(
    http: httpx.Client, served: Settings, events: int, page: str, kind: str
) -> None:
    headers = foreign(served.dagster_port)[page]
    if kind == "fetch":
        answer = http.post("/graphql", json={"query": MUTATION}, headers=headers)
    elif kind == "form":
        headers = headers | {"Content-Type": "text/plain"}
        answer = http.post("/graphql", params={"query": MUTATION}, content="x=y", headers=headers)
    else:
        answer = http.get("/graphql", params={"query": MUTATION}, headers=headers | {"Accept": "image/*"})
    assert answer.status_code == 403
    assert "AssetWipeSuccess" not in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_no_foreign_page_reports_an_event(
    http: httpx.Client, served: Settings, events: int, page: str
) -> None:
    path = "/report_asset_materialization/precious"
    assert http.post(path, headers=foreign(served.dagster_port)[page]).status_code == 403


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("path", ["/", "/server_info", "/graphql", "/logs/a/b/c.out", "/notebook", "/x"])
def test_no_foreign_page_reads_anything(http: httpx.Client, served: Settings, page: str, path: str) -> None:
    answer = http.get(path, headers=foreign(served.dagster_port)[page])
    assert answer.status_code == 403
    assert "<html" not in answer.text


@pytest.mark.parametrize("page", PAGES)
def test_no_foreign_page_opens_a_websocket(served: Settings, page: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        subscribe(served.dagster_port, foreign(served.dagster_port)[page])
    assert refused.value.response.status_code == 403


def subscribe(port: int, headers: dict[str, str]) -> dict[str, Any]:
    """Open a WebSocket with these headers and return the server's first message."""
    headers = dict(headers)
    url = f"ws://{headers.pop('Host', f'127.0.0.1:{port}')}/graphql"
    plain = socket.create_connection(("127.0.0.1", port))
    options: Any = {"subprotocols": ["graphql-ws"], "additional_headers": headers}
    with plain, connect(url, sock=plain, **options) as opened:
        opened.send(json.dumps({"type": "connection_init"}))
        answer: dict[str, Any] = json.loads(opened.recv(timeout=30))
        return answer


def test_a_link_from_another_site_is_told_how_to_open_it(http: httpx.Client) -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    answer = http.get("/runs/some-run", headers=headers)
    assert answer.status_code == 403
    assert answer.headers["content-type"].startswith("text/plain")
    assert "paste the address" in answer.text


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_the_ui_opens_when_its_address_is_typed(http: httpx.Client, served: Settings, host: str) -> None:
    headers = {"Host": f"{host}:{served.dagster_port}", "Sec-Fetch-Site": "none", "Accept": "text/html"}
    assert "<html" in http.get("/", headers=headers).text
    assert "GraphiQL" in http.get("/graphql", headers=headers).text


def own_page(port: int) -> dict[str, str]:
    return {"Origin": f"http://127.0.0.1:{port}", "Sec-Fetch-Site": "same-origin"}


def test_the_uis_own_pages_ask_and_subscribe(http: httpx.Client, served: Settings) -> None:
    headers = own_page(served.dagster_port)
    assert http.post("/graphql", json={"query": QUERY}, headers=headers).json()["data"]["version"]
    assert subscribe(served.dagster_port, headers) == {"type": "connection_ack"}


def test_programs_ask_subscribe_and_mutate(
    http: httpx.Client, served: Settings, instance: dg.DagsterInstance
) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET))
    assert http.get("/server_info").json()["dagster_webserver_version"]
    assert subscribe(served.dagster_port, {}) == {"type": "connection_ack"}
    answer = http.post("/graphql", json={"query": MUTATION}).json()
    assert answer["data"]["wipeAssets"]["__typename"] == "AssetWipeSuccess"
    assert count(instance) == 0


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The server as the compose file starts it, on a free port and over an instance of its own."""
    folder, port = tmp_path_factory.mktemp("production"), free_port()
    environment = {
        "DAGSTER_HOME": str(folder),
        "MILLRACE_STATE_DIR": str(folder),
        "MILLRACE_DAGSTER_URL": f"https://{PUBLIC_NAME}",
    }
    process = Services(folder, {"3000": port}, environment).start("webserver")
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        deadline = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < deadline:
            try:
                client.get("/server_info")
                break
            except httpx.TransportError:
                continue
        yield client
    process.terminate()
    process.wait()


def test_production_serves_its_public_name_and_its_own_health_check(production: httpx.Client) -> None:
    headers = {"Host": PUBLIC_NAME, "Origin": f"https://{PUBLIC_NAME}", "Sec-Fetch-Site": "same-origin"}
    answer = production.post("/graphql", json={"query": QUERY}, headers=headers)
    assert answer.json()["data"]["version"]
    assert production.get("/server_info").status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": PUBLIC_NAME, "Origin": "https://evil.example"},
        {"Host": PUBLIC_NAME, "Sec-Fetch-Site": "same-site"},
        # A page of the public name, through a tunnel to this machine.
        {"Origin": f"https://{PUBLIC_NAME}"},
    ],
)
def test_production_refuses_foreign_pages(production: httpx.Client, headers: dict[str, str]) -> None:
    answer = production.post("/graphql", json={"query": QUERY}, headers=headers)
    assert answer.status_code == 403


def test_production_runs_no_graphql_by_get(production: httpx.Client) -> None:
    assert production.get(f"/graphql?query={quote(QUERY)}").status_code == 405
