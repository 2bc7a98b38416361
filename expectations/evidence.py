"""Evidence: a small record in the lake of what a gate checked and found."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict
from typing import Any

from expectations.model import EVIDENCE_TIME, SuiteResult
from lake.store import ObjectStore

PREFIX = "evidence"
SCHEMA_VERSION = 1


def evidence_key(result: SuiteResult) -> str:
    """Return `evidence/source=<s>/suite=<suite>/checked_date=<d>/<time>-<run>.json`."""
    run = re.sub(r"[^0-9A-Za-z]+", "-", result.run_id).strip("-") or "run"
    return (
        f"{PREFIX}/source={result.source}/suite={result.suite}/checked_date={result.checked_at:%Y-%m-%d}"
        f"/{result.checked_at:%Y%m%dT%H%M%S%f}-{run}.json"
    )


def evidence_record(result: SuiteResult) -> dict[str, Any]:
    """Return the record: what was checked, with which versions, the outcome, and a sha256 over all of it."""
    body = {
        "schema_version": SCHEMA_VERSION,
        "suite": result.suite,
        "source": result.source,
        "boundary": result.boundary,
        "partition": result.partition,
        "window": result.window,
        "run_id": result.run_id,
        "checked_at": result.checked_at.strftime(EVIDENCE_TIME),
        "success": result.success,
        "versions": dict(result.versions),
        "results": [
            {key: value for key, value in asdict(found).items() if key not in {"sample", "reason"}}
            for found in result.results
        ],
    }
    return {**body, "sha256": digest(body)}


def digest(body: dict[str, Any]) -> str:
    """Return the sha256 of a record without its own `sha256`, over JSON with sorted keys and no spaces."""
    bare = {key: value for key, value in body.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def write_evidence(store: ObjectStore, result: SuiteResult) -> str:
    """Write the record into the lake and return its key."""
    key = evidence_key(result)
    text = json.dumps(evidence_record(result), sort_keys=True, indent=1) + "\n"
    store.put_bytes(key, text.encode(), content_type="application/json")
    return key
