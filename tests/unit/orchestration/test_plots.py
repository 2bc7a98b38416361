import base64
import re
from datetime import UTC, date, datetime

from orchestration.plots import (
    INLINE_CHARACTERS,
    bar_plot,
    fitting_table,
    largest,
    line_plot,
    markdown_image,
    markdown_table,
    sparklines,
)

PNG = b"\x89PNG\r\n\x1a\n"


def test_a_line_plot_is_a_png_small_enough_for_the_event_log() -> None:
    series = {
        "EUR": [(date(2026, 1, day), float(day)) for day in range(1, 31)],
        "USD": [(date(2026, 1, 1), 5.0)],
    }
    png = line_plot(series, "gmv")
    assert png.startswith(PNG)
    assert len(png) < 20_000


def test_a_plot_of_one_point_is_drawn() -> None:
    assert line_plot({"": [(datetime(2026, 1, 1, tzinfo=UTC), 0.0)]}, "gmv").startswith(PNG)


def test_more_series_than_colours_are_counted_not_drawn() -> None:
    many = {f"s{number}": [(date(2026, 1, 1), float(number))] for number in range(9)}
    assert line_plot(many, "gmv").startswith(PNG)


def test_bars_are_drawn_in_the_given_order() -> None:
    assert bar_plot([("search", 10.0), ("payment", 2.0)], "sessions") != bar_plot(
        [("payment", 2.0), ("search", 10.0)], "sessions"
    )


def test_the_same_rows_give_the_same_bytes() -> None:
    series = {"EUR": [(date(2026, 1, 1), 1.0), (date(2026, 1, 2), 2.0)]}
    assert line_plot(series, "gmv") == line_plot(series, "gmv")


def test_an_image_is_inline_so_that_the_ui_needs_no_file_server() -> None:
    found = re.fullmatch(r"!\[gmv\]\(data:image/png;base64,(.+)\)", markdown_image(PNG, "gmv"))
    assert found is not None
    assert base64.b64decode(found[1]) == PNG


def test_a_cell_cannot_break_out_of_its_table() -> None:
    table = markdown_table(["name", "value"], [["a|b\nc", None], ["x" * 100, 1.23456789]])
    lines = table.splitlines()
    assert len(lines) == 4
    assert lines[2] == "| a\\|b c |  |"
    assert lines[3].endswith("… | 1.235 |")


def test_a_series_of_zeroes_is_not_drawn() -> None:
    series = {"EUR": [(date(2026, 1, 1), 2.0)], "XXX": [(date(2026, 1, 1), 0.0)]}
    assert [name for name, _ in largest(series)] == ["EUR"]


def test_sparklines_rise_with_their_values_and_end_with_the_newest() -> None:
    points = [(date(2026, 1, 3), 8.0), (date(2026, 1, 1), 0.0), (date(2026, 1, 2), 4.0)]
    assert sparklines({"EUR": points}) == "`▁▅█` EUR 8"


def test_a_wide_table_is_cut_until_the_ui_shows_it_without_a_click() -> None:
    columns = [f"a_column_with_a_long_name_{number}" for number in range(40)]
    table = fitting_table(columns, [list(range(40))] * 5)
    assert len(table) <= INLINE_CHARACTERS
    assert len(table.splitlines()) == 5


def test_a_date_does_not_break_in_a_narrow_column() -> None:
    cell = markdown_table(["day"], [[date(2026, 1, 2)]]).splitlines()[2]
    assert cell == "| 2026\u201101\u201102 |"
