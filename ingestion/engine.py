"""Chunks of records through DuckDB: envelope, contract, personal data, duplicates; no Python per event.

Every row is asked the cheap question whether it is plainly valid; only those that are not are asked which rules they
break. A chunk is judged by itself (`judge`) and then takes its turn among the others (`settle`): two threads may each do
one of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import cycle
from pathlib import Path

import duckdb
import pyarrow as pa

from ingestion.compile import (
    PayloadCheck,
    compile_contract,
    general_rules,
    generally_valid,
    members,
    violations_of,
)
from ingestion.contract import Source
from ingestion.derive import KINDS, Derived, derived_fields, members_sql, read_texts
from ingestion.envelope import Envelope, compile_envelope
from ingestion.errors import NoRoomError
from ingestion.masking import Masking, compile_masking, holds_personal, without
from ingestion.pseudonym import Secret, pseudonym_sql
from ingestion.sql import json_path, literal

LINE_SCHEMA = pa.schema([("row_number", pa.uint64()), ("line", pa.string())])
REPLAY_SCHEMA = LINE_SCHEMA.append(pa.field("received_default", pa.timestamp("ms")))
SAFE_TYPE = "[A-Za-z][A-Za-z0-9_.-]{0,63}"
SAFE_TENANT = "[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}"
"""What a rejected row may show in clear: a name, never a text that could be personal."""


RowsOf = Callable[[list[int]], pa.Table]
"""Gives some rows of a chunk again, as `LINE_SCHEMA` or `REPLAY_SCHEMA`, by their row numbers, in order."""


@dataclass(frozen=True)
class Judged:
    """A chunk whose rows wait in a schema of the engine for their turn."""

    schema: str
    rejected: pa.Table
    """Every violated rule of the rows that break any: `EXPLAINED_SCHEMA`, sorted by row_number."""


class Engine:
    """Validates the chunks of one load; knows the keys of the chunks before."""

    def __init__(
        self, source: Source, secret: Secret, load_id: str, *, memory_limit_mb: int, temp_dir: Path
    ) -> None:
        """Compile the source's contracts and open a DuckDB that spills into `temp_dir`."""
        self.source = source
        self.load_id = load_id
        self.envelope: Envelope = compile_envelope(source)
        self._judging = connect(memory_limit_mb, temp_dir)
        self._settling = self._judging.cursor()
        self._schemas = cycle(_SCHEMAS)
        for connection in (self._judging, self._settling):
            secret.install(connection)
        self._execute(self._judging, _LASTING_TABLES)

    def close(self) -> None:
        """Close the DuckDB connections and drop what they hold."""
        self._settling.close()
        self._judging.close()

    @cached_property
    def checks(self) -> list[PayloadCheck]:
        """The compiled contracts, in the order of the source's."""
        return [compile_contract(contract) for contract in self.source.contracts]

    @cached_property
    def maskings(self) -> list[Masking]:
        """The compiled maskings, in the same order."""
        pairs = zip(self.source.contracts, self.checks, strict=True)
        return [compile_masking(contract, check, self.source.pii) for contract, check in pairs]

    def judge(
        self, lines: Iterable[pa.RecordBatch], received_default: datetime | None, rows_of: RowsOf
    ) -> Judged:
        """Take in a chunk and judge its rows one by one; at most one other chunk may wait to be settled.

        Args:
            lines: batches of `LINE_SCHEMA`, or `REPLAY_SCHEMA` where each row has its own time.
            received_default: when the rows were received that do not say so themselves; None with `REPLAY_SCHEMA`.
            rows_of: gives some of these rows again, once `lines` were read.
        """
        schema = next(self._schemas)
        self._execute(self._judging, f"use {schema}; {_CHUNK_TABLES}")
        self._parse(lines, received_default)
        self._ask_plainly()
        suspects = self._numbers("select row_number from verdicts where is_suspect order by 1")
        rejected = (
            self._explain(rows_of(suspects), received_default) if suspects else EXPLAINED_SCHEMA.empty_table()
        )
        self._judging.register("explained", rejected)
        self._execute(self._judging, "insert into rejected select row_number from explained")
        self._judging.unregister("explained")
        self._mask()
        self._derive()
        return Judged(schema, rejected)

    def settle(self, chunk: Judged) -> tuple[pa.Table, dict[datetime, int]]:
        """Tell a judged chunk's valid rows from duplicates of earlier ones; chunks must come in their order.

        Returns:
            The accepted rows (the columns of `lake.parquet.RAW_SCHEMA`, sorted by received hour, event type,
            occurred_at, event_id), and how many rows per received hour (naive UTC) repeat an earlier row's event_id
            or idempotency key.
        """
        self._execute(self._settling, f"use {chunk.schema}")
        self._find_duplicates()
        self._know_users()
        accepted = self._settling.sql(self._accepted_sql()).to_arrow_table()
        return accepted, self._duplicate_hours()

    def remember(self, event_ids: pa.Table) -> None:
        """Take in the keys of rows accepted before: a table (event_id, idempotency_key)."""
        self._settling.register("known_rows", event_ids)
        self._execute(
            self._settling,
            "insert into main.seen select md5_number(event_id) from known_rows;"
            f"insert into main.seen select {_OTHER_KIND} from known_rows where idempotency_key is not null",
        )
        self._settling.unregister("known_rows")

    # the steps of judging

    def _parse(self, lines: Iterable[pa.RecordBatch], received_default: datetime | None) -> None:
        schema = LINE_SCHEMA if received_default is not None else REPLAY_SCHEMA
        reader = pa.RecordBatchReader.from_batches(schema, _passing_errors(lines))
        self._judging.register("incoming", reader)
        relation = self.envelope.relation(_with_default("incoming", schema, received_default))
        dropped = self.source.anonymous.drop
        identifying = ", ".join(
            f"case when not is_anonymous then {name} end" if name in dropped else name
            for name in ("user_id", "session_id", "device_id", "order_id", "trace_id")
        )
        try:
            self._execute(
                self._judging,
                f"""insert into parsed select row_number, contract, {self.envelope.plainly_valid}, event_id,
                idempotency_key, tenant_id, occurred_at, received_at, {identifying}, producer, payload, is_anonymous
                from {relation}""",
            )
        finally:
            self._judging.unregister("incoming")

    def _ask_plainly(self) -> None:
        """Write down the rows that are not plainly valid, and those that carry personal fields."""
        present = self._contracts_in("parsed")
        valid = _per_contract(present, [check.plainly_valid for check in self.checks], "false")
        personal = _per_contract(present, [masking.needed for masking in self.maskings], "false")
        generally = generally_valid(self.source.pii, self.source.anonymous.drop_payload)
        # The rows are filtered after they were judged: DuckDB would push the filter into the expressions and
        # evaluate them twice.
        self._execute(
            self._judging,
            f"""insert into verdicts
            with judged as materialized (
                select row_number, contract,
                    coalesce(not (is_plain and {valid} and {generally}), true) as is_suspect,
                    {personal} or {holds_personal(self.source.pii)} or is_anonymous as is_personal
                from {self._members("parsed", present)}
            )
            select * from judged where is_suspect or is_personal""",
        )

    def _explain(self, suspects: pa.Table, received_default: datetime | None) -> pa.Table:
        """Return every violated rule of those rows that violate any."""
        self._judging.register("suspect_lines", suspects)
        relation = self.envelope.relation(_with_default("suspect_lines", suspects.schema, received_default))
        self._execute(self._judging, f"create or replace table suspects as select * from {relation}")
        self._judging.unregister("suspect_lines")
        explained = self._judging.sql(self._explain_sql(self._contracts_in("suspects"))).to_arrow_table()
        self._execute(self._judging, "drop table suspects")
        return explained.cast(EXPLAINED_SCHEMA)

    def _mask(self) -> None:
        personal = "select row_number from verdicts where is_personal and row_number not in (from rejected)"
        present = self._numbers(
            f"select distinct contract from verdicts where row_number in ({personal}) order by 1"
        )
        if not present:
            return
        masked = _per_contract(present, [masking.masked for masking in self.maskings], "null")
        names = self.source.anonymous.drop_payload
        left = (
            f"case when is_anonymous then {without('payload', names)} else payload end"
            if names
            else "payload"
        )
        self._execute(
            self._judging,
            f"""insert into masked
            select row_number, {left} from (
                select row_number, is_anonymous, {masked} as payload from parsed where row_number in ({personal})
            )""",
        )

    @cached_property
    def _deriving(self) -> dict[int, tuple[Derived, ...]]:
        """What each contract derives that derives anything, by its place."""
        found = {place: derived_fields(contract) for place, contract in enumerate(self.source.contracts)}
        return {place: groups for place, groups in found.items() if groups}

    def _derive(self) -> None:
        """Write down the members that payloads get by what their contract derives: each distinct text is read once."""
        present = [place for place in self._contracts_in("parsed") if place in self._deriving]
        if not present:
            return
        groups = {(g.origin, g.kind) for place in present for g in self._deriving[place]}
        columns = {group: f"text{number}" for number, group in enumerate(sorted(groups), start=1)}
        texts = ", ".join(
            f"json_extract_string(payload, {literal(json_path((origin,)))}) as {column}"
            for (origin, _), column in columns.items()
        )
        self._execute(
            self._judging,
            f"""create or replace temp table deriving as
            select row_number, contract, json_keys(payload) as keys, {texts} from parsed
            where contract in ({", ".join(map(str, present))}) and row_number not in (from rejected)""",
        )
        self._read_texts(columns)
        facts = {group: f"{column}_facts.facts" for group, column in columns.items()}
        members = _per_contract(
            present,
            {place: members_sql(self._deriving[place], "keys", facts) for place in present},
            "null",
        )
        joins = " ".join(
            f"left join main.facts as {column}_facts "
            f"on {column}_facts.kind = {literal(kind)} and {column}_facts.text = deriving.{column}"
            for (_, kind), column in columns.items()
        )
        self._execute(
            self._judging,
            f"""insert into derived
            select row_number, members from (select row_number, {members} as members from deriving {joins})
            where members is not null;
            drop table deriving""",
        )

    def _read_texts(self, columns: dict[tuple[str, str], str]) -> None:
        """Read the texts that were not read before."""
        (known,) = self._judging.execute("select count(*) from main.facts").fetchall()[0]
        if known > KNOWN_TEXTS:
            self._execute(self._judging, f"create or replace table main.facts {_FACTS}")
        for kind in KINDS:
            named = [column for (_, other), column in columns.items() if other == kind]
            if not named:
                continue
            found = " union all ".join(f"select {column} as text from deriving" for column in named)
            new = self._judging.execute(
                f"select distinct text from ({found}) as found where text is not null "
                f"and text not in (select text from main.facts where kind = {literal(kind)})"
            ).fetchall()
            self._judging.register("read_texts", read_texts(kind, [text for (text,) in new]))
            self._execute(self._judging, "insert into main.facts select * from read_texts")
            self._judging.unregister("read_texts")

    def _contracts_in(self, table: str) -> list[int]:
        return self._numbers(f"select distinct contract from {table} where contract is not null order by 1")

    def _members(self, rows: str, present: list[int]) -> str:
        return members(
            rows,
            _per_contract(present, [check.extract for check in self.checks], "null"),
            _per_contract(present, [check.declared for check in self.checks], "null"),
            max((len(self.checks[index].paths) for index in present), default=1),
        )

    # the steps of settling

    def _know_users(self) -> None:
        """Compute the pseudonyms of users not seen before: an HMAC costs more than a lookup."""
        (known,) = self._settling.execute("select count(*) from main.users").fetchall()[0]
        if known > KNOWN_USERS:
            self._execute(
                self._settling, "create or replace table main.users (user_id varchar, user_key varchar)"
            )
        scope = literal(self.source.user_id_scope + ":")
        self._execute(
            self._settling,
            f"""insert into main.users
            select user_id, {pseudonym_sql(f"{scope} || user_id")}
            from (select distinct user_id from parsed where user_id is not null) as found
            anti join main.users using (user_id)""",
        )

    def _find_duplicates(self) -> None:
        """Write down the valid rows that repeat the event_id or the idempotency key of an earlier one."""
        self._execute(
            self._settling,
            f"""insert into keys
            select row_number, md5_number(event_id) from parsed anti join rejected using (row_number)
            union all
            select row_number, {_OTHER_KIND} from parsed anti join rejected using (row_number)
            where idempotency_key is not null""",
        )
        # A duplicate's other key counts too: the rule looks at earlier deliveries, not at accepted ones.
        self._execute(
            self._settling,
            """insert into duplicates
            select distinct row_number from (
                select row_number from keys semi join main.seen on seen.key = keys.key
                union all
                select row_number from keys join (
                    select key, min(row_number) as first from keys group by key having count(*) > 1
                ) as repeated on repeated.key = keys.key and row_number > first
            );
            insert into main.seen select distinct key from keys""",
        )

    def _accepted_sql(self) -> str:
        # Sorting by a number is quicker than by the name.
        places = {
            name: place for place, name in enumerate(sorted({c.event_type for c in self.source.contracts}))
        }
        names = ", ".join(
            f"({index}, {literal(contract.event_type)}, {literal(contract.version)}, {places[contract.event_type]})"
            for index, contract in enumerate(self.source.contracts)
        )
        payload = "coalesce(masked.payload, parsed.payload)"
        joined = ""
        if self._deriving:
            joined = "left join derived on derived.row_number = parsed.row_number"
            opened = f"substr({payload}, 1, length({payload}) - 1) || case when {payload} = '{{}}' then '' else ',' end"
            payload = f"case when members is null then {payload} else {opened} || members || '}}' end"
        return f"""
        with known as (select * from (values {names}) as t(contract, event_type, contract_version, place))
        select
            {literal(self.source.name)} as source, event_type, contract_version, event_id, idempotency_key, tenant_id,
            occurred_at::timestamp_ms as occurred_at, received_at::timestamp_ms as received_at, user_key,
            session_id, device_id, order_id, trace_id, producer,
            {literal(self.load_id)} as load_id, parsed.row_number, {payload} as payload
        from parsed
        join known on known.contract = parsed.contract
        left join main.users on users.user_id = parsed.user_id
        left join masked on masked.row_number = parsed.row_number
        {joined}
        anti join (from rejected union all from duplicates) as gone on gone.row_number = parsed.row_number
        order by date_trunc('hour', received_at), place, occurred_at, event_id, parsed.row_number"""

    def _duplicate_hours(self) -> dict[datetime, int]:
        found = self._settling.execute(
            "select date_trunc('hour', received_at), count(*) from parsed semi join duplicates "
            "on duplicates.row_number = parsed.row_number group by 1 order by 1"
        )
        return dict(found.fetchall())

    def _explain_sql(self, present: list[int]) -> str:
        envelope = ", ".join(
            f"case when {rule.violated} then {{'code': {literal(rule.code)}, 'field': {literal(rule.field)}}} end"
            for rule in self.envelope.rules
        )
        violations = _per_contract(present, [check.violations for check in self.checks], "[]")
        general = violations_of(general_rules(self.source.pii, self.source.anonymous.drop_payload))
        versions = _per_contract(
            range(len(self.source.contracts)), [literal(c.version) for c in self.source.contracts], "null"
        )
        return f"""
        select * replace (list_distinct(violations) as violations) from (
            select
                row_number,
                received_at::timestamp_ms as received_at,
                case when regexp_full_match(event_type, {literal(SAFE_TYPE)}) then event_type end as event_type,
                case when regexp_full_match(tenant_id, {literal(SAFE_TENANT)}) then tenant_id end as tenant_id,
                {versions} as contract_version,
                list_filter([{envelope}], lambda v: v is not null)
                    || (case when payload is null or contract is null then [] else {violations} || {general} end)
                    as violations
            from {self._members("suspects", present)}
        )
        where len(violations) > 0
        order by row_number"""

    def _numbers(self, query: str) -> list[int]:
        return [int(row[0]) for row in self._judging.execute(query).fetchall()]

    def _execute(self, connection: duckdb.DuckDBPyConnection, statements: str) -> None:
        try:
            connection.execute(statements)
        except duckdb.Error as error:
            raise no_room(error) or error from error


