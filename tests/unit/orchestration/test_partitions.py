from datetime import UTC, date, datetime, timedelta

import pytest

from orchestration.partitions import (
    CADENCES,
    DAILY,
    HOUR,
    HOURLY,
    MONTHLY,
    WEEKLY,
    Cadence,
    Window,
    WindowError,
    cadence_of_label,
    check_available,
    contiguous,
    dbt_vars,
    window_of_label,
)

FIRST_DAY = date(2025, 1, 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_window_becomes_the_dbt_vars_of_its_received_hours() -> None:
    window = Window(at("2026-03-01T05:00"), at("2026-03-02T00:00"))
    assert dbt_vars(window) == {"window_from": "2026-03-01 05:00:00", "window_to": "2026-03-02 00:00:00"}


def test_dbt_vars_are_utc_whatever_zone_the_window_is_in() -> None:
    zone = datetime.fromisoformat("2026-03-01T07:00+02:00")
    assert dbt_vars(Window(zone, zone + HOUR))["window_from"] == "2026-03-01 05:00:00"


def test_the_last_partition_of_a_range_is_the_hour_before_the_window_ends() -> None:
    window = Window(at("2026-03-01T05:00"), at("2026-03-01T07:00"))
    assert window.keys(HOURLY).tags == {
        "dagster/asset_partition_range_start": "2026-03-01-05:00",
        "dagster/asset_partition_range_end": "2026-03-01-06:00",
    }


def test_a_window_of_part_of_a_day_takes_the_whole_daily_partition() -> None:
    window = Window(at("2026-03-01T23:00"), at("2026-03-02T01:00"))
    assert (window.keys(DAILY).start, window.keys(DAILY).end) == ("2026-03-01", "2026-03-02")


def test_a_window_is_widened_to_the_weeks_and_months_it_touches() -> None:
    window = Window(at("2026-02-28T23:00"), at("2026-03-02T01:00"))
    assert window.widened(WEEKLY) == Window(at("2026-02-23T00:00"), at("2026-03-09T00:00"))
    assert window.widened(MONTHLY) == Window(at("2026-02-01T00:00"), at("2026-04-01T00:00"))
    assert [week.start.day for week in window.split(WEEKLY)] == [23, 2]
    assert window.split(DAILY)[0] == Window(at("2026-02-28T00:00"), at("2026-03-01T00:00"))


def test_a_week_that_ends_at_midnight_of_monday_does_not_take_the_next() -> None:
    week = Window(at("2026-03-02T00:00"), at("2026-03-09T00:00"))
    assert week.widened(WEEKLY) == week
    assert week.keys(WEEKLY).start == week.keys(WEEKLY).end == "2026-W10-1"


@pytest.mark.parametrize(
    ("moment", "key"),
    [
        ("2025-12-28T23:00", "2025-W52-1"),
        ("2025-12-29T00:00", "2026-W01-1"),
        ("2026-01-04T23:00", "2026-W01-1"),
        ("2027-01-01T00:00", "2026-W53-1"),
        ("2027-01-04T00:00", "2027-W01-1"),
    ],
)
def test_a_week_at_the_turn_of_the_year_is_named_by_its_iso_year(moment: str, key: str) -> None:
    assert WEEKLY.key(at(moment)) == key
    assert WEEKLY.floor(at(moment)) == WEEKLY.parse(key)


@pytest.mark.parametrize("cadence", CADENCES, ids=lambda cadence: cadence.name)
def test_a_label_names_the_received_hours_of_its_partitions(cadence: Cadence) -> None:
    start = cadence.floor(at("2026-02-15T10:00"))
    following = cadence.after(start)
    assert cadence.before(following) == start
    assert window_of_label(cadence.key(start)) == Window(start, following)
    label = f"{cadence.key(start)}...{cadence.key(following)}"
    assert window_of_label(label) == Window(start, cadence.after(following))


def test_what_is_no_partition_key_is_refused_with_the_forms_there_are() -> None:
    with pytest.raises(ValueError, match="'2026-W7' is no partition key"):
        window_of_label("2026-W7")


def test_a_window_that_ends_at_midnight_does_not_take_the_next_day() -> None:
    window = Window(at("2026-03-01T00:00"), at("2026-03-02T00:00"))
    assert window.days == [date(2026, 3, 1)]


@pytest.mark.parametrize(
    ("start", "end", "complaint"),
    [
        (at("2026-03-01T05:00"), at("2026-03-01T05:00"), "before it starts"),
        (at("2026-03-01T06:00"), at("2026-03-01T05:00"), "before it starts"),
        (at("2026-03-01T05:30"), at("2026-03-01T07:00"), "not on the hour"),
        (datetime(2026, 3, 1, 5), at("2026-03-01T07:00"), "no timezone"),
    ],
)
def test_a_window_that_is_none_is_refused_by_name(start: datetime, end: datetime, complaint: str) -> None:
    with pytest.raises(WindowError, match=complaint):
        Window(start, end)


@pytest.mark.parametrize("cadence", CADENCES, ids=lambda cadence: cadence.name)
def test_keys_are_the_ones_dagster_makes(cadence: Cadence) -> None:
    now = at("2025-02-02T03:20")
    keys = cadence.partitions(FIRST_DAY).get_partition_keys(now)
    first_day = at(f"{FIRST_DAY}T00:00")
    assert (keys[0], keys[-1]) == (cadence.key(first_day), cadence.key(now))
    assert cadence.parse(keys[0]) <= first_day
    assert [cadence.key(cadence.after(cadence.parse(key))) for key in keys[:-1]] == keys[1:]


def test_the_running_hour_can_be_materialised_so_that_a_fresh_load_need_not_wait() -> None:
    check_available(
        Window(at("2026-03-01T05:00"), at("2026-03-01T06:00")),
        now=at("2026-03-01T05:01"),
        first_day=FIRST_DAY,
    )


def test_a_window_in_the_future_is_refused_with_the_hours_there_are() -> None:
    with pytest.raises(WindowError, match="2026-03-01T06:00"):
        check_available(
            Window(at("2026-03-01T05:00"), at("2026-03-01T07:00")),
            now=at("2026-03-01T05:01"),
            first_day=FIRST_DAY,
        )


def test_a_window_before_the_first_partition_is_refused() -> None:
    with pytest.raises(WindowError, match=FIRST_DAY.isoformat()):
        check_available(
            Window(at("2011-12-09T00:00"), at("2011-12-10T00:00")),
            now=at("2026-03-01T05:01"),
            first_day=FIRST_DAY,
        )


def test_the_first_partition_is_a_setting() -> None:
    early = Window(at("2011-12-09T00:00"), at("2011-12-10T00:00"))
    check_available(early, now=at("2026-03-01T05:01"), first_day=date(2011, 12, 9))
    assert DAILY.partitions(date(2011, 12, 9)).get_partition_keys(at("2011-12-11T03:00"))[0] == "2011-12-09"


def test_hours_are_grouped_into_the_fewest_gapless_windows() -> None:
    hours = [
        at("2026-03-01T07:10"),
        at("2026-03-01T05:00"),
        at("2026-03-01T06:00"),
        at("2026-03-01T06:59"),
        at("2026-03-02T00:00"),
    ]
    assert contiguous(hours) == [
        Window(at("2026-03-01T05:00"), at("2026-03-01T08:00")),
        Window(at("2026-03-02T00:00"), at("2026-03-02T01:00")),
    ]


def test_the_latest_complete_partition_waits_for_its_grace() -> None:
    grace = timedelta(minutes=30)
    assert HOURLY.latest_complete(at("2026-03-01T05:29"), grace) == at("2026-03-01T03:00")
    assert HOURLY.latest_complete(at("2026-03-01T05:30"), grace) == at("2026-03-01T04:00")
    assert DAILY.latest_complete(at("2026-03-02T01:59"), timedelta(hours=2)) == at("2026-02-28T00:00")


def test_hours_with_a_small_gap_between_them_are_one_window_where_that_is_asked() -> None:
    hours = [at("2026-03-01T05:00"), at("2026-03-02T06:00"), at("2026-03-03T08:00")]
    assert contiguous(hours, gap=24 * HOUR) == [
        Window(at("2026-03-01T05:00"), at("2026-03-02T07:00")),
        Window(at("2026-03-03T08:00"), at("2026-03-03T09:00")),
    ]


@pytest.mark.parametrize("cadence", CADENCES, ids=lambda cadence: cadence.name)
def test_a_label_tells_its_cadence(cadence: Cadence) -> None:
    key = cadence.key(at("2026-03-12T05:00"))
    assert cadence_of_label(key) is cadence
    assert cadence_of_label(f"{key}...{key}") is cadence
