"""Loads one input into the lake: validated, deduplicated, pseudonymised parquet, then the manifest that commits it."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ingestion.chunks import Chunk, ChunkReader, Progress
from ingestion.contract import Source
from ingestion.derive import versions
from ingestion.documents import read_document
from ingestion.engine import Engine, Judged
from ingestion.errors import LoadError, NoRoomError
from ingestion.inputs import TABLES, Input, beside, expand, fetch
from ingestion.locks import held
from ingestion.mapping import SourceMapping, read_mapping
from ingestion.output import LoadWriter
from ingestion.pseudonym import Secret
from ingestion.records import Batch, batch_of, cut_lines, line_ends
from ingestion.tables import read_csv, read_lines, read_parquet
from lake.manifest import Counts, InputEntry, Manifest, read_manifest, write_manifest
from lake.store import ObjectExistsError, ObjectStore, StoreError

__all__ = ["LoadError", "LoadResult", "Progress", "expand", "load"]

FORMAT_VERSION = "2"
"""Changes whenever the same input would give other bytes."""
READER_SHARE = 2
"""A table's reader gets this fraction of the memory limit, the engine the rest."""


@dataclass(frozen=True)
class LoadResult:
    """A committed load, and whether it had been committed before.

    One that was unloaded, and not to be loaded again, is among the latter.
    """

    manifest: Manifest
    already_loaded: bool
    note: str | None = None
    """What the name of the input says wrongly."""


def load(
    store: ObjectStore,
    source: Source,
    uri: str | Path,
    *,
    key: bytes,
    mapping: Path | None = None,
    received_at: datetime | None = None,
    memory_limit_mb: int = 512,
    progress: Callable[[Progress], None] | None = None,
    temp_dir: Path | None = None,
    again: bool = False,
) -> LoadResult:
    """Load one input; the same input again is a no-op.

    Args:
        store: the lake.
        source: the source whose contracts decide.
        uri: a path, a `file://` or an `s3://` URL.
        key: the secret key of pseudonyms and quarantine.
        mapping: a mapping file, for foreign rows.
        received_at: when the input was received, for rows that do not say so themselves; without it the store's word
            for s3 objects, now for local files.
        memory_limit_mb: DuckDB's memory limit; beyond it DuckDB spills into the temporary folder.
        progress: called after every batch.
        temp_dir: where temporary files go; the system's folder by default.
        again: load an input anew that was unloaded: what a person took back, only a person brings back.

    Raises:
        LoadError: the input or the mapping is wrong, there is no room, or the load was unloaded and is not out of
            the marts yet; nothing was loaded.
        StoreError: the object store does not answer or refuses; nothing was loaded.
    """
    secret = Secret(key)
    rules = read_mapping(mapping, source) if mapping is not None else None
    try:
        with tempfile.TemporaryDirectory(prefix="millrace-load-", dir=temp_dir) as folder:
            given = fetch(store, uri, Path(folder), rules.format if rules is not None else None)
            if rules is not None:
                rules = rules.with_tables(_lookups(store, given, rules, Path(folder)))
            load_id = load_id_of(source, given, rules)
            with held(f"{store.endpoint_url}/{store.bucket}/{load_id}"):
                existing = read_manifest(store, source.name, load_id)
                if existing is not None and not (again and _may_be_loaded_again(existing)):
                    return LoadResult(existing, True, given.note)
                moment = _milliseconds(received_at or given.received_at or datetime.now(UTC))
                job = _Load(
                    store,
                    source,
                    given,
                    rules,
                    secret,
                    load_id,
                    moment,
                    memory_limit_mb,
                    Path(folder),
                    existing,
                )
                return job.run(progress)
    except OSError as error:
        raise LoadError(f"{uri} cannot be loaded: {error.strerror or error}") from error


def _may_be_loaded_again(manifest: Manifest) -> bool:
    """Whether a load was unloaded.

    Raises:
        LoadError: when the marts still stand on it: its rows would be there twice, under one load id.
    """
    if manifest.unloaded is not None and manifest.unloaded.restated_at is None:
        raise LoadError(
            f"{manifest.input.uri} was {manifest.unloaded}, and its marts are not restated yet: run "
            f"`millrace unload {manifest.load_id}` again, then load it"
        )
    return manifest.unloaded is not None


def _lookups(store: ObjectStore, given: Input, mapping: SourceMapping, folder: Path) -> dict[str, Input]:
    found = {}
    for name, file in mapping.lookups.items():
        spool = folder / f"lookup-{name}"
        spool.mkdir()
        found[name] = beside(store, given, file, spool)
    return found


