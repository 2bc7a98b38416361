"""What a manifest counts: every hour balances by itself, and all of them give the rows of the file."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake.manifest import Counts, FileEntry, HourEntry, InputEntry, Manifest, ManifestError, spread

HOUR = datetime(2026, 11, 20, 10, tzinfo=UTC)
LOAD = "0" * 32


def manifest(counts: Counts, *, rows: int) -> Manifest:
    files = (FileEntry("raw/file", "raw", counts.accepted, 1, "0" * 64),)
    return Manifest(
        load_id=LOAD,
        source="pocm",
        input=InputEntry("file:///a.csv", "0" * 64, 1, "csv", rows),
        received_at=HOUR,
        contracts_fingerprint="",
        tag="0" * 8,
        counts=counts,
        hours=(HourEntry(HOUR, counts, files),),
    )


def validated(accepted: int, duplicate: int = 0) -> Counts:
    return Counts(read=accepted + duplicate, accepted=accepted, duplicate=duplicate)


def test_the_equation_says_what_a_mapping_did_only_where_it_did() -> None:
    assert str(validated(2, 1)) == "read 3 = accepted 2 + duplicate 1 + quarantined 0 + suppressed 0"
    assert str(Counts(1_003, 2, skipped=1, folded=1_002, expanded=2)) == (
        "read 1,003 + expanded 2 = accepted 2 + duplicate 0 + quarantined 0 + suppressed 0 + skipped 1 + folded 1,002"
    )
    assert str(Counts(4, 2)) == "read 4 ≠ accepted 2 + duplicate 0 + quarantined 0 + suppressed 0"


def test_a_manifest_without_skipped_folded_and_expanded_is_read() -> None:
    stored = json.loads(manifest(validated(2), rows=2).to_json())
    for counts in (stored["counts"], *(hour["counts"] for hour in stored["hours"])):
        for name in ("skipped", "folded", "expanded"):
            del counts[name]

    assert Manifest.from_json(json.dumps(stored).encode()) == manifest(validated(2), rows=2)


def test_a_commit_that_accounts_for_fewer_rows_than_the_file_has_is_refused() -> None:
    manifest(validated(2), rows=2).check()
    with pytest.raises(ManifestError, match="its input has 3 rows, and 2 are accounted for"):
        manifest(validated(2), rows=3).check()


def test_hours_that_retention_took_away_are_no_lost_rows() -> None:
    replace(manifest(validated(2), rows=3), revision=2).check()


def test_what_was_skipped_counts_where_the_input_was_received() -> None:
    hours = spread({HOUR: validated(2)}, HOUR + timedelta(hours=1), Counts(skipped=3, folded=4).unvalidated)

    assert hours == {HOUR: validated(2), HOUR + timedelta(hours=1): Counts(7, skipped=3, folded=4)}


def test_a_row_that_became_one_of_each_hour_is_read_in_the_last() -> None:
    hours = {HOUR + timedelta(hours=n): validated(1) for n in range(3)}

    found = spread(hours, HOUR, Counts(expanded=2).unvalidated)

    assert [found[hour] for hour in sorted(found)] == [
        Counts(0, 1, expanded=1),
        Counts(0, 1, expanded=1),
        Counts(1, 1),
    ]


counts = st.builds(validated, st.integers(0, 9), st.integers(0, 9))


@given(
    st.dictionaries(st.integers(0, 5), counts),
    st.integers(0, 9),
    st.integers(0, 9),
    st.integers(0, 100),
)
def test_every_hour_balances_and_together_they_are_the_load(
    rows: dict[int, Counts], skipped: int, folded: int, expanded: int
) -> None:
    hours = {HOUR + timedelta(hours=number): found for number, found in rows.items()}
    total = sum(hours.values(), Counts())
    expanded = min(expanded, total.read + skipped + folded)
    unvalidated = Counts(skipped=skipped, folded=folded, expanded=expanded).unvalidated

    found = spread(hours, HOUR, unvalidated)

    assert all(part.balances for part in found.values())
    assert sum(found.values(), Counts()) == total + unvalidated
