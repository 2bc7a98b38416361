"""What settings follow from others, and how a wrong one is refused."""

from __future__ import annotations

import pytest

from orchestration.origin import LOOPBACK
from orchestration.settings import Settings, SettingsError, load


@pytest.mark.parametrize("url", [None, ""])
def test_the_ui_answers_under_the_names_of_this_machine(url: str | None) -> None:
    assert Settings(dagster_url=url).dagster_hosts == LOOPBACK


@pytest.mark.parametrize(
    "url",
    ["https://dagster.example.com", "https://Dagster.Example.com:8443/ui", "http://dagster.example.com/"],
)
def test_the_ui_answers_under_the_name_by_which_people_reach_it(url: str) -> None:
    assert Settings(dagster_url=url).dagster_hosts == LOOPBACK | {"dagster.example.com"}


@pytest.mark.parametrize("url", ["dagster.example.com", "dagster.example.com:3000", "https://", "ftp://a.b"])
def test_an_address_without_a_host_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MILLRACE_DAGSTER_URL", url)
    with pytest.raises(SettingsError, match=f"^MILLRACE_DAGSTER_URL='{url}': .*https://dagster.example.com"):
        load()
