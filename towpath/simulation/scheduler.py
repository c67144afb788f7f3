"""Virtual time and who runs next: every process's event loop and threads take turns in one real thread, in an order that a seed decides."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from typing import Protocol

MOST_TURNS = 400_000
"""Turns after which a world is taken to run in circles."""


class Runnable(Protocol):
    """A process, as the scheduler sees it."""

    def turn(self) -> bool:
        """Run one step; False when there is no other to run now."""
        ...


class Due:
    """Something that happens at a time, unless it is cancelled."""

    __slots__ = ("at", "call")

    def __init__(self, at: float, call: Callable[[], object]) -> None:
        self.at, self.call = at, call

    def cancel(self) -> None:
        """Have it not happen."""
        self.call = _nothing


class Scheduler:
    """One world's time, in seconds from its beginning, and the runs of everyone in it; `random` decides whatever is left to chance."""

    def __init__(self, seed: int | str) -> None:
        self.random = random.Random(seed)  # noqa: S311 - a world is to be played again
        self.now = 0.0
        self.turns = 0
        self._due: list[tuple[float, int, Due]] = []
        self._order = itertools.count()
        self._ready: list[Runnable] = []

    def after(self, seconds: float, call: Callable[[], object]) -> Due:
        """Have something called after so many seconds."""
        due = Due(self.now + max(0.0, seconds), call)
        heapq.heappush(self._due, (due.at, next(self._order), due))
        return due

    def soon(self, call: Callable[[], object], most: float) -> Due:
        """Have something called within so many seconds."""
        return self.after(self.random.random() * most, call)

    def ready(self, one: Runnable) -> None:
        """Note that somebody has something to run now."""
        self._ready.append(one)

    def run(self, until: Callable[[], bool], seconds: float) -> bool:
        """Let the world run until something holds, which is asked whenever time moves; False when it does not within so many seconds."""
        end = self.now + seconds
        while self.turns < MOST_TURNS:
            self.turns += 1
            if self._ready:
                self._turn()
            elif until():
                return True
            elif not self._due or self._due[0][0] > end:
                self.now = end
                return until()
            else:
                at, _, due = heapq.heappop(self._due)
                self.now = max(self.now, at)
                due.call()
        return False

    def _turn(self) -> None:
        ready = self._ready
        place = int(self.random.random() * len(ready)) if len(ready) > 1 else 0
        if not ready[place].turn():
            ready[place] = ready[-1]
            ready.pop()


def _nothing() -> None:
    """Stand for what was cancelled."""