EXPLAINED_SCHEMA = pa.schema(
    [
        ("row_number", pa.uint64()),
        ("received_at", pa.timestamp("ms")),
        ("event_type", pa.string()),
        ("tenant_id", pa.string()),
        ("contract_version", pa.string()),
        ("violations", pa.list_(pa.struct([("code", pa.string()), ("field", pa.string())]))),
    ]
)

_SCHEMAS = ("one", "other")
"""Where chunks lie by turns: one may be judged while the other is settled."""
_FACTS = "(kind varchar, text varchar, facts map(varchar, varchar))"
_LASTING_TABLES = (
    """
create schema one;
create schema other;
create table main.seen (key uhugeint);
create table main.users (user_id varchar, user_key varchar);
create table main.facts """
    + _FACTS
)
# Replaced for every chunk: DuckDB 2.0 keeps the memory of a truncated table, 50 MB a chunk, but not of a dropped one.
_CHUNK_TABLES = """
create or replace table parsed (
    row_number ubigint, contract int, is_plain boolean, event_id varchar, idempotency_key varchar, tenant_id varchar,
    occurred_at timestamp, received_at timestamp, user_id varchar, session_id varchar, device_id varchar,
    order_id varchar, trace_id varchar, producer varchar, payload varchar, is_anonymous boolean
);
create or replace table verdicts (row_number ubigint, contract int, is_suspect boolean, is_personal boolean);
create or replace table rejected (row_number ubigint);
create or replace table masked (row_number ubigint, payload varchar);
create or replace table derived (row_number ubigint, members varchar);
create or replace table keys (row_number ubigint, key uhugeint);
create or replace table duplicates (row_number ubigint);
"""

