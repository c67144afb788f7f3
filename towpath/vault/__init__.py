"""The vault: secrets in one file, each sealed with a data key of its own, which a key from outside of the vault seals in turn."""

from __future__ import annotations

from towpath.vault.keys import KeyPlace
from towpath.vault.vault import Held, Vault, is_entry_name

__all__ = ["Held", "KeyPlace", "Vault", "is_entry_name"]
