"""The second engine: recompute every proven mart from the raw lake with DuckDB, compare to the last digit."""

from typing import TYPE_CHECKING, Any

from expectations.proof.report import UNPROVED, ConservationLine, Difference, MartResult, VerifyReport

if TYPE_CHECKING:
    from expectations.proof.verifying import ProofError, verify

__all__ = [
    "UNPROVED",
    "ConservationLine",
    "Difference",
    "MartResult",
    "ProofError",
    "VerifyReport",
    "verify",
]


def __getattr__(name: str) -> Any:
    # Dagster's code server reads which marts have a proof and recomputes none: the engines are 60 MB of its memory.
    if name in {"ProofError", "verify"}:
        from expectations.proof import verifying  # noqa: PLC0415

        return getattr(verifying, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
