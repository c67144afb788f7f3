"""What the production code finds where it asks for `threading`, `queue`, `time` and `random`: the threads and the time of the played process."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import Any

from towpath.simulation.process import Process, Worker, World

_worlds: list[World] = []


def enter(world: World) -> None:
    """Have what follows happen in this world."""
    _worlds.append(world)


def leave() -> None:
    """End what `enter` began."""
    _worlds.pop()


def here() -> Process:
    """Return the process that runs now."""
    running = _worlds[-1].running
    assert running is not None  # noqa: S101 - production code runs in processes only
    return running


class Thread:
    """`threading.Thread`."""

    def __init__(self, *, target: Callable[[], None], name: str = "", daemon: bool = False) -> None:
        self._target, self.name, self.daemon = target, name, daemon
        self._process = here()
        self._worker: Worker | None = None

    def start(self) -> None:
        """Begin."""
        self._worker = self._process.start(self._target)

    def join(self) -> None:
        """Wait for its end."""
        if self._worker is not None and not self._worker.thread.dead:
            waiting = self._process.here()
            self._worker.joining.append(waiting)
            waiting.wait()


class SimpleQueue:
    """`queue.SimpleQueue`, for one reader."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._reader: Worker | None = None

    def put(self, item: object) -> None:
        """Append."""
        self._items.append(item)
        if self._reader is not None:
            self._reader.wake()
            self._reader = None

    def get(self) -> Any:  # noqa: ANN401 - as the standard library has it
        """Return the first, once there is one."""
        while not self._items:
            self._reader = here().here()
            self._reader.wait()
        return self._items.popleft()

    def empty(self) -> bool:
        """Tell whether there is none."""
        return not self._items


class Event:
    """`threading.Event`, that nobody is woken by: whoever waits looks again in time."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Set it."""
        self._is_set = True

    def is_set(self) -> bool:
        """Tell whether it is set."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait, at most so long."""
        if not self._is_set:
            here().here().block(seconds)
        return self._is_set


def monotonic() -> float:
    """Return the world's seconds."""
    return _worlds[-1].now


def jitter() -> random.Random:
    """Return the world's chance."""
    return _worlds[-1].random


def uniform(low: float, high: float) -> float:
    """Return a number between two."""
    return _worlds[-1].random.uniform(low, high)
