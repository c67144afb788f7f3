"""Secrets stand outside the configuration: what the file holds is a reference to each."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import PlainSerializer, PlainValidator, SecretStr
from pydantic_core import PydanticCustomError

from towpath.clock import SystemClock
from towpath.errors import ConfigError
from towpath.hiding import remember
from towpath.vault import Held, Vault, is_entry_name

T = TypeVar("T")

_SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token|credential|authorization|cookie|signature|(^|[_\-.])(pass|pwd|auth|pin|cvv2?|cvc)$|(api|private|access|signing|account)[_\-]?key|^key$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(r"(env|file|vault):(.*)", re.DOTALL)
_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def is_secret_name(name: str) -> bool:
    """Return whether a value called `name` is one that no file, log or page may show (`password`, `api_key`, …)."""
    return _SECRET_NAME.search(name) is not None


def refuse(message: str) -> PydanticCustomError:
    """Return the error that a validator raises for the operator to read `message` as it stands."""
    return PydanticCustomError("towpath", "{message}", {"message": message})


@dataclass(frozen=True, slots=True)
class SecretRef:
    """Where a secret is: an environment variable, a file (an absolute path), or an entry of `vault`. It never holds the secret itself."""

    kind: str
    name: str
    vault: Vault | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    def resolve(self) -> SecretStr:
        """Return the secret as it is now (a file's trailing line break dropped); ConfigError names what is missing."""
        return self.accepted()[0]

    def accepted(self) -> list[SecretStr]:
        """Return the secret as it is now, and the one before it while the vault says that both are to be accepted."""
        held = self._held()
        if not held.value.strip():
            raise ConfigError(f"the secret at {self} is empty")
        found = [value for value in (held.value, held.previous) if value is not None]
        for value in found:
            remember(value)
        return [SecretStr(value) for value in found]

    def keep(self, value: str) -> bool:
        """Put another value where this one is, such as a token that its system has exchanged; False where that is no vault, which is the operator's.

        ConfigError says why the vault does not take it.
        """
        if self.kind != "vault" or self.vault is None:
            return False
        remember(value)
        self.vault.set(self.name, value, SystemClock().now())
        return True

    def _held(self) -> Held:
        if self.kind == "env":
            value = os.environ.get(self.name)
            if value is None:
                raise ConfigError(f"the environment variable {self.name} is not set; set it where Towpath is started")
            return Held(value)
        if self.kind == "vault":
            if self.vault is None:
                raise ConfigError(f"{self}: the configuration has no `vault` section; add it with `dir` and `key`, see docs/vault.md")
            return self.vault.held(self.name).at(SystemClock().now())
        try:
            return Held(Path(self.name).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise ConfigError(f"the secret file {self.name} cannot be read: {reason}") from None


def is_reference(value: object) -> bool:
    """Return whether `value` reads as a reference to a secret."""
    return isinstance(value, str) and _REFERENCE.fullmatch(value) is not None


def parse_reference(value: object, base: Path, vault: Vault | None = None) -> SecretRef:
    """Return the reference that `value` spells, a relative path taken from `base`; ConfigError otherwise, never showing the value."""
    match = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ConfigError("a secret may not stand in the file itself; put it elsewhere and write vault:NAME, env:NAME or file:PATH")
    kind, name = match.groups()
    if kind == "vault":
        if not is_entry_name(name):
            raise ConfigError("vault: must be followed by the name of an entry, such as vault:erp-key")
        return SecretRef(kind, name, vault)
    if kind == "env" and not _ENVIRONMENT_NAME.fullmatch(name):
        raise ConfigError("env: must be followed by the name of an environment variable, such as env:SHOP_PASSWORD")
    if not name:
        raise ConfigError("file: must be followed by a path, such as file:secrets/bng")
    return SecretRef(kind, name if kind == "env" else str(base / name))


def _reference(value: object) -> SecretRef:
    return value if isinstance(value, SecretRef) else parse_reference(value, Path.cwd())


def _plain_or_reference(value: object) -> str | SecretRef:
    if isinstance(value, str | SecretRef):
        return value
    raise ConfigError("must be text; put it in quotes")


def _refusing(check: Callable[[object], T]) -> Callable[[object], T]:
    def checked(value: object) -> T:
        try:
            return check(value)
        except ConfigError as error:
            raise refuse(str(error)) from None

    return checked


Secret = Annotated[SecretRef, PlainValidator(_refusing(_reference)), PlainSerializer(str)]
Credential = Annotated[str | SecretRef, PlainValidator(_refusing(_plain_or_reference)), PlainSerializer(str)]
