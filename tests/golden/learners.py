"""The simulator's learners under the names that the platform gives them."""

from __future__ import annotations

from ingestion.pseudonym import Secret
from tests.golden.pipeline import KEY, Row


def with_user_key(row: Row) -> Row:
    """Return a row of the truth with the pseudonym in the place of the user id."""
    if "user_id" not in row:
        return row
    user = row["user_id"]
    key = None if user is None else Secret(KEY).pseudonym(f"studyin:{user}")
    return {
        name if name != "user_id" else "user_key": row[name] if name != "user_id" else key for name in row
    }
