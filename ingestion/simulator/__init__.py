"""Deterministic events as a source's producers would drop them, faults included, and the true KPI values."""

from ingestion.simulator.landing import LANDING_FILE, TRUTH_FILE
from ingestion.simulator.model import (
    Delivery,
    Faults,
    SimulationSummary,
    SimulatorError,
    UnknownSourceError,
)
from ingestion.simulator.run import DEFAULT_START, MODELS, simulate

__all__ = [
    "DEFAULT_START",
    "LANDING_FILE",
    "MODELS",
    "TRUTH_FILE",
    "Delivery",
    "Faults",
    "SimulationSummary",
    "SimulatorError",
    "UnknownSourceError",
    "simulate",
]
