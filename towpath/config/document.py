"""A YAML file as plain values, with what is wrong in its writing."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from towpath.errors import ConfigError


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to change: the dotted field, and what is wrong with what to do about it."""

    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class _Loader(yaml.SafeLoader):
    """A safe loader that collects keys written twice, where plain YAML keeps the last in silence."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.problems: list[Problem] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        seen: dict[str, int] = {}
        for key, _ in node.value:
            name, line = str(key.value), key.start_mark.line + 1
            if name in seen and name != "<<":
                self.problems.append(Problem("", f'line {line}: the key "{name}" stands there twice (first in line {seen[name]}); remove one'))
            seen.setdefault(name, line)
        return super().construct_mapping(node, deep=deep)


def read_document(path: Path) -> tuple[dict[str, Any], list[Problem]]:
    """Return what the YAML file at `path` holds and the keys it holds twice; ConfigError where it cannot be read at all."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; copy towpath.example.yaml to it, or name another with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: it cannot be read: {error}") from None
    loader = _Loader(text)
    try:
        document = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {line}not valid YAML: {error.problem}; check the indentation and quotes there") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    finally:
        loader.dispose()
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: it must hold sections such as kafka, connections and flows; see towpath.example.yaml")
    return document, loader.problems
