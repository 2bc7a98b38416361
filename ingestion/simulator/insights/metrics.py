"""What the services measure of themselves on a day.

A frame of measurements carries, for the truth, `name`, `type`, `unit`, `dimensions_text`, and what was measured: `value`
or `observation_count` and `observation_sum`. Values and sums are integer counts of 1/10,000.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ingestion.simulator.columns import concatenated, constant, json_string, json_value, text_array
from ingestion.simulator.insights.world import (
    HOSTS,
    MINUTE_MS,
    SERVICES,
    UNITS,
    batch,
    busyness,
    dimensions,
    generator,
    midnight,
)
from ingestion.simulator.model import DAY_MS, HOUR_MS, EventBatch, Ints

STEP_MS = 10 * MINUTE_MS
CUSTOMERS = 160
BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
LEVELS = (0.5, 0.9, 0.99)
ANOMALY_HOURS = 2
ANOMALY_FROM_DAY = 2
"""Before that nobody could know what is usual."""
Objects = npt.NDArray[np.object_]


def metric_events(index: int, start: date, scale: float, seed: int) -> list[EventBatch]:
    """Return the measurements of a day: counters, gauges, histograms, summaries and a dimension of many values."""
    return [
        _requests(index, start, scale, seed),
        _cpu(index, start, scale, seed),
        _durations(index, start, seed),
        _waits(index, start, seed),
        _storage(index, start, scale, seed),
    ]


def planted(index: int, start: date, seed: int) -> tuple[str, int] | None:
    """Return the service whose processors are unusually busy on a day, and from which moment; None on the first days."""
    if index < ANOMALY_FROM_DAY:
        return None
    rng = generator(seed, index, 100)
    hour = int(rng.integers(1, 24 - ANOMALY_HOURS))
    return SERVICES[int(rng.integers(len(SERVICES)))], midnight(index, start) + hour * HOUR_MS


def _every(begin: int, step: int) -> Ints:
    return begin + np.arange(0, DAY_MS, step)


def _hosts(scale: float) -> list[tuple[str, str]]:
    """Return (service, host): two hosts a service at scale 1, never none."""
    hosts = max(1, round(len(HOSTS) * scale))
    return [(service, f"{service}-{number}") for service in SERVICES for number in range(hosts)]


def _series(scale: float, moments: Ints) -> tuple[Objects, Objects, Ints]:
    """Return service, host and moment of every host at every moment, host by host."""
    hosts = _hosts(scale)
    services = np.repeat(np.array([service for service, _ in hosts], dtype=object), len(moments))
    names = np.repeat(np.array([host for _, host in hosts], dtype=object), len(moments))
    return services, names, np.tile(moments, len(hosts))


def _increments(index: int, start: date, scale: float, seed: int) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return requests per host and step of a day, and where a host has just started again (hosts by steps)."""
    rng = generator(seed, index, 0)
    moments = _every(midnight(index, start), STEP_MS)
    shape = (len(_hosts(scale)), len(moments))
    requests = rng.poisson(400 * busyness(moments), shape).astype(np.int64)
    restarts = np.zeros(shape, dtype=bool)
    hosts = np.flatnonzero((np.arange(shape[0]) + index) % 3 == 1)
    restarts[hosts, rng.integers(0, shape[1], len(hosts))] = True
    return requests, restarts


def _requests(index: int, start: date, scale: float, seed: int) -> EventBatch:
    """Count requests since the host started: a host in three starts again on a day."""
    days = [_increments(day, start, scale, seed) for day in range(index + 1)]
    requests = np.concatenate([day[0] for day in days], axis=1)
    restarts = np.concatenate([day[1] for day in days], axis=1)
    total = np.cumsum(requests, axis=1)
    # What had been counted before the start that a step belongs to.
    before = np.maximum.accumulate(np.where(restarts, total - requests, 0), axis=1)
    steps = days[-1][0].shape[1]
    value = (total - before)[:, -steps:].ravel() * UNITS
    services, hosts, moments = _series(scale, _every(midnight(index, start), STEP_MS))
    return _measured(
        "http_requests_total", "counter", "requests", services, moments + 3_000, {"host": hosts}, index, seed, 0,
        value=value,
    )  # fmt: skip


