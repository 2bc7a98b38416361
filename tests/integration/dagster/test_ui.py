"""A data engineer materialises an hour in the Dagster UI, in headless Chromium."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from ingestion.contract import load_source
from ingestion.loader import load
from orchestration.connections import object_store, warehouse
from orchestration.embedded import stack
from orchestration.embedded.testing import settings_for
from orchestration.partitions import HOURLY
from orchestration.prepare import prepare
from orchestration.run import report_loads
from orchestration.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=30)
RUN_TIMEOUT_MS = 240_000

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.stack,
    pytest.mark.xdist_group("dagster-ui"),
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"Chromium is not at {CHROMIUM}"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """The whole laptop stack with one loaded order, UI and daemon included."""
    folder = tmp_path_factory.mktemp("ui")
    found = settings_for(folder)
    stack.up(found, components=stack.STORAGE)
    try:
        prepare(found)
        stack.up(found)
        path = folder / "orders.ndjson"
        path.write_text(json.dumps(order()) + "\n")
        result = load(object_store(found), load_source("pocm"), path, key=found.secret_key)
        report_loads(found, "pocm", [result])
        yield found
    finally:
        stack.down(found)


def order() -> dict[str, Any]:
    item = {"product_id": "patch", "quantity": 1, "unit_price": 12.5, "unit_cost": 5}
    return {
        "id": "event-1",
        "type": "ORDER_PLACED",
        "occurred_at": (HOUR + timedelta(minutes=5)).isoformat(),
        "received_at": (HOUR + timedelta(minutes=6)).isoformat(),
        "source_service": "shop",
        "user_id": "user-1",
        "session_id": "session-1",
        "tenant_id": "acme",
        "data_json": json.dumps({"order_id": "o-1", "amount": 12.5, "currency": "EUR", "items": [item]}),
    }


@pytest.fixture(scope="module")
def page(settings: Settings) -> Iterator[Page]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        context = browser.new_context(
            viewport={"width": 1600, "height": 1000}, base_url=f"http://127.0.0.1:{settings.dagster_port}"
        )
        context.set_default_timeout(30_000)
        opened = context.new_page()
        yield opened
        if folder := os.environ.get("MILLRACE_SCREENSHOTS"):
            opened.screenshot(path=Path(folder) / "last.png")
        browser.close()


@pytest.fixture(scope="module")
def materialised(page: Page, settings: Settings) -> str:
    """The hour, materialised by hand: job page, Materialize, partition, Launch; returns the run's id."""
    page.goto("/locations/millrace/jobs/pocm_hourly")
    page.get_by_role("button", name=re.compile("Materialize")).first.click()
    confirm = page.get_by_role("button", name="Confirm")
    selection = page.get_by_role("dialog").get_by_role("textbox").first
    playwright.expect(selection.or_(confirm).first).to_be_visible()
    if confirm.is_visible():
        confirm.click()
    selection.fill(HOURLY.key(HOUR))
    selection.press("Enter")
    launch = page.get_by_role("button", name=re.compile("Launch 1 run|Launch run"))
    playwright.expect(launch).to_be_enabled()
    launch.click()
    view = page.get_by_role("button", name="View", exact=True)
    view.or_(page.get_by_role("link", name="View", exact=True)).last.click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}"))
    run_id = re.search(r"/runs/([0-9a-f-]{36})", page.url)
    assert run_id is not None
    finished = page.get_by_text("Success", exact=True).or_(page.get_by_text("Failure", exact=True))
    playwright.expect(finished.first).to_be_visible(timeout=RUN_TIMEOUT_MS)
    return run_id[1]


def test_the_lineage_reads_from_landing_to_quality(page: Page) -> None:
    page.goto("/asset-groups")
    names = ("landing", "raw", "staging_pocm", "facts_pocm", "kpi_pocm", "quality")
    boxes = {}
    for name in names:
        found = page.locator("svg, foreignObject, div").get_by_text(name, exact=True).last
        playwright.expect(found).to_be_visible()
        boxes[name] = found.bounding_box()
    left = [box["x"] for box in boxes.values() if box]
    assert len(left) == len(names)
    assert left == sorted(left)


