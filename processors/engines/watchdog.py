"""Notices that offsets no longer move although the records behind them are done."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

Partition = tuple[str, int]


class Watchdog:
    """Keeps, by partition, since when the first uncommitted offset is the same; `after` is in seconds."""

    def __init__(self, after: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._after = after
        self._clock = clock
        self._since: dict[Partition, tuple[int, float]] = {}
        self._hanging_since: float | None = None

    def look(self, behind: Mapping[Partition, tuple[int, bool]], *, idle: bool, hanging: bool) -> str | None:
        """Return what stalls, or None.

        `behind` gives by (topic, partition) the first offset that was delivered and is not committed, and whether it or a later one is
        acknowledged; while nothing later is, and the agent is not `idle`, it may still be at work. `hanging` is a rebalance that does not end.
        """
        now = self._clock()
        if not hanging:
            self._hanging_since = None
        elif self._hanging_since is None:
            self._hanging_since = now
        elif now - self._hanging_since > self._after:
            return f"a rebalance does not end since {now - self._hanging_since:.0f} s"
        self._since = {tp: self._seen(tp, offset, now) for tp, (offset, acknowledged) in behind.items() if acknowledged or idle}
        for (topic, partition), (offset, since) in self._since.items():
            if now - since > self._after:
                return f"{topic}[{partition}] is not committed beyond offset {offset} since {now - since:.0f} s"
        return None

    def _seen(self, tp: Partition, offset: int, now: float) -> tuple[int, float]:
        known = self._since.get(tp)
        return known if known and known[0] == offset else (offset, now)
