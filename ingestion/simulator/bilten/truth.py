"""The true values of the `bilten` marts, out of the simulator's own events, in plain pandas.

Written from the formulas in words, on purpose without a look at the warehouse's SQL: it is the third opinion.
Money is an integer count of 1/10,000 until it is written out as text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from ingestion.simulator.bilten.generate import FIELDS
from ingestion.simulator.bilten.world import BROWSERS
from ingestion.simulator.columns import MONEY_UNITS
from ingestion.simulator.figures import (
    NO_CURRENCY,
    ORDER,
    UNKNOWN,
    day_of,
    money_ratio,
    money_text,
    period_text,
    quantile_exact,
    ratio,
)
from ingestion.simulator.model import DAY_MS, HOUR_MS, Frames, Rows

SILENCE_MS = HOUR_MS // 2
NOON_MS = DAY_MS // 2
SESSION = ["tenant_id", "session"]
STEPS = ("view", "click", "registration", "purchase")
COUNTS = ("page_views", "clicks", "registrations", "orders", "tickets", "revenue")
PERIODS = {"hour": "datetime64[h]", "day": "datetime64[D]", "month": "datetime64[M]"}
WEEK_MS = 7 * DAY_MS
FIRST_MONDAY_MS = 4 * DAY_MS


def true_values(events: Frames) -> dict[str, Rows]:
    """Return the rows of every mart that the simulator knows the truth of."""
    tracked = _tracked(events)
    sessions = _sessions(tracked)
    people = tracked[~tracked["is_bot"]]
    conversions = _conversions(tracked, sessions)
    states = _states(events)
    return {
        "kpi_hourly": _kpis(_counts_by("hour", "active_users", people, sessions, conversions), "hour"),
        "kpi_daily": _kpis(_counts_by("day", "dau", people, sessions, conversions), "day"),
        "monthly_business_report": _months(
            _counts_by("month", "mau", people, sessions, conversions), sessions
        ),
        "user_profile": _profiles(people, sessions, conversions, states),
        "active_users": _active_users(people),
        "geography_daily": _geography(people, sessions, conversions),
        "campaign_daily": _campaigns(sessions, conversions),
        "funnel_daily": _funnel(tracked, sessions),
        "event_performance": _performance(people, conversions, states),
        "cohort_retention": _cohorts(people),
        "experiment_results": _experiments(people, conversions),
    }


def _tracked(events: Frames) -> pd.DataFrame:
    """All tracked events in their order, with the visitor and the session of each."""
    wanted = ["tenant_id", "event_id", "occurred_at", "session_id", "user_id", "is_bot", "ticketed_event_id"]
    wanted += ["visitorId", "userAgent", "ipAddress", "campaignId", "country", "city", "eventName"]
    wanted += ["orderId", "tickets", "amount", "currency", "experiment", "variant"]
    frames = [events[name][wanted].assign(event_type=name) for name in FIELDS if name in events]
    tracked = pd.concat(frames, ignore_index=True).sort_values(ORDER, ignore_index=True)
    tracked["visitor"] = tracked["visitorId"].fillna(tracked["user_id"]).fillna(tracked["ipAddress"])
    named = "id " + tracked["session_id"]
    tracked["session"] = named.fillna(_silent_sessions(tracked))
    tracked["subject"] = tracked["visitor"].fillna(tracked["session"])
    return tracked


def _silent_sessions(tracked: pd.DataFrame) -> pd.Series:
    """Name the session of each event without a producer's: a visitor's run of events, cut at most midnights."""
    silent = tracked[tracked["session_id"].isna() & tracked["visitor"].notna()]
    silent = silent.sort_values(["tenant_id", "visitor", *ORDER])
    same = (silent[["tenant_id", "visitor"]] == silent[["tenant_id", "visitor"]].shift()).all(axis=1)
    run = (~(same & (silent["occurred_at"].diff() < SILENCE_MS))).cumsum()
    parts = silent.groupby([run.rename("run"), day_of(silent).rename("day")])["occurred_at"].agg(
        ["min", "max"]
    )
    began = parts["min"].groupby("run").shift() % DAY_MS
    goes_on = (began >= NOON_MS) & (parts["max"] % DAY_MS < NOON_MS)
    visit = (~goes_on).cumsum()
    places = pd.MultiIndex.from_arrays([run, day_of(silent)])
    names = "silence " + visit.loc[places].astype(str).to_numpy()
    return pd.Series(names, index=silent.index).reindex(tracked.index)


def _first(tracked: pd.DataFrame, key: Sequence[str], column: str) -> pd.Series:
    """Return the first value that is named, by key; the frame is in its order."""
    return tracked.dropna(subset=[column, *key]).groupby(list(key))[column].first()


def _sessions(tracked: pd.DataFrame) -> pd.DataFrame:
    groups = tracked.dropna(subset=["session"]).groupby(SESSION)
    sessions = groups.agg(
        occurred_at=("occurred_at", "min"),
        duration_ms=("occurred_at", lambda times: int(times.max() - times.min())),
        is_bot=("is_bot", "any"),
        is_converted=("event_type", lambda kinds: bool((kinds == "conversion").any())),
        page_views=("event_type", lambda kinds: int((kinds == "page_view").sum())),
        clicks=("event_type", lambda kinds: int((kinds == "click").sum())),
    )
    for column, otherwise in (
        ("user_id", None),
        ("campaignId", None),
        ("country", UNKNOWN),
        ("city", UNKNOWN),
        ("currency", NO_CURRENCY),
    ):
        found = _first(tracked, SESSION, column).reindex(sessions.index)
        sessions[column] = found if otherwise is None else found.fillna(otherwise)
    return sessions.reset_index()


def _conversions(tracked: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Conversions of people, an order once under each name."""
    found = tracked[(tracked["event_type"] == "conversion") & ~tracked["is_bot"]]
    repeated = found["orderId"].notna() & found.duplicated(["tenant_id", "eventName", "orderId"])
    found = found[~repeated]
    found = found.merge(sessions[[*SESSION, "campaignId"]], on=SESSION, how="left", suffixes=("", "_session"))
    found["campaignId"] = found["campaignId"].fillna(found.pop("campaignId_session"))
    found["currency"] = found["currency"].fillna(NO_CURRENCY)
    return found.assign(
        tickets=found["tickets"].fillna(0).astype(np.int64),
        revenue=found["amount"].fillna(0).astype(np.int64),
    )


