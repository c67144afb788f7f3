"""Who works the shifts of the warehouse: starts them, says how far they are, and stops them."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from towpath.sandbox.bng.kinds import SHIPMENTS
from towpath.sandbox.bng.orders import OPEN, Orders
from towpath.sandbox.bng.shift import CLOSED, Shift, Spree, number_of
from towpath.sandbox.bng.shipping import Shipping
from towpath.sandbox.bng.stock import OVERSOLD, Stock
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Refusal
from towpath.sandbox.kit.system import World

AT_ONCE: Final = 20  # moves a transaction, when no pace is asked for


class Crew:
    """The crew of one warehouse; it works one shift at a time."""

    def __init__(self, world: World, orders: Orders, shipping: Shipping, stock: Stock) -> None:
        self._world, self._orders, self._shipping, self._stock = world, orders, shipping, stock
        self._task: asyncio.Task[None] | None = None

    def paths(self) -> list[Control]:
        """Return the paths of the crew."""
        return [
            Control("POST", "/_sandbox/warehouse", self.start),
            Control("GET", "/_sandbox/warehouse", self.progress),
            Control("DELETE", "/_sandbox/warehouse", self.stop),
        ]

    def stats(self) -> dict[str, Any]:
        """Return whether a shift is on, and how many pieces were sold that were not there."""
        oversold = self._world.store.counters(OVERSOLD).get("", 0)
        return {"busy": self._task is not None and not self._task.done(), "oversold": oversold}

    async def start(self, call: Call) -> Answer:
        """Answer `POST /_sandbox/warehouse`: when the shift is over, or at once (202) where a pace is asked for."""
        spree = checked(Spree, call.json() if call.body else {})
        if self.stats()["busy"]:
            raise Refusal(409, "busy", "a shift is on: wait until it is over, or stop it with DELETE")
        shift = Shift(spree, self._world, self._orders, self._shipping, self._stock)
        if spree.per_second is not None:
            self._task = self._world.tasks.start(self._paced(shift, spree.per_second, waits=spree.orders is not None))
            return Answer(202, self._progress())
        self._task = task = self._world.tasks.start(self._at_once(shift))
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
        return Answer(200, self._progress())

    async def progress(self, _call: Call) -> Answer:
        """Answer `GET /_sandbox/warehouse`."""
        return Answer(body=self._progress())

    async def stop(self, _call: Call) -> Answer:
        """Answer `DELETE /_sandbox/warehouse`: end the shift, if one is on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return Answer(body=self._progress())

    def _progress(self) -> dict[str, Any]:
        store = self._world.store
        orders = {"open": number_of(store, OPEN), "closed": number_of(store, CLOSED)}
        return {**self.stats(), **orders, "shipments": store.count(SHIPMENTS.name)}

    async def _at_once(self, shift: Shift) -> None:
        moved = True
        while moved:
            with self._world.store.transaction():
                moved = all(shift.move() for _ in range(AT_ONCE))
            await asyncio.sleep(0)

    async def _paced(self, shift: Shift, per_second: float, *, waits: bool) -> None:
        clock, moved = self._world.clock, True
        begin, turn = clock.monotonic(), 0
        while not shift.over and (moved or waits):
            await clock.sleep(max(0.0, begin + turn / per_second - clock.monotonic()))
            with self._world.store.transaction():
                moved = shift.move()
            turn += 1
