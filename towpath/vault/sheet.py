"""The vault's file: its entries, each sealed, and a sealed index of them, which tells of an entry that was altered, added or taken out."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from towpath.errors import ConfigError
from towpath.vault.keys import Key
from towpath.vault.sealing import NotOpenedError, new_key, seal, unseal

FORMAT: Literal["towpath-vault/1"] = "towpath-vault/1"
FILE = "vault.json"
LARGEST_FILE = 64 * 1024 * 1024
RESTORE = "bring the file back from its backup"


class Entry(BaseModel):
    """One secret: its value sealed with a data key of its own, and that key sealed with the vault's; `set_at` is ISO 8601 UTC."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    set_at: str
    data_key: str
    value: str

    def digest(self) -> str:
        """Return what the index knows of it."""
        return hashlib.sha256(json.dumps(self.model_dump(), sort_keys=True).encode()).hexdigest()


class Sheet(BaseModel):
    """The whole file; `key` is the id of the key that seals it, `index` the digest of each entry by its name, sealed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["towpath-vault/1"] = FORMAT
    vault: str
    key: str
    index: str
    entries: dict[str, Entry]


def read_sheet(folder: Path) -> Sheet:
    """Return the file as it is now; ConfigError where there is none, or what it holds is no vault."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
        return Sheet.model_validate_json(raw[: LARGEST_FILE + 1])
    except FileNotFoundError:
        raise ConfigError(f"there is no vault in {folder}; {RESTORE}, or make a new one with `towpath vault init`") from None
    except OSError as error:
        raise ConfigError(f"the vault's file {path} cannot be read: {error.strerror}; run this as its owner") from None
    except ValidationError:
        raise ConfigError(f"the vault's file {path} is damaged or cut off: it is no {FORMAT}; {RESTORE}") from None


def sealed_index(key: Key, vault: str, index: dict[str, str]) -> str:
    """Return the index as it stands in the file."""
    return seal(key.for_use("vault index"), json.dumps(index, sort_keys=True).encode(), (FORMAT, vault, "index"))


def opened_index(key: Key, sheet: Sheet, path: Path) -> dict[str, str]:
    """Return the digest of each entry by its name; ConfigError where the file's head was altered."""
    try:
        found: dict[str, str] = json.loads(unseal(key.for_use("vault index"), sheet.index, (FORMAT, sheet.vault, "index")))
        return found
    except NotOpenedError:
        raise ConfigError(f"the vault's file {path} was altered: its index does not open with its key; {RESTORE}") from None


def sealed_entry(key: Key, vault: str, name: str, plain: bytes, set_at: str) -> Entry:
    """Return an entry with a new data key, which opens under this name alone."""
    data_key = new_key()
    return Entry(
        set_at=set_at,
        data_key=seal(key.for_use("vault data keys"), data_key, (FORMAT, vault, "data key", name)),
        value=seal(data_key, plain, (FORMAT, vault, "value", name, set_at)),
    )


def opened_entry(key: Key, vault: str, name: str, entry: Entry) -> bytes:
    """Return what an entry holds; raises NotOpenedError where it was altered, or sealed under another name."""
    data_key = unseal(key.for_use("vault data keys"), entry.data_key, (FORMAT, vault, "data key", name))
    return unseal(data_key, entry.value, (FORMAT, vault, "value", name, entry.set_at))
