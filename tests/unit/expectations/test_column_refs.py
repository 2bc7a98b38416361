"""Columns of ClickHouse queries are followed to where they come from."""

from __future__ import annotations

import pytest

from expectations.column_refs import LineageError, Ref, Relation, columns_of, parse

TABLES = {
    "raw.events": ("event_id", "occurred_at", "user_key", "payload"),
    "t": ("a", "b", "items"),
    "u": ("a", "d"),
}


def catalog(name: str) -> Relation:
    if name not in TABLES:
        raise LineageError(f"unknown {name}")
    return Relation({column: frozenset({Ref(name, column)}) for column in TABLES[name]})


def origins(sql: str) -> dict[str, set[str]]:
    return {
        name: {".".join((ref.relation, ref.column, *ref.path)) for ref in refs}
        for name, refs in columns_of(parse(sql), catalog).items()
    }


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select a as x from t", {"x": {"t.a"}}),
        ("select lower(a) || b as x from t", {"x": {"t.a", "t.b"}}),
        ("with c as (select a as y from t), d as (select y as z from c) select z from d", {"z": {"t.a"}}),
        (
            "select c.q, u.d from (select a as q from t) as c join u on u.a = c.q",
            {"q": {"t.a"}, "d": {"u.d"}},
        ),
        ("select * from u", {"a": {"u.a"}, "d": {"u.d"}}),
        ("select * except (a) from u", {"d": {"u.d"}}),
        ("select * replace (d as a) from u", {"a": {"u.d"}, "d": {"u.d"}}),
        ("select u.* from t join u on t.a = u.a", {"a": {"u.a"}, "d": {"u.d"}}),
        ("select columns('^d') from u", {"d": {"u.d"}}),
        ("select a from t union all select d from u", {"a": {"t.a", "u.d"}}),
        ("select a as x, upper(x) as y from t", {"x": {"t.a"}, "y": {"t.a"}}),
        ("with a || b as joined select joined as x from t", {"x": {"t.a", "t.b"}}),
        ("select (select max(d) from u) as x from t", {"x": {"u.d"}}),
        ("select item.name as x from t array join items as item", {"x": {"t.items.name"}}),
        (
            "select cast(n as UInt8) as n from t array join [a] as m, arrayEnumerate(items) as n",
            {"n": {"t.items"}},
        ),
        ("select arrayMap(i -> i.name, items) as x from t", {"x": {"t.items"}}),
        ("select argMax(a, b) as x from t", {"x": {"t.a", "t.b"}}),
        ("select any(a) over (partition by b) as x from t", {"x": {"t.a"}}),
        ("select groupArray(5)(a) as x from t", {"x": {"t.a"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_value_is_followed(sql: str, expected: dict[str, set[str]]) -> None:
    assert origins(sql) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "count(a)",
        "uniqExact(a)",
        "uniqExactIf(a, b = 1)",
        "uniqExactState(a)",
        "quantileExact(0.5)(a)",
        "sum(a)",
        "a is null",
        "a = 'x'",
        "if(a is null, 0, 1)",
        "row_number() over (partition by a order by b)",
    ],
)
def test_value_does_not_pass_what_only_looks_at_it(expression: str) -> None:
    assert origins(f"select {expression} as x from t") == {"x": set()}


@pytest.mark.parametrize(
    "access",
    [
        "fields.email",
        "typed.fields.email",
        "tupleElement(fields, 'email')",
        "JSONExtractString(payload, 'email')",
        "JSONExtract(payload, 'email', 'String')",
    ],
)
def test_field_of_the_payload_is_told_from_the_payload(access: str) -> None:
    sql = (
        "with typed as (select *, cast(payload, 'JSON(email String)') as fields from raw.events) "
        f"select {access} as x from typed"
    )
    assert origins(sql) == {"x": {"raw.events.payload.email"}}


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("select a frm t where", "is no SQL that can be read"),
        ("select nosuch from t", "column nosuch comes from no input"),
        ("select a from elsewhere", "unknown elsewhere"),
        ("select x from s3('http://somewhere')", "table function s3"),
        ("select dictGet('names', 'name', a) as x from t", "dictionary"),
        ("select a from t; select b from t", "is not one SELECT"),
        ("drop table t", "is not one SELECT"),
    ],
)
def test_query_that_cannot_be_followed_is_refused(sql: str, why: str) -> None:
    with pytest.raises(LineageError, match=why):
        origins(sql)
