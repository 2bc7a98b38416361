"""Who and what there is: organizers, ticketed events, visitors. It follows from the scale alone, on every day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from ingestion.simulator.columns import MONEY_UNITS

Names = npt.NDArray[np.object_]

PLATFORM = "bilten"
"""The tenant of what belongs to no organizer."""


@dataclass(frozen=True)
class Organizer:
    """Somebody who sells tickets."""

    tenant_id: str
    name: str
    country: str
    city: str
    currency: str
    share: float
    """Of all visits."""


ORGANIZERS = (
    Organizer("northlight", "Northlight Concerts", "DE", "Berlin", "EUR", 0.55),
    Organizer("harbour", "Harbour Events", "GB", "Bristol", "GBP", 0.37),
)
CATEGORIES = ("music", "theatre", "sports", "comedy", "workshop")
EVENTS_EACH = 6
"""Ticketed events of an organizer."""
PLACES = (
    ("DE", "Berlin", 0.3),
    ("DE", "Hamburg", 0.15),
    ("GB", "Bristol", 0.2),
    ("GB", "London", 0.15),
    ("FR", "Paris", 0.1),
    ("NL", "Utrecht", 0.1),
)
BROWSERS = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36": (
        "desktop",
        "Chrome",
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": ("desktop", "Firefox"),
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1": ("mobile", "Mobile Safari"),
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile "
    "Safari/537.36": ("mobile", "Chrome Mobile"),
    "Mozilla/5.0 (iPad; CPU OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 "
    "Mobile/15E148 Safari/604.1": ("tablet", "Mobile Safari"),
}
"""User agent to the type of the device and the browser that it tells of."""
CRAWLERS = (
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "python-requests/2.32.3",
)
CAMPAIGNS = ("spring_sale", "newsletter", "partner_radio")
EXPERIMENT = "checkout_button"
VARIANTS = ("control", "one_click")
REGISTERED_SHARE = {"control": 0.34, "one_click": 0.56}
"""Of the visits that are exposed to a variant: the experiment works."""
PURCHASE_SHARE = 0.45
"""Of the visits that register."""
VISITORS = 900
"""At scale 1."""


def spread(what: str, keys: Names, size: int) -> npt.NDArray[np.int64]:
    """Return a number below `size` for each key, by hash: the same in every process."""
    hashed = pd.util.hash_array(f"{what} " + np.asarray(keys, dtype=object), categorize=False)
    number: npt.NDArray[np.int64] = (hashed % np.uint64(size)).astype(np.int64)
    return number


def only(mask: npt.ArrayLike, values: object) -> Names:
    """Return the values where the mask is true, elsewhere None."""
    return np.where(mask, np.asarray(values, dtype=object), np.array(None, dtype=object))


def ticketed_events() -> pd.DataFrame:
    """Return the ticketed events as they begin: tenant_id, ticketed_event_id, name, capacity, price and more."""
    rows = []
    for organizer in ORGANIZERS:
        for number in range(EVENTS_EACH):
            category = CATEGORIES[number % len(CATEGORIES)]
            rows.append(
                {
                    "tenant_id": organizer.tenant_id,
                    "ticketed_event_id": f"te-{organizer.tenant_id}-{number + 1}",
                    "name": f"{organizer.city} {category} night {number + 1}",
                    "category": category,
                    "venue": f"{organizer.city} hall {number % 2 + 1}",
                    "city": organizer.city,
                    "country": organizer.country,
                    "capacity": 60 + 40 * number,
                    "price": (12 + 7 * number) * MONEY_UNITS + MONEY_UNITS // 2,
                    "currency": organizer.currency,
                    "starts_in_days": 20 + 3 * number,
                }
            )
    return pd.DataFrame(rows)


def visitors(scale: float) -> pd.DataFrame:
    """Return everybody who may come: visitor_id, user_id (None without an account), place, browser, habits."""
    size = max(int(VISITORS * scale), 40)
    ids = np.array([f"visitor-{number:06d}" for number in range(size)], dtype=object)
    place = np.searchsorted(
        np.cumsum([share for *_, share in PLACES]), spread("place", ids, 1000) / 1000, "right"
    )
    place = np.minimum(place, len(PLACES) - 1)
    has_account = spread("account", ids, 100) < 60
    browser = spread("browser", ids, len(BROWSERS))
    return pd.DataFrame(
        {
            "visitorId": ids,
            "user_id": only(has_account, [f"user-{number:06d}" for number in range(size)]),
            "country": np.array([country for country, *_ in PLACES], dtype=object)[place],
            "city": np.array([city for _, city, _ in PLACES], dtype=object)[place],
            "userAgent": np.array(list(BROWSERS), dtype=object)[browser],
            "channel": np.where((browser >= 2) & (spread("app", ids, 2) == 0), "mobile", "web"),
            "sends_session": spread("session", ids, 100) < 55,
            "variant": np.array(VARIANTS, dtype=object)[spread("variant", ids, len(VARIANTS))],
            "ipAddress": [f"{number:016x}" for number in pd.util.hash_array(ids, categorize=False)],
        }
    )
