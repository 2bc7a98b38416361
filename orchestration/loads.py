"""Loads on the command line: which there are, which one is meant, and taking one back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lake.errors import WrongUseError
from lake.manifest import Manifest, all_manifests, load_ids
from lake.store import ObjectStore
from orchestration.console import answer, answer_json, answer_run, answer_table, fail, say

if TYPE_CHECKING:
    from orchestration.unloading import UnloadReport

MIN_PREFIX = 8
LISTED = "`millrace loads` lists them"


def find_load(store: ObjectStore, sources: Iterable[str], text: str) -> tuple[str, str]:
    """Return source and id of the load that an id, or the beginning of one, means.

    Raises:
        WrongUseError: when it is no id, or means no load or several.
    """
    if not re.fullmatch(rf"[0-9a-f]{{{MIN_PREFIX},32}}", text):
        raise WrongUseError(
            f"{text!r} is no load id: give its 32 hexadecimal digits, or the first {MIN_PREFIX} or more; {LISTED}"
        )
    found = [(source, load_id) for source in sources for load_id in load_ids(store, source, text)]
    if not found:
        raise WrongUseError(f"there is no load {text}; {LISTED}")
    if len(found) > 1:
        named = ", ".join(f"{load_id} of {source}" for source, load_id in found)
        raise WrongUseError(f"{text} may be {named}: give more of the id")
    return found[0]


def answer_loads(
    store: ObjectStore,
    sources: Sequence[str],
    period: tuple[datetime, datetime] | None,
    *,
    as_json: bool,
) -> None:
    """Print the loads of some sources, the newest commit first, those that were unloaded too.

    Args:
        store: the lake.
        sources: names of the sources.
        period: only loads with something that was received in it; None for all.
        as_json: one JSON document.
    """
    found = [
        manifest
        for source in sources
        for manifest in all_manifests(store, source, unloaded=True)
        if period is None or any(period[0] <= hour.received_hour < period[1] for hour in manifest.hours)
    ]
    found.sort(key=lambda manifest: (str(manifest.committed_at), manifest.load_id), reverse=True)
    if as_json:
        answer_json([_plain(manifest) for manifest in found])
        return
    answer_table(
        ["load", "source", "input", "received", "read", "accepted", "quarantined", "committed", "state"],
        [
            (
                manifest.load_id,
                manifest.source,
                manifest.input.uri.rpartition("/")[2],
                _received(manifest),
                f"{manifest.counts.read:,}",
                f"{manifest.counts.accepted:,}",
                f"{manifest.counts.quarantined:,}",
                f"{manifest.committed_at:%Y-%m-%d %H:%M}" if manifest.committed_at else None,
                str(manifest.unloaded or "stands"),
            )
            for manifest in found
        ],
    )


def answer_unload(report: UnloadReport, *, as_json: bool) -> None:
    """Print what became of a load that was taken back; exits with 1 when something still stands on it."""
    if as_json:
        answer_json(
            {
                **_plain(report.manifest),
                "was_unloaded": report.was_unloaded,
                "success": report.success,
                "rebuilt": [[window.start.isoformat(), window.end.isoformat()] for window in report.windows],
                "notes": report.notes,
                "failures": report.failures,
            }
        )
    else:
        _answer_text(report)
    if not report.success:
        fail(
            f"load {report.manifest.load_id} is unloaded, but its marts are not restated yet: "
            f"{'; '.join(report.failures) or 'see the Dagster UI'}. Run the same command again once that is mended",
            1,
        )


def _answer_text(report: UnloadReport) -> None:
    manifest = report.manifest
    named = f"load {manifest.load_id} of {manifest.source} ({manifest.input.uri.rpartition('/')[2]})"
    if report.was_unloaded and not report.runs:
        answer(f"{named}: {manifest.unloaded}; nothing is left to do")
        return
    for run in report.runs:
        answer_run(run.jobs)
    if not report.success:
        return
    for note in report.notes:
        say(note)
    counts = manifest.counts
    if report.windows:
        hours = sum(len(window.hours) for window in report.windows)
        done = f"; {hours} received hours were built again without it"
    else:
        done = "; nothing had been built from it"
    answer(
        f"{named}: {counts.accepted:,} accepted and {counts.quarantined:,} rejected rows were taken back{done}"
    )


def _received(manifest: Manifest) -> str:
    hours = [hour.received_hour for hour in manifest.hours]
    first, last = min(hours), max(hours)
    return f"{first:%Y-%m-%d %H:%M}" + (
        f" to {last + timedelta(hours=1):%Y-%m-%d %H:%M}" if last > first else ""
    )


def _plain(manifest: Manifest) -> dict[str, Any]:
    hours = [hour.received_hour for hour in manifest.hours]
    return {
        "load_id": manifest.load_id,
        "source": manifest.source,
        "input": manifest.input.uri,
        "received_from": min(hours).isoformat(),
        "received_to": (max(hours) + timedelta(hours=1)).isoformat(),
        **vars(manifest.counts),
        "revision": manifest.revision,
        "committed_at": manifest.committed_at and manifest.committed_at.isoformat(),
        "unloaded": manifest.unloaded
        and {
            "at": manifest.unloaded.at.isoformat(),
            "by": manifest.unloaded.by,
            "reason": manifest.unloaded.reason,
            "restated_at": manifest.unloaded.restated_at and manifest.unloaded.restated_at.isoformat(),
        },
    }
