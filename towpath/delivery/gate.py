"""What stands between the lanes of a connection and its system: the rate budget, the pause it asked for, and the circuit."""

from __future__ import annotations

import asyncio
from typing import Any

from towpath.clock import Clock

OPENS_AFTER = 5
LONGEST_PAUSE = 10.0


class Gate:
    """Lets calls through one connection: at the declared rate, not while it asked us to wait, and one probe at a time while it is down.

    Args:
        rate: calls a second, None for no limit of our own
        burst: calls at once before the rate applies
    """

    def __init__(self, clock: Clock, *, rate: float | None = None, burst: int = 1) -> None:
        self.clock = clock
        self._rate, self._burst = rate, float(burst)
        self._tokens, self._filled_at = float(burst), clock.monotonic()
        self._paused_until = 0.0
        self._faults = 0
        self._probing: asyncio.Task[Any] | None = None  # whose call is the probe

    @property
    def is_open(self) -> bool:
        """Tell whether the circuit is open: the system as a whole does not answer."""
        return self._faults >= OPENS_AFTER

    async def enter(self) -> None:
        """Return when a call may be made now; while the circuit is open, one caller at a time goes through as a probe."""
        while True:
            now = self.clock.monotonic()
            if now < self._paused_until:
                await self.clock.sleep(self._paused_until - now)
            elif self.is_open and self._probing is not None:
                await self.clock.sleep(0.1)
            elif (missing := self._missing(now)) > 0:
                await self.clock.sleep(missing)
            else:
                self._tokens -= 1 if self._rate else 0
                self._probing = asyncio.current_task() if self.is_open else None
                return

    def take(self) -> float:
        """Take a token when there is one and return 0, else return the seconds until there is; nothing waits."""
        missing = self._missing(self.clock.monotonic())
        if missing == 0:
            self._tokens -= 1 if self._rate else 0
        return missing

    def left(self) -> None:
        """Note that a call ended without an outcome (it was cancelled): where it was the probe, the next one may probe."""
        if self._is_probe():
            self._probing = None

    def answered(self) -> None:
        """Note that the system answered: the circuit closes."""
        self._faults = 0
        self._probing = None

    def throttled(self, seconds: float) -> None:
        """Note that the system asked to wait: normal flow control, and no fault."""
        self._paused_until = max(self._paused_until, self.clock.monotonic() + seconds)
        self.left()

    def failed(self) -> None:
        """Note a fault of the whole system; after several in a row the circuit opens, with a pause that doubles with each probe that fails."""
        if self.is_open and not self._is_probe():  # a call from before it opened: nothing new
            return
        self._faults += 1
        self.left()
        if self.is_open:
            pause = min(LONGEST_PAUSE, 0.5 * 2 ** min(self._faults - OPENS_AFTER, 10))
            self._paused_until = max(self._paused_until, self.clock.monotonic() + pause)

    def _is_probe(self) -> bool:
        return self._probing is not None and self._probing is asyncio.current_task()

    def _missing(self, now: float) -> float:
        """Return the seconds until there is a token, 0 where there is one."""
        if self._rate is None:
            return 0.0
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        return max(0.0, (1 - self._tokens) / self._rate)
