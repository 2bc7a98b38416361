"""How long each store keeps what a source sent: `retention.yaml`."""

from __future__ import annotations

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from lake.errors import MillraceError

POLICY_FILE = Path(__file__).resolve().with_name("retention.yaml")
Kept = Literal[
    "raw_events", "minute_rollups", "hour_rollups", "day_rollups", "raw_lake", "quarantine", "landing"
]
KEPT: tuple[Kept, ...] = get_args(Kept)
NEVER = "never"
FORMS = f"such as 90 days, 18 months, 5 years, or {NEVER}"
HOUR = timedelta(hours=1)

_AGE = re.compile(r"([1-9]\d*) (day|month|year)s?")


class PolicyError(MillraceError):
    """A retention policy that cannot be; the message names the value and the valid ones."""


@dataclass(frozen=True)
class Age:
    """A length of time as people agree on it: years and months of the calendar, days of 24 hours."""

    number: int
    unit: str

    def before(self, moment: datetime) -> datetime:
        """Return the moment so long ago; a day that a shorter month lacks is its last."""
        if self.unit == "day":
            return moment - timedelta(days=self.number)
        months = self.number * (12 if self.unit == "year" else 1)
        year, month = divmod(moment.year * 12 + moment.month - 1 - months, 12)
        day = min(moment.day, calendar.monthrange(year, month + 1)[1])
        return moment.replace(year=year, month=month + 1, day=day)

    def __str__(self) -> str:
        """Return it as the policy writes it."""
        return f"{self.number} {self.unit}{'s' if self.number > 1 else ''}"


@dataclass(frozen=True)
class Policy:
    """What one source keeps, as of one moment."""

    source: str
    ages: Mapping[Kept, Age | None]
    as_of: datetime

    def limit(self, kept: Kept) -> datetime | None:
        """Return the moment up to which something is too old, or None where nothing ever is."""
        age = self.ages.get(kept)
        return age.before(self.as_of) if age else None

    def expired(self, kept: Kept, end: datetime) -> bool:
        """Whether what ended at a moment is too old: at the very limit it is."""
        limit = self.limit(kept)
        return limit is not None and end <= limit

    def hour_expired(self, kept: Kept, hour: datetime) -> bool:
        """Whether an hour is too old: all of it, to its last moment."""
        return self.expired(kept, hour + HOUR)

    def describe(self, kept: Kept) -> str:
        """Return the age as the policy writes it."""
        return str(self.ages.get(kept) or NEVER)


def load_policy(source: str, as_of: datetime, path: Path = POLICY_FILE) -> Policy:
    """Read the policy of a source, as of an aware moment; one that is not named keeps everything.

    Raises:
        PolicyError: when the file says what cannot be, of any source.
    """
    if as_of.tzinfo is None:
        raise PolicyError(f"{as_of.isoformat()} has no time zone")
    return Policy(source, load_ages(path).get(source, {}), as_of.astimezone(UTC))


def load_ages(path: Path = POLICY_FILE) -> dict[str, dict[Kept, Age | None]]:
    """Read what every source keeps.

    Raises:
        PolicyError: naming every source and line that is wrong.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise PolicyError(f"{path.name} is no readable YAML: {error}") from error
    if not isinstance(content, dict):
        raise PolicyError(f"{path.name}: names each source and what it keeps")
    problems = [f"{source}: {problem}" for source, ages in content.items() for problem in _lint(ages)]
    if problems:
        raise PolicyError("\n".join(f"{path.name}: {problem}" for problem in problems))
    return {source: {kept: _age(text) for kept, text in ages.items()} for source, ages in content.items()}


def _lint(ages: Any) -> list[str]:
    if not isinstance(ages, dict):
        return [f"must say how long each store keeps: {', '.join(KEPT)}"]
    problems = [f"unknown {name!r}; valid: {', '.join(KEPT)}" for name in ages if name not in KEPT]
    problems += [
        f"{name} is {text!r}; valid: a number of days, months or years, {FORMS}"
        for name, text in ages.items()
        if text != NEVER and not _AGE.fullmatch(str(text))
    ]
    if problems:
        return problems
    now = datetime(2001, 1, 1, tzinfo=UTC)
    lake = _age(ages.get("raw_lake", NEVER))
    for name in ("raw_events", "quarantine"):
        age = _age(ages.get(name, NEVER))
        if lake and (age is None or age.before(now) < lake.before(now)):
            problems.append(
                f"{name} is {age or NEVER}, longer than raw_lake, {lake}: what the lake forgot nothing can rebuild"
            )
    return problems


def _age(text: str) -> Age | None:
    found = _AGE.fullmatch(str(text))
    return Age(int(found[1]), found[2]) if found else None
