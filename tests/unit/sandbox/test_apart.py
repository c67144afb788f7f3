"""The sandbox is the other party: it must not share code with what it is to catch wrong."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import towpath.sandbox

ROOT = Path(towpath.sandbox.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
OUTSIDE = {"aiohttp", "pydantic", "yaml", "standardwebhooks", "typer"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_imports_its_own_toolkit_and_itself_only(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0]
    allowed = ("towpath.sandbox.kit", f"towpath.sandbox.{own}")
    wrong = [
        name
        for name in imported(path)
        if not (name == "towpath.sandbox" or name.startswith(allowed) or name.split(".")[0] in OUTSIDE | sys.stdlib_module_names)
    ]
    assert wrong == []
