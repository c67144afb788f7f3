"""A vault in a folder of each test's own."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from towpath.vault import KeyPlace, Vault

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """Give a vault that holds the secrets `erp-key` and `shop-key`."""
    vault = Vault(tmp_path / "vault", KeyPlace("file", str(tmp_path / "vault.key")))
    vault.make()
    vault.set("erp-key", "canary-erp", NOON)
    vault.set("shop-key", "canary-shop", NOON)
    return vault
