from datetime import UTC, datetime, timedelta

from orchestration.freshness import missing_partitions
from orchestration.partitions import DAILY, HOURLY, MONTHLY, WEEKLY

NOW = datetime(2026, 1, 5, 3, 40, tzinfo=UTC)


def hours(*numbers: int) -> set[str]:
    return {f"2026-01-05-{number:02d}:00" for number in numbers}


def test_an_asset_with_every_recent_hour_is_fresh() -> None:
    assert missing_partitions(hours(0, 1, 2), NOW, HOURLY) == []


def test_the_newest_complete_hour_is_missed_once_its_grace_is_over() -> None:
    assert missing_partitions(hours(0, 1), NOW, HOURLY) == ["2026-01-05-02:00"]
    assert missing_partitions(hours(0, 1), NOW - timedelta(minutes=20), HOURLY) == []


def test_a_hole_between_two_hours_is_named() -> None:
    assert missing_partitions(hours(0, 2), NOW, HOURLY) == ["2026-01-05-01:00"]


def test_hours_before_the_platform_started_are_not_expected() -> None:
    assert missing_partitions(hours(2), NOW, HOURLY) == []


def test_an_asset_that_was_never_materialised_is_not_fresh() -> None:
    assert missing_partitions(set(), NOW, HOURLY) == ["2026-01-05-02:00"]


def test_days_are_judged_as_days() -> None:
    there = {"2026-01-01", "2026-01-03"}
    assert missing_partitions(there, NOW, DAILY) == ["2026-01-02", "2026-01-04"]


def test_a_week_is_missed_six_hours_after_its_sunday() -> None:
    there = {"2025-W51-1", "2025-W52-1"}
    assert missing_partitions(there, NOW, WEEKLY) == []
    assert missing_partitions(there, NOW + timedelta(hours=3), WEEKLY) == ["2026-W01-1"]


def test_months_of_different_lengths_follow_each_other() -> None:
    now = datetime(2026, 4, 1, 6, tzinfo=UTC)
    assert missing_partitions({"2026-01"}, now, MONTHLY) == ["2026-02", "2026-03"]
