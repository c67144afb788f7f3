"""The configuration's `vault` section, and reading it alone: a vault can be filled before the rest of the file is right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, field_validator

from towpath.config.connections import Settings
from towpath.config.document import Problem, read_document
from towpath.config.explain import problems_of
from towpath.config.secret import Secret, SecretRef, is_reference, refuse
from towpath.errors import ConfigError
from towpath.vault import KeyPlace, Vault

SECTION = "vault"
ADD = "add a section such as\n  vault: {dir: ./vault, key: file:vault.key}"


class VaultSettings(Settings):
    """Where the vault is, and where its key is, which is never in the same folder."""

    dir: Path = Field(description="a folder of the vault's own")
    key: Secret

    @field_validator("key")
    @classmethod
    def _outside(cls, key: SecretRef) -> SecretRef:
        if key.kind == "vault":
            raise refuse("must not be in the vault that it opens; write file:PATH or env:NAME")
        return key

    def within(self, folder: Path) -> Self:
        """Return the same settings with the vault's folder taken from `folder` where it is relative."""
        return self.model_copy(update={"dir": folder / self.dir.expanduser()})

    def vault(self) -> Vault:
        """Return the vault, unread."""
        return Vault(self.dir, KeyPlace(self.key.kind, self.key.name))


def vault_of(document: Mapping[str, Any], base: Path) -> tuple[VaultSettings | None, list[Problem]]:
    """Return the `vault` section of a document as YAML gives it, its paths taken from `base`, None without one; and what is wrong with it."""
    section = document.get(SECTION)
    if section is None:
        return None, []
    try:
        given = {**section, "key": _key(section["key"], base)} if isinstance(section, Mapping) and "key" in section else section
        return VaultSettings.model_validate(given).within(base), []
    except ValidationError as error:
        return None, problems_of(error, VaultSettings, (SECTION,))


def load_vault(path: Path) -> tuple[Vault, dict[str, list[str]]]:
    """Return the vault that the configuration at `path` names, and the settings that refer to each entry, by its name.

    ConfigError names what is wrong with the `vault` section, whatever else the file holds.
    """
    document, _ = read_document(path)
    settings, problems = vault_of(document, path.resolve().parent)
    if problems:
        raise ConfigError("\n".join([f"{path}: the vault is not set up right", *(f"  {problem}" for problem in problems)]))
    if settings is None:
        raise ConfigError(f"{path}: it names no vault; {ADD}")
    used: dict[str, list[str]] = {}
    for setting, name in _references(document, ()):
        used.setdefault(name, []).append(setting)
    return settings.vault(), used


def _key(value: object, base: Path) -> object:
    """Return a file's reference with its path taken from `base`; whatever else as it is."""
    if isinstance(value, str) and value.startswith("file:") and value != "file:":
        return SecretRef("file", str(base / Path(value.removeprefix("file:")).expanduser()))
    return value


def _references(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _references(inner, (*path, str(key)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _references(inner, (*path, str(index)))
    elif isinstance(value, str) and is_reference(value) and value.startswith("vault:"):
        yield ".".join(path), value.removeprefix("vault:")
