"""What the loader works out from a field of an event, once for each distinct value of a batch.

A contract declares it on the field that it becomes: `x-derive: {from: user_agent, as: user_agent.browser}`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

    from ingestion.contract import Contract, Source

READ_CHARACTERS = 1_000
"""How much of a text is looked at: regular expressions on longer ones cost without telling more."""


@dataclass(frozen=True)
class Kind:
    """A way to read a text."""

    facts: Mapping[str, str]
    """What it tells, to the JSON type of it."""
    packages: tuple[str, ...]
    """The packages that decide what it tells: another version of them may tell otherwise."""
    read: Callable[[str], Mapping[str, object]]
    """Returns the facts of a text; what it cannot tell is missing."""


@dataclass(frozen=True)
class Derived:
    """The derived fields of a contract that come from one field by one kind."""

    origin: str
    kind: str
    fields: Mapping[str, str]
    """Field to the fact that it becomes."""


def derived_fields(contract: Contract) -> tuple[Derived, ...]:
    """Return what a contract derives."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for name, schema in contract.schema["properties"].items():
        if "x-derive" in schema:
            kind, fact = schema["x-derive"]["as"].split(".")
            found.setdefault((schema["x-derive"]["from"], kind), {})[name] = fact
    return tuple(Derived(origin, kind, fields) for (origin, kind), fields in found.items())


def versions(source: Source) -> tuple[str, ...]:
    """Return the packages and versions that shape what a source derives; none where it derives nothing."""
    kinds = {derived.kind for contract in source.contracts for derived in derived_fields(contract)}
    packages = sorted({package for kind in kinds for package in KINDS[kind].packages})
    return tuple(f"{package} {version(package)}" for package in packages)


def read_texts(kind: str, texts: Sequence[str]) -> pa.Table:
    """Return a table (kind, text, facts) of distinct texts; `facts` maps each fact that is known to its JSON text."""
    import pyarrow as pa  # noqa: PLC0415  40 MB that a process which only knows the contracts need not hold

    read = KINDS[kind].read
    facts = [_as_json(read(text[:READ_CHARACTERS])) for text in texts]
    return pa.table(
        {
            "kind": pa.array([kind] * len(texts), pa.string()),
            "text": pa.array(texts, pa.string()),
            "facts": pa.array(facts, pa.map_(pa.string(), pa.string())),
        }
    )


def _as_json(facts: Mapping[str, object]) -> list[tuple[str, str]]:
    return [
        (name, json.dumps(value, ensure_ascii=False)) for name, value in facts.items() if value is not None
    ]


def members_sql(derived: Iterable[Derived], keys: str, facts: Mapping[tuple[str, str], str]) -> str:
    """SQL of the members that a payload gets, comma-separated; NULL for none. A field that was sent stays as sent.

    Args:
        derived: what the payload's contract derives.
        keys: SQL of the list of the payload's keys.
        facts: SQL of the map of facts, by the field it comes from and the kind.
    """
    members = []
    for group in derived:
        known = facts[group.origin, group.kind]
        members += [
            f"case when not list_contains({keys}, '{name}') then '\"{name}\":' || {known}['{fact}'] end"
            for name, fact in group.fields.items()
        ]
    return f"nullif(concat_ws(',', {', '.join(members)}), '')"


# user agents

_CONTACT = re.compile(r"https?://|www\.|[\w.+-]+@[\w-]+\.")
_TABLET = re.compile(r"iPad|Tablet|Kindle|Silk/|PlayBook", re.IGNORECASE)
_DESKTOPS = (
    "Windows",
    "Mac OS X",
    "Linux",
    "Ubuntu",
    "Fedora",
    "Debian",
    "Chrome OS",
    "FreeBSD",
    "OpenBSD",
    "Solaris",
)
_POCKET = (
    "iOS",
    "Android",
    "Windows Phone",
    "BlackBerry OS",
    "Firefox OS",
    "Symbian OS",
    "KaiOS",
    "HarmonyOS",
)


def _user_agent(text: str) -> Mapping[str, object]:
    """Read a user agent by the community's rules (uap-core).

    A crawler is what those rules call a spider, what carries an address to complain to, as crawlers do by convention,
    and what names no operating system, which every browser does and no library or feed reader.
    """
    from ua_parser import parse  # noqa: PLC0415  likewise

    found = parse(text)
    system = found.os.family if found.os else None
    is_spider = found.device is not None and found.device.family == "Spider"
    is_bot = is_spider or system is None or _CONTACT.search(text) is not None
    browser = found.user_agent.family if found.user_agent else None
    device = "bot" if is_bot else _device(text, system)
    return {"device_type": device, "browser": browser, "is_bot": is_bot}


def _device(text: str, system: str | None) -> str:
    # Android leaves out the word Mobile on tablets.
    if _TABLET.search(text) or (system == "Android" and "Mobile" not in text):
        return "tablet"
    if system in _POCKET:
        return "mobile"
    is_desktop = system in _DESKTOPS or (system or "").startswith("Windows") or "X11" in text
    return "desktop" if is_desktop else "other"


KINDS: Mapping[str, Kind] = {
    "user_agent": Kind(
        facts={"device_type": "string", "browser": "string", "is_bot": "boolean"},
        packages=("ua-parser", "ua-parser-builtins"),
        read=_user_agent,
    )
}
"""The ways to read a text, by name."""
