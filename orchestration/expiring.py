"""`millrace retention`: what is too old, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ingestion.contract import Source
from lake.store import ObjectStore
from orchestration.assets.marts import read_manifest
from orchestration.connections import warehouse
from orchestration.console import answer, answer_json, answer_table, fail, say
from orchestration.retention import RetentionReport, refuse_future, run_retention
from orchestration.settings import Settings
from orchestration.warehouse.dbt import MANIFEST_PATH


def answer_retention(
    settings: Settings,
    store: ObjectStore,
    sources: Sequence[Source],
    *,
    apply: bool,
    check: bool,
    as_of: datetime | None,
    as_json: bool,
) -> None:
    """Print what is older than the policy, source by source, and remove it when asked to.

    Exits with 1 when removing failed, or, asked to check, when anything is too old.
    """
    if apply:
        refuse_future(as_of)
    reports = _reports(settings, store, sources, as_of)
    for report in reports:
        if as_json:
            answer_json(report.to_dict() | {"applied": apply})
        else:
            _answer(report, apply)
    if check:
        offences = [report.offence for report in reports if report.offence]
        if offences:
            fail("; ".join(offences), 1)
    elif apply:
        _apply(settings, [report.policy.source for report in reports if report.removes], as_of)
    elif any(report.removes for report in reports):
        say("nothing was changed: --apply removes it")


def _reports(
    settings: Settings, store: ObjectStore, sources: Sequence[Source], as_of: datetime | None
) -> list[RetentionReport]:
    manifest = read_manifest(MANIFEST_PATH)
    client = warehouse(settings)
    try:
        return [run_retention(store, client, manifest, source.name, as_of=as_of) for source in sources]
    finally:
        client.close()


def _apply(settings: Settings, sources: Sequence[str], as_of: datetime | None) -> None:
    from orchestration.run import apply_retention  # noqa: PLC0415  Dagster takes seconds to import

    for source in sources:
        done = apply_retention(settings, source, as_of)
        if not done.success:
            fail("; ".join(done.failed_steps.values()) or f"{done.job} failed: see the Dagster UI", 1)
        say(f"{source}: removed in {done.seconds:.1f} s")


def _answer(report: RetentionReport, apply: bool) -> None:
    source = report.policy.source
    if report.unnamed:
        size = sum(file.size for file in report.unnamed)
        done = "went" if apply else "would go"
        answer(f"{source}: {len(report.unnamed)} files, {size:,} bytes, of loads that never finished {done}")
    if not report.policy.ages:
        answer(f"{source}: the policy does not name it, it keeps everything")
        return
    if not report.held:
        answer(f"{source}: nothing is older than the policy")
        return
    answer_table(
        ["store", "what", "number", "bytes", "oldest", "newest", "stays, because"],
        [
            (
                item.store,
                item.unit,
                f"{item.number:,}",
                f"{item.bytes:,}",
                f"{item.oldest:%Y-%m-%d %H:%M}",
                f"{item.newest:%Y-%m-%d %H:%M}",
                item.stays,
            )
            for item in report.held
        ],
        f"{source}: older than the policy, {'goes' if apply else 'would go'}",
    )
