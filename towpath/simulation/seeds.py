"""Many seeds, on several processors, and what they came to."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from towpath.simulation.play import Played, play

AT_ONCE = 25


@dataclass(slots=True)
class Tally:
    """How many seeds were played, the virtual seconds that they lived, the processes that were struck, and those seeds that failed."""

    seeds: int = 0
    lived: float = 0.0
    struck: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    violations: Counter[str] = field(default_factory=Counter)
    took: float = 0.0

    def add(self, played: Played) -> None:
        """Take in what became of a seed."""
        self.seeds += 1
        self.lived += played.seconds
        self.struck += played.struck
        if played.violations:
            self.failed[played.seed] = [f"{one.invariant}: {one.message}" for one in played.violations]
            self.violations.update({one.invariant for one in played.violations})

    def report(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "seeds": self.seeds,
            "failed": self.failed,
            "violations": dict(sorted(self.violations.items())),
            "struck": self.struck,
            "virtual_s": round(self.lived, 1),
            "took_s": round(self.took, 1),
        }


def play_all(seeds: Iterable[int], processes: int) -> Iterator[Played]:
    """Yield what became of each seed; the order of the answers is that of the seeds."""
    if processes == 1:
        yield from map(play, seeds)
        return
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        yield from pool.imap(play, seeds, chunksize=AT_ONCE)


def tally(seeds: Iterable[int], processes: int) -> Tally:
    """Return what the seeds came to."""
    began, found = time.monotonic(), Tally()
    for played in play_all(seeds, processes):
        found.add(played)
    found.took = time.monotonic() - began
    return found
