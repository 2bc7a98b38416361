"""Measure what the platform promises about speed: `python -m tests.bench [--quick] [--json FILE]`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.bench.hourly import Size, hourly_cost
from tests.bench.loader import loader_rate
from tests.bench.steps import Sized, steps_cost

BENCHMARKS = ("loader", "hourly", "steps")
FULL = {
    "events": 2_000_000,
    "rounds": 3,
    "hourly": Size(days=3, scale=10, hours=5),
    "steps": Sized(days=3, scale=1, idle_seconds=120),
}
QUICK = {
    "events": 100_000,
    "rounds": 1,
    "hourly": Size(days=1, scale=1, hours=1),
    "steps": Sized(days=1, scale=0.1, idle_seconds=5),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmarks, print ratios, and write every number where asked."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a small version that shows that everything runs"
    )
    parser.add_argument("--only", choices=BENCHMARKS, help="one benchmark only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    options = parser.parse_args(arguments)
    sizes: dict[str, Any] = QUICK if options.quick else FULL
    results: dict[str, Any] = {"machine": {"cpus": os.cpu_count(), "platform": platform.platform()}}
    with tempfile.TemporaryDirectory(prefix="millrace-bench-") as name:
        folder = Path(name)
        wanted = [options.only] if options.only else BENCHMARKS
        if "loader" in wanted:
            results["loader"] = loader_rate(folder / "loader", sizes["events"], sizes["rounds"])
            print(_loader_text(results["loader"]), flush=True)
        if "hourly" in wanted:
            results["hourly"] = hourly_cost(folder / "hourly", sizes["hourly"])
            print(_hourly_text(results["hourly"]), flush=True)
        if "steps" in wanted:
            results["steps"] = steps_cost(folder / "steps", sizes["steps"])
            print(_steps_text(results["steps"]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


def _loader_text(result: dict[str, Any]) -> str:
    own, peer, file = result["millrace"], result["bare_chdb"], result["file"]
    return "\n".join(
        [
            f"loader, {file['events']:,} events, {file['bytes'] / 1e6:,.0f} MB NDJSON",
            f"  bare chDB to parquet  {peer['median_rate']:>9,} events/s  peak {peer['peak_mib']:>5,} MiB",
            f"  millrace load         {own['median_rate']:>9,} events/s  peak {own['peak_mib']:>5,} MiB",
            f"  ratio {result['ratio']:.2f} (target: at least 0.50), by CPU time {result['cpu_ratio']:.2f}",
        ]
    )


def _hourly_text(result: dict[str, Any]) -> str:
    lines = [
        f"  {name:>3} history, {result['history_events'][name]:>10,} events: {seconds['total']:.2f} s"
        f" (raw {seconds['raw']:.2f} s, dbt models and tests {seconds['models']:.2f} s)"
        for name, seconds in result["seconds"].items()
    ]
    ratio = result["ratio"]
    return "\n".join(
        [
            "one hourly run: raw load and dbt build of the hourly models",
            *lines,
            f"  ratio {ratio['total']:.2f} (raw {ratio['raw']:.2f}, dbt {ratio['models']:.2f};"
            " target: at most 1.20)",
        ]
    )


def _steps_text(result: dict[str, Any]) -> str:
    named = {
        f"first run of {result['events']:,} events": result["history"],
        f"run of one hour of {result['quiet_hour']['events']:,} events": result["hour"],
    }
    lines = [
        f"  {name}: {step['seconds']:.1f} s, {step['cpu_seconds']:.1f} CPU s ("
        + ", ".join(f"{part} {seconds:.1f}" for part, seconds in step["parts"].items())
        + f"), {step['history_mb']:.1f} MB of Dagster's history"
        for name, step in named.items()
    ]
    idle = result["idle"]
    jobs = ", ".join(f"{name} {seconds:.1f}" for name, seconds in result["hour"]["jobs"].items())
    return "\n".join(
        [
            "steps, all sources and cadences, gates and proof included",
            *lines,
            f"  jobs of the hour in s: {jobs}",
            f"  idle stack over {idle['seconds']:.0f} s: {sum(idle['core_percent'].values()):.1f} % of a core ("
            + ", ".join(f"{name} {percent:.1f}" for name, percent in idle["core_percent"].items())
            + f"), {idle['pss_mib']:,.0f} MiB",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
