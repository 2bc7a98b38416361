"""Small plots and tables for the metadata of assets: pure functions from rows to markdown."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

Series = Mapping[str, Sequence[tuple[date | datetime, float]]]

WIDTH_INCHES, HEIGHT_INCHES, DPI = 5.2, 1.9, 80
COLOURS = ("#4F43DD", "#D97706", "#0F9D76", "#C2410C", "#0369A1", "#86198F")
MAX_SERIES = len(COLOURS)
MAX_CELL = 60
INLINE_CHARACTERS = 999
"""The UI shows longer markdown only after a click."""
SPARKS = "▁▂▃▄▅▆▇█"
SPARK_POINTS = 24


def line_plot(series: Series, title: str) -> bytes:
    """Draw one line per series over time, as PNG; beyond six series the smallest are left out and counted."""
    from matplotlib.dates import date2num  # noqa: PLC0415  slow to import

    kept = largest(series)
    with _Figure(
        title + (f" ({len(series) - MAX_SERIES} more)" if len(series) > MAX_SERIES else "")
    ) as figure:
        for colour, (name, points) in zip(COLOURS, kept, strict=False):
            ordered = sorted(points)
            figure.axes.plot(
                date2num([moment for moment, _ in ordered]),  # type: ignore[no-untyped-call]
                [value for _, value in ordered],
                color=colour,
                linewidth=1.4,
                marker="o" if len(ordered) < 40 else None,
                markersize=2.5,
                label=name,
            )
        figure.time_axis()
        if kept and not (len(kept) == 1 and not kept[0][0]):
            figure.axes.legend(fontsize=6.5, frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.04))
        return figure.png()


def largest(series: Series) -> list[tuple[str, Sequence[tuple[date | datetime, float]]]]:
    """The series that are drawn: the six with the largest sums, without those that are zero throughout."""
    alive = {name: points for name, points in series.items() if any(value for _, value in points)} or series
    return sorted(alive.items(), key=lambda item: (-sum(value for _, value in item[1]), item[0]))[:MAX_SERIES]


def sparklines(series: Series) -> str:
    """One line of text per series, its newest points as blocks of eight heights: the plot before the click."""
    lines = []
    for name, points in largest(series):
        values = [value for _, value in sorted(points)][-SPARK_POINTS:]
        top = max(values, default=0.0)
        blocks = "".join(SPARKS[round((len(SPARKS) - 1) * value / top) if top > 0 else 0] for value in values)
        lines.append(f"`{blocks}` {name} {values[-1]:,.0f}".rstrip())
    return "  \n".join(lines)[:INLINE_CHARACTERS]


def fitting_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], least_rows: int = 3) -> str:
    """A markdown table that the UI shows at once: rows, then columns, are left out until it does."""
    for kept in range(len(rows), min(least_rows, len(rows)) - 1, -1):
        table = markdown_table(columns, rows[:kept])
        if len(table) <= INLINE_CHARACTERS:
            return table
    for width in range(len(columns) - 1, 0, -1):
        table = markdown_table(columns[:width], [row[:width] for row in rows[:least_rows]])
        if len(table) <= INLINE_CHARACTERS:
            return table
    return markdown_table(columns[:1], [row[:1] for row in rows[:1]])


def bar_plot(bars: Sequence[tuple[str, float]], title: str) -> bytes:
    """Draw one horizontal bar per name in the given order, as PNG."""
    with _Figure(title) as figure:
        names = [name for name, _ in bars]
        values = [value for _, value in bars]
        drawn = figure.axes.barh(range(len(bars)), values, color=COLOURS[0], height=0.65)
        figure.axes.set_yticks(range(len(bars)), names, fontsize=7)
        figure.axes.invert_yaxis()
        figure.axes.bar_label(drawn, labels=[f"{value:,.0f}" for value in values], fontsize=6.5, padding=2)
        figure.axes.margins(x=0.15)
        return figure.png()


def markdown_image(png: bytes, alt: str) -> str:
    """Inline a PNG into markdown, so that it lives in Dagster's event log and needs no file server."""
    return f"![{alt}](data:image/png;base64,{base64.b64encode(png).decode()})"


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A markdown table; cells are shortened and cannot break out of it."""
    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        text = _unbroken(value.strftime("%Y-%m-%d %H:%M:%S"))
    elif isinstance(value, date):
        text = _unbroken(value.isoformat())
    elif isinstance(value, float):
        text = f"{value:.4g}"
    else:
        text = str(value)
    text = " ".join(re.split(r"[ \n\r\t]+", text.strip())).replace("|", "\\|")
    return text if len(text) <= MAX_CELL else text[: MAX_CELL - 1] + "…"


def _unbroken(text: str) -> str:
    """The same text in characters at which a narrow column does not break it."""
    return text.replace("-", "\u2011").replace(" ", "\u00a0")


class _Figure:
    """A small figure in the house style, without pyplot: its global state is not safe between threads."""

    def __init__(self, title: str) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415

        self.figure = Figure(figsize=(WIDTH_INCHES, HEIGHT_INCHES), dpi=DPI, layout="constrained")
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_subplot()
        self.axes.set_title(title, fontsize=8, loc="left")
        self.axes.tick_params(labelsize=6.5, length=2)
        self.axes.spines[["top", "right"]].set_visible(False)
        self.axes.grid(axis="y", linewidth=0.3, alpha=0.6)

    def __enter__(self) -> _Figure:
        return self

    def __exit__(self, *_: object) -> None:
        self.figure.clear()

    def time_axis(self) -> None:
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter  # noqa: PLC0415

        self.axes.xaxis_date()
        locator = AutoDateLocator(minticks=2, maxticks=6)  # type: ignore[no-untyped-call]
        self.axes.xaxis.set_major_locator(locator)
        self.axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
        self.axes.xaxis.get_offset_text().set_fontsize(6.5)
        self.axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.6g}")
        self.axes.set_ylim(bottom=0)

    def png(self) -> bytes:
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()