_OTHER_KIND = "xor(md5_number(idempotency_key), 1::uhugeint)"
"""The 128-bit key of an idempotency key: never that of an event id with the same text."""
KNOWN_TEXTS = 100_000
"""How many texts' facts are remembered from chunk to chunk."""
KNOWN_USERS = 500_000
"""How many users' pseudonyms are remembered from chunk to chunk."""


def connect(memory_limit_mb: int, temp_dir: Path) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB in memory that spills into a folder, in UTC and without extensions from the network."""
    return duckdb.connect(
        config={
            "memory_limit": f"{memory_limit_mb}MB",
            "temp_directory": str(temp_dir),
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )


def _with_default(table: str, schema: pa.Schema, received_default: datetime | None) -> str:
    if received_default is None or "received_default" in schema.names:
        return f"(select row_number, line, received_default::timestamp as received_default from {table})"
    moment = received_default.strftime("%Y-%m-%d %H:%M:%S.%f")
    return f"(select row_number, line, timestamp '{moment}' as received_default from {table})"


def _per_contract(
    present: Iterable[int], expressions: Sequence[str] | Mapping[int, str], otherwise: str
) -> str:
    """Return a case over the contracts that the chunk holds: planning the others would cost for nothing."""
    cases = " ".join(f"when {index} then {expressions[index]}" for index in present)
    return f"case contract {cases} else {otherwise} end" if cases else otherwise


def _passing_errors(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def no_room(error: Exception) -> NoRoomError | None:
    """Return what to say of an error of DuckDB that is no more than a lack of memory or disk; None of any other."""
    text = str(error)
    if not isinstance(error, duckdb.OutOfMemoryException) and "No space left" not in text:
        return None
    return NoRoomError(
        f"there is not enough memory or temporary disk space for this load: {text.splitlines()[0]}"
    )
