"""The `millrace` command: thin commands over the layers; exit codes 0, 1 (the work failed) and 2 (wrong use).

Each command imports what it needs when it runs: Dagster alone takes seconds to import.
"""

# ruff: noqa: PLC0415

from __future__ import annotations

import sys
import warnings
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lake.errors import MillraceError, WrongUseError
from orchestration import settings as settings_module
from orchestration.console import (
    answer,
    answer_json,
    answer_run,
    answer_table,
    counts_line,
    fail,
    moment,
    progress_bar,
    say,
    show_progress,
    window,
)
from orchestration.settings import PROJECT_ROOT, Settings

if TYPE_CHECKING:
    from ingestion.contract import Source
    from ingestion.loader import LoadResult
    from lake.manifest import Manifest
    from lake.store import ObjectStore
    from orchestration.reports import Report

app = typer.Typer(
    help="Millrace: events in, proven KPI marts out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
quarantine_app = typer.Typer(help="What was rejected, and why.", no_args_is_help=True)
contracts_app = typer.Typer(help="Lint, compare and publish the contracts.", no_args_is_help=True)
report_app = typer.Typer(help="Reports that the definitions tell of.", no_args_is_help=True)
app.add_typer(quarantine_app, name="quarantine")
app.add_typer(contracts_app, name="contracts")
app.add_typer(report_app, name="report")

SourceName = Annotated[str, typer.Argument(help="Source system, a folder of ingestion/contracts/.")]
AnySource = Annotated[str | None, typer.Option("--source", help="One source only; default: all.")]
From = Annotated[str | None, typer.Option("--from", help="Start of the window, UTC, such as 2026-11-18.")]
To = Annotated[str | None, typer.Option("--to", help="End of the window, exclusive, UTC.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class SqlFormat(StrEnum):
    """How `millrace sql` prints rows."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


CLICKHOUSE_FORMATS = {
    SqlFormat.TABLE: "PrettyCompactMonoBlock",
    SqlFormat.CSV: "CSVWithNames",
    SqlFormat.JSON: "JSONEachRow",
}


def main() -> None:
    """Run the command line; a user's mistake ends in one sentence, never in a traceback."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")
    try:
        app()
    except KeyboardInterrupt:
        fail("interrupted", 130)
    except WrongUseError as error:
        fail(str(error), 2)
    except Exception as error:
        if isinstance(error, (MillraceError, *_errors_of_clients())):
            fail(_first_sentences(error), 1)
        raise


def _first_sentences(error: Exception) -> str:
    """Leave out the grammar and the address that ClickHouse and its client add to what was wrong."""
    text = str(error).partition("server response: ")[2] or str(error)
    for tail in (" Expected one of:", " (for url "):
        text = text.partition(tail)[0]
    return text


def _errors_of_clients() -> tuple[type[Exception], ...]:
    """Return the exceptions of libraries whose messages are meant for people; imported only when something failed."""
    from clickhouse_connect.driver.exceptions import ClickHouseError

    return (ClickHouseError,)


def _settings() -> Settings:
    return settings_module.load()


def _source(name: str) -> Source:
    from ingestion.contract import load_sources

    sources = load_sources()
    if name not in sources:
        raise WrongUseError(f"there is no source {name!r}; there are {', '.join(sorted(sources))}")
    return sources[name]


def _sources(name: str | None) -> list[Source]:
    from ingestion.contract import load_sources

    return [_source(name)] if name else list(load_sources().values())


def _store(settings: Settings) -> ObjectStore:
    from orchestration.connections import object_store

    _require_stack(settings)
    return object_store(settings)


def _require_stack(settings: Settings) -> None:
    if settings.environment == "laptop":
        from orchestration.embedded import stack

        stack.require(settings)


# --- the laptop stack -----------------------------------------------------------------------------


@app.command(epilog="Example: millrace up --dagster-port 3001")
def up(
    clickhouse_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="ClickHouse HTTP port.")
    ] = None,
    s3_port: Annotated[int | None, typer.Option(min=1, max=65535, help="S3 port.")] = None,
    dagster_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Dagster UI port.")] = None,
    generate: Annotated[
        bool, typer.Option("--generate", help="Write what follows from the contracts first.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Start the laptop stack and print its URLs; starts only what is not running."""
    from orchestration.embedded import stack
    from orchestration.embedded.credentials import with_credentials

    given = {"clickhouse_port": clickhouse_port, "s3_port": s3_port, "dagster_port": dagster_port}
    settings = _settings().model_copy(update={name: port for name, port in given.items() if port})
    settings = with_credentials(settings)
    if generate:
        contracts_generate()
    # Dagster loads what dbt has parsed.
    stack.up(settings, components=stack.STORAGE, progress=_say_state)
    _prepare_warehouse(settings)
    stack.up(settings, components=stack.DAGSTER, progress=_say_state)
    _answer_status(settings, json_output)


def _say_state(name: str, state: str) -> None:
    say(f"{name}: {state}")


def _prepare_warehouse(settings: Settings) -> None:
    """Create the schema and the dbt manifest that Dagster's assets are made from; let a running Dagster load it."""
    from orchestration.embedded import stack
    from orchestration.prepare import prepare

    prepare(settings)
    if settings.environment == "laptop":
        stack.reload(settings, progress=_say_state)


@app.command(epilog="Example: millrace prepare")
def prepare() -> None:
    """Create the tables that are missing and parse the dbt models: the first step of a deployment."""
    _prepare_warehouse(_settings())
    say("tables and models are ready")


@app.command(epilog="Example: millrace down")
def down() -> None:
    """Stop the laptop stack; its data stays under .millrace/."""
    from orchestration.embedded import stack

    ended: list[str] = []
    stack.down(_settings(), progress=lambda name, state: ended.append(name) if state == "ended" else None)
    say(f"stopped: {', '.join(ended)}" if ended else "nothing was running")


@app.command(epilog="Example: millrace status --json")
def status(json_output: Json = False) -> None:
    """Say which parts of the stack run, and where; exit 1 when one does not answer."""
    if not _answer_status(_settings(), json_output):
        sys.exit(1)


def _answer_status(settings: Settings, json_output: bool) -> bool:
    from orchestration.embedded import stack

    found = stack.status(settings)
    rows = [
        (
            part.name,
            "ready" if part.ready else "starting" if part.running else "stopped",
            part.url,
            part.pid,
            part.log,
        )
        for part in found.components
    ]
    columns = ("part", "state", "url", "pid", "log")
    if json_output:
        answer_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        answer_table(columns, rows)
    return found.ready


class ConnectFormat(StrEnum):
    """How `millrace connect` prints what clients need."""

    LINES = "lines"
    ENV = "env"


@app.command(epilog='Example: eval "$(millrace connect --format env)"')
def connect(
    database: Annotated[
        str | None, typer.Option(help="Database to read, a source's marts; default: the first source's.")
    ] = None,
    output_format: Annotated[
        ConnectFormat,
        typer.Option("--format", help="Lines to paste, or variables for a shell or a .env file."),
    ] = ConnectFormat.LINES,
    json_output: Json = False,
) -> None:
    """Print ready lines for clickhouse-connect, SQLAlchemy, JDBC and curl, credentials included."""
    from ingestion.contract import source_names
    from orchestration import connect as ready

    settings = _settings()
    _require_stack(settings)
    values = ready.variables(settings)
    lines = ready.client_lines(settings, database or min(source_names()))
    if json_output:
        answer_json({"variables": values, "clients": lines})
    elif output_format is ConnectFormat.ENV:
        answer(ready.environment_file(values))
    else:
        for client, line in lines.items():
            answer(f"{client:<18}  {line}")


# --- events in ------------------------------------------------------------------------------------


@app.command(epilog="Example: millrace simulate pocm --days 3 --seed 7 --out /tmp/events")
def simulate(
    source: SourceName,
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    days: Annotated[int, typer.Option(min=1, max=3660, help="How many days of events.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 7,
    start: Annotated[str | None, typer.Option(help="First day, such as 2026-11-02.")] = None,
    scale: Annotated[float, typer.Option(min=0.01, help="Multiplies the number of users.")] = 1.0,
    json_output: Json = False,
) -> None:
    """Write deterministic events of a source, with the true KPI values beside them in truth.json."""
    from ingestion.simulator import simulate as run

    first = moment(start, "--start")
    summary = run(source, days, seed, out, start=first.date() if first else None, scale=scale)
    if json_output:
        answer_json({"out": str(out), "files": summary.files, "rows": summary.rows})
    else:
        answer(f"{summary.rows:,} rows in {summary.files} files under {out}; the truth: {out / 'truth.json'}")


@app.command(epilog="Example: millrace load pocm exports/*.ndjson.gz s3://millrace/landing/source=pocm/")
def load(
    source: SourceName,
    path: Annotated[list[str], typer.Argument(help="Files, folders or s3:// URLs.")],
    mapping: Annotated[Path | None, typer.Option(help="YAML that maps a foreign file onto events.")] = None,
    received_at: Annotated[
        str | None, typer.Option(help="When the input was received, UTC; default: now, or what S3 says.")
    ] = None,
    json_output: Json = False,
) -> None:
    """Validate inputs and land them in the lake; prints what became of every row."""
    from ingestion.loader import LoadError, expand
    from lake.manifest import Counts

    settings, contracts = _settings(), _source(source)
    received = moment(received_at, "--received-at")
    store = _store(settings)
    results: list[LoadResult] = []
    failures = 0
    for uri in expand(store, path):
        try:
            results.append(_load_one(settings, store, contracts, uri, mapping, received))
        except LoadError as error:
            failures += 1
            say(f"error: {error}")
            continue
        if results[-1].note:
            say(f"note: {results[-1].note}")
        _answer_load(results[-1], json_output)
    if len(results) > 1 and not json_output:
        answer(counts_line("total", sum((result.manifest.counts for result in results), Counts())))
    _report_changes(settings, source, [result.manifest for result in results if not result.already_loaded])
    if failures:
        sys.exit(1)


def _load_one(
    settings: Settings,
    store: ObjectStore,
    source: Source,
    uri: str,
    mapping: Path | None,
    received: datetime | None,
) -> LoadResult:
    from ingestion.loader import Progress
    from ingestion.loader import load as run

    with progress_bar(Path(uri).name) as (bar, task):

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.bytes_read, total=progress.bytes_total)

        return run(
            store,
            source,
            uri,
            key=settings.secret_key,
            mapping=mapping,
            received_at=received,
            memory_limit_mb=settings.max_load_memory_mb,
            progress=show,
            again=True,
        )


def _answer_load(result: LoadResult, json_output: bool) -> None:
    manifest = result.manifest
    hours = [hour.received_hour for hour in manifest.hours]
    if json_output:
        answer_json(
            {
                "input": manifest.input.uri,
                "load_id": manifest.load_id,
                "already_loaded": result.already_loaded,
                "format": manifest.input.format,
                **vars(manifest.counts),
                "codes": manifest.codes,
                "received_from": min(hours).isoformat() if hours else None,
                "received_to": (max(hours) + timedelta(hours=1)).isoformat() if hours else None,
            }
        )
        return
    line = counts_line(Path(manifest.input.uri).name, manifest.counts, manifest.codes)
    if result.already_loaded:
        answer(f"{line} - loaded before as {manifest.load_id}, nothing to do")
    else:
        answer(f"{line} - load {manifest.load_id}" + (", once more" if manifest.revision > 1 else ""))


def _report_changes(settings: Settings, source: str, manifests: list[Manifest]) -> None:
    """Let Dagster know which loads came or changed, and the person what to do next."""
    hours = [hour.received_hour for manifest in manifests for hour in manifest.hours]
    if not hours:
        return
    from ingestion.loader import LoadResult
    from orchestration.run import report_loads

    report_loads(settings, source, [LoadResult(manifest, already_loaded=False) for manifest in manifests])
    start, end = min(hours), max(hours) + timedelta(hours=1)
    say(f"next: millrace run --from {start:%Y-%m-%dT%H:%M} --to {end:%Y-%m-%dT%H:%M}")


@app.command(epilog="Example: millrace loads --source pocm --from 2026-11-18 --to 2026-11-19")
def loads(start: From = None, end: To = None, source: AnySource = None, json_output: Json = False) -> None:
    """List the loads, the newest first: id, input, counts, and whether it stands or was unloaded."""
    from orchestration.loads import answer_loads

    period = window(start, end)
    names = [found.name for found in _sources(source)]
    answer_loads(_store(_settings()), names, period, as_json=json_output)


@app.command(epilog="Example: millrace unload 3fab91c0 --reason 'the carrier sent it with a wrong clock'")
def unload(
    load_id: Annotated[
        str, typer.Argument(help="The load's id, or 8 of its first characters or more: see `millrace loads`.")
    ],
    reason: Annotated[str | None, typer.Option(help="Why; kept on record.")] = None,
    json_output: Json = False,
) -> None:
    """Take a load back: everything that was built from it is built again, as if it had never come."""
    from orchestration.loads import answer_unload, find_load
    from orchestration.unloading import unload as run

    settings = _settings()
    store = _store(settings)
    source, found = find_load(store, [contracts.name for contracts in _sources(None)], load_id)
    _prepare_warehouse(settings)
    answer_unload(run(settings, source, found, reason, show_progress), as_json=json_output)


# --- marts out ------------------------------------------------------------------------------------


@app.command(epilog="Example: millrace run --from 2026-11-18 --to 2026-11-19 --select 'group:facts_pocm'")
def run(
    start: From = None,
    end: To = None,
    select: Annotated[
        str | None, typer.Option(help="Assets, in Dagster's selection syntax; default: all.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="For everything that the lake holds, pending or not.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Materialise assets for what was received in a window, with their checks; default: what is pending."""
    settings = _settings()
    store = _store(settings)
    period = window(start, end)
    if everything and period is not None:
        raise WrongUseError("--all is everything that the lake holds: give it without --from and --to")
    if everything:
        period = received_window(store)
    from orchestration.warehouse import dbt_server
    from orchestration.warehouse.dbt import PARSED_PATH

    dbt_server.warm_up(PARSED_PATH)  # imports dbt while this process imports Dagster
    from orchestration.run import materialize_pending, materialize_window

    _prepare_warehouse(settings)
    if period is None:
        report = materialize_pending(settings, select=select, progress=show_progress)
    else:
        say(f"received {period[0]:%Y-%m-%d %H:%M} to {period[1]:%Y-%m-%d %H:%M} UTC")
        report = materialize_window(settings, *period, select=select, progress=show_progress)
    if json_output:
        answer_json(
            {
                "success": report.success,
                "jobs": [vars(job) for job in report.jobs],
                "notes": report.notes,
                "failures": report.failures,
            }
        )
    else:
        answer_run(report.jobs)
    if not report.success:
        fail("; ".join(report.failures) or "the run failed: see the Dagster UI", 1)


def received_window(store: ObjectStore) -> tuple[datetime, datetime]:
    """Return the window from the first to the last received hour that the lake holds.

    Raises:
        WrongUseError: when the lake is empty.
    """
    from ingestion.contract import load_sources
    from lake.manifest import hours_between

    beginning, today = datetime(1970, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
    hours = [hour for name in load_sources() for hour in hours_between(store, name, beginning, today)]
    if not hours:
        raise WrongUseError("the lake is empty: load something first, with `millrace load SOURCE PATH`")
    return min(hours), max(hours) + timedelta(hours=1)


@app.command(epilog='Example: millrace sql "select * from pocm.kpi_daily order by all" --format csv')
def sql(
    query: Annotated[
        str, typer.Argument(help="One ClickHouse statement, or - to read it from standard input.")
    ],
    output_format: Annotated[
        SqlFormat, typer.Option("--format", help="How to print rows.")
    ] = SqlFormat.TABLE,
    json_output: Json = False,
) -> None:
    """Query the marts."""
    from orchestration.connections import warehouse

    settings = _settings()
    _require_stack(settings)
    statement = (sys.stdin.read() if query == "-" else query).strip().rstrip(";")
    fmt = CLICKHOUSE_FORMATS[SqlFormat.JSON if json_output else output_format]
    client = warehouse(settings)
    with client.raw_stream(statement, fmt=fmt) as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


@app.command(epilog="Example: millrace verify --from 2026-11-18 --to 2026-11-19")
def verify(start: From = None, end: To = None, source: AnySource = None, json_output: Json = False) -> None:
    """Check conservation, recompute the KPIs with DuckDB, follow personal data; exit 1 on a difference."""
    from orchestration.verification import verify_sources

    settings = _settings()
    _require_stack(settings)
    period = window(start, end)
    all_hold = True
    for outcome in verify_sources(settings, _sources(source), period):
        answer_json(outcome.to_dict()) if json_output else answer(outcome.to_text())
        all_hold = all_hold and outcome.ok
    if not all_hold:
        sys.exit(1)


# --- reports --------------------------------------------------------------------------------------


def _reports(settings: Settings) -> dict[str, Report]:
    from orchestration.assets.marts import read_manifest
    from orchestration.reports import load_reports
    from orchestration.warehouse.dbt import prepare_manifest

    return load_reports(read_manifest(prepare_manifest(settings)))


@report_app.command("list", epilog="Example: millrace report list --json")
def report_list(json_output: Json = False) -> None:
    """Say which reports there are, when they are due and what they tell of."""
    reports = _reports(_settings())
    rows = [
        (report.id, report.title, f"{report.source}.{report.mart}", report.format, report.schedule)
        for report in reports.values()
    ]
    columns = ("report", "title", "mart", "format", "schedule")
    if json_output:
        answer_json([dict(zip(columns, row, strict=True)) for row in rows])
    else:
        answer_table(columns, rows)


@report_app.command(
    "run", epilog="Example: millrace report run pocm/daily_sales --from 2026-11-16 --to 2026-11-19"
)
def report_run(
    name: Annotated[str, typer.Argument(help="Source and name of the report, as `report list` shows it.")],
    start: From = None,
    end: To = None,
    json_output: Json = False,
) -> None:
    """Make a report and leave it in the lake; default: of the newest whole periods of its definition."""
    from orchestration.connections import warehouse
    from orchestration.reports import make_report
    from orchestration.reports.periods import Range

    settings = _settings()
    reports = _reports(settings)
    if name not in reports:
        raise WrongUseError(f"there is no report {name!r}; there are {', '.join(reports) or 'none'}")
    period = window(start, end)
    span = Range(*period) if period else reports[name].time_range.before(datetime.now(UTC))
    store = _store(settings)
    _prepare_warehouse(settings)
    made = make_report(warehouse(settings), store, reports[name], span)
    if json_output:
        answer_json({**vars(made), "object": store.url(made.key)})
    else:
        answer(f"{name} of {span}: {made.rows} rows, {made.bytes} bytes in {store.url(made.key)}")


@app.command(epilog="Example: millrace retention --source pocm --as-of 2026-11-18")
def retention(
    apply: Annotated[
        bool, typer.Option("--apply", help="Remove what is too old; without it nothing is changed.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when anything is older than the policy.")
    ] = False,
    source: AnySource = None,
    as_of: Annotated[
        str | None, typer.Option(help="Moment from which ages count back, UTC; default: now.")
    ] = None,
    json_output: Json = False,
) -> None:
    """List what is older than lake/retention.yaml allows, by store; remove it with --apply."""
    from orchestration.expiring import answer_retention

    settings = _settings()
    store = _store(settings)
    if apply and check:
        raise WrongUseError("--apply removes and --check only looks: give one of them")
    _prepare_warehouse(settings)
    answer_retention(
        settings,
        store,
        _sources(source),
        apply=apply,
        check=check,
        as_of=moment(as_of, "--as-of"),
        as_json=json_output,
    )


# --- what was rejected ----------------------------------------------------------------------------


@quarantine_app.command("list", epilog="Example: millrace quarantine list --code json_invalid --samples 3")
def quarantine_list(
    source: AnySource = None,
    code: Annotated[str | None, typer.Option(help="One error code only.")] = None,
    samples: Annotated[int, typer.Option(min=0, max=1000, help="Rows to show for each code.")] = 1,
    show_original: Annotated[
        bool, typer.Option(help="Decrypt the samples: they may hold personal data.")
    ] = False,
    json_output: Json = False,
) -> None:
    """Count what was rejected by code, with samples and where they came from."""
    from orchestration.rejected import answer_quarantine

    settings = _settings()
    store = _store(settings)
    answer_quarantine(
        settings,
        store,
        _sources(source),
        code=code,
        samples=samples,
        show_original=show_original,
        as_json=json_output,
    )


@app.command(epilog="Example: millrace replay --source pocm --code field_enum")
def replay(
    source: AnySource = None,
    load_id: Annotated[str | None, typer.Option("--load", help="One load only.")] = None,
    code: Annotated[list[str] | None, typer.Option(help="Only rows with one of these codes.")] = None,
    json_output: Json = False,
) -> None:
    """Validate the rejected rows again under today's contracts; what passes now is landed."""
    from orchestration.rejected import answer_replay

    settings = _settings()
    store = _store(settings)
    for name, manifests in answer_replay(
        settings, store, _sources(source), load_id=load_id, codes=code, as_json=json_output
    ):
        _report_changes(settings, name, manifests)


# --- contracts ------------------------------------------------------------------------------------


@contracts_app.command("check", epilog="Example: millrace contracts check --against origin/main")
def contracts_check(
    against: Annotated[
        str | None, typer.Option(help="Also refuse breaking changes against this git revision.")
    ] = None,
) -> None:
    """Lint the contracts and say whether the files generated from them are up to date."""
    from ingestion.codegen import stale_files

    sources = _sources(None)
    stale = [path.relative_to(PROJECT_ROOT) for path in stale_files(PROJECT_ROOT)]
    breaking = [change for change in _changes(against) if change.breaking] if against else []
    for path in stale:
        say(f"stale: {path}")
    for change in breaking:
        say(f"breaking: {change}")
    if stale or breaking:
        fail(
            "; ".join(
                [f"{len(stale)} generated files are not up to date: run `millrace contracts generate`"]
                * bool(stale)
                + [f"{len(breaking)} changes break {against}: add a new major version instead"]
                * bool(breaking)
            ),
            1,
        )
    say(
        f"{sum(len(source.contracts) for source in sources)} contracts of {len(sources)} sources are in order"
    )


@contracts_app.command("diff", epilog="Example: millrace contracts diff --against HEAD~1")
def contracts_diff(
    against: Annotated[
        str, typer.Option(help="Git revision, or a folder of contracts, to compare with.")
    ] = "HEAD",
    json_output: Json = False,
) -> None:
    """Say what changed in the contracts and which of it breaks somebody; exit 1 when something does."""
    changes = _changes(against)
    if json_output:
        answer_json([vars(change) for change in changes])
    elif changes:
        for change in changes:
            answer(f"{'breaking' if change.breaking else 'compatible'}: {change}")
    else:
        say(f"no change against {against}")
    if any(change.breaking for change in changes):
        sys.exit(1)


def _changes(against: str) -> list[Any]:
    from ingestion import compat
    from ingestion.contract import load_sources

    return compat.changes_since(against, PROJECT_ROOT, load_sources())


@contracts_app.command("generate", epilog="Example: millrace contracts generate")
def contracts_generate() -> None:
    """Write the staging models, their docs, the dbt source and the catalogue from the contracts."""
    from ingestion.codegen import write_generated

    _sources(None)
    written = write_generated(PROJECT_ROOT)
    say(f"{len(written)} files written" if written else "everything was up to date")


@app.command(epilog="Example: millrace demo --scale 2")
def demo(
    scale: Annotated[float, typer.Option(min=0.01, help="Multiplies the number of users.")] = 1.0,
) -> None:
    """Run the main job end to end on three simulated days, and print the KPIs and URLs."""
    from orchestration.demo import run_demo

    run_demo(_settings(), scale)


if __name__ == "__main__":
    main()
