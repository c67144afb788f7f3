"""What is still to be written of a new system: the lines of its files that are marked."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MARK: Final = "FILL IN:"
PACKAGES: Final = ("towpath.systems", "producers", "sinks", "towpath.sandbox", "towpath.testing.systems")


def unfilled(system: str) -> list[str]:
    """Return each place that is left to fill in, as `file:line: what`."""
    found = []
    for path in (path for package in PACKAGES for path in _files(f"{package}.{system}")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            if MARK in line:
                found.append(f"{path.parent.parent.name}/{path.parent.name}/{path.name}:{number}: {line.partition(MARK)[2].strip()}")
    return found


def _files(module: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return
    yield from sorted(Path(spec.origin).parent.rglob("*.py")) if spec.submodule_search_locations else [Path(spec.origin)]