def _cpu(index: int, start: date, scale: float, seed: int) -> EventBatch:
    """Measure processors by their load, with a plateau where an anomaly is planted."""
    rng = generator(seed, index, 1)
    services, hosts, moments = _series(scale, _every(midnight(index, start), STEP_MS))
    percent = 25 + 5 * busyness(moments) + rng.normal(0, 1.5, len(moments))
    anomaly = planted(index, start, seed)
    if anomaly is not None:
        service, begin = anomaly
        inside = (services == service) & (moments >= begin) & (moments < begin + ANOMALY_HOURS * HOUR_MS)
        percent = np.where(inside, 97 + rng.random(len(moments)), percent)
    return _measured(
        "cpu_utilization", "gauge", "percent", services, moments + 1_000, {"host": hosts}, index, seed, 1,
        value=np.round(np.clip(percent, 0, 100) * 100).astype(np.int64) * (UNITS // 100),
    )  # fmt: skip


def _durations(index: int, start: date, seed: int) -> EventBatch:
    """Tell every half an hour how long the requests since the last time took."""
    rng = generator(seed, index, 2)
    moments = _every(midnight(index, start), 30 * MINUTE_MS)
    services = np.repeat(np.array(SERVICES, dtype=object), len(moments))
    moments = np.tile(moments, len(SERVICES))
    count = rng.poisson(60 * busyness(moments)).astype(np.int64)
    share = np.array([0.2, 0.3, 0.25, 0.15, 0.06, 0.03, 0.01])
    inside = rng.multinomial(count, share)
    cumulative = np.cumsum(inside, axis=1)[:, : len(BOUNDS)]
    total = inside @ np.array([0.03, 0.08, 0.18, 0.37, 0.7, 1.6, 3.0])
    parts: list[pa.Array | pa.Scalar] = [constant("[")]
    for number, bound in enumerate(BOUNDS):
        comma = "," if number else ""
        parts += [constant(f'{comma}{{"le":{bound},"count":'), _digits(cumulative[:, number]), constant("}")]
    return _measured(
        "http_request_duration", "histogram", "seconds", services, moments + 5_000, {}, index, seed, 2,
        observation_count=count,
        observation_sum=np.round(total * 100).astype(np.int64) * (UNITS // 100),
        more={"buckets": concatenated(*parts, constant("]"))},
    )  # fmt: skip


def _waits(index: int, start: date, seed: int) -> EventBatch:
    """Sum up every hour how long jobs waited."""
    rng = generator(seed, index, 3)
    moments = _every(midnight(index, start), HOUR_MS)
    services = np.repeat(np.array(SERVICES, dtype=object), len(moments))
    moments = np.tile(moments, len(SERVICES))
    count = rng.poisson(20 * busyness(moments)).astype(np.int64)
    median = np.round((1 + rng.random(len(moments))) * 100).astype(np.int64) * (UNITS // 100)
    parts: list[pa.Array | pa.Scalar] = [constant("[")]
    for number, level in enumerate(LEVELS):
        comma = "," if number else ""
        value = json_value(median * (number + 1), "money")
        parts += [constant(f'{comma}{{"quantile":{level},"value":'), value, constant("}")]
    return _measured(
        "job_wait", "summary", "seconds", services, moments + 7_000, {}, index, seed, 3,
        observation_count=count,
        observation_sum=count * median,
        more={"quantiles": concatenated(*parts, constant("]"))},
    )  # fmt: skip


def _storage(index: int, start: date, scale: float, seed: int) -> EventBatch:
    """Measure once a day what each of very many customers stores."""
    rng = generator(seed, index, 4)
    size = max(2, round(CUSTOMERS * scale))
    customers = np.array([f"customer-{number:05d}" for number in range(size)], dtype=object)
    moments = midnight(index, start) + rng.integers(0, DAY_MS, size)
    return _measured(
        "storage_used", "gauge", "gigabytes", np.full(size, "billing", dtype=object), moments,
        {"customer": customers, "plan": np.where(np.arange(size) % 4 == 0, "pro", "basic").astype(object)},
        index, seed, 4,
        value=rng.integers(1, 5_000, size) * (UNITS // 10),
    )  # fmt: skip


def _measured(
    name: str,
    kind: str,
    unit: str,
    services: Objects,
    moments: Ints,
    by: dict[str, Objects],
    index: int,
    seed: int,
    part: int,
    *,
    value: Ints | None = None,
    observation_count: Ints | None = None,
    observation_sum: Ints | None = None,
    more: dict[str, pa.Array] | None = None,
) -> EventBatch:
    size = len(moments)
    objects, texts = dimensions(**by) if by else (pa.nulls(size, pa.large_string()), None)
    attributes: dict[str, pa.Array] = {
        "name": json_string(pa.array([name] * size, pa.large_string())),
        "type": json_string(pa.array([kind] * size, pa.large_string())),
        "unit": json_string(pa.array([unit] * size, pa.large_string())),
        "dimensions": objects,
    }
    if value is not None:
        attributes["value"] = json_value(value, "money")
    if observation_count is not None and observation_sum is not None:
        attributes |= {"count": _digits(observation_count), "sum": json_value(observation_sum, "money")}
    return batch(
        "SYSTEM_METRIC", services, moments, attributes | (more or {}), index=index, seed=seed, part=part,
        name=name, type=kind, unit=unit,
        dimensions_text="" if texts is None else texts.to_pylist(),
        value=pd.Series([None] * size if value is None else value, dtype="Int64"),
        observation_count=pd.Series([None] * size if observation_count is None else observation_count, dtype="Int64"),
        observation_sum=pd.Series([None] * size if observation_sum is None else observation_sum, dtype="Int64"),
    )  # fmt: skip


def _digits(numbers: Ints) -> pa.Array:
    return text_array(pd.Series(numbers).astype(str))
