"""Finding each system's example, and the suites that it takes: nothing is listed by hand."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from typing import Any

import towpath.testing.systems
from producers.adapter import find_source
from sinks.role import find_target
from towpath.config.connections import system_names
from towpath.testing.contracts.example import Example
from towpath.testing.contracts.sinks import SinkContract
from towpath.testing.contracts.sources import SourceContract


def example_of(system: str) -> Example:
    """Return the example of a system; raises LookupError that says where to write it."""
    if system not in {info.name for info in pkgutil.iter_modules(towpath.testing.systems.__path__)}:
        raise LookupError(f"the system {system} has no example: write towpath/testing/systems/{system}.py (docs/add-a-system.md)")
    found = getattr(importlib.import_module(f"towpath.testing.systems.{system}"), "EXAMPLE", None)
    if not isinstance(found, Example):
        raise LookupError(f"towpath/testing/systems/{system}.py has no EXAMPLE (docs/add-a-system.md)")  # noqa: TRY004 - the module lacks it
    return found


def source_tests(system: str) -> type[SourceContract]:
    """Return the suite of a system as a source; assign it to a name that begins with `Test`."""
    if find_source(system) is None:
        raise LookupError(f"the system {system} is no source: there is no package producers.{system}")
    return type(f"Test{_name(system)}AsSource", (SourceContract,), {"example": example_of(system), "__doc__": f"{system} as a source."})


def sink_tests(system: str) -> type[SinkContract]:
    """Return the suite of a system as a target; assign it to a name that begins with `Test`."""
    find_target(system)
    return type(f"Test{_name(system)}AsTarget", (SinkContract,), {"example": example_of(system), "__doc__": f"{system} as a target."})


def contract_tests() -> dict[str, type[Any]]:
    """Return the suites of every system that is discovered, by the name that each has in a test file."""
    sources = [source_tests(name) for name in system_names() if find_source(name) is not None]
    targets = [sink_tests(name) for name in system_names() if importlib.util.find_spec(f"sinks.{name}") is not None]
    return {suite.__name__: suite for suite in (*sources, *targets)}


def _name(system: str) -> str:
    return "".join(part.capitalize() for part in system.split("_"))