def test_an_hour_is_materialised_from_the_ui(settings: Settings, materialised: str) -> None:
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        run = instance.get_run_by_id(materialised)
        assert run is not None
        assert run.status is dg.DagsterRunStatus.SUCCESS
        there = instance.get_materialized_partitions(dg.AssetKey(["pocm", "kpi_hourly"]))
    assert there == {HOURLY.key(HOUR)}


def test_the_mart_holds_the_order_that_was_materialised(settings: Settings, materialised: str) -> None:
    client = warehouse(settings)
    rows = client.query("select tenant_id, currency, orders from pocm.kpi_hourly").result_rows
    client.close()
    assert rows == [("acme", "EUR", 1)]


def test_the_asset_page_shows_description_owner_and_sample(page: Page, materialised: str) -> None:
    page.goto(f"/assets/pocm/kpi_hourly?view=partitions&partition={HOURLY.key(HOUR)}")
    playwright.expect(page.get_by_text("Materialized").first).to_be_visible()
    playwright.expect(page.get_by_text("acme").first).to_be_visible()
    page.goto("/assets/pocm/kpi_hourly")
    playwright.expect(page.get_by_text("KPIs by the hour").first).to_be_visible()
    playwright.expect(page.get_by_text("commerce-data").first).to_be_visible()


def test_the_plot_of_a_kpi_is_one_click_away(page: Page, materialised: str) -> None:
    page.goto(f"/assets/pocm/kpi_hourly?view=partitions&partition={HOURLY.key(HOUR)}")
    page.get_by_text("[Show Markdown]").last.click()
    image = page.locator("img[src^='data:image/png']").first
    playwright.expect(image).to_be_visible()
    assert image.evaluate("picture => picture.naturalWidth") > 100


def test_the_gates_show_as_passed(page: Page, materialised: str) -> None:
    page.goto("/assets/raw/pocm?view=checks")
    page.get_by_text("raw_in_gate").first.click()
    playwright.expect(page.get_by_text("blocking", exact=False).first).to_be_visible()
    playwright.expect(page.get_by_text(re.compile("All .* checks of pocm_raw_in hold")).first).to_be_visible()


SOCKET = """ui => new Promise(done => {
    const socket = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
    socket.onopen = () => done("open");
    socket.onerror = () => done("refused");
})"""
WIPE = """async ui => {
    const ranges = '[{assetKey: {path: ["pocm", "kpi_hourly"]}}]';
    const query = `mutation { wipeAssets(assetPartitionRanges: ${ranges}) { __typename } }`;
    const url = `${ui}/graphql?query=${encodeURIComponent(query)}`;
    await fetch(url, {method: "POST", mode: "no-cors", body: "x"});
    await new Promise(done => {
        const image = new Image();
        image.onload = image.onerror = done;
        image.src = url;
    });
}"""


class Empty(BaseHTTPRequestHandler):
    """A page without anything, of another server of this machine."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<html></html>")


@pytest.fixture
def foreign(page: Page) -> Iterator[Page]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Empty) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        opened = page.context.new_page()
        opened.goto(f"http://127.0.0.1:{server.server_port}/")
        yield opened
        opened.close()
        server.shutdown()


def test_a_page_of_another_port_listens_to_nothing_and_wipes_nothing(
    page: Page, foreign: Page, settings: Settings, materialised: str
) -> None:
    ui = f"http://127.0.0.1:{settings.dagster_port}"
    page.goto("/asset-groups")
    assert page.evaluate(SOCKET, ui) == "open"
    assert foreign.evaluate(SOCKET, ui) == "refused"
    foreign.evaluate(WIPE, ui)
    with dg.DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        assert instance.get_materialized_partitions(dg.AssetKey(["pocm", "kpi_hourly"])) == {HOURLY.key(HOUR)}
