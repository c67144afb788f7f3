"""Time as a port, so that nothing else reads the wall clock or sleeps."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

OFFSET_VARIABLE: Final = "TOWPATH_CLOCK_OFFSET"
"""By how many seconds the clock of a process is wrong; nothing but tests and `towpath chaos` sets it."""


class Clock(Protocol):
    """What time it is, and waiting."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        ...


class SystemClock:
    """The machine's own clock, as wrong as the environment says that it is."""

    def __init__(self) -> None:
        self._offset = timedelta(seconds=float(os.environ.get(OFFSET_VARIABLE) or 0))

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC) + self._offset

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after so many seconds."""
        await asyncio.sleep(seconds)
