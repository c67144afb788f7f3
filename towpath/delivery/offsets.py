"""Which offset may be committed: everything below it is finished. No I/O."""

from __future__ import annotations


class OffsetTracker:
    """Follows one partition: `start` and `finish` each record; `committable` never passes one that is unfinished."""

    def __init__(self) -> None:
        self._unfinished: dict[int, None] = {}  # in the order read, so the first is the lowest
        self._next: int | None = None
        self._committed: int | None = None

    @property
    def last_committed(self) -> int | None:
        """Return what was last committed, None while nobody knows."""
        return self._committed

    def start(self, offset: int) -> None:
        """Note that the record at `offset` was read; offsets rise."""
        self._unfinished[offset] = None
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        """Note that the record at `offset` is done with: written, dead or parked."""
        self._unfinished.pop(offset, None)  # unknown when it was read before the partition went and came back

    def committable(self) -> int | None:
        """Return the offset to commit, the lowest unfinished or the one after the last read; None when that is committed already."""
        position = next(iter(self._unfinished), self._next)
        return None if position == self._committed else position

    def committed(self, offset: int) -> None:
        """Note that `offset` was committed."""
        self._committed = offset
