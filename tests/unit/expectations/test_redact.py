"""Samples and messages never show personal data."""

from __future__ import annotations

import pytest

from expectations.redact import MASK, redact, redact_json, redact_text


def test_personal_columns_are_masked_and_others_stay() -> None:
    assert redact({"user_key": "abc", "amount": 3}, {"user_key"}) == {"user_key": MASK, "amount": 3}


@pytest.mark.parametrize("text", ["eve@example.com", "call +49 170 1234567 now", "(415) 555-2671"])
def test_text_that_looks_personal_is_masked_whatever_its_column(text: str) -> None:
    assert redact({"note": text}, ()) == {"note": MASK}


@pytest.mark.parametrize(
    "text", ["2026-11-16T10:00:00+00:00", "order-0049170123456", "12.5", "0123456789abcdef" * 2, "a+b"]
)
def test_ids_times_and_numbers_stay(text: str) -> None:
    assert redact({"note": text}, ()) == {"note": text}


def test_personal_values_inside_lists_and_objects_are_masked() -> None:
    row = {"items": [{"email": "x", "name": "eve@example.com"}]}

    assert redact(row, {"email"}) == {"items": [{"email": MASK, "name": MASK}]}


def test_long_text_is_cut() -> None:
    assert len(redact({"note": "x" * 5000}, ())["note"]) == 200


def test_row_that_is_no_json_object_is_masked_as_a_whole() -> None:
    assert redact_json(["eve", "[1]"], ()) == [{"row": MASK}, {"row": MASK}]


def test_engine_that_quotes_a_value_in_its_error_does_not_leak_it() -> None:
    assert "eve@example.com" not in redact_text("Cannot parse 'eve@example.com' as UInt8")
