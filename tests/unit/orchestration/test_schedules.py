from datetime import UTC, datetime

from orchestration.partitions import DAILY, HOURLY, MONTHLY, WEEKLY
from orchestration.schedules import last_key


def test_the_hourly_schedule_takes_the_hour_that_just_ended() -> None:
    assert last_key(HOURLY, datetime(2026, 1, 5, 0, 10, tzinfo=UTC)) == "2026-01-04-23:00"


def test_the_daily_schedule_takes_the_day_that_just_ended() -> None:
    assert last_key(DAILY, datetime(2026, 1, 1, 0, 40, tzinfo=UTC)) == "2025-12-31"


def test_the_weekly_schedule_takes_the_iso_week_that_just_ended() -> None:
    assert last_key(WEEKLY, datetime(2026, 1, 5, 1, 20, tzinfo=UTC)) == "2026-W01-1"
    assert last_key(WEEKLY, datetime(2027, 1, 4, 1, 20, tzinfo=UTC)) == "2026-W53-1"


def test_the_monthly_schedule_takes_the_month_that_just_ended() -> None:
    assert last_key(MONTHLY, datetime(2026, 3, 1, 2, tzinfo=UTC)) == "2026-02"


def test_the_clock_of_the_machine_does_not_matter() -> None:
    assert last_key(HOURLY, datetime.fromisoformat("2026-01-05T01:10+01:00")) == "2026-01-04-23:00"