def load_id_of(source: Source, given: Input, mapping: SourceMapping | None) -> str:
    """Return the identity of a load: its source, its input's bytes, its mapping and what the mapping looks up.

    The input's name counts only where the mapping asks for it, or where it decides how the bytes are read: elsewhere
    the same bytes are the same load.
    """
    parts = [source.name, given.sha256]
    if mapping is not None:
        parts += [mapping.sha256, *([given.file_name] if mapping.asks_name else [])]
    elif given.read_by_name:
        parts.append(given.read_by_name)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def read_batches(
    given: Input, source: Source, mapping: SourceMapping | None, temp_dir: Path, memory_limit_mb: int
) -> Iterator[Batch]:
    """Yield an input's records, whatever its format.

    Raises:
        LoadError: when the input cannot be read or the mapping does not fit.
    """
    if given.format in TABLES:
        read = {"csv": read_csv, "parquet": read_parquet, "lines": read_lines}[given.format]
        yield from read(given, source, mapping, temp_dir, memory_limit_mb)
        return
    if mapping is not None:
        raise LoadError(f"{given.uri} is {given.format}: a mapping is for {', '.join(TABLES)}")
    if given.format == "json":
        yield from read_document(given.blocks(), source.max_event_bytes)
        return
    number = 1
    for cut in cut_lines(given.blocks(), line_ends):
        yield batch_of(cut, number, source.max_event_bytes)
        number += len(cut.starts) + len(cut.oversize)


@dataclass
class _Load:
    """One load on its way."""

    store: ObjectStore
    source: Source
    given: Input
    mapping: SourceMapping | None
    secret: Secret
    load_id: str
    received_at: datetime
    memory_limit_mb: int
    folder: Path
    unloaded: Manifest | None
    """What the load was before it was unloaded."""

    def run(self, progress: Callable[[Progress], None] | None) -> LoadResult:
        """Write every file, then commit."""
        writer = LoadWriter(
            self.store,
            self.source.name,
            self.load_id,
            self._tag(),
            self.received_at,
            self.secret,
            self.folder,
        )
        try:
            manifest = self._write(writer, progress)
            written = write_manifest(
                self.store,
                manifest,
                committed_at=datetime.now(UTC),
                only_new=self.unloaded is None,
                supersedes=self.unloaded,
            )
        except ObjectExistsError:
            # Another machine was quicker; its commit stands and these files are swept.
            existing = read_manifest(self.store, self.source.name, self.load_id)
            assert existing is not None
            return LoadResult(existing, True, self.given.note)
        except (StoreError, OSError, NoRoomError, MemoryError):
            # The files stay for the sweep: another machine may write the same ones and get through.
            raise
        except Exception:
            # It lies in the input: nobody gets through with these files.
            writer.discard()
            raise
        return LoadResult(written, False, self.given.note)

    def _write(self, writer: LoadWriter, progress: Callable[[Progress], None] | None) -> Manifest:
        is_table = self.given.format in TABLES
        reader_mb = self.memory_limit_mb // READER_SHARE if is_table else 0
        batches = read_batches(self.given, self.source, self.mapping, self.folder, reader_mb)
        reader = ChunkReader(batches, self._total(), progress)
        engine = Engine(
            self.source,
            self.secret,
            self.load_id,
            memory_limit_mb=self.memory_limit_mb - reader_mb,
            temp_dir=self.folder,
        )
        try:
            with closing(self._judged(reader, engine)) as chunks:
                for chunk, judged in chunks:
                    accepted, duplicates = engine.settle(judged)
                    writer.add(accepted, duplicates)
                    rejected = chunk.rows_by_number(judged.rejected["row_number"].to_pylist())
                    writer.reject(self.given.name, judged.rejected, rejected, chunk.faults())
            hours, codes = writer.finish(reader.unvalidated)
        finally:
            writer.close()
            engine.close()
            batches.close()  # type: ignore[attr-defined]
        return Manifest(
            load_id=self.load_id,
            source=self.source.name,
            input=InputEntry(
                uri=self.given.uri,
                sha256=self.given.sha256,
                bytes=self.given.size,
                format=self.given.format,
                rows=reader.rows,
                mapping_sha256=self.mapping.sha256 if self.mapping is not None else None,
            ),
            received_at=self.received_at,
            contracts_fingerprint=self.source.fingerprint,
            tag=self._tag(),
            counts=sum((hour.counts for hour in hours), Counts()),
            codes=codes,
            hours=hours,
            revision=1 if self.unloaded is None else self.unloaded.revision + 1,
        )

    def _judged(self, reader: ChunkReader, engine: Engine) -> Generator[tuple[Chunk, Judged]]:
        """Yield the chunks in order; the next is judged in another thread while one is settled and written."""
        received_at = self.received_at.replace(tzinfo=None)
        chunks = reader.chunks()

        def judge_next() -> tuple[Chunk, Judged] | None:
            chunk = next(chunks, None)
            if chunk is None:
                return None
            rows_of = lambda numbers: chunk.rows_by_number(numbers).lines  # noqa: E731
            return chunk, engine.judge(chunk.record_batches(), received_at, rows_of)

        with ThreadPoolExecutor(1, thread_name_prefix="judge") as ahead:
            following = ahead.submit(judge_next)
            while (found := following.result()) is not None:
                following = ahead.submit(judge_next)
                yield found

    def _total(self) -> int | None:
        plain = self.given.compression is None and self.given.format in ("ndjson", "json")
        return self.given.size if plain else None

    def _tag(self) -> str:
        """Return a name for everything but the input that shapes the files."""
        parts = [
            FORMAT_VERSION,
            self.received_at.isoformat(),
            self.source.fingerprint,
            self.secret.fingerprint,
            self.given.name,
            *versions(self.source),
        ]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:8]


def _milliseconds(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise LoadError(f"received_at {moment.isoformat()} has no time zone: write it with Z or an offset")
    utc = moment.astimezone(UTC)
    return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
