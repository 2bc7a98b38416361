"""What `millrace verify` asks of a source: conservation, proof of the KPIs, the path of personal data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from expectations.lineage import run_lineage
from expectations.model import SuiteResult
from expectations.proof import VerifyReport, verify
from ingestion.contract import Source
from orchestration.connections import object_store, warehouse
from orchestration.retention import note_verification
from orchestration.settings import Settings
from orchestration.warehouse.dbt import run_dbt


@dataclass(frozen=True)
class Verification:
    """What was found for one source."""

    proof: VerifyReport
    lineage: SuiteResult

    @property
    def ok(self) -> bool:
        """Whether everything holds."""
        return self.proof.ok and self.lineage.success

    @property
    def leaks(self) -> list[str]:
        """One sentence per mart that personal data reaches, or that could not be followed."""
        return [result.message for result in self.lineage.results if not result.success]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        lineage = {"ok": self.lineage.success, "marts": len(self.lineage.results), "leaks": self.leaks}
        return {**self.proof.to_dict(), "ok": self.ok, "lineage": lineage}

    def to_text(self) -> str:
        """Return plain lines."""
        held = f"lineage: personal data followed into {len(self.lineage.results)} marts, none reaches one undeclared"
        lines = [held] if self.lineage.success else [f"lineage: {leak}" for leak in self.leaks]
        return "\n".join([self.proof.to_text(), *lines])


def verify_sources(
    settings: Settings, sources: Iterable[Source], window: tuple[datetime, datetime] | None = None
) -> Iterator[Verification]:
    """Verify sources one after the other, for a window or everything; the models are compiled once for all.

    Raises:
        orchestration.warehouse.dbt.DbtError: when the models do not compile.
        expectations.proof.ProofError: when the verification cannot run as asked.
    """
    with TemporaryDirectory(prefix="millrace-lineage-") as target:
        run_dbt(settings, ["compile"], target_dir=Path(target))
        for source in sources:
            proof = _proved(settings, source, window)
            yield Verification(proof, run_lineage(source, Path(target) / "manifest.json"))


def _proved(settings: Settings, source: Source, window: tuple[datetime, datetime] | None) -> VerifyReport:
    client = warehouse(settings)
    since = datetime.now(UTC)
    try:
        proof = verify(object_store(settings), client, source.name, window)
        note_verification(client, proof, since)
    finally:
        client.close()
    return proof
