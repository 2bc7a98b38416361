"""The true values of the `insights` marts, out of the simulator's own events, in plain pandas.

Written from the formulas in words, on purpose without a look at the warehouse's SQL: it is the third opinion.
Measured values are integer counts of 1/10,000 until they are written out as text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from ingestion.simulator.insights.world import UNITS
from ingestion.simulator.model import DAY_MS, HOUR_MS, Frames, Rows

MINUTE_MS = 60_000
METRIC = ["tenant_id", "name", "type", "unit"]
SERIES = (*METRIC, "dimensions_text")
ORDER = ["occurred_at", "event_id"]
KNOWN_FOR_DAYS = 7
"""How many days before its own a counter's earlier sample may lie."""
MOST_VALUES = 100
OTHER = "__other__"
ASPECTS = {"gauge": ("mean", "max", "min"), "counter": ("sum",), "histogram": ("mean",), "summary": ("mean",)}
"""What is judged of an hour; of equal ones the first counts."""
WEEK_MS = 7 * DAY_MS
SAME_HOURS = [week * WEEK_MS + beside * HOUR_MS for week in (1, 2, 3, 4) for beside in (-1, 0, 1)]
LEAST_WEEKLY, LEAST_RECENT = 9, 24
LEAST_SCORE, MOST_SCORE = 8 * 10_000, 1_000 * 10_000
MOST_INSIGHTS = 10
PERIODS = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS}


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of the marts whose values are known."""
    found: dict[str, Rows] = {}
    if "SYSTEM_METRIC" in events:
        samples = _folded(_observed(events["SYSTEM_METRIC"]))
        found |= {f"metric_values_{period}": _values(samples, period) for period in PERIODS}
        found["metric_catalog"] = _catalog(samples)
        found["insights"] = _insights(found["metric_values_hour"])
    told = [frame.assign(event_type=name) for name, frame in events.items() if name != "SYSTEM_METRIC"]
    if told:
        found["event_counts"] = _counts(pd.concat(told, ignore_index=True))
    return found


def _observed(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what each sample observed: how much, how often, and between which extremes."""
    samples = frame.sort_values(ORDER).reset_index(drop=True)
    series = samples.groupby(["tenant_id", "name", "unit", "dimensions_text"], sort=False)
    before, then = series["value"].shift(), series["occurred_at"].shift()
    day = samples["occurred_at"] // DAY_MS
    is_counter = samples["type"] == "counter"
    is_known = before.notna() & (day - then // DAY_MS <= KNOWN_FOR_DAYS)
    is_reset = is_counter & is_known & (samples["value"] < before)
    increase = (samples["value"] - before).where(~is_reset, samples["value"]).where(is_known)
    single = samples["value"].where(~is_counter, increase)
    has_one = single.notna()
    count = has_one.astype("Int64").where(
        has_one | samples["observation_count"].isna(), samples["observation_count"]
    )
    total = single.where(has_one, samples["observation_sum"]).where(count > 0)
    return samples.assign(day=day, single=single, count=count, total=total, is_reset=is_reset)


def _folded(samples: pd.DataFrame) -> pd.DataFrame:
    """Let the rare values of a dimension with too many read `__other__`, day by day."""
    rows = samples.reset_index(names="sample")
    pairs = rows.assign(pair=rows["dimensions_text"].str.split(",")).explode("pair")
    pairs = pairs[pairs["pair"] != ""].reset_index(drop=True)
    pairs = pairs.join(pairs["pair"].astype(str).str.extract("^(?P<key>[^=]*)=(?P<word>.*)$"))
    place = ["tenant_id", "name", "day", "key"]
    known = pairs.groupby([*place, "word"], as_index=False).size()
    known = known.sort_values([*place, "size", "word"], ascending=[True] * 4 + [False, True])
    known["place"] = known.groupby(place).cumcount()
    pairs = pairs.merge(known[[*place, "word", "place"]], on=[*place, "word"])
    pairs["word"] = pairs["word"].where(pairs["place"] < MOST_VALUES, OTHER)
    pairs["pair"] = pairs["key"] + "=" + pairs["word"]
    texts = pairs.sort_values(["sample", "key"]).groupby("sample")["pair"].agg(",".join)
    return samples.assign(dimensions_text=texts.reindex(samples.index).fillna(""))


def _values(samples: pd.DataFrame, period: str) -> Rows:
    begin = samples["occurred_at"] // PERIODS[period] * PERIODS[period]
    grouped = samples.assign(begin=begin).groupby(["begin", *METRIC, "dimensions_text"], sort=True)
    table = pd.DataFrame(
        {
            "samples": grouped.size(),
            "count": grouped["count"].sum(),
            "sum": grouped["total"].sum(min_count=1),
            "min": grouped["single"].min(),
            "max": grouped["single"].max(),
            "last": grouped["value"].last(),
            "resets": grouped["is_reset"].sum(),
        }
    )
    return [
        {
            "tenant_id": key[1],
            period: _moment(int(key[0]), period),
            **dict(zip(("name", "type", "unit", "dimensions_text"), key[2:], strict=True)),
            "samples": int(row["samples"]),
            "count": int(row["count"]),
            **{name: _decimal(row[name]) for name in ("sum", "min", "max", "last")},
            "mean": _mean(row["sum"], int(row["count"])),
            "resets": int(row["resets"]),
        }
        for key, row in zip(table.index, table.to_dict("records"), strict=True)
    ]


def _insights(hours: Rows) -> Rows:
    """Return the ten series of a tenant and day that were furthest from what is usual, each with its worst hour.

    Values are integer counts of 1e-9 in here, scores of 1e-4.
    """
    shown: dict[tuple[str, ...], dict[int, int]] = {}
    for row in hours:
        if f"={OTHER}" not in row["dimensions_text"]:
            for aspect in ASPECTS[row["type"]]:
                if row[aspect] is not None:
                    series = (*(row[name] for name in SERIES), aspect)
                    hour = pd.Timestamp(row["hour"]).value // 10**6
                    shown.setdefault(series, {})[hour] = int(row[aspect].replace(".", ""))
    judged = [
        dict(zip((*SERIES, "aspect"), series, strict=True)) | told
        for series, values in shown.items()
        for told in _judged(values)
        if told["score"] >= LEAST_SCORE
    ]
    judged.sort(
        key=lambda row: (
            row["tenant_id"], row["hour"] // DAY_MS, -row["score"], -abs(row["deviation"]),
            *(row[name] for name in SERIES[1:]), row["hour"], ASPECTS[row["type"]].index(row["aspect"]),
        )
    )  # fmt: skip
    found: Rows = []
    for _, of_day in groupby(judged, key=lambda row: (row["tenant_id"], row["hour"] // DAY_MS)):
        worst: dict[tuple[str, ...], dict[str, Any]] = {}
        for row in of_day:
            worst.setdefault(tuple(row[name] for name in SERIES), row)
        for rank, row in enumerate(list(worst.values())[:MOST_INSIGHTS], start=1):
            amounts = {name: _nanos(row[name]) for name in ("observed", "expected", "deviation", "spread")}
            moment = {name: _moment(row["hour"], name) for name in ("day", "hour")}
            found.append(row | amounts | moment | {"score": _nanos(row["score"] * 10**5), "rank": rank})
    return found


def _judged(values: Mapping[int, int]) -> Iterator[dict[str, Any]]:
    """Compare each hour of a series with the same hours of the weeks before, else with the week before its day."""
    for day, hours in groupby(sorted(values), key=lambda hour: hour // DAY_MS * DAY_MS):
        recent = [value for hour, value in values.items() if day - WEEK_MS <= hour < day]
        for hour in hours:
            weekly = [values[hour - back] for back in SAME_HOURS if hour - back in values]
            is_weekly = len(weekly) >= LEAST_WEEKLY
            known = weekly if is_weekly else recent
            if not is_weekly and len(known) < LEAST_RECENT:
                continue
            expected = _upper_median(known)
            deviation = values[hour] - expected
            mad = _upper_median([abs(value - expected) for value in known])
            spread = max(mad * 14_826 // 10_000, abs(expected) // 100)
            score = abs(deviation) * 10_000 // spread if spread else MOST_SCORE * bool(deviation)
            yield {
                "hour": hour,
                "observed": values[hour],
                "expected": expected,
                "deviation": deviation,
                "spread": spread,
                "score": min(score, MOST_SCORE),
                "baseline": "weekly" if is_weekly else "recent",
                "baseline_points": len(known),
            }


def _upper_median(values: Sequence[int]) -> int:
    return sorted(values)[len(values) // 2]


def _catalog(samples: pd.DataFrame) -> Rows:
    return [
        {
            **dict(zip(METRIC, key, strict=True)),
            "series": int(metric["dimensions_text"].nunique()),
            "days": int(metric["day"].nunique()),
            "points": len(metric),
        }
        for key, metric in samples.groupby(METRIC, sort=True)
    ]


def _counts(told: pd.DataFrame) -> Rows:
    hours = told.assign(hour=told["occurred_at"] // HOUR_MS * HOUR_MS, name=told["name"].fillna(""))
    return [
        {
            "tenant_id": key[0],
            "hour": _moment(int(key[1]), "hour"),
            "event_type": key[2],
            "name": key[3],
            "events": len(group),
            "users": int(group["user_id"].nunique()),
        }
        for key, group in hours.groupby(["tenant_id", "hour", "event_type", "name"], sort=True)
    ]


def _moment(milliseconds: int, period: str) -> str:
    text = str(pd.Timestamp(milliseconds, unit="ms"))
    return text[:10] if period == "day" else text


def _decimal(units: Any) -> str | None:
    """Return a count of 1/10,000 with the nine decimals of the marts."""
    if pd.isna(units):
        return None
    return _nanos(int(units) * (10**9 // UNITS))


def _mean(units: Any, count: int) -> str | None:
    """Return the mean, truncated towards zero at the ninth decimal."""
    if pd.isna(units) or not count:
        return None
    parts = abs(int(units)) * 10**9 // (UNITS * count)
    return _nanos(-parts if units < 0 else parts)


def _nanos(parts: int) -> str:
    """Return a count of 1e-9 as text."""
    sign, parts = ("-" if parts < 0 else ""), abs(parts)
    return f"{sign}{parts // 10**9}.{parts % 10**9:09d}"
