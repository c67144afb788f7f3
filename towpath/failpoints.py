"""Points at which a process can be told to die, for tests of recovery; without the environment variable nothing happens.

`TOWPATH_FAILPOINTS="sink.before_call:3:/path/marker"` kills the process with SIGKILL the third time that point is passed, once:
the marker file, written just before, keeps a restarted process from dying again.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path

VARIABLE = "TOWPATH_FAILPOINTS"


@dataclass(slots=True)
class Failpoints:
    """The points that are armed in this process."""

    armed: dict[str, tuple[int, Path]] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Failpoints:
        """Return what the environment arms."""
        armed: dict[str, tuple[int, Path]] = {}
        for part in filter(None, os.environ.get(VARIABLE, "").split(",")):
            name, nth, marker = part.split(":", 2)
            armed[name] = (int(nth), Path(marker))
        return cls(armed)

    def hit(self, name: str) -> None:
        """Die here when this point is armed and its turn has come."""
        if name not in self.armed:
            return
        nth, marker = self.armed[name]
        self.passed[name] = self.passed.get(name, 0) + 1
        if self.passed[name] >= nth and not marker.exists():
            marker.write_text(name, encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)
