"""One lane: the records of one key, in order. No I/O."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from towpath.records import Record


class State(NamedTuple):
    """A state that a record puts: what tells it from others, and its version (major, minor)."""

    name: str
    version: tuple[int, int]


class Played(enum.Enum):
    """What became of one try of a lane."""

    DONE = enum.auto()
    WAITS = enum.auto()
    LEFT = enum.auto()


@dataclass(slots=True, eq=False)
class Lane:
    """The records of one key; `busy` while a call for the first of them is under way, in trouble `trouble_since` when.

    Those that wait for another one stand `aside`, `since` when (by offset), and come first again once one was played.
    """

    key: bytes
    records: deque[Record] = field(default_factory=deque)
    aside: list[Record] = field(default_factory=list)
    since: dict[int, float] = field(default_factory=dict)
    busy: bool = False
    trouble_since: float | None = None

    @property
    def pending(self) -> int:
        """Return how many of its records are not finished."""
        return len(self.records) + len(self.aside)

    def come_back(self) -> None:
        """Put those that stand aside first again, in their order."""
        self.records.extendleft(reversed(self.aside))
        self.aside.clear()

    def is_outdated(self, record: Record, state_of: Callable[[Record], State | None]) -> bool:
        """Tell whether a later record of the lane puts the same state in a newer version."""
        state = state_of(record) if len(self.records) > 1 else None
        if state is None:
            return False
        later = (one for one in reversed(self.records) if one.offset > record.offset)  # the newest first: most likely newer
        return any(other is not None and other.name == state.name and other.version > state.version for other in map(state_of, later))
