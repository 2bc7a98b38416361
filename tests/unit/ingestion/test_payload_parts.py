"""Payloads that the wire spreads over several places are put together in SQL as the rule says."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingestion.contract import PayloadParts, load_source
from ingestion.envelope import compile_envelope
from ingestion.oracle import assembled

TRACKING = load_source("bilten").wire_formats[0]
assert TRACKING.parts is not None
PARTS: PayloadParts = TRACKING.parts
RELATION = compile_envelope(load_source("bilten")).relation(
    "(select generate_subscripts($lines, 1)::ubigint as row_number, unnest($lines) as line, "
    "timestamp '2026-11-19' as received_default)"
)

EVENT = {
    "eventId": "e1",
    "eventType": "page_view",
    "timestamp": "2026-11-18T10:00:00Z",
    "context": {"organizerId": "o1"},
}
KEYS = st.sampled_from(
    [
        "page",
        "userAgent",
        "user_agent",
        "eventId",
        "source",
        "organizerId",
        "customProperties",
        'u"serAgent',
        "é\n",
    ]
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(['"userAgent":', "{", "\\", "a,b", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2),
    max_leaves=4,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)
PLACES = OBJECTS | OBJECTS.map(json.dumps) | st.none() | st.sampled_from(["{", 5, [], "[]", "", True])


@pytest.fixture(scope="module")
def connection() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def payload(connection: duckdb.DuckDBPyConnection, *events: Any) -> list[tuple[str | None, str | None]]:
    """Payload and fault of each event, as the compiled envelope gives them."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return connection.execute(
        f"select payload, payload_fault from {RELATION} order by row_number", {"lines": lines}
    ).fetchall()


def members(text: str) -> Counter[str]:
    """The members of a JSON object, repeated ones as often as they stand there."""
    return Counter(json.dumps(pair) for pair in json.loads(text, object_pairs_hook=list))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(PLACES, PLACES, SCALARS), min_size=10, max_size=40))
def test_the_sql_puts_a_payload_together_as_the_rule_says(places: list[tuple[Any, Any, Any]]) -> None:
    events = [
        {**EVENT, "properties": properties, "context": context, "eventName": name}
        for properties, context, name in places
    ]
    with duckdb.connect() as connection:
        found = payload(connection, *events)
    for event, (text, fault) in zip(events, found, strict=True):
        expected, code = assembled(PARTS, event)
        assert fault == code
        if code is None:
            assert text is not None
            assert members(text) == Counter(json.dumps(_pairs(member)) for member in expected)


def _pairs(value: Any) -> Any:
    """A value with its objects as lists of pairs, as `members` reads them."""
    if isinstance(value, dict):
        return [[key, _pairs(sub)] for key, sub in value.items()]
    return [_pairs(sub) for sub in value] if isinstance(value, list | tuple) else value


def test_fields_get_their_names_and_unknown_ones_keep_their_own(
    connection: duckdb.DuckDBPyConnection,
) -> None:
    event = {
        **EVENT,
        "eventName": "x",
        "properties": {
            "page": "/",
            "userAgent": "q",
            "mood": 1,
            "customProperties": {"plan": {"userAgent": 2}},
        },
        "context": {"organizerId": "o1", "eventId": "t1"},
    }
    ((text, _),) = payload(connection, event)
    assert json.loads(text or "") == {
        "page": "/",
        "user_agent": "q",
        "mood": 1,
        "plan": {"userAgent": 2},
        "organizer_id": "o1",
        "ticketed_event_id": "t1",
        "event_name": "x",
    }


def test_a_field_that_two_places_give_stands_twice(connection: duckdb.DuckDBPyConnection) -> None:
    ((text, _),) = payload(connection, {**EVENT, "properties": {"page": "/"}, "context": {"page": "/a"}})
    assert members(text or "") == Counter(['["page", "/"]', '["page", "/a"]'])


def test_a_key_that_stands_twice_on_the_wire_still_does(connection: duckdb.DuckDBPyConnection) -> None:
    line = json.dumps({**EVENT, "properties": "?"}).replace('"?"', '{"userAgent":"a{","userAgent":"b"}')
    ((text, _),) = payload(connection, line)
    assert (text or "").count('"user_agent"') == 2


def test_an_event_without_an_organizer_belongs_to_the_platform(connection: duckdb.DuckDBPyConnection) -> None:
    line = json.dumps({**EVENT, "context": {"organizerId": None}})
    assert connection.execute(f"select tenant_id from {RELATION}", {"lines": [line]}).fetchall() == [
        ("bilten",)
    ]
