"""The suite at raw-in: what the contracts of a source promise, checked again on raw.events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple
from datetime import datetime

from expectations.model import Check, GateWindow, Rows, Suite, Table
from expectations.payload_sql import PSEUDONYM_PATTERN, literal, violations
from ingestion.contract import ENVELOPE_COLUMNS, Contract, Source
from ingestion.envelope import IN_PAYLOAD
from lake.manifest import Counts, Manifest

EVENTS, LOADS, QUARANTINE = "events", "loads", "quarantine"
PLACE = "load_id, row_number"
ANY_PLACE = "any(load_id) as load_id, any(row_number) as row_number"
RECONCILED = (".loads.balance", ".loads.equal_lake", ".events.equal_loads", ".quarantine.equal_loads")
NEVER_SHOWN = frozenset(
    {"user_key", "session_id", "device_id", "trace_id", "idempotency_key", "payload", "user_id", "original"}
)
"""Columns that point at a person, whatever the contracts say."""


def raw_in_suite(source: Source, manifests: Iterable[Manifest], window: GateWindow) -> Suite:
    """Return the suite of a source for the received hours of a window.

    Args:
        source: the contracts; nothing about events is written down here again.
        manifests: the loads with files in those hours, from the lake: what raw.events must hold.
        window: the received hours.
    """
    name = f"{source.name}_raw_in"
    tables = {
        EVENTS: Table("raw", "events", "received_hour", "received_hour"),
        LOADS: Table("ops", "loads", "received_hour", "received_hour"),
        QUARANTINE: Table("ops", "quarantine", "received_hour", "received_hour"),
    }
    checks = [
        *_envelope(name, source),
        *_identity(name, source),
        *_conservation(name, source),
        *(_contract(name, source, contract) for contract in source.contracts),
    ]
    return Suite(
        name=name,
        source=source.name,
        boundary="raw_in",
        tables=tables,
        checks=tuple(checks),
        brought={"lake": _lake(manifests, window)},
        personal_columns=NEVER_SHOWN | frozenset(source.pii) | frozenset(tagged_names(source)),
    )


def is_reconciled(rule: str) -> bool:
    """Whether a rule compares the warehouse with the lake: what breaks it is a load that was taken in wrongly."""
    return rule.endswith(RECONCILED)


def tagged_names(source: Source) -> set[str]:
    """Return the names of the payload fields that the contracts tag as personal."""
    return {name for c in source.contracts for f in c.fields if f.pii_action for name in (f.name, f.path[-1])}


def _envelope(suite: str, source: Source) -> list[Check]:
    owner = source.owner
    required = [column for column, kind in ENVELOPE_COLUMNS.items() if not kind.startswith("Nullable")]
    types = sorted({contract.event_type for contract in source.contracts})
    versions = ", ".join(f"({literal(c.event_type)}, {literal(str(c.major))})" for c in source.contracts)
    tolerance = source.future_tolerance_minutes
    checks = [
        Check(
            f"{suite}.columns",
            EVENTS,
            "columns",
            owner,
            "staging reads these columns by name",
            arguments={"columns": [*ENVELOPE_COLUMNS, "payload", "received_hour", "is_duplicate"]},
        ),
        *(
            Check(
                f"{suite}.{column}.not_null",
                EVENTS,
                "not_null",
                owner,
                "the envelope is complete for every accepted event",
                column,
            )
            for column in (*required, "payload")
        ),
        Check(
            f"{suite}.event_type.known",
            EVENTS,
            "in_set",
            owner,
            "only contracted events leave quarantine",
            "event_type",
            {"values": types},
        ),
        Check(
            f"{suite}.contract_version.known",
            EVENTS,
            "rows",
            owner,
            "an event is read by the contract that accepted it",
            "contract_version",
            {
                "query": f"select event_type, contract_version, {PLACE} from events where "
                f"(toString(event_type), splitByChar('.', toString(contract_version))[1]) not in ({versions})"
            },
        ),
        Check(
            f"{suite}.envelope.text",
            EVENTS,
            "rows",
            owner,
            "an empty id joins events that have nothing in common",
            None,
            {
                "query": f"select {PLACE}, event_type from events where event_id = '' or tenant_id = '' "
                "or not match(load_id, '^[0-9a-f]{32}$') or row_number = 0"
            },
        ),
        Check(
            f"{suite}.user_key.pseudonym",
            EVENTS,
            "rows",
            owner,
            "the user id itself is never landed",
            "user_key",
            {
                "query": f"select {PLACE}, event_type from events where user_key is not null "
                f"and not match(user_key, {literal(PSEUDONYM_PATTERN)})"
            },
        ),
        Check(
            f"{suite}.received_at.in_hour",
            EVENTS,
            "rows",
            owner,
            "a received hour is replaced as a whole, so every row must belong to it",
            "received_at",
            {
                "query": f"select {PLACE}, event_type, received_hour, received_at from events "
                "where toStartOfHour(received_at) != received_hour"
            },
        ),
        Check(
            f"{suite}.occurred_at.plausible",
            EVENTS,
            "rows",
            owner,
            f"occurred_at lies between 1970 and {tolerance} minutes after received_at",
            "occurred_at",
            {
                "query": f"select {PLACE}, event_type, occurred_at, received_at from events "
                f"where occurred_at > received_at + interval {tolerance} minute "
                "or occurred_at < toDateTime64('1970-01-01 00:00:00', 3, 'UTC')"
            },
        ),
    ]
    if source.tenants:
        checks.append(
            Check(
                f"{suite}.tenant_id.known",
                EVENTS,
                "in_set",
                owner,
                "only these tenants may send",
                "tenant_id",
                {"values": sorted(source.tenants)},
            )
        )
    if source.pii:
        checks.append(_personal(suite, source))
    if source.anonymous.conditions:
        checks.append(_anonymous(suite, source))
    return checks


def _personal(suite: str, source: Source) -> Check:
    names = sorted(source.pii)
    quoted = ", ".join(literal(f'"{name}"') for name in names)
    pattern = literal(rf'"({"|".join(names)})"\s*:\s*("(?:[^"\\]|\\.)*"|[^,}}\]]*)')
    kept = ", ".join(literal(n) for n in names if source.pii[n].action == "pseudonymise")
    masked = f"(f[1] in ({kept}) and match(trim(both '\"' from f[2]), {literal(PSEUDONYM_PATTERN)}))"
    allowed = f"trim(f[2]) = 'null' or {masked if kept else 'false'}"
    query = (
        f"select event_type, field, count() as unexpected_rows, {ANY_PLACE} "
        f"from (select event_type, {PLACE}, arrayJoin(arrayDistinct(arrayMap(f -> f[1], arrayFilter("
        f"f -> not ({allowed}), extractAllGroups(payload, {pattern}))))) as field "
        f"from events where multiSearchAny(payload, [{quoted}])) group by event_type, field"
    )
    return Check(
        f"{suite}.payload.personal",
        EVENTS,
        "rows",
        source.owner,
        "personal names are pseudonymised or dropped before anything is written, declared or not",
        "payload",
        {"query": query},
    )


def _anonymous(suite: str, source: Source) -> Check:
    rule = source.anonymous
    conditions = []
    for condition in rule.conditions.values():
        for field in condition.fields:
            places = ", ".join(literal(name) for name in field.removeprefix(IN_PAYLOAD).split("."))
            text = f"JSONExtractString(payload, {places})" if field.startswith(IN_PAYLOAD) else field
            conditions.append(f"match(toString({text}), {literal('(?i)' + condition.matches)})")
    kept = [f"{'user_key' if name == 'user_id' else name} is not null" for name in rule.drop]
    if rule.drop_payload:
        left = '[{,]\\s*"(' + "|".join(rule.drop_payload) + ')"\\s*:'
        kept.append(f"match(payload, {literal(left)})")
    return Check(
        f"{suite}.anonymous",
        EVENTS,
        "rows",
        source.owner,
        "an event that names nobody is written without what identifies somebody, whatever the producer sent",
        "user_key",
        {
            "query": f"select {PLACE}, event_type from events "
            f"where ({' or '.join(conditions)}) and ({' or '.join(kept)})"
        },
    )


def _identity(suite: str, source: Source) -> list[Check]:
    counted = "select event_id, count() as deliveries from events where not is_duplicate"
    return [
        Check(
            f"{suite}.delivery.unique",
            EVENTS,
            "rows",
            source.owner,
            "a delivery is one row of one input; loaded twice, everything behind it counts twice",
            None,
            {"query": f"select {PLACE}, count() as copies from events group by {PLACE} having copies > 1"},
        ),
        Check(
            f"{suite}.event_id.once",
            EVENTS,
            "rows",
            source.owner,
            "an event counts once, however often it is delivered",
            "event_id",
            {"query": f"{counted} group by event_id having deliveries > 1"},
        ),
        Check(
            f"{suite}.idempotency_key.once",
            EVENTS,
            "rows",
            source.owner,
            "two events with one idempotency key are one event",
            "idempotency_key",
            {
                "query": f"select {ANY_PLACE}, count() as deliveries "
                "from events where not is_duplicate and idempotency_key is not null "
                "group by idempotency_key having deliveries > 1"
            },
        ),
    ]


def _conservation(suite: str, source: Source) -> list[Check]:
    per_load = "load_id, received_hour"
    return [
        Check(
            f"{suite}.loads.balance",
            LOADS,
            "rows",
            source.owner,
            "read + expanded = accepted + duplicate + quarantined + suppressed + skipped + folded",
            None,
            {
                "query": f"select {per_load}, {', '.join(Counts.__dataclass_fields__)} from loads "
                "where read + expanded != accepted + duplicate + quarantined + suppressed + skipped + folded"
            },
        ),
        Check(
            f"{suite}.loads.equal_lake",
            LOADS,
            "rows",
            source.owner,
            "the warehouse knows every load that a manifest names, with its counts",
            None,
            {"query": _against_lake()},
        ),
        Check(
            f"{suite}.events.equal_loads",
            EVENTS,
            "rows",
            source.owner,
            "what a load accepted is in raw.events, no row more or less",
            None,
            {"query": _against_loads("events", "accepted")},
        ),
        Check(
            f"{suite}.quarantine.equal_loads",
            QUARANTINE,
            "rows",
            source.owner,
            "what a load rejected is in ops.quarantine, no row more or less",
            None,
            {"query": f"{_against_loads('quarantine', 'quarantined')} and {_not_expired(source.name)}"},
        ),
    ]


def _not_expired(source: str) -> str:
    """Rejected rows are kept for a shorter time than the loads they came with."""
    return (
        "received_hour not in (select period from ops.retired_periods "
        f"where source = {literal(source)} and store = 'ops.quarantine')"
    )


def _against_loads(relation: str, count: str) -> str:
    return (
        f"select load_id, received_hour, expected, found, abs(expected - found) as unexpected_rows from ("
        f"select load_id, received_hour, sum(e) as expected, sum(f) as found from ("
        f"select load_id, received_hour, toInt64({count}) as e, toInt64(0) as f from loads union all "
        f"select load_id, received_hour, toInt64(0), toInt64(count()) from {relation} "
        f"group by load_id, received_hour) group by load_id, received_hour) where expected != found"
    )


def _against_lake() -> str:
    names = ("loads", *Counts.__dataclass_fields__)
    sums = ", ".join(f"sum(w_{n}) as warehouse_{n}, sum(l_{n}) as lake_{n}" for n in names)
    ours = ", ".join(["toInt64(count()) as w_loads", *(f"toInt64(sum({n})) as w_{n}" for n in names[1:])])
    zeros = ", ".join(f"toInt64(0) as l_{n}" for n in names)
    theirs = ", ".join([*(f"toInt64(0) as w_{n}" for n in names), *(f"toInt64({n}) as l_{n}" for n in names)])
    columns = ", ".join(["received_hour", *(f"w_{n}" for n in names), *(f"l_{n}" for n in names)])
    differs = " or ".join(f"warehouse_{n} != lake_{n}" for n in names)
    gap = " + ".join(f"abs(warehouse_{n} - lake_{n})" for n in ("accepted", "quarantined"))
    # A load without rows still counts: a hole of one load is one unexpected row at least.
    return (
        f"select *, greatest({gap}, 1) as unexpected_rows from (select received_hour, {sums} from ("
        f"select {columns} from (select received_hour, {ours}, {zeros} from loads group by received_hour) "
        f"union all select {columns} from (select received_hour, {theirs} from lake)) "
        f"group by received_hour) where {differs}"
    )


def _lake(manifests: Iterable[Manifest], window: GateWindow) -> Rows:
    """Totals by received hour: how many loads, and their counts."""
    totals: dict[datetime, tuple[int, Counts]] = {}
    for manifest in manifests:
        for hour in manifest.hours:
            if window.start <= hour.received_hour < window.end:
                loads, counts = totals.get(hour.received_hour, (0, Counts()))
                totals[hour.received_hour] = (loads + 1, counts + hour.counts)
    numbers = ("loads", *Counts.__dataclass_fields__)
    return Rows(
        {"received_hour": "DateTime('UTC')", **dict.fromkeys(numbers, "UInt64")},
        tuple((hour, loads, *astuple(counts)) for hour, (loads, counts) in sorted(totals.items())),
    )


def _contract(suite: str, source: Source, contract: Contract) -> Check:
    pii = {name: rule.action for name, rule in source.pii.items()}
    broken = violations(contract.schema, pii)
    query = (
        f"select rule, count() as unexpected_rows, {ANY_PLACE} "
        f"from (select {PLACE}, arrayJoin({broken}) as rule from events "
        f"where event_type = {literal(contract.event_type)} "
        f"and splitByChar('.', toString(contract_version))[1] = '{contract.major}') group by rule"
    )
    return Check(
        rule=f"{suite}.{contract.event_type}.v{contract.major}",
        table=EVENTS,
        kind="rows",
        owner=contract.owner,
        reason=f"every accepted {contract.event_type} keeps contract {contract.version}",
        column="payload",
        arguments={"query": query},
    )
