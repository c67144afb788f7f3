"""A clock that stands still until a test moves it, so that no test sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import math
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

T = TypeVar("T")
STARTS_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TURNS = 20  # of the event loop, after which whatever needs no time has run


class VirtualClock:
    """Keeps `towpath.clock.Clock`; whoever sleeps on it is woken in order, as the test lets time pass."""

    def __init__(self, starts_at: datetime = STARTS_AT) -> None:
        self._starts_at, self._seconds = starts_at, 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> datetime:
        """Return the time, UTC."""
        return self._starts_at + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Return the seconds that passed since the clock was made."""
        return self._seconds

    def set_forward(self, seconds: float) -> None:
        """Have the time of day be so much later, as when a machine's clock is set; no time passes."""
        self._starts_at += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        """Return once the test let so many seconds pass."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        until = max(self._seconds + seconds, math.nextafter(self._seconds, math.inf))
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (until, next(self._order), woken))
        await woken

    @property
    def sleeping(self) -> int:
        """Return how many sleep now."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def advance(self, seconds: float) -> None:
        """Let time pass, waking every sleeper in its turn."""
        until = self._seconds + seconds
        await settled()
        while self._sleepers and self._sleepers[0][0] <= until:
            self._wake()
            await settled()
        self._seconds = until
        await settled()

    async def run(self, work: Awaitable[T]) -> T:
        """Return the result of `work`, letting just as much time pass as it sleeps."""
        task = asyncio.ensure_future(work)
        while not task.done():
            await settled()
            if task.done():
                break
            if self._sleepers:
                self._wake()
            else:
                await asyncio.wait({task}, timeout=0.005)  # a thread or a socket is at work
        return task.result()

    def _wake(self) -> None:
        until, _, woken = heapq.heappop(self._sleepers)
        if not woken.done():
            self._seconds = max(self._seconds, until)
            woken.set_result(None)


async def settled() -> None:
    """Let everything run that needs no time."""
    for _ in range(TURNS):
        await asyncio.sleep(0)
