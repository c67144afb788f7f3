"""Waiting for a time, or until somebody calls."""

from __future__ import annotations

import asyncio

from towpath.clock import Clock


class Nap:
    """A rest that can be ended early; `called` since when it was last set to False."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sleeping: asyncio.Task[None] | None = None
        self.called = False

    async def rest(self, seconds: float) -> None:
        """Return after so many seconds, or when it is called."""
        if self.called:
            return
        self._sleeping = asyncio.create_task(self._sleep(seconds))
        try:
            await asyncio.wait({self._sleeping})
        finally:
            self._sleeping.cancel()

    def wake(self) -> None:
        """End the rest, or the next one where none is under way."""
        self.called = True
        if self._sleeping is not None:
            self._sleeping.cancel()

    async def _sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
