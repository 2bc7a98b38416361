"""A small source of contracts in a temporary folder, to be bent by each test."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import yaml

SOURCE: dict[str, Any] = {
    "description": "A shop.",
    "owner": "shop-data",
    "future_tolerance_minutes": 10,
    "max_event_bytes": 1000,
    "wire_formats": {
        "api": {
            "description": "The API's form.",
            "detect": ["id", "type"],
            "envelope": {
                "event_id": "id",
                "event_type": "type",
                "tenant_id": ["meta.tenant", "payload.tenant"],
                "occurred_at": "at",
                "payload": "data",
            },
        }
    },
    "pii": {"email": {"class": "email", "action": "pseudonymise"}},
}

PAID: dict[str, Any] = {
    "description": "A payment succeeded.",
    "x-version": "1.0",
    "x-entity": "payments",
    "type": "object",
    "required": ["payment_id", "amount", "currency"],
    "properties": {
        "payment_id": {"type": "string", "minLength": 1, "description": "Identifier of the payment."},
        "amount": {"type": "number", "minimum": 0, "x-type": "money", "description": "Amount paid."},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$", "description": "ISO 4217 code."},
        "attempt": {"type": ["integer", "null"], "minimum": 1, "maximum": 9, "description": "Which try."},
        "state": {"type": "string", "enum": ["new", "old"], "description": "State of the card."},
    },
}


class ContractFolder:
    """Contracts of the source `shop` below a folder."""

    def __init__(self, root: Path) -> None:
        """Start with the source file and one contract, PAID.v1."""
        self.root = root
        self.source = copy.deepcopy(SOURCE)
        self.contracts: dict[str, Any] = {"PAID.v1": copy.deepcopy(PAID)}

    @property
    def paid(self) -> dict[str, Any]:
        """The contract PAID.v1, to be changed in place."""
        contract: dict[str, Any] = self.contracts["PAID.v1"]
        return contract

    def property(self, name: str) -> dict[str, Any]:
        """A property of PAID.v1, to be changed in place."""
        schema: dict[str, Any] = self.paid["properties"][name]
        return schema

    def write(self) -> Path:
        """Write the files as they are now and return the root of all contracts."""
        folder = self.root / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob("*.yaml"):
            path.unlink()
        (folder / "_source.yaml").write_text(yaml.safe_dump(self.source, sort_keys=False))
        for name, content in self.contracts.items():
            (folder / f"{name}.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        return self.root
