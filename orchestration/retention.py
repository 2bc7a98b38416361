"""Retention of one source: what is older than its policy, in the lake and in the warehouse, and its removal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ingestion.locks import held as lock
from lake import retention as in_lake
from lake.errors import WrongUseError
from lake.policy import KEPT, POLICY_FILE, Policy, load_policy
from lake.retention import Held
from lake.store import ObjectInfo, ObjectStore
from lake.sweep import sweep
from orchestration.warehouse import retention as in_warehouse
from orchestration.warehouse import retired
from orchestration.warehouse.lifetimes import followers, lifetimes

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from expectations.proof import VerifyReport


class RetentionError(WrongUseError):
    """Retention that cannot run as asked; the message says why."""


@dataclass(frozen=True)
class RetentionReport:
    """What a run found, and whether it removed it."""

    policy: Policy
    applied: bool
    held: tuple[Held, ...]
    """Everything older than the policy as it was found."""
    unnamed: tuple[ObjectInfo, ...] = ()
    """Files that no manifest names and nobody reads: what loads left that were killed or broke off."""

    @property
    def going(self) -> list[Held]:
        """What goes, or went."""
        return [item for item in self.held if item.stays is None]

    @property
    def removes(self) -> bool:
        """Whether there is anything to remove."""
        return bool(self.going or self.unnamed)

    @property
    def staying(self) -> list[Held]:
        """What is too old and stays all the same."""
        return [item for item in self.held if item.stays is not None]

    @property
    def oldest(self) -> Held | None:
        """The store with the oldest offender."""
        return min(self.held, key=lambda item: item.oldest, default=None)

    @property
    def offence(self) -> str | None:
        """What breaks the policy, the oldest first, in one sentence; None where nothing does."""
        if self.oldest is None:
            return None
        others = len(self.held) - 1
        more = f"; and {others} more stores" if others else ""
        return f"{self.policy.source}: {self.oldest}, older than the policy{more}"

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "source": self.policy.source,
            "as_of": self.policy.as_of.isoformat(),
            "applied": self.applied,
            "stores": [vars(item) for item in self.held],
            "unnamed_files": len(self.unnamed),
            "unnamed_bytes": sum(file.size for file in self.unnamed),
        }


def run_retention(
    store: ObjectStore,
    client: Client,
    manifest: Mapping[str, Any],
    source: str,
    *,
    apply: bool = False,
    as_of: datetime | None = None,
    policy_file: Path = POLICY_FILE,
) -> RetentionReport:
    """Find what is older than a source's policy, and what killed loads left, and remove it when asked to.

    Args:
        store: the lake.
        client: connection to the warehouse.
        manifest: dbt's parsed project: which tables there are, and how long each is kept.
        source: whose.
        apply: remove it; else nothing is changed.
        as_of: the moment from which ages count back, aware; now when None.
        policy_file: the policy.

    Raises:
        RetentionError: when it is to be applied as of a moment that is still to come.
        lake.policy.PolicyError: when the policy says what cannot be.
        orchestration.warehouse.lifetimes.LifetimeError: when a model does not say how long its rows are kept.
    """
    if apply:
        refuse_future(as_of)
    policy = load_policy(source, as_of or datetime.now(UTC), policy_file)
    tables = lifetimes(manifest, source)
    _refuse_homeless(policy, {table.kept for table in tables})
    warehouse = in_warehouse.plan(client, policy, tables)
    lake = in_lake.plan(store, policy)
    if apply:
        # The warehouse first: it notes which loads are forgotten, so that no reader misses them in the lake.
        in_warehouse.apply(client, policy, warehouse, tables, followers(manifest, source))
        in_lake.apply(store, policy, lake, lock)
    unnamed = sweep(store, source, dry_run=not apply)
    return RetentionReport(policy, apply, (*warehouse.held, *lake.held), tuple(unnamed))


def refuse_future(as_of: datetime | None) -> None:
    """Refuse to remove what is not too old yet.

    Raises:
        RetentionError: when the moment is still to come.
    """
    if as_of is not None and as_of > datetime.now(UTC):
        raise RetentionError(
            f"{as_of.isoformat()} is still to come: what is not too old yet can be listed, not removed"
        )


def note_verification(client: Client, report: VerifyReport, since: datetime) -> None:
    """Note the received days that a verification covered, when everything agreed and marts were proved.

    Args:
        client: connection to the warehouse.
        report: the outcome.
        since: when it began.
    """
    if not report.ok or not report.values:
        return
    days = retired.loaded_days(client, report.source)
    if report.window is not None:
        start, end = report.window
        days = [
            day
            for day in days
            if start <= datetime(day.year, day.month, day.day, tzinfo=UTC)
            and datetime(day.year, day.month, day.day, 23, tzinfo=UTC) < end
        ]
    retired.note_verified(client, report.source, days, since, report.values)


def _refuse_homeless(policy: Policy, kept: set[str]) -> None:
    """Refuse a policy that keeps some stores of a source, but says nothing about one that it has."""
    missing = [name for name in KEPT if name in kept and policy.ages and name not in policy.ages]
    if missing:
        raise RetentionError(
            f"the policy of {policy.source} says nothing about {', '.join(missing)}, of which it has tables: "
            "say how long, or never"
        )
