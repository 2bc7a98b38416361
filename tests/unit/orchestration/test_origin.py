"""What a page of another origin makes a browser send is refused; what programs and own pages send is not."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from orchestration.origin import LOOPBACK, refusal

OWN = "127.0.0.1:3000"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:3000", "LOCALHOST:3000", "127.0.0.1:3000", "[::1]", "[::1]:3000"]
)
def test_a_program_is_served_under_each_name_of_this_machine(host: str) -> None:
    assert refusal({"host": host}, LOOPBACK) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://127.0.0.1:3000", "sec-fetch-site": "same-origin"},
        # Typed, or from a bookmark.
        {"sec-fetch-site": "none"},
    ],
)
def test_a_browser_on_the_servers_own_page_is_served(headers: dict[str, str]) -> None:
    assert refusal({"host": OWN, **headers}, LOOPBACK) is None


def test_a_page_behind_a_proxy_that_speaks_https_is_served() -> None:
    headers = {"host": "dagster.example.com", "origin": "https://dagster.example.com"}
    assert refusal(headers, LOOPBACK | {"dagster.example.com"}) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:3000",
        "localhost.evil.example",
        "localhost.",
        "evil.example@localhost",
        "localhost:3000@evil.example",
        "localhost/evil",
        "localhost:",
        "127.0.0.1, evil.example",
        "[::1",
        "::1",
        "0.0.0.0:3000",
        "127.0.0.2",
        "2130706433",
    ],
)
def test_another_name_of_the_host_is_refused(host: str) -> None:
    assert refusal({"host": host}, LOOPBACK) == (
        f"Host is {host!r}, and only 127.0.0.1, ::1, localhost is served"
    )


def test_a_request_without_a_host_is_refused() -> None:
    assert refusal({}, LOOPBACK) is not None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:8080",
        "http://localhost:3000",
        "http://127.0.0.1:3000.evil.example",
        "http://127.0.0.1:3000@evil.example",
        "ftp://127.0.0.1:3000",
        "127.0.0.1:3000",
    ],
)
def test_another_origin_is_refused(origin: str) -> None:
    assert refusal({"host": OWN, "origin": origin}, LOOPBACK) == (
        f"Origin is {origin!r}, and only pages of {OWN} may ask"
    )


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "None", "same-origin, cross-site"])
def test_what_a_page_of_another_site_or_port_sends_is_refused(site: str) -> None:
    found = refusal({"host": OWN, "sec-fetch-site": site}, LOOPBACK)
    assert found is not None
    assert found.startswith(f"Sec-Fetch-Site is {site!r}")


def test_the_servers_own_collection_of_headers_is_read_whatever_their_case() -> None:
    headers = Headers({"Host": OWN, "Origin": "https://evil.example"})
    assert refusal(headers, LOOPBACK) is not None
