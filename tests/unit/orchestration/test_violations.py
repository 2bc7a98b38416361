from datetime import UTC, datetime, timedelta

from orchestration.violations import Verdict
from orchestration.violations import still_open as still_open_with_hours

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
BROKEN = (("pocm_raw_in.ORDER_PLACED", 7),)


def still_open(verdicts: list[Verdict]) -> list[Verdict]:
    return [verdict for verdict, _ in still_open_with_hours(verdicts)]


def verdict(partition: str, minute: int, broken: tuple[tuple[str, int | None], ...] = ()) -> Verdict:
    return Verdict(partition, NOON + timedelta(minutes=minute), broken)


def test_a_rejected_hour_stays_open_while_other_hours_pass() -> None:
    rejected = verdict("2026-01-01-05:00", 0, BROKEN)
    assert still_open([rejected, verdict("2026-01-01-06:00", 1)]) == [rejected]


def test_the_same_hour_passing_later_closes_it() -> None:
    assert still_open([verdict("2026-01-01-05:00", 0, BROKEN), verdict("2026-01-01-05:00", 1)]) == []


def test_an_earlier_pass_does_not_close_a_later_rejection() -> None:
    rejected = verdict("2026-01-01-05:00", 1, BROKEN)
    assert still_open([rejected, verdict("2026-01-01-05:00", 0)]) == [rejected]


def test_a_rejected_range_is_closed_when_all_of_its_hours_have_passed() -> None:
    rejected = verdict("2026-01-01-05:00...2026-01-01-06:00", 0, BROKEN)
    first, second = verdict("2026-01-01-05:00", 1), verdict("2026-01-01-06:00", 2)
    assert still_open([rejected, first]) == [rejected]
    assert still_open([rejected, first, second]) == []


def test_the_hours_that_are_left_of_a_rejection_are_said() -> None:
    rejected = verdict("2026-01-01-05:00...2026-01-01-07:00", 0, BROKEN)
    ((_, left),) = still_open_with_hours([rejected, verdict("2026-01-01-06:00", 1)])
    assert sorted(hour.hour for hour in left) == [5, 7]


def test_a_day_that_passes_closes_its_hours() -> None:
    assert still_open([verdict("2026-01-01-05:00", 0, BROKEN), verdict("2026-01-01", 1)]) == []


def test_the_message_names_partition_rule_and_rows() -> None:
    message = verdict("2026-01-01-05:00", 0, BROKEN).message
    assert message == "partition 2026-01-01-05:00 broke pocm_raw_in.ORDER_PLACED (7 rows)"


def test_a_rule_that_could_not_run_is_said_so() -> None:
    assert "could not run" in verdict("2026-01-01-05:00", 0, (("pocm_raw_in.rows", None),)).message
