"""The first pass over a document: every reference to a secret is parsed, and every secret written out is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from towpath.config.document import Problem
from towpath.config.secret import SecretRef, is_reference, is_secret_name, parse_reference
from towpath.config.vault import SECTION, vault_of
from towpath.errors import ConfigError
from towpath.vault import Vault


def parse_references(document: Mapping[str, Any], base: Path, *, resolve: bool) -> tuple[dict[str, Any], list[Problem]]:
    """Return the document with a SecretRef for every reference, and the problems: secrets written out, and (`resolve`) missing ones.

    Kafka's secrets become SecretStr at once, because its clients take them as they are. Those of a connection of another site need not be there.
    """
    settings, problems = vault_of(document, base)
    vault = None if settings is None else settings.vault()
    if resolve and vault is not None:
        problems += _troubles_of(vault)
    told = bool(problems)  # for the vault itself, and so for none of its references

    def elsewhere(path: tuple[str, ...]) -> bool:
        return path[0] == "connections" and len(path) > 1 and _site_of(document, path[1]) != document.get("site")

    def convert(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401  # any YAML value
        if isinstance(value, dict):
            return {key: convert(inner, (*path, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [convert(inner, (*path, str(index))) for index, inner in enumerate(value)]
        if not isinstance(value, str) or not _is_secret(path, value):
            return value
        try:
            reference = parse_reference(value, base, vault)
            if told and reference.kind == "vault":
                return _unknown(path)
            secret = reference.resolve() if (resolve and not elsewhere(path)) or path[0] == "kafka" else None
            return secret if path[0] == "kafka" else reference
        except ConfigError as error:
            problems.append(Problem(".".join(path), str(error)))
            return _unknown(path)

    converted = convert({key: value for key, value in document.items() if key != SECTION}, ())
    return converted | ({} if settings is None else {SECTION: settings}), problems


def _is_secret(path: tuple[str, ...], value: str) -> bool:
    return is_secret_name(path[-1]) or ("credentials" in path and is_reference(value))


def _site_of(document: Mapping[str, Any], connection: str) -> object:
    """Return the site that a document gives a connection, whatever else is wrong with it."""
    connections = document["connections"]
    found = connections.get(connection) if isinstance(connections, dict) else None
    return found.get("site") if isinstance(found, dict) else None


def _unknown(path: tuple[str, ...]) -> SecretStr | SecretRef:
    return SecretStr("unknown") if path[0] == "kafka" else SecretRef("env", "UNKNOWN")


def _troubles_of(vault: Vault) -> list[Problem]:
    try:
        vault.names()
    except ConfigError as error:
        return [Problem(SECTION, str(error))]
    return []
