"""Points at which a process can be told to die, to stand still, or to go without a guard; without the environment variable nothing happens.

`TOWPATH_FAILPOINTS="sink.before_call:3:/path/marker"` kills the process with SIGKILL the third time that point is passed, once:
the marker file, written just before, keeps a restarted process from dying again. A point that calls pass may be armed for one call alone:
`sink.before_call POST /orders`. A fourth part says what else is to happen: with `:stop` the
process stands still (SIGSTOP) until somebody wakes it; with `:off` the guard of that name does not work, from the n-th time on, which is how
`towpath chaos --controls` makes sure that its checks would notice.
"""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Final, NamedTuple

import aiohttp

VARIABLE: Final = "TOWPATH_FAILPOINTS"
CHAOS_VARIABLE: Final = "TOWPATH_CHAOS"
"""Set where `towpath chaos` arms them; a role that starts with armed points without it says so."""
KILL, STOP, OFF = "kill", "stop", "off"
_SIGNALS: Final = {KILL: signal.SIGKILL, STOP: signal.SIGSTOP}


class Armed(NamedTuple):
    """What happens at a point the n-th time it is passed; the marker is a file that says it has happened."""

    nth: int
    marker: Path
    action: str = KILL

    def text(self, name: str) -> str:
        """Return it as the environment variable has it."""
        return f"{name}:{self.nth}:{self.marker}:{self.action}"


@dataclass(slots=True)
class Failpoints:
    """The points that are armed in this process."""

    armed: dict[str, Armed] = field(default_factory=dict)
    passed: dict[str, int] = field(default_factory=dict)

    @classmethod
    def from_environment(cls) -> Failpoints:
        """Return what the environment arms."""
        armed: dict[str, Armed] = {}
        for part in filter(None, os.environ.get(VARIABLE, "").split(",")):
            name, nth, marker, *action = part.split(":")
            armed[name] = Armed(int(nth), Path(marker), *action)
        return cls(armed)

    def hit(self, name: str, call: str = "") -> None:
        """Die or stand still here when this point is armed, or this point for this call alone ("name call"), and its turn has come."""
        for point in (name, f"{name} {call}") if self.armed else ():
            armed = self.armed.get(point)
            if armed is None or armed.action == OFF or not self._due(point, armed) or armed.marker.exists():
                continue
            armed.marker.write_text(point, encoding="utf-8")
            os.kill(os.getpid(), _SIGNALS[armed.action])

    def traces(self, name: str) -> list[aiohttp.TraceConfig]:
        """Return what has calls hit this point when they have their connection and are about to be written to it; nothing where it is not armed."""

        async def about_to_send(_session: object, _context: SimpleNamespace, sending: aiohttp.TraceRequestHeadersSentParams) -> None:
            self.hit(name, f"{sending.method} {sending.url.path}")

        if not any(armed.startswith(name) for armed in self.armed):
            return []
        found = aiohttp.TraceConfig()
        found.on_request_headers_sent.append(about_to_send)
        return [found]

    def off(self, name: str) -> bool:
        """Tell whether the guard of this name is not to work now."""
        armed = self.armed.get(name)
        if armed is None or armed.action != OFF or not self._due(name, armed):
            return False
        armed.marker.write_text(name, encoding="utf-8")
        return True

    def _due(self, name: str, armed: Armed) -> bool:
        self.passed[name] = self.passed.get(name, 0) + 1
        return self.passed[name] >= armed.nth
