"""The first pass over a document: every reference to a secret is parsed, and every secret written out is refused."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from towpath.config.document import Problem
from towpath.config.secret import SecretRef, is_reference, is_secret_name, parse_reference
from towpath.errors import ConfigError


def parse_references(document: Mapping[str, Any], base: Path, *, resolve: bool) -> tuple[dict[str, Any], list[Problem]]:
    """Return the document with a SecretRef for every reference, and the problems: secrets written out, and (`resolve`) missing ones.

    Kafka's secrets become SecretStr at once, because its clients take them as they are.
    """
    problems: list[Problem] = []

    def convert(value: Any, path: tuple[str, ...]) -> Any:  # noqa: ANN401  # any YAML value
        if isinstance(value, dict):
            return {key: convert(inner, (*path, str(key))) for key, inner in value.items()}
        if isinstance(value, list):
            return [convert(inner, (*path, str(index))) for index, inner in enumerate(value)]
        if not isinstance(value, str) or not _is_secret(path, value):
            return value
        try:
            return _secret(value, base, resolve=resolve, now=path[0] == "kafka")
        except ConfigError as error:
            problems.append(Problem(".".join(path), str(error)))
            return SecretStr("unknown") if path[0] == "kafka" else SecretRef("env", "UNKNOWN")

    return convert(dict(document), ()), problems


def _is_secret(path: tuple[str, ...], value: str) -> bool:
    return is_secret_name(path[-1]) or ("credentials" in path and is_reference(value))


def _secret(value: str, base: Path, *, resolve: bool, now: bool) -> SecretRef | SecretStr:
    reference = parse_reference(value, base)
    if now:
        return reference.resolve()
    if resolve:
        reference.resolve()
    return reference
