import json
from datetime import UTC, date, datetime

from lake.store import ObjectInfo
from orchestration.partitions import DAILY, HOUR, MONTHLY, WEEKLY, Window
from orchestration.sensors import closed_periods, landing_tick, windows_of


def found(name: str, size: int = 1, day: int = 1) -> ObjectInfo:
    return ObjectInfo(f"landing/source=pocm/{name}", size, datetime(2026, 1, day, tzinfo=UTC))


def keys(*names: str) -> tuple[str, ...]:
    return tuple(f"landing/source=pocm/{name}" for name in names)


def test_the_first_look_takes_everything_there_is() -> None:
    tick = landing_tick([found("a"), found("b")], cursor=None)
    assert tick.keys == keys("a", "b")
    assert tick.run_key is not None


def test_a_second_look_takes_only_what_is_new() -> None:
    first = landing_tick([found("a")], cursor=None)
    second = landing_tick([found("a"), found("b")], first.cursor)
    assert second.keys == keys("b")
    assert second.run_key != first.run_key


def test_nothing_new_asks_for_no_run() -> None:
    first = landing_tick([found("a")], cursor=None)
    again = landing_tick([found("a")], first.cursor)
    assert (again.keys, again.run_key) == ((), None)


def test_an_object_that_appears_with_an_older_date_is_not_missed() -> None:
    first = landing_tick([found("new", day=5)], cursor=None)
    assert landing_tick([found("new", day=5), found("late", day=1)], first.cursor).keys == keys("late")


def test_an_object_that_was_overwritten_is_loaded_again() -> None:
    first = landing_tick([found("a", size=1)], cursor=None)
    assert landing_tick([found("a", size=2)], first.cursor).keys == keys("a")


def test_what_left_landing_leaves_the_cursor_so_that_it_stays_small() -> None:
    first = landing_tick([found("a"), found("b")], cursor=None)
    second = landing_tick([found("b")], first.cursor)
    assert len(json.loads(second.cursor)) == 1


def test_more_objects_than_a_run_takes_wait_for_the_next_look() -> None:
    listing = [found(name) for name in "abc"]
    first = landing_tick(listing, cursor=None, limit=2)
    second = landing_tick(listing, first.cursor, limit=2)
    assert (first.keys, second.keys) == (keys("a", "b"), keys("c"))


def test_the_same_objects_have_the_same_run_key_so_that_a_repeated_tick_starts_no_second_run() -> None:
    assert landing_tick([found("a")], None).run_key == landing_tick([found("a")], None).run_key


def test_hours_of_several_loads_become_the_fewest_windows() -> None:
    loads = [
        [["2026-01-01T00:00:00+00:00", "2026-01-01T02:00:00+00:00"]],
        [
            ["2026-01-01T01:00:00+00:00", "2026-01-01T03:00:00+00:00"],
            ["2026-01-05T00:00:00+00:00", "2026-01-05T01:00:00+00:00"],
        ],
    ]
    first, second = windows_of(loads, date(2025, 1, 1))
    assert (first.start.hour, first.end.hour) == (0, 3)
    assert (second.start.day, len(second.hours)) == (5, 1)


def test_hours_before_the_first_partition_ask_for_no_run() -> None:
    assert windows_of([[["2011-01-01T00:00:00+00:00", "2011-01-01T02:00:00+00:00"]]], date(2025, 1, 1)) == []


def test_a_closed_day_that_was_rolled_up_is_restated_as_a_whole() -> None:
    hour = datetime(2026, 1, 3, 7, tzinfo=UTC)
    now = datetime(2026, 1, 5, tzinfo=UTC)
    (day,) = closed_periods(Window(hour, hour + HOUR), DAILY, now, {"2026-01-03"})
    assert day == Window(datetime(2026, 1, 3, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC))


def test_a_day_that_was_never_rolled_up_or_still_runs_is_left_to_its_schedule() -> None:
    hour = datetime(2026, 1, 3, 7, tzinfo=UTC)
    window = Window(hour, hour + HOUR)
    assert closed_periods(window, DAILY, datetime(2026, 1, 5, tzinfo=UTC), set()) == []
    assert closed_periods(window, DAILY, datetime(2026, 1, 3, 23, tzinfo=UTC), {"2026-01-03"}) == []


def test_a_closed_week_or_month_is_restated_as_a_whole_and_not_before_it_ends() -> None:
    hour = datetime(2026, 1, 1, 7, tzinfo=UTC)
    window = Window(hour, hour + HOUR)
    monday, february = datetime(2026, 1, 5, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
    assert closed_periods(window, WEEKLY, monday, {"2026-W01-1"}) == [
        Window(datetime(2025, 12, 29, tzinfo=UTC), monday)
    ]
    assert closed_periods(window, WEEKLY, monday - HOUR, {"2026-W01-1"}) == []
    assert closed_periods(window, MONTHLY, february, {"2026-01"}) == [
        Window(datetime(2026, 1, 1, tzinfo=UTC), february)
    ]
