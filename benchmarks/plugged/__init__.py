"""A system of the benchmarks' own, added as any other is: a module among `towpath.systems` and one among `sinks`.

`python -m benchmarks.plugged` is the `towpath` command that knows it too.
"""

from __future__ import annotations

from pathlib import Path

from towpath import plugging

HERE = Path(__file__).resolve().parent


def plug_in() -> None:
    """Have this process know the system `slow`."""
    plugging.plug_in(HERE)
