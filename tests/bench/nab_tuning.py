"""How the parameters of the mart `insights` were chosen: `python -m tests.bench.nab_tuning FOLDER`.

FOLDER holds the Numenta Anomaly Benchmark's `data/realKnownCause` and `labels`. Every other series, by name, is for
tuning, the others for testing. The table shows, of every kind of judging, the setting that finds most labelled windows
of the tuning series with at most one false alert per 1,000 points, then with the fewest false ones.
"""

from __future__ import annotations

import itertools
import json
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]
ASPECTS = {"mean of the hour": ("mean",), "mean, max, min": ("mean", "max", "min")}
WEEKS, BESIDE, LEAST, RECENT = (4, 8), (0, 1, 2), (2, 3), (24, 72, 168)
FLOORS, THRESHOLDS = (0.01, 0.02, 0.03, 0.05, 0.08, 0.1), (3, 4, 5, 6, 7, 8, 10)
LEAST_RECENT = 24
MOST_FALSE = 1.0
"""False alerts per 1,000 points of the tuning series."""


@dataclass(frozen=True)
class Series:
    """A metric's hours without a gap, and which of them lie in which labelled window."""

    name: str
    points: int
    hours: pd.DataFrame
    windows: tuple[npt.NDArray[np.bool_], ...]


def read(folder: Path) -> list[Series]:
    """Read the series in the order of their names."""
    labels = json.loads((folder / "labels" / "combined_windows.json").read_text())
    found = []
    for file in sorted((folder / "data" / "realKnownCause").iterdir()):
        name = file.name.split(".")[0]
        points = pd.read_csv(file, parse_dates=["timestamp"])
        hours = points.groupby(points["timestamp"].dt.floor("h"))["value"].agg(["mean", "max", "min"])
        hours = hours.asfreq("h")
        windows = [
            (hours.index >= pd.Timestamp(since).floor("h")) & (hours.index <= pd.Timestamp(until))
            for since, until in labels[f"realKnownCause/{name}.csv"]
        ]
        found.append(Series(name, len(points), hours, tuple(windows)))
    return found


def judge(series: Series, setting: tuple[int, int, int, int]) -> Iterator[tuple[str, Floats, Floats, Floats]]:
    """Yield (aspect, observed, expected, MAD) of every hour; NaN where there is too little to judge by."""
    weeks, beside, least, recent = setting
    day = np.asarray(series.hours.index.floor("D") - series.hours.index[0]) // np.timedelta64(1, "h")
    for aspect in series.hours.columns:
        observed = series.hours[aspect].to_numpy()
        back = [168 * week + aside for week in range(1, weeks + 1) for aside in range(-beside, beside + 1)]
        past = _earlier(observed, [np.arange(len(observed)) - hours for hours in back])
        before = _earlier(observed, [day - hours for hours in range(1, recent + 1)])
        weekly, by_week = _middle(past, least * (2 * beside + 1))
        lately, by_day = _middle(before, LEAST_RECENT)
        yield (
            aspect,
            observed,
            np.where(np.isnan(weekly), lately, weekly),
            np.where(np.isnan(weekly), by_day, by_week),
        )


def _earlier(observed: Floats, places: list[npt.NDArray[np.int64]]) -> Floats:
    where = np.array(places).T
    return np.where(where >= 0, observed[np.clip(where, 0, None)], np.nan)


def _middle(known: Floats, least: int) -> tuple[Floats, Floats]:
    """Return the upper median of each row and that of the distances from it."""
    number = (~np.isnan(known)).sum(axis=1)
    expected = _upper_median(known, number)
    spread = _upper_median(np.abs(known - expected[:, None]), number)
    enough = number >= least
    return np.where(enough, expected, np.nan), np.where(enough, spread, np.nan)


def _upper_median(values: Floats, number: npt.NDArray[np.int64]) -> Floats:
    place = np.minimum(number // 2, values.shape[1] - 1)
    return np.take_along_axis(np.sort(values, axis=1), place[:, None], axis=1)[:, 0]


def alerts(series: Series, scores: Floats, threshold: float) -> tuple[int, int]:
    """Return (windows found, false alerts) of the strongest hour of each day."""
    days = pd.DataFrame({"score": scores, "day": series.hours.index.floor("D")}).dropna()
    strongest = days.loc[days.groupby("day")["score"].idxmax()] if len(days) else days
    raised = series.hours.index.get_indexer(
        series.hours.index[strongest[strongest["score"] >= threshold].index]
    )
    right = np.zeros(len(raised), dtype=bool)
    for window in series.windows:
        right |= window[raised]
    return sum(bool(window[raised].any()) for window in series.windows), int((~right).sum())


def main(folder: Path) -> None:
    """Print the best setting of each kind."""
    warnings.simplefilter("ignore", RuntimeWarning)
    series = read(folder)
    judged = cache(lambda place, setting: list(judge(series[place], setting)))
    rows = []
    for setting in itertools.product(WEEKS, BESIDE, LEAST, RECENT):
        for floor, (kind, aspects) in itertools.product(FLOORS, ASPECTS.items()):
            scores = [
                np.fmax.reduce(
                    [
                        np.minimum(
                            np.abs(x - m) / np.maximum(np.maximum(1.4826 * mad, floor * np.abs(m)), 1e-12),
                            1000,
                        )
                        for aspect, x, m, mad in judged(place, setting)
                        if aspect in aspects
                    ]
                )
                for place in range(len(series))
            ]
            for threshold in THRESHOLDS:
                found = [alerts(s, z, threshold) for s, z in zip(series, scores, strict=True)]
                rows.append((kind, *setting, floor, threshold, *_halves(series, found)))
        judged.cache_clear()
    head = [
        "judged by",
        "weeks",
        "beside",
        "least",
        "recent",
        "floor",
        "score",
        "tuning found",
        "tuning false",
    ]
    result = pd.DataFrame(rows, columns=[*head, "test found", "test false"])
    allowed = result[result["tuning false"] <= MOST_FALSE]
    best = allowed.sort_values(["tuning found", "tuning false"], ascending=[False, True], kind="stable")
    print(best.groupby("judged by").head(5).sort_values("judged by", kind="stable").to_string(index=False))


def _halves(series: list[Series], found: list[tuple[int, int]]) -> list[float]:
    """Return windows found and false alerts per 1,000 points, of the tuning and of the test series."""
    values: list[float] = []
    for half in (slice(0, None, 2), slice(1, None, 2)):
        points = sum(one.points for one in series[half])
        values += [
            sum(right for right, _ in found[half]),
            round(1000 * sum(wrong for _, wrong in found[half]) / points, 2),
        ]
    return values


if __name__ == "__main__":
    main(Path(sys.argv[1]))
