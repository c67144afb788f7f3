"""A system of the benchmarks' own, added as any other is: a module among `towpath.systems` and one among `sinks`.

`python -m benchmarks.plugged` is the `towpath` command that knows it too.
"""

from __future__ import annotations

from pathlib import Path

import sinks
import towpath.systems
from towpath.config.connections import system_names

HERE = Path(__file__).resolve().parent


def plug_in() -> None:
    """Have this process know the system `slow`."""
    for package, folder in ((towpath.systems, HERE / "systems"), (sinks, HERE / "sinks")):
        if str(folder) not in package.__path__:
            package.__path__.append(str(folder))
    system_names.cache_clear()
