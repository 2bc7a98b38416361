"""Which requests a server refuses because a page of somebody else may have made a browser send them.

A page of any origin can make the browser that shows it ask loopback, or what a tunnel brings there: by address, and
by a name of its own that it lets resolve to 127.0.0.1 (DNS rebinding). Programs send neither `Origin` nor
`Sec-Fetch-Site`; every browser sends the first with a POST and a WebSocket, and today's send the second always.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})

_HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._-]+))(?::[0-9]+)?")
_OWN_SITES = frozenset({"none", "same-origin"})


def refusal(headers: Mapping[str, str], hosts: Collection[str]) -> str | None:
    """Say in one sentence why a request is refused; None where it is served.

    Args:
        headers: of the request; found by their names in lower case.
        hosts: the names by which the server is asked: lower case, without port, IPv6 without brackets.
    """
    host = headers.get("host", "").lower()
    found = _HOST.fullmatch(host)
    if found is None or (found["v6"] or found["name"]) not in hosts:
        return f"Host is {host!r}, and only {', '.join(sorted(hosts))} is served"
    origin = headers.get("origin")
    # Another port of this machine is another server, with pages of its own.
    if origin is not None and origin.lower() not in {f"http://{host}", f"https://{host}"}:
        return f"Origin is {origin!r}, and only pages of {host} may ask"
    site = headers.get("sec-fetch-site")
    if site is not None and site not in _OWN_SITES:
        return f"Sec-Fetch-Site is {site!r}: a page of another origin sent this, and only those of {host} may"
    return None
