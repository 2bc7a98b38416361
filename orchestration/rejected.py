"""The quarantine on the command line: what was rejected, and validating it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ingestion import quarantine
from ingestion.codes import CODES
from ingestion.replay import replay as replay_source
from lake.errors import WrongUseError
from lake.manifest import Manifest
from lake.store import ObjectStore
from orchestration.console import answer, answer_json, answer_table, say
from orchestration.settings import Settings

if TYPE_CHECKING:
    from ingestion.contract import Source

Rows = list[tuple[str, ...]]


def check_codes(codes: Sequence[str]) -> None:
    """Refuse codes that do not exist.

    Raises:
        WrongUseError: naming the code and the valid ones.
    """
    for code in codes:
        if code not in CODES:
            raise WrongUseError(f"there is no code {code!r}; there are {', '.join(CODES)}")


def answer_quarantine(
    settings: Settings,
    store: ObjectStore,
    sources: Sequence[Source],
    *,
    code: str | None,
    samples: int,
    show_original: bool,
    as_json: bool,
) -> None:
    """Print counts by code, and for each code some rows: where they came from and every rule they broke.

    Args:
        settings: holds the key that opens originals.
        store: the lake.
        sources: which sources.
        code: one code only.
        samples: rows to show for each code.
        show_original: print the decrypted bytes too; they may hold personal data.
        as_json: one JSON line per source.
    """
    check_codes([code] if code else [])
    key = settings.secret_key if show_original else None
    for source in sources:
        counts: dict[str, int] = {}
        for found in quarantine.summary(store, source.name):
            if code in (None, found.code):
                counts[found.code] = counts.get(found.code, 0) + found.rows
        shown = {
            name: quarantine.samples(store, source.name, key=key, code=name, limit=samples) if samples else []
            for name in counts
        }
        if as_json:
            answer_json(
                {
                    "source": source.name,
                    "codes": counts,
                    "samples": {
                        name: [vars(sample) | {"original": _text(sample)} for sample in rows]
                        for name, rows in shown.items()
                    },
                }
            )
            continue
        if not counts:
            answer(f"{source.name}: nothing is in quarantine")
            continue
        ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        answer_table(
            ["code", "rows", "meaning"],
            [(name, f"{rows:,}", CODES.get(name)) for name, rows in ordered],
            f"{source.name}: rejected",
        )
        if samples:
            _answer_samples([sample for name, _ in ordered for sample in shown[name]], show_original)
    if not show_original and not as_json:
        say("originals are encrypted: --show-original prints them; they may hold personal data")


def _answer_samples(samples: Sequence[quarantine.Sample], show_original: bool) -> None:
    rows: Rows = []
    for sample in samples:
        rules = ", ".join(f"{name} {field}".strip() for name, field in sample.violations)
        row = (
            sample.input,
            f"{sample.row_number:,}",
            sample.event_type or "",
            rules,
            f"{sample.original_size:,}",
        )
        rows.append((*row, _text(sample) or "") if show_original else row)
    columns = ["input", "row", "event type", "rules broken", "bytes"]
    answer_table([*columns, "original"] if show_original else columns, rows, "samples")


def _text(sample: quarantine.Sample) -> str | None:
    return None if sample.original is None else sample.original.decode("utf-8", errors="backslashreplace")


def answer_replay(
    settings: Settings,
    store: ObjectStore,
    sources: Sequence[Source],
    *,
    load_id: str | None,
    codes: Sequence[str] | None,
    as_json: bool,
) -> list[tuple[str, list[Manifest]]]:
    """Validate rejected rows again, print what came of them, and return the loads that changed by source."""
    check_codes(codes or [])
    changed: list[tuple[str, list[Manifest]]] = []
    for source in sources:
        results = replay_source(
            store,
            source,
            key=settings.secret_key,
            load_id=load_id,
            codes=codes or None,
            memory_limit_mb=settings.max_load_memory_mb,
        )
        tried = sum(result.tried for result in results)
        accepted = sum(result.accepted for result in results)
        duplicate = sum(result.duplicate for result in results)
        expired = sum(result.expired for result in results)
        changed.append((source.name, [result.manifest for result in results if result.changed]))
        if as_json:
            answer_json(
                {
                    "source": source.name,
                    "tried": tried,
                    "accepted": accepted,
                    "duplicate": duplicate,
                    "expired": expired,
                }
            )
        else:
            answer(
                f"{source.name}: tried {tried:,} rejected rows, {accepted:,} accepted now, "
                f"{duplicate:,} duplicate, {tried - accepted - duplicate:,} still rejected"
                + (f"; {expired:,} more are past retention and gone" if expired else "")
            )
    return changed
