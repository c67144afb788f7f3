"""Records and a handler as tests of the lanes need them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from towpath.delivery.deadletters import Failure
from towpath.delivery.lane import State
from towpath.records import Record


def a_record(offset: int = 0, *, key: str | None = "order/1", partition: int = 0, value: bytes | None = b"") -> Record:
    """Return a record of the topic `inbox.shop`."""
    return Record("inbox.shop", partition, offset, 0.0, None if key is None else key.encode(), value)


class ScriptedHandler:
    """Keeps `towpath.delivery.lanes.Handler`: calls `script` for each try, and notes what was begun, done and given up."""

    def __init__(self, script: Callable[[Record, int], Awaitable[None]] | None = None) -> None:
        self._script = script
        self.begun: list[int] = []
        self.done: list[int] = []
        self.given_up: list[tuple[int, Failure]] = []
        self.storing: list[Exception] = []
        self.states: dict[int, State] = {}
        """By offset: which state a record puts; none where it puts none."""
        self.superseded: list[int] = []
        self.at_once = self.most_at_once = 0

    async def handle(self, record: Record) -> None:
        """Run the script for the record and the number of this try, from 1."""
        self.begun.append(record.offset)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self._script is not None:
                await self._script(record, self.begun.count(record.offset))
        finally:
            self.at_once -= 1
        self.done.append(record.offset)

    def state_of(self, record: Record) -> State | None:
        """Return what stands in `states`."""
        return self.states.get(record.offset)

    async def supersede(self, record: Record) -> None:
        """Note the record."""
        self.superseded.append(record.offset)

    async def give_up(self, record: Record, failure: Failure) -> None:
        """Note the failure; raise what stands in `storing` first."""
        await asyncio.sleep(0)
        if self.storing:
            raise self.storing.pop(0)
        self.given_up.append((record.offset, failure))
