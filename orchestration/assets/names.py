"""Keys, groups and owners: the words by which the graph reads like the architecture."""

from __future__ import annotations

from typing import Final

import dagster as dg

from ingestion.contract import Source
from orchestration.partitions import DAILY, Cadence

LANDING: Final = "landing"
RAW: Final = "raw"
STAGING: Final = "staging"
FACTS: Final = "facts"
KPI: Final = "kpi"
QUALITY: Final = "quality"
REPORTS: Final = "reports"
GROUPS: Final = (LANDING, RAW, STAGING, FACTS, KPI, QUALITY, REPORTS)


def landing_key(source: str) -> dg.AssetKey:
    """The landing objects of a source, loaded into the lake."""
    return dg.AssetKey([LANDING, source])


def raw_key(source: str) -> dg.AssetKey:
    """The raw events of a source in the warehouse."""
    return dg.AssetKey([RAW, source])


def proof_key(source: str, cadence: Cadence = DAILY) -> dg.AssetKey:
    """The proof of a source's marts; that of the daily ones, which proves the hourly too, is the source's own."""
    return dg.AssetKey([QUALITY, f"{source}_proof" if cadence is DAILY else f"{source}_proof_{cadence.name}"])


def report_key(source: str, name: str) -> dg.AssetKey:
    """A report of a source."""
    return dg.AssetKey([REPORTS, source, name])


def retention_key(source: str) -> dg.AssetKey:
    """What of a source is older than its policy."""
    return dg.AssetKey([QUALITY, f"{source}_retention"])


def owner_of(source: Source) -> str:
    """The team that owns a source, in the form Dagster wants."""
    return f"team:{source.owner}"


def warehouse_pool(source: str) -> str:
    """Pool of every step that rebuilds partitions of a source.

    Its limit is 1: two runs may touch the same occurred day, and replacing one partition from two staging
    tables at once would keep whichever came last.
    """
    return f"{source}_warehouse"
