"""What settings follow from others, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

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


def test_the_laptop_keeps_its_instance_whatever_else_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "of-somebody-else"))
    assert Settings(state_dir=tmp_path).dagster_home == tmp_path / "dagster_home"


def test_production_has_the_instance_of_its_ui(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    (tmp_path / "dagster.yaml").touch()
    assert Settings(environment="production").dagster_home == tmp_path


def test_production_without_an_instance_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    with pytest.raises(SettingsError, match="set DAGSTER_HOME"):
        _ = Settings(environment="production").dagster_home


def test_production_with_a_folder_that_is_no_instance_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with pytest.raises(SettingsError, match=rf"^DAGSTER_HOME='{tmp_path}': there is no dagster.yaml"):
        _ = Settings(environment="production").dagster_home
