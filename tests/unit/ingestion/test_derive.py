"""What a user agent tells."""

from __future__ import annotations

import pytest

from ingestion.contract import load_source
from ingestion.derive import KINDS, READ_CHARACTERS, derived_fields, read_texts, versions

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"


@pytest.mark.parametrize(
    ("text", "device_type", "browser"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", "desktop", "Chrome"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "desktop", "Firefox"),
        (
            f"Mozilla/5.0 (Linux; Android 15; Pixel 9) {CHROME} Mobile Safari/537.36",
            "mobile",
            "Chrome Mobile",
        ),
        (f"Mozilla/5.0 (Linux; Android 14; SM-X910) {CHROME} Safari/537.36", "tablet", "Chrome"),
        (
            "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
            "Mobile/15E148 Safari/604.1",
            "tablet",
            "Mobile Safari",
        ),
        ("BiltenApp/3.1 (iPhone; iOS 17.5; Scale/3.00)", "mobile", None),
    ],
)
def test_a_visitors_user_agent_tells_device_and_browser(
    text: str, device_type: str, browser: str | None
) -> None:
    found = KINDS["user_agent"].read(text)
    assert (found["device_type"], found["browser"], found["is_bot"]) == (
        device_type,
        browser or found["browser"],
        False,
    )


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 6_0 like Mac OS X) AppleWebKit/536.26 (KHTML, like Gecko) Version/6.0 "
        "Mobile/10A5376e Safari/8536.25 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; Ezooms/1.0; help@moz.com)",
        "UniversalFeedParser/4.2-pre-314-svn +http://feedparser.org/",
        "curl/8.14.1",
        "python-requests/2.32",
        "Chef Client/10.18.2 (ruby-1.9.3-p327; x86_64-linux; +http://opscode.com)",
    ],
)
def test_a_program_is_a_bot(text: str) -> None:
    found = KINDS["user_agent"].read(text)
    assert (found["device_type"], found["is_bot"]) == ("bot", True)


def test_facts_are_json_and_the_unknown_ones_are_missing() -> None:
    ((found,),) = [read_texts("user_agent", ["nothing known"])["facts"].to_pylist()]
    assert dict(found) == {"device_type": '"bot"', "is_bot": "true"}


def test_an_endless_user_agent_is_read_by_its_beginning() -> None:
    text = "Mozilla/5.0 (Windows NT 10.0) " + "x" * READ_CHARACTERS + " Googlebot/2.1"
    assert dict(read_texts("user_agent", [text])["facts"].to_pylist()[0])["is_bot"] == "false"


def test_a_source_names_the_packages_that_shape_what_it_derives() -> None:
    assert [told.split(" ")[0] for told in versions(load_source("bilten"))] == [
        "ua-parser",
        "ua-parser-builtins",
    ]
    assert versions(load_source("pocm")) == ()


def test_tracked_events_derive_three_fields_from_the_user_agent() -> None:
    (derived,) = derived_fields(load_source("bilten").contract("page_view"))
    assert (derived.origin, sorted(derived.fields)) == ("user_agent", ["browser", "device_type", "is_bot"])