def _users(people: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """Known users under each key, each under the first currency that one of the events names."""
    known = people.dropna(subset=["user_id"])
    keys = [*key, "user_id"]
    users = known[keys].drop_duplicates()
    currency = _first(known, keys, "currency").rename("currency")
    return users.merge(currency.reset_index(), on=keys, how="left").fillna({"currency": NO_CURRENCY})


def _counted(parts: Mapping[str, pd.Series], grain: Sequence[str]) -> pd.DataFrame:
    table = pd.DataFrame(parts).fillna(0).astype(np.int64)
    table.index.names = list(grain)
    return table.reset_index().sort_values(list(grain))


def _conversion_counts(conversions: pd.DataFrame, grain: Sequence[str]) -> dict[str, pd.Series]:
    keys = list(grain)
    bought = conversions[conversions["eventName"] == "ticket_purchase"].groupby(keys)
    return {
        "registrations": conversions[conversions["eventName"] == "registration"].groupby(keys).size(),
        "orders": bought.size(),
        "tickets": bought["tickets"].sum(),
        "revenue": bought["revenue"].sum(),
    }


def _activity(
    people: pd.DataFrame, sessions: pd.DataFrame, conversions: pd.DataFrame, grain: Sequence[str]
) -> dict[str, pd.Series]:
    """What a period counts: sessions where they began, everything else where it happened."""
    keys = list(grain)
    visits = sessions[~sessions["is_bot"]]
    return {
        "sessions": visits.groupby(keys).size(),
        "converted_sessions": visits[visits["is_converted"]].groupby(keys).size(),
        "page_views": people[people["event_type"] == "page_view"].groupby(keys).size(),
        "clicks": people[people["event_type"] == "click"].groupby(keys).size(),
        **_conversion_counts(conversions, keys),
    }


def _finished(row: dict[str, Any]) -> dict[str, Any]:
    """Write money out and add the rates that every mart of sessions has."""
    return row | {
        "revenue": money_text(row["revenue"]),
        "conversion_rate": ratio(row["converted_sessions"], row["sessions"]),
        "average_order_value": money_ratio(row["revenue"], row["orders"]),
    }


def _timed(frame: pd.DataFrame, period: str) -> pd.DataFrame:
    """Add the beginning of the hour, day or month of each row, under the name of the period."""
    moments = frame["occurred_at"].to_numpy("datetime64[ms]")
    begin = moments.astype(PERIODS[period]).astype("datetime64[ms]")
    return frame.assign(**{period: begin.astype(np.int64)})


def _counts_by(
    period: str, users: str, people: pd.DataFrame, sessions: pd.DataFrame, conversions: pd.DataFrame
) -> Rows:
    """Return what each period counts, by tenant and currency; periods in milliseconds, money in units."""
    grain = ["tenant_id", period, "currency"]
    parts = {
        users: _users(_timed(people, period), grain[:-1]).groupby(grain).size(),
        # What names no currency counts under none.
        **_activity(
            _timed(people.assign(currency=NO_CURRENCY), period),
            _timed(sessions, period),
            _timed(conversions, period),
            grain,
        ),
    }
    return list(_counted(parts, grain).to_dict("records"))


def _kpis(rows: Rows, period: str) -> Rows:
    return [_finished(row) | {period: period_text(row[period], period)} for row in rows]


def _months(rows: Rows, sessions: pd.DataFrame) -> Rows:
    grain = ["tenant_id", "month", "currency"]
    lasted = _timed(sessions[~sessions["is_bot"]], "month").groupby(grain)["duration_ms"].sum()
    durations = [int(lasted.get(tuple(row[name] for name in grain), 0)) for row in rows]
    report = _kpis(rows, "month")
    earned = {
        tuple(told[name] for name in grain): row["revenue"] for told, row in zip(report, rows, strict=True)
    }
    for told, row, duration in zip(report, rows, durations, strict=True):
        month_before = f"{np.datetime64(told['month'], 'M') - 1}-01"
        before = earned.get((told["tenant_id"], month_before, told["currency"]), 0)
        told |= {
            "session_ms": duration,
            "average_session_seconds": ratio(duration / 1000, told["sessions"]),
            "revenue_before": money_text(before),
            "revenue_growth": ratio((row["revenue"] - before) / MONEY_UNITS, before / MONEY_UNITS),
        }
    return report


def _profiles(
    people: pd.DataFrame, sessions: pd.DataFrame, conversions: pd.DataFrame, states: pd.DataFrame
) -> Rows:
    """Return a row per user and currency of the user's orders; one without currency where there are none."""
    person = ["tenant_id", "user_id"]
    own = people.merge(states["category"].reset_index(), on=["tenant_id", "ticketed_event_id"], how="left")
    visits = sessions[~sessions["is_bot"]].groupby(person)["duration_ms"].agg(["size", "sum"])
    registered = conversions[conversions["eventName"] == "registration"].groupby(person).size()
    bought = _conversion_counts(conversions.dropna(subset=["user_id"]), [*person, "currency"])
    orders = pd.DataFrame({name: bought[name] for name in ("orders", "tickets", "revenue")})
    rows: Rows = []
    for user, seen in own.groupby(person):
        came = visits.loc[user] if user in visits.index else {"size": 0, "sum": 0}
        told = pd.DataFrame(seen["userAgent"].map(BROWSERS).dropna().tolist(), columns=["device", "browser"])
        moments = pd.to_datetime(seen["occurred_at"], unit="ms")
        liked = seen[seen["event_type"] != "custom"].groupby("category").size()
        profile = {
            "tenant_id": user[0],
            "user_id": user[1],
            "sessions": int(came["size"]),
            "session_ms": int(came["sum"]),
            "average_session_seconds": ratio(came["sum"] / 1000, int(came["size"])),
            "first_seen_at": period_text(seen["occurred_at"].min(), "second"),
            "last_seen_at": period_text(seen["occurred_at"].max(), "second"),
            "last_seen_on": period_text(seen["occurred_at"].max(), "day"),
            "device_types": sorted(set(told["device"])),
            "browsers": sorted(set(told["browser"])),
            "page_views": int((seen["event_type"] == "page_view").sum()),
            "ticketed_events_viewed": int(
                seen.loc[seen["event_type"] == "page_view", "ticketed_event_id"].nunique()
            ),
            "registrations": int(registered.get(user, 0)),
            "preferred_categories": sorted(liked.index, key=lambda name: (-liked[name], name))[:3],
            "activity_by_hour": [int((moments.dt.hour == hour).sum()) for hour in range(24)],
            "activity_by_weekday": [int((moments.dt.day_of_week == day).sum()) for day in range(7)],
        }
        purchases = orders.loc[user] if user in orders.index.droplevel("currency") else None
        spent = [(NO_CURRENCY, 0, 0, 0)] if purchases is None else list(purchases.itertuples(name=None))
        for currency, count, tickets, revenue in spent:
            rows.append(
                profile
                | {
                    "currency": currency,
                    "orders": int(count),
                    "tickets": int(tickets),
                    "spent": money_text(int(revenue)),
                    "average_order_value": money_ratio(int(revenue), int(count)),
                }
            )
    return rows


def _geography(people: pd.DataFrame, sessions: pd.DataFrame, conversions: pd.DataFrame) -> Rows:
    grain = ["tenant_id", "day", "country", "city", "currency"]

    def placed(frame: pd.DataFrame) -> pd.DataFrame:
        return frame.assign(day=day_of(frame)).fillna({"country": UNKNOWN, "city": UNKNOWN})

    parts = {
        "users": _users(placed(people), grain[:-1]).groupby(grain).size(),
        **_activity(
            placed(people.assign(currency=NO_CURRENCY)), placed(sessions), placed(conversions), grain
        ),
    }
    return [
        _finished(row) | {"day": period_text(row["day"], "day")}
        for row in _counted(parts, grain).to_dict("records")
    ]


def _campaigns(sessions: pd.DataFrame, conversions: pd.DataFrame) -> Rows:
    grain = ["tenant_id", "day", "campaign_id", "currency"]

    def named(frame: pd.DataFrame) -> pd.DataFrame:
        frame = frame.assign(day=day_of(frame), campaign_id=frame["campaignId"])
        return frame.dropna(subset=["campaign_id"])

    visits = named(sessions[~sessions["is_bot"]])
    parts = {
        "sessions": visits.groupby(grain).size(),
        "converted_sessions": visits[visits["is_converted"]].groupby(grain).size(),
        "page_views": visits.groupby(grain)["page_views"].sum(),
        "clicks": visits.groupby(grain)["clicks"].sum(),
        **_conversion_counts(named(conversions), grain),
    }
    return [
        _finished(row)
        | {"day": period_text(row["day"], "day"), "click_rate": ratio(row["clicks"], row["page_views"])}
        for row in _counted(parts, grain).to_dict("records")
    ]


def _active_users(people: pd.DataFrame) -> Rows:
    """Distinct users of each day and of the days before it, from a tenant's first to its last day with one."""
    rows: Rows = []
    known = people.dropna(subset=["user_id"])
    for tenant, seen in known.assign(day=day_of(known)).groupby("tenant_id"):
        for day in range(seen["day"].min(), seen["day"].max() + 1, DAY_MS):
            users = {
                name: seen[(seen["day"] <= day) & (seen["day"] > day - length * DAY_MS)]["user_id"].nunique()
                for name, length in (("dau", 1), ("wau", 7), ("mau", 30))
            }
            rows.append({"tenant_id": tenant, "day": period_text(day, "day"), **users})
    return rows


def _funnel(tracked: pd.DataFrame, sessions: pd.DataFrame) -> Rows:
    """Return four rows per tenant, day of the session's start, and scope."""
    days = sessions[~sessions["is_bot"]].assign(day=day_of)[[*SESSION, "day"]]
    events = tracked.merge(days, on=SESSION)
    of_event = events[events["event_type"] != "custom"].dropna(subset=["ticketed_event_id"])
    scoped = pd.concat([events.assign(scope="all"), of_event.assign(scope=of_event["ticketed_event_id"])])
    kinds = scoped["event_type"].map({"page_view": 1, "click": 2})
    scoped["kind"] = kinds.fillna(scoped["eventName"].map({"registration": 3, "ticket_purchase": 4}))
    rows: Rows = []
    for (tenant, day, scope), group in scoped.groupby(["tenant_id", "day", "scope"]):
        times: list[list[int]] = [[], [], [], []]
        waits: list[list[int]] = [[], [], []]
        for _, session in group.groupby("session"):
            reached: int | None = -1
            for step in range(4):
                own = session.loc[
                    (session["kind"] == step + 1) & (session["occurred_at"] >= reached), "occurred_at"
                ]
                if own.empty:
                    break
                if step:
                    waits[step - 1].append(int(own.min()) - int(reached or 0))
                reached = int(own.min())
                times[step].append(reached)
        for step, name in enumerate(STEPS):
            is_last, count = step == len(STEPS) - 1, len(times[step])
            onward = None if is_last else len(times[step + 1])
            waited = waits[step] if not is_last else []
            rows.append(
                {
                    "tenant_id": tenant,
                    "day": period_text(int(day), "day"),
                    "scope": scope,
                    "step_number": step + 1,
                    "step": name,
                    "sessions": count,
                    "sessions_next": onward,
                    "drop_off_rate": 1 - onward / count if onward is not None and count else None,
                    "median_seconds_to_next": quantile_exact(pd.Series(waited), 0.5) / 1000
                    if waited
                    else None,
                }
            )
    return rows


def _states(events: Frames) -> pd.DataFrame:
    """Ticketed events as their newest version has them, and the day of their newest change row."""
    rows = events["ticketed_events"].sort_values(["version", *ORDER])
    key = ["tenant_id", "ticketed_event_id"]
    newest = rows.drop_duplicates(key, keep="last").set_index(key)[["name", "category", "capacity"]]
    return newest.assign(changed=rows.groupby(key)["occurred_at"].max())


def _performance(people: pd.DataFrame, conversions: pd.DataFrame, states: pd.DataFrame) -> Rows:
    grain = ["tenant_id", "ticketed_event_id"]
    seen = people[people["event_type"] != "custom"].dropna(subset=["ticketed_event_id"])
    counts = _conversion_counts(conversions.dropna(subset=["ticketed_event_id"]), grain)
    parts = {
        "page_views": seen[seen["event_type"] == "page_view"].groupby(grain).size(),
        "clicks": seen[seen["event_type"] == "click"].groupby(grain).size(),
        "visitors": seen.groupby(grain)["visitor"].nunique(),
        **{name: counts[name] for name in ("registrations", "orders", "tickets")},
        "seen": seen.groupby(grain)["occurred_at"].max(),
        "capacity": states["capacity"],
        "changed": states["changed"],
    }
    named = states[["name", "category"]].to_dict("index")
    rows: Rows = []
    for row in _counted(parts, grain).to_dict("records"):
        state = named.get((row["tenant_id"], row["ticketed_event_id"]), {"name": None, "category": None})
        seen_at, changed_at = row.pop("seen"), row.pop("changed")
        rows.append(
            {
                **row,
                "event_name": state["name"],
                "category": state["category"],
                "registration_rate": ratio(row["registrations"], row["page_views"]),
                "fill_rate": ratio(row["tickets"], row["capacity"]),
                "last_day": period_text((seen_at or changed_at) // DAY_MS * DAY_MS, "day"),
            }
        )
    return rows


def _cohorts(people: pd.DataFrame) -> Rows:
    """Users by the week of their first event, in every week up to the tenant's newest with a user."""
    known = people.dropna(subset=["user_id"])
    known = known.assign(week=(known["occurred_at"] - FIRST_MONDAY_MS) // WEEK_MS * WEEK_MS + FIRST_MONDAY_MS)
    seen = known[["tenant_id", "user_id", "week"]].drop_duplicates()
    seen["cohort"] = seen.groupby(["tenant_id", "user_id"])["week"].transform("min")
    rows: Rows = []
    for tenant, group in seen.groupby("tenant_id"):
        for cohort, members in group.groupby("cohort"):
            size = members["user_id"].nunique()
            for week in range(cohort, group["week"].max() + 1, WEEK_MS):
                retained = int((members["week"] == week).sum())
                rows.append(
                    {
                        "tenant_id": tenant,
                        "cohort_week": period_text(cohort, "day"),
                        "week_number": (week - cohort) // WEEK_MS,
                        "activity_week": period_text(week, "day"),
                        "cohort_users": size,
                        "retained_users": retained,
                        "retention_rate": ratio(retained, size),
                    }
                )
    return rows


def _experiments(people: pd.DataFrame, conversions: pd.DataFrame) -> Rows:
    """Subjects by the variant they were first told, and whether they converted from then on."""
    grain, subject = ["tenant_id", "experiment", "variant"], ["tenant_id", "experiment", "subject"]
    told = people[people["event_type"] == "custom"].dropna(subset=["experiment", "variant", "subject"])
    told = told.drop_duplicates([*subject, "eventName"])
    exposed = told[told["eventName"] == "experiment_exposed"]
    done = exposed.merge(
        conversions[["tenant_id", "subject", "occurred_at"]],
        on=["tenant_id", "subject"],
        suffixes=("", "_done"),
    )
    done = done[done["occurred_at_done"] >= done["occurred_at"]].drop_duplicates(subject)
    parts = {
        "assigned": told[told["eventName"] == "experiment_assigned"].groupby(grain).size(),
        "exposed": exposed.groupby(grain).size(),
        "converted": done.groupby(grain).size(),
    }
    return [
        {
            **row,
            "is_control": row["variant"] == "control",
            "conversion_rate": ratio(row["converted"], row["exposed"]),
        }
        for row in _counted(parts, grain).to_dict("records")
    ]
