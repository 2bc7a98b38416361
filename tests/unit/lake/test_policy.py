"""The retention policy: what it may say, and what is too old at the very limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lake.policy import Age, PolicyError, load_ages, load_policy

NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


def policy_file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "retention.yaml"
    path.write_text(text)
    return path


def test_the_four_sources_keep_what_the_domain_says() -> None:
    ages = {source: {kept: str(age) for kept, age in kept.items()} for source, kept in load_ages().items()}
    shared = {
        "hour_rollups": "1 year",
        "day_rollups": "5 years",
        "quarantine": "90 days",
        "landing": "7 days",
    }
    minutes = {"minute_rollups": "30 days"}
    assert ages == {
        "pocm": {"raw_events": "90 days", "raw_lake": "5 years", **shared},
        "bilten": {"raw_events": "7 days", "raw_lake": "5 years", **minutes, **shared},
        "studyin": {"raw_events": "7 days", "raw_lake": "1 year", **shared},
        "insights": {"raw_events": "7 days", "raw_lake": "1 year", **minutes, **shared},
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pocm: {raw_event: 90 days}", "unknown 'raw_event'; valid: raw_events, minute_rollups"),
        (
            "pocm: {landing: a week}",
            "landing is 'a week'; valid: .*such as 90 days, 18 months, 5 years, or never",
        ),
        ("pocm: {landing: 7}", "landing is 7; valid"),
        ("pocm: {landing: 0 days}", "landing is '0 days'"),
        ("pocm: 90 days", "pocm: must say how long each store keeps"),
        ("pocm: [", "no readable YAML"),
        (
            "pocm: {raw_events: 2 years, quarantine: 1 day, raw_lake: 1 year}",
            "raw_events is 2 years, longer than raw_lake, 1 year",
        ),
        ("pocm: {raw_events: 1 day, raw_lake: 1 year}", "quarantine is never, longer than raw_lake"),
    ],
)
def test_what_cannot_be_is_refused_by_its_value(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message):
        load_ages(policy_file(tmp_path, text))


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match=r"(?s)pocm: unknown 'lake'.*bilten: landing is 'soon'"):
        load_ages(policy_file(tmp_path, "pocm: {lake: 1 year}\nbilten: {landing: soon}"))


def test_an_hour_is_too_old_at_the_instant_its_last_moment_is(tmp_path: Path) -> None:
    path = policy_file(tmp_path, "pocm: {raw_events: 90 days}")
    hour = NOON - timedelta(days=90, hours=1)
    assert load_policy("pocm", NOON, path).hour_expired("raw_events", hour)
    assert not load_policy("pocm", NOON - MILLISECOND, path).hour_expired("raw_events", hour)
    assert not load_policy("pocm", NOON, path).hour_expired("raw_events", hour + timedelta(hours=1))


def test_years_and_months_are_those_of_the_calendar() -> None:
    leap = datetime(2028, 2, 29, 6, tzinfo=UTC)
    assert Age(5, "year").before(leap) == datetime(2023, 2, 28, 6, tzinfo=UTC)
    assert Age(4, "year").before(leap) == datetime(2024, 2, 29, 6, tzinfo=UTC)
    assert Age(1, "month").before(datetime(2026, 3, 31, tzinfo=UTC)) == datetime(2026, 2, 28, tzinfo=UTC)


def test_a_source_that_is_not_named_keeps_everything(tmp_path: Path) -> None:
    policy = load_policy("other", NOON, policy_file(tmp_path, "pocm: {landing: 7 days}"))
    assert not policy.expired("landing", datetime(1970, 1, 1, tzinfo=UTC))


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(PolicyError, match="no time zone"):
        load_policy("pocm", datetime(2026, 7, 1))
