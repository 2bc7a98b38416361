"""Fixtures of the contract tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from contract_folder import ContractFolder


@pytest.fixture
def folder(tmp_path: Path) -> ContractFolder:
    """A source of contracts that is in order."""
    return ContractFolder(tmp_path / "contracts")
