"""Compiles a source's wire formats into DuckDB SQL that reads the envelope off a JSON text.

The SQL starts from a relation (row_number, line, received_default) where `line` is one JSON text in UTF-8. A line that
is not JSON has NULL in every column and `valid` false.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingestion.compile import Rule
from ingestion.contract import Source
from ingestion.payload_parts import CompiledParts, compile_parts
from ingestion.schema_types import DATE_TIME_PATTERN
from ingestion.sql import any_of, is_object, is_text, json_path, lenient, literal, literals, path_list

TEXT_COLUMNS = (
    "event_id",
    "event_type",
    "contract_version",
    "tenant_id",
    "occurred_at",
    "received_at",
    "user_id",
    "session_id",
    "device_id",
    "order_id",
    "trace_id",
    "idempotency_key",
    "producer",
)
"""Envelope columns that the wire gives as texts, in the order of the relation."""
NEWEST = -1
"""Major version that stands for an event which names none."""
PAYLOAD = "payload"
IN_PAYLOAD = "payload."
NO_PATH = ("-",)
"""Stands where a format has no path; what it finds is not looked at."""
FIRST_MOMENT, LAST_MOMENT = "1970-01-01", "2101-01-01"


@dataclass(frozen=True)
class Slot:
    """One place in the list `e`: the n-th path of a column, whatever the format calls it."""

    column: str
    paths: tuple[tuple[str, ...] | None, ...]
    """Per format; None where the format has no such path."""
    inner: Mapping[int, int]
    """Format to the place in the list `q`, for paths inside the payload."""


@dataclass(frozen=True)
class Envelope:
    """The compiled wire formats of a source."""

    source: Source
    detected: tuple[str, ...]
    """The keys that tell the formats: they come first in `e`."""
    slots: tuple[Slot, ...]
    """What follows in `e`."""
    inner_names: tuple[tuple[str, ...], ...]
    """What `q` holds, in order: paths inside a payload that the slots could not see."""
    parts: tuple[CompiledParts | None, ...]
    """Per format: what its payload is put together from; None where it has a path."""

    def relation(self, lines: str) -> str:
        """Return a query over `lines` (a table or a query in parentheses) that yields the envelope.

        Columns: row_number, valid, received_default, the text columns (`occurred_at` and `received_at` as
        `occurred_text` and `received_text`), payload, payload_fault, occurred_at, received_wire, received_at,
        contract (index into the source's contracts, or NULL), is_anonymous (whether the event names nobody).
        """
        blank = "chr(32) || chr(9) || chr(10) || chr(13)"
        inner_object = f"(is_inner and {is_object(f'ltrim(inner_text, {blank})')})"
        texts = ", ".join(f"{self._text(name)} as {_text_name(name)}" for name in TEXT_COLUMNS)
        plain = ", ".join(_text_name(name) for name in TEXT_COLUMNS)
        rows = "row_number, received_default, valid"
        # From the inside out; each step reads the columns of the one before.
        steps = (
            f"*, {self._guess()} as guess",
            # try() reads each line once where asking json_valid first would read it twice.
            f"*, try({self._extract('guess')}) as guessed",
            f"*, guessed is not null and not {lenient('line')} as valid, {self._format()} as format",
            f"*, case when not valid then null when format = guess then guessed else {self._extract('format')} end as e",
            *self._reading_parts(rows),
            f"{rows}, e, format, {self._payload()} as p",
            f"*, case when {is_text('p')} then json_extract_string(p, '$') end as inner_text",
            f"*, inner_text is not null and {strictly_valid('inner_text')} as is_inner",
            f"""{rows}, e, format, is_inner,
                case
                    when {is_object("p")} then p
                    when {inner_object} then json_extract(inner_text, '$')::varchar
                end as payload,
                case
                    when not valid or {is_object("p")} then null
                    when p is null then 'envelope_missing'
                    when {is_text("p")} and not is_inner then 'json_invalid'
                    when not {inner_object} then 'field_type'
                end as payload_fault""",
            f"*, {self._inner()} as q",
            f"{rows}, payload, payload_fault, {texts}",
            f"*, {moment('occurred_text')} as occurred_moment, {moment('received_text')} as received_moment, "
            f"{_major('contract_version')} as wire_major",
            f"*, {_within_bounds('occurred_moment')} as occurred_at, "
            f"{_within_bounds('received_moment')} as received_wire",
        )
        query = lines
        for step in steps:
            query = f"(\nselect {step}\nfrom {query})"
        return f"""(
select {rows}, {plain}, payload, payload_fault, occurred_at, received_wire,
    coalesce(received_wire, received_default) as received_at, known.contract as contract,
    {self._anonymous()} as is_anonymous
from {query} left join ({self._contracts()}) as known on known.name = event_type and known.major = wire_major)"""

    @property
    def rules(self) -> list[Rule]:
        """The rules on the envelope, over the columns of `relation`."""
        rules = [Rule("json_invalid", "", "not valid")]

        def add(code: str, field: str, violated: str) -> None:
            rules.append(Rule(code, field, f"(valid and {violated})"))

        for name in ("event_id", "event_type", "tenant_id", "occurred_at"):
            add("envelope_missing", name, f"{_text_name(name)} is null")
        for name in TEXT_COLUMNS:
            column = _text_name(name)
            add("field_type", name, f"coalesce(ascii({column}) in (91, 123), false)")
        add("envelope_missing", "payload", "coalesce(payload_fault = 'envelope_missing', false)")
        add("json_invalid", "payload", "coalesce(payload_fault = 'json_invalid', false)")
        add("field_type", "payload", "coalesce(payload_fault = 'field_type', false)")
        add("timestamp_invalid", "occurred_at", "occurred_text is not null and occurred_at is null")
        add("timestamp_invalid", "received_at", "received_text is not null and received_wire is null")
        add(
            "timestamp_future",
            "occurred_at",
            f"coalesce(occurred_at > received_at + {self._tolerance}, false)",
        )
        names = literals(sorted({n for c in self.source.contracts for n in (c.event_type, *c.aliases)}))
        add("type_unknown", "event_type", f"event_type is not null and event_type not in ({names})")
        add(
            "version_unsupported",
            "contract_version",
            f"contract is null and coalesce(event_type in ({names}), false)",
        )
        if self.source.tenants:
            tenants = literals(self.source.tenants)
            add("tenant_unknown", "tenant_id", f"tenant_id is not null and tenant_id not in ({tenants})")
        return rules

    @property
    def plainly_valid(self) -> str:
        """SQL that is true only where no rule on the envelope is violated, and for most of those rows."""
        present = [
            f"{name} is not null" for name in ("event_id", "tenant_id", "payload", "contract", "occurred_at")
        ]
        plain = [
            "valid",
            *present,
            "(received_text is null or received_wire is not null)",
            f"occurred_at <= received_at + {self._tolerance}",
            *(f"coalesce(ascii({_text_name(name)}) not in (91, 123), true)" for name in TEXT_COLUMNS),
        ]
        if self.source.tenants:
            plain.append(f"tenant_id in ({literals(self.source.tenants)})")
        return f"coalesce({' and '.join(plain)}, false)"

    def _anonymous(self) -> str:
        """SQL: whether one of the conditions holds under which an event names nobody."""
        found = []
        for condition in self.source.anonymous.conditions.values():
            for field in condition.fields:
                path = literal(json_path(field.removeprefix(IN_PAYLOAD).split(".")))
                text = f"json_extract_string(payload, {path})" if field.startswith(IN_PAYLOAD) else field
                found.append(f"coalesce(regexp_matches({text}, {literal(condition.matches)}, 'i'), false)")
        return any_of(found)

    @property
    def _tolerance(self) -> str:
        return f"interval {self.source.future_tolerance_minutes} minute"

    def _contracts(self) -> str:
        """Return the names and versions of the contracts as rows; the newest also stands for no version."""
        newest: dict[str, int] = {}
        rows = []
        for index, contract in enumerate(self.source.contracts):
            for name in (contract.event_type, *contract.aliases):
                rows.append((name, contract.major, index))
                if name not in newest or contract.major > self.source.contracts[newest[name]].major:
                    newest[name] = index
        rows += [(name, NEWEST, index) for name, index in newest.items()]
        values = ", ".join(f"({literal(name)}, {major}, {index})" for name, major, index in rows)
        return f"select * from (values {values}) as t(name, major, contract)"

    def _guess(self) -> str:
        """SQL of the format that a line looks like; a wrong guess costs a second reading."""
        formats = self.source.wire_formats
        cases = []
        for index, wire in enumerate(formats[:-1]):
            others = {key for other in formats if other is not wire for key in other.detect}
            sign = next((key for key in wire.detect if key not in others), wire.detect[0])
            cases.append(f"when contains(line, {literal(chr(34) + sign + chr(34))}) then {index}")
        return f"case {' '.join(cases)} else {len(formats) - 1} end" if cases else "0"

    def _extract(self, which: str) -> str:
        """SQL of the list `e` under the format in column `which`."""
        cases = []
        for index in range(len(self.source.wire_formats)):
            paths = [(key,) for key in self.detected] + [slot.paths[index] or NO_PATH for slot in self.slots]
            cases.append(f"when {index} then json_extract_string(line, {path_list(paths)})")
        return f"case {which} {' '.join(cases)} end"

    def _format(self) -> str:
        """SQL of the index of the format: the first whose keys are all there, else the one with most of them."""
        formats = self.source.wire_formats
        if len(formats) == 1:
            return "0"
        whole, scores = [], []
        for index, wire in enumerate(formats):
            present = [f"guessed[{self.detected.index(key) + 1}] is not null" for key in wire.detect]
            whole.append(f"when {' and '.join(present)} then {index}")
            scores.append(" + ".join(f"({term})::int" for term in present))
        fallback = f"list_position([{', '.join(scores)}], list_max([{', '.join(scores)}])) - 1"
        return f"case {' '.join(whole)} else {fallback} end"

    def _payload(self) -> str:
        """SQL of the payload as a JSON text.

        A second reading of the line tells an object from a string that holds one. It is spared where the line has no
        backslash: a string that holds an object with a key has one before each of its quotes.
        """
        known = self._at(PAYLOAD)
        cases = []
        for index, wire in enumerate(self.source.wire_formats):
            parts = self.parts[index]
            if parts is not None:
                cases.append(f"when {index} then {parts.payload('read')}")
                continue
            tries = [
                f"nullif(json_extract(line, {literal(json_path(path.split('.')))})::varchar, 'null')"
                for path in wire.envelope["payload"]
            ]
            cases.append(f"when {index} then coalesce({', '.join(tries)}, null)")
        is_plain = f"{is_object(known)} and contains({known}, '\"') and not contains(line, '\\')"
        spread = [str(index) for index, parts in enumerate(self.parts) if parts is not None]
        if spread:
            is_plain = f"format not in ({', '.join(spread)}) and {is_plain}"
        return f"case when not valid then null when {is_plain} then {known} else case format {' '.join(cases)} end end"

    def _reading_parts(self, rows: str) -> tuple[str, ...]:
        """SQL of the steps that read the places of payloads that are put together; none where there are none."""
        compiled = [(index, parts) for index, parts in enumerate(self.parts) if parts is not None]
        if not compiled:
            return ()
        found = " ".join(
            f"when {index} then json_extract(line, {path_list(parts.paths)})::varchar[]"
            for index, parts in compiled
        )
        read = " ".join(f"when {index} then {parts.read('found')}" for index, parts in compiled)
        return (
            f"{rows}, line, e, format, case when valid then case format {found} end end as found",
            f"*, case format {read} end as read",
        )

    def _inner(self) -> str:
        """SQL of the list `q`."""
        if not self.inner_names:
            return "null::varchar[]"
        return (
            f"case when is_inner or {self._at(PAYLOAD)} is null "
            f"then json_extract_string(payload, {path_list(self.inner_names)}) end"
        )

    def _text(self, name: str) -> str:
        """SQL of an envelope column, empty texts as NULL."""
        values = []
        for place, slot in enumerate(self.slots, start=len(self.detected) + 1):
            if slot.column != name:
                continue
            having = [str(format_) for format_, path in enumerate(slot.paths) if path is not None]
            if len(having) == len(slot.paths):
                values.append(f"e[{place}]")
            elif having:
                values.append(f"case when format in ({', '.join(having)}) then e[{place}] end")
            if slot.inner:
                cases = " ".join(
                    f"when {format_} then q[{inner + 1}]" for format_, inner in slot.inner.items()
                )
                values.append(f"case format {cases} end")
        if not values:
            return "null::varchar"
        if name == "producer":
            present = [f"nullif(concat_ws('/', {', '.join(values)}), '')"]
        else:
            present = [f"nullif({value}, '')" for value in values]
        for format_, wire in enumerate(self.source.wire_formats):
            if name in wire.defaults:
                present.append(
                    f"case when valid and format = {format_} then {literal(wire.defaults[name])} end"
                )
        return present[0] if len(present) == 1 else f"coalesce({', '.join(present)})"

    def _at(self, column: str) -> str:
        """SQL of a column's first slot."""
        place = next(n for n, slot in enumerate(self.slots, start=1) if slot.column == column)
        return f"e[{len(self.detected) + place}]"


def compile_envelope(source: Source) -> Envelope:
    """Compile the wire formats of a source."""
    formats = source.wire_formats
    detected = tuple(dict.fromkeys(key for wire in formats for key in wire.detect))
    inner_names: dict[tuple[str, ...], int] = {}
    slots = []
    for column in (*TEXT_COLUMNS, PAYLOAD):
        given = [wire.envelope.get(column, ()) for wire in formats]
        for place in range(1 if column == PAYLOAD else max(map(len, given))):
            paths: list[tuple[str, ...] | None] = []
            inner = {}
            for index, (wire, names) in enumerate(zip(formats, given, strict=True)):
                if place >= len(names):
                    paths.append(None)
                    continue
                path = tuple(names[place].split("."))
                if names[place].startswith(IN_PAYLOAD):
                    inner[index] = inner_names.setdefault(path[1:], len(inner_names))
                    path = (*wire.envelope[PAYLOAD][0].split("."), *path[1:])
                paths.append(path)
            slots.append(Slot(column, tuple(paths), inner))
    parts = tuple(compile_parts(wire.parts) if wire.parts is not None else None for wire in formats)
    return Envelope(source, detected, tuple(slots), tuple(inner_names), parts)


def strictly_valid(text: str) -> str:
    """SQL: whether a text is JSON by the letter."""
    return f"case when json_valid({text}) then not {lenient(text)} else false end"


def moment(text: str) -> str:
    """SQL of an RFC 3339 text as a UTC timestamp, cut to milliseconds; NULL where it is none."""
    pattern = literal(DATE_TIME_PATTERN)
    body = f"regexp_replace({text}, '(Z|[+-][0-9]{{2}}:[0-9]{{2}})$', '')"
    minutes = (
        f"case when {text} like '%Z' then 0 else "
        f"(case when substr({text}, length({text}) - 5, 1) = '-' then -1 else 1 end)"
        f" * (60 * right({text}, 5)[1:2]::int + right({text}, 2)::int) end"
    )
    exact = (
        f"case when regexp_full_match({text}, {pattern}) then "
        f"date_trunc('millisecond', try_cast({body} as timestamp)) - to_minutes({minutes}) end"
    )
    return (
        f"case length({text}) when 24 then coalesce(try_strptime({text}, '%Y-%m-%dT%H:%M:%S.%gZ'), {exact}) "
        f"when 20 then try_strptime({text}, '%Y-%m-%dT%H:%M:%SZ') else {exact} end"
    )


def _major(version: str) -> str:
    """SQL of the major version that a text names; -2 for a text that names none."""
    digits = f"regexp_extract({version}, '^v?([0-9]{{1,9}})([.][0-9]+)*$', 1)"
    return f"case when {version} is null then {NEWEST} else coalesce(try_cast({digits} as int), -2) end"


def _text_name(name: str) -> str:
    return {"occurred_at": "occurred_text", "received_at": "received_text"}.get(name, name)


def _within_bounds(value: str) -> str:
    """SQL of a timestamp that is NULL outside the years an event can have."""
    return f"case when {value} >= timestamp '{FIRST_MOMENT}' and {value} < timestamp '{LAST_MOMENT}' then {value} end"
