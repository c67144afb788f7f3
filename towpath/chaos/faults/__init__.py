"""The faults: each module here has `FAULTS`, and is found by itself."""

from __future__ import annotations

import importlib
import pkgutil

from towpath.chaos.fault import Fault


def all_faults() -> dict[str, Fault]:
    """Return every fault by its name, in the order of their numbers."""
    found: list[Fault] = []
    for info in pkgutil.iter_modules(__path__):
        found += importlib.import_module(f"{__name__}.{info.name}").FAULTS
    return {fault.name: fault for fault in sorted(found, key=lambda fault: int(fault.name.removeprefix("F")))}
