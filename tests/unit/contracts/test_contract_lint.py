"""Each rule of the lint names file, place, value and what is valid."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
from contract_folder import ContractFolder

from ingestion.contract import ContractError, lint_source, load_source, source_names

Bend = Callable[[ContractFolder], Any]


def problems(folder: ContractFolder) -> list[str]:
    folder.write()
    return [str(problem) for problem in lint_source("shop", folder.root)]


def test_the_small_source_is_in_order(folder: ContractFolder) -> None:
    assert problems(folder) == []


@pytest.mark.parametrize("source", source_names())
def test_every_source_is_in_order(source: str) -> None:
    assert lint_source(source) == []


def test_a_source_with_anonymous_events_is_in_order(folder: ContractFolder) -> None:
    _session_in_payload(folder)
    folder.source["anonymous"]["drop_payload"].append("session")
    assert problems(folder) == []


CARD = {"type": "object", "description": "x", "properties": {"brand": {"type": "string", "description": "x"}}}
PERSON = {"type": "string", "description": "x", "x-pii": {"class": "name", "action": "drop"}}
LINES_OF_PEOPLE = {
    "type": "array",
    "description": "x",
    "items": {"type": "object", "properties": {"who": PERSON}},
}


LINES_OF_PRODUCTS = {
    "type": "array",
    "items": {"type": "object", "properties": {"sku": {"type": "string", "description": "x"}}},
}
AT_THE_DOOR = {"description": "Nobody is named.", "fields": "payload.state", "matches": "^new$"}
ANONYMOUS = {"when": {"door": AT_THE_DOOR}, "drop": ["user_id"], "drop_payload": ["login"]}


def _anonymous(**changes: Any) -> Bend:
    return lambda f: f.source.update(anonymous=copy.deepcopy(ANONYMOUS) | changes)


def _door(**changes: Any) -> Bend:
    return _anonymous(when={"door": AT_THE_DOOR | changes})


def _session_in_payload(folder: ContractFolder) -> None:
    _anonymous(drop=["user_id", "session_id"])(folder)
    folder.source["wire_formats"]["api"]["envelope"]["session_id"] = ["meta.session", "payload.who.session"]


SPREAD = {"objects": {"data": {"Kind": "kind"}}, "values": {"name": "name"}}


def _spread(**parts: Any) -> Bend:
    return lambda f: f.source["wire_formats"]["api"]["envelope"].update(
        tenant_id="meta.tenant", payload={**SPREAD, **parts}
    )


def _derived(**schema: Any) -> Bend:
    """A field that is derived from another one, which are both in order unless `schema` says otherwise."""

    def bend(folder: ContractFolder) -> None:
        folder.paid["properties"]["agent"] = {"type": "string", "description": "x"}
        rule = {"from": "agent", "as": "user_agent.browser"}
        extra = {"type": ["string", "null"], "description": "x", "x-derive": rule, **schema}
        folder.paid["properties"]["extra"] = extra

    return bend


def _when(condition: Any) -> Bend:
    return lambda f: f.paid.update(allOf=[condition])


NEW_STATE = {"properties": {"state": {"const": "new"}}, "required": ["state"]}


@pytest.mark.parametrize(
    "bend", [_spread(), _derived(), _when({"if": NEW_STATE, "then": {"required": ["attempt"]}})]
)
def test_a_source_that_spreads_derives_or_makes_conditions_is_in_order(
    folder: ContractFolder, bend: Bend
) -> None:
    bend(folder)
    assert problems(folder) == []


def _extra(**schema: Any) -> Bend:
    return lambda f: f.paid["properties"].update(extra={"description": "x", **schema})


@pytest.mark.parametrize(
    ("bend", "expected"),
    [
        pytest.param(
            lambda f: f.property("amount").update(multipleOf=2),
            "shop/PAID.v1.yaml: properties.amount.multipleOf: is not supported here",
            id="unsupported keyword",
        ),
        pytest.param(
            lambda f: f.property("amount").update({"x-pi": 1}),
            "properties.amount.x-pi: is not supported here and would not be enforced; valid: description",
            id="misspelt keyword",
        ),
        pytest.param(
            lambda f: f.property("payment_id").update(minimum=1),
            "properties.payment_id.minimum: is not supported here",
            id="keyword of another type",
        ),
        pytest.param(
            lambda f: f.property("amount").update(type="decimal"),
            "properties.amount.type: is no JSON Schema: 'decimal' is not valid",
            id="no JSON Schema",
        ),
        pytest.param(
            lambda f: f.property("amount").pop("description"),
            "properties.amount.description: every property needs a description",
            id="no description",
        ),
        pytest.param(
            lambda f: f.paid.pop("description"),
            "description: an event needs a description",
            id="silent event",
        ),
        pytest.param(
            lambda f: (f.paid["properties"].pop("currency"), f.paid["required"].remove("currency")),
            "properties.amount: an amount needs a currency beside it",
            id="amount without currency",
        ),
        pytest.param(
            lambda f: f.paid["required"].append("amuont"),
            "required: 'amuont' is no property of it; valid: payment_id, amount, currency, attempt, state",
            id="unknown required",
        ),
        pytest.param(
            lambda f: f.paid.update({"x-version": "2.0"}),
            "x-version: must be \"1.<minor>\" as the file name says, is '2.0'",
            id="version against file name",
        ),
        pytest.param(
            lambda f: f.paid.update({"x-version": 1.0}), "x-version: must be", id="version that is a number"
        ),
        pytest.param(
            lambda f: f.paid.update({"x-entity": "Pay ments"}), "x-entity: must be a plural", id="entity"
        ),
        pytest.param(
            lambda f: f.paid.update({"x-entity": "events"}), "x-entity: must be a plural", id="taken entity"
        ),
        pytest.param(
            lambda f: f.paid.update(additionalProperties=False),
            "additionalProperties: must be true or absent: unknown fields are kept",
            id="closed object",
        ),
        pytest.param(
            lambda f: f.paid.update({"$schema": "http://json-schema.org/draft-07/schema#"}),
            "$schema: 'http://json-schema.org/draft-07/schema#' is not supported; valid: https://json-schema.org",
            id="another draft",
        ),
        pytest.param(
            lambda f: f.contracts.update(paid=f.contracts.pop("PAID.v1")),
            "shop/paid.yaml: a contract's file is named <EVENT_TYPE>.v<major>.yaml",
            id="file name",
        ),
        pytest.param(
            _extra(type=["string", "integer"]),
            "properties.extra.type: must be one type, or one and null; is ['string', 'integer']; valid:",
            id="two types",
        ),
        pytest.param(_extra(), "properties.extra.type: must be one type", id="no type"),
        pytest.param(
            _extra(type="string", format="email"),
            "properties.extra.format: 'email' is not supported; valid: date-time, date",
            id="format",
        ),
        pytest.param(
            _extra(type="number", **{"x-type": "euro"}),
            "properties.extra.x-type: 'euro' is not supported; valid: money",
            id="x-type",
        ),
        pytest.param(
            _extra(type="string", pattern="(?=a)b"), "properties.extra.pattern: '(?=a)b' has", id="lookahead"
        ),
        pytest.param(
            _extra(type="string", pattern="a.b"),
            "properties.extra.pattern: 'a.b' has '.b' at 1: valid are literals",
            id="dot, whose newline engines read differently",
        ),
        pytest.param(_extra(type="string", pattern="a++"), "pattern: 'a++' has '++' at 1", id="possessive"),
        pytest.param(_extra(type="string", pattern=r"(a)\1"), "pattern: '(a)\\\\1' has", id="back reference"),
        pytest.param(_extra(type="string", pattern=r"[z-a]"), "is no regular expression", id="wrong class"),
        pytest.param(
            _extra(type="integer", minimum=0.5),
            "minimum: must be a finite integer, is 0.5",
            id="half a bound",
        ),
        pytest.param(
            _extra(type="number", minimum=float("inf")),
            "minimum: must be a finite number",
            id="endless bound",
        ),
        pytest.param(
            _extra(type="integer", minimum=3, maximum=2),
            "minimum: 3 is above maximum 2: nothing could be valid",
            id="bounds that cross",
        ),
        pytest.param(_extra(type="string", enum=["a", 1]), "enum: 1 is no string", id="enum of another type"),
        pytest.param(
            _extra(type="integer", enum=[1, True]), "enum: True is no integer", id="a boolean is no integer"
        ),
        pytest.param(
            _extra(type=["string", "null"], enum=["a"]),
            "enum: the type allows null, so the values must name null too",
            id="null that the values refuse",
        ),
        pytest.param(
            _extra(type="string", enum=["a", None]),
            "enum: names null, which the type does not allow",
            id="null",
        ),
        pytest.param(
            _extra(type="array"),
            "properties.extra.items: an array says what its elements are",
            id="bare array",
        ),
        pytest.param(
            _extra(type="array", items={"type": "array", "items": {"type": "string"}}),
            "properties.extra.items.type: must be one of string, integer, number, boolean, object",
            id="array of arrays",
        ),
        pytest.param(
            _extra(type="array", items={"type": ["string", "null"]}),
            "and never null",
            id="null as an element",
        ),
        pytest.param(
            _extra(type="array", items={"type": "object", "properties": {"card": CARD}}),
            "an array's element holds scalars only, is object",
            id="object inside an element",
        ),
        pytest.param(
            _extra(type="object", properties={}),
            "an object declares at least one property",
            id="empty object",
        ),
        pytest.param(
            _extra(type="integer", minimum=3, **{"x-example": 2}),
            "properties.extra.x-example: is not valid itself: 2 breaks minimum 3",
            id="example against its own rules",
        ),
        pytest.param(
            lambda f: f.paid["properties"].update({"a-b": {"type": "string", "description": "x"}}),
            "properties.a-b: 'a-b' cannot be a column name",
            id="column name",
        ),
        pytest.param(
            lambda f: f.paid["properties"].update(tenant_id={"type": "string", "description": "x"}),
            "properties.tenant_id: tenant_id is a column of every event; choose another name",
            id="envelope column",
        ),
        pytest.param(
            lambda f: f.paid["properties"].update(order_id={"type": "integer", "description": "x"}),
            "properties.order_id: order_id is an identifier of every event: must be a plain string",
            id="identifier of another type",
        ),
        pytest.param(
            lambda f: f.paid["properties"].update(
                card=CARD, card_brand={"type": "string", "description": "x"}
            ),
            "becomes the column card_brand, as does properties.card.properties.brand",
            id="two fields, one column",
        ),
        pytest.param(
            _extra(type="string", **{"x-pii": {"class": "name", "action": "hide"}}),
            "properties.extra.x-pii.action: 'hide' is not supported; valid: pseudonymise, drop",
            id="x-pii action",
        ),
        pytest.param(
            _extra(type="string", **{"x-pii": "name"}),
            "x-pii: must be {class: <word>, action:",
            id="x-pii shape",
        ),
        pytest.param(
            _extra(type="integer", **{"x-pii": {"class": "age", "action": "pseudonymise"}}),
            "x-pii.action: a pseudonym is a text and the field is a integer; valid: drop",
            id="pseudonym of a number",
        ),
        pytest.param(
            lambda f: f.paid["properties"].update(lines=LINES_OF_PEOPLE),
            "only a scalar outside arrays can be personal",
            id="personal data in an array",
        ),
        pytest.param(
            lambda f: f.paid["properties"].update(email={"type": "string", "description": "x"}),
            "properties.email: email is personal in the whole source: x-pii must be",
            id="personal by name",
        ),
        pytest.param(
            lambda f: f.contracts.update({"LOST.v1": {**f.paid, "x-aliases": ["PAID"]}}),
            "shop/LOST.v1.yaml: x-aliases: PAID already names the event of PAID.v1.yaml",
            id="alias that is taken",
        ),
        pytest.param(
            lambda f: f.source.pop("owner"), "shop/_source.yaml: owner is missing", id="source without owner"
        ),
        pytest.param(
            lambda f: f.source.update(colour="red"),
            "_source.yaml: colour: unknown key; valid: description",
            id="key",
        ),
        pytest.param(
            lambda f: f.source.update(max_event_bytes=0),
            "max_event_bytes: must be an integer of at least 1, is 0",
            id="no bytes",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["envelope"].pop("event_id"),
            "wire_formats.api.envelope: event_id is missing",
            id="wire format without id",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["envelope"].update(userid="u"),
            "wire_formats.api.envelope.userid: unknown key; valid: event_id",
            id="unknown envelope column",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"]["envelope"].update(user_id="$.u"),
            "wire_formats.api.envelope.user_id: must be a dotted path or a list of them, is '$.u'",
            id="path",
        ),
        pytest.param(
            _spread(objects={}),
            "envelope.payload: must be {objects: {<dotted path>: {<wire name>: <field>}}, values:",
            id="payload of no objects",
        ),
        pytest.param(
            _spread(objects={"data": {"a": "c", "b": "c"}}),
            "envelope.payload.objects.data: two names become c: every event would repeat it",
            id="two names become one field",
        ),
        pytest.param(
            _spread(objects={"data": ["kind"]}),
            "envelope.payload.objects.data: must map names on the wire to fields, {} for none",
            id="names that are no mapping",
        ),
        pytest.param(
            _spread(values={"name": "$.name"}),
            "envelope.payload.values.name: must be a dotted path or a list of them, is '$.name'",
            id="path of a value",
        ),
        pytest.param(
            lambda f: (
                _spread()(f),
                f.source["wire_formats"]["api"]["envelope"].update(order_id=["payload.order", "order"]),
            ),
            "envelope.order_id: payload.order goes on inside a payload that is put together",
            id="path inside a payload that is put together",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"].update(defaults={"event_id": "x"}),
            "wire_formats.api.defaults.event_id: 'event_id' is not supported; valid: tenant_id, ",
            id="default of an identifier",
        ),
        pytest.param(
            lambda f: f.source["wire_formats"]["api"].update(defaults={"tenant_id": 1}),
            "wire_formats.api.defaults.tenant_id: must be a text, is 1",
            id="default that is no text",
        ),
        pytest.param(
            _derived(**{"x-derive": "browser"}),
            "properties.extra.x-derive: must be {from: <field>, as: <kind>.<fact>}, is 'browser'",
            id="derivation that is no mapping",
        ),
        pytest.param(
            _derived(**{"x-derive": {"from": "agent", "as": "user_agent.age"}}),
            "properties.extra.x-derive.as: 'user_agent.age' is not supported; valid: user_agent.browser, ",
            id="unknown fact",
        ),
        pytest.param(
            _derived(type=["boolean", "null"]),
            "properties.extra: user_agent.browser is a string",
            id="fact of another type",
        ),
        pytest.param(
            _derived(type="string"),
            "properties.extra: a derived field may be missing: its type must allow null",
            id="derived field that cannot be null",
        ),
        pytest.param(
            _derived(**{"x-derive": {"from": "attempt", "as": "user_agent.browser"}}),
            "properties.extra.x-derive.from: 'attempt' is no text that is sent; valid: payment_id, ",
            id="derived from a number",
        ),
        pytest.param(
            lambda f: (
                _derived()(f),
                f.property("agent").update({"x-pii": {"class": "a", "action": "drop"}}),
            ),
            "properties.extra.x-derive.from: agent is personal: what is derived from it would be too",
            id="derived from a personal field",
        ),
        pytest.param(
            _when({"if": NEW_STATE}),
            "allOf.0: must be {if: {properties: {<field>: {const: <text>}}, required: [<field>]}, then: ",
            id="condition without consequence",
        ),
        pytest.param(
            _when({"if": NEW_STATE, "then": {"required": ["attempts"]}}),
            "allOf.0.then.required: 'attempts' is no property; valid: payment_id, ",
            id="condition for an unknown field",
        ),
        pytest.param(
            _when(
                {
                    "if": {"properties": {"amount": {"const": "1"}}, "required": ["amount"]},
                    "then": {"required": ["attempt"]},
                }
            ),
            "allOf.0.if: amount must be a text of the payload",
            id="condition on a number",
        ),
        pytest.param(
            lambda f: f.source.update(correlations={"self": "session_id"}),
            "correlations.self: must be a word of [a-z][a-z0-9_]* and not self, is 'self'",
            id="correlation named as the own date",
        ),
        pytest.param(
            lambda f: f.source.update(correlations={"user": "user_key"}),
            "correlations.user: 'user_key' holds no key; valid: device_id, order_id, session_id, trace_id, ",
            id="correlation by a column that is none",
        ),
        pytest.param(
            lambda f: f.source.update(correlations={"payment": ["order_id", "payload.paymentid"]}),
            "shop/_source.yaml: correlations.payment: no event has the text field payload.paymentid",
            id="correlation by a field of no event",
        ),
        pytest.param(
            lambda f: f.source.update(correlations={"attempt": "payload.attempt"}),
            "correlations.attempt: no event has the text field payload.attempt",
            id="correlation by a number",
        ),
        pytest.param(
            lambda f: f.source.update(correlations={"visit": {"first_of": ["user_key"], "around": "noon"}}),
            "correlations.visit.around: must be midnight, is 'noon'",
            id="correlation around another time",
        ),
        pytest.param(
            lambda f: f.source.update(
                correlations={"visit": {"first_of": "user_key", "around": "midnight", "unless": "payload"}}
            ),
            "correlations.visit.unless: 'payload' is not supported; valid: device_id, order_id, session_id, trace_id",
            id="correlation unless there is something that is no key",
        ),
        pytest.param(
            lambda f: f.source.update(
                correlations={"visit": {"first_of": ["payload.visitor"], "around": "midnight"}}
            ),
            "correlations.visit: no event has the text field payload.visitor",
            id="correlation around midnight by a field of no event",
        ),
        pytest.param(
            _anonymous(when={}),
            "anonymous.when: must name at least one condition",
            id="anonymous events without a condition",
        ),
        pytest.param(
            _anonymous(drop=["session_id"]),
            "anonymous.drop: must list user_id and what else of device_id, order_id, session_id, trace_id, user_id",
            id="anonymous events that keep their user",
        ),
        pytest.param(
            _anonymous(drop=["user_id", "tenant_id"]),
            "anonymous.drop: must list user_id and what else of",
            id="anonymous events without a column that every event needs",
        ),
        pytest.param(
            _anonymous(drop_payload=["a b"]),
            "anonymous.drop_payload: must be a list of field names, is ['a b']",
            id="anonymous events without a name that is none",
        ),
        pytest.param(
            _anonymous(drop_payload=["payment_id"]),
            "shop/PAID.v1.yaml: required: payment_id is dropped from events that name nobody",
            id="anonymous events without a field that their contract requires",
        ),
        pytest.param(
            lambda f: (_anonymous(drop_payload=["extra"])(f), _extra(**LINES_OF_PRODUCTS)(f)),
            "properties.extra: is dropped from events that name nobody: only a scalar can be",
            id="anonymous events without a list",
        ),
        pytest.param(
            _door(fields=["payload.path"]),
            "anonymous.when.door.fields: no event has the text field payload.path",
            id="a condition on a field of no event",
        ),
        pytest.param(
            _door(fields=["user_key"]),
            "anonymous.when.door.fields: 'user_key' tells nothing; valid: event_type, producer, payload.<field>",
            id="a condition on a column that tells nothing",
        ),
        pytest.param(
            _door(matches="(?=x)"),
            "anonymous.when.door.matches: '(?=x)' has",
            id="a condition that engines read differently",
        ),
        pytest.param(
            _door(description=" "),
            "anonymous.when.door.description: must say why nobody is named",
            id="a condition without a reason",
        ),
        pytest.param(
            _session_in_payload,
            "anonymous.drop_payload: session_id stays in the payload as payload.who.session of api: name it here",
            id="a dropped column that the payload would still hold",
        ),
    ],
)
def test_a_broken_rule_is_told_precisely(folder: ContractFolder, bend: Bend, expected: str) -> None:
    bend(folder)
    found = problems(folder)
    assert any(expected in problem for problem in found), found


@pytest.mark.parametrize(
    ("change", "aspect"),
    [
        ({"type": "number"}, "ClickHouse type of amount is 'Float64', but 'Decimal(18, 4)' in PAID.v1.yaml"),
        ({"description": "Another."}, "description of amount is 'Another.', but 'Amount paid.'"),
        ({"x-unit": "cents"}, "unit of amount is 'cents', but None"),
    ],
)
def test_one_name_means_one_thing_in_a_source(
    folder: ContractFolder, change: dict[str, Any], aspect: str
) -> None:
    other = {**folder.property("amount"), **change}
    if "type" in change:
        other.pop("x-type")
    folder.contracts["REFUNDED.v1"] = {
        **folder.paid,
        "properties": {**folder.paid["properties"], "amount": other},
    }
    assert any(aspect in problem for problem in problems(folder))


def test_loading_reports_every_broken_rule_at_once(folder: ContractFolder) -> None:
    folder.property("amount").pop("description")
    folder.property("state").update(format="uri")
    with pytest.raises(ContractError) as error:
        load_source("shop", folder.write())
    assert len(str(error.value).splitlines()) == 2


@pytest.mark.parametrize(
    "pattern",
    ["^[A-Z]{3}$", r"^\d+(\.\d{1,2})?$", "^(a|b)+?$", "[^,]+", r"\$", "^ORD-[0-9]{4,}$", "^(?:x|y)$"],
)
def test_a_pattern_that_every_engine_reads_alike_is_accepted(folder: ContractFolder, pattern: str) -> None:
    _extra(type="string", pattern=pattern)(folder)
    assert problems(folder) == []
