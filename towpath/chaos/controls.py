"""The negative controls: each takes away one guard, and the checker must find what that breaks."""

from __future__ import annotations

from towpath.chaos.fault import Fault

CONTROLS: tuple[Fault, ...] = ()


def all_controls() -> dict[str, Fault]:
    """Return every control by its name."""
    return {control.name: control for control in CONTROLS}
