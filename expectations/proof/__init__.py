"""The second engine: recompute every proven mart from the raw lake with DuckDB, compare to the last digit."""

from expectations.proof.report import UNPROVED, ConservationLine, Difference, MartResult, VerifyReport
from expectations.proof.verify import ProofError, verify

__all__ = [
    "UNPROVED",
    "ConservationLine",
    "Difference",
    "MartResult",
    "ProofError",
    "VerifyReport",
    "verify",
]
