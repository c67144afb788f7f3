"""The crew that ships by itself what was asked for, the same for the same seed and reference."""

from __future__ import annotations

import asyncio
import random

from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.threepl.requests import Requests
from towpath.sandbox.threepl.settings import ThreeplSettings
from towpath.sandbox.threepl.shipping import Parcel, Shipment, Shipping, left_of

TICK_SECONDS = 0.05


class Crew:
    """Works off the open requests, oldest first, for as long as there are any."""

    def __init__(self, world: World, settings: ThreeplSettings, requests: Requests, shipping: Shipping) -> None:
        self._world, self._settings, self._requests, self._shipping = world, settings, requests, shipping
        self._task: asyncio.Task[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is still to leave by itself."""
        return self._settings.ships_after_seconds is not None and bool(self._requests.open())

    def call(self) -> None:
        """Have the crew work, where it ships by itself and does not work yet."""
        if self.busy and (self._task is None or self._task.done()):
            self._task = self._world.tasks.start(self._work())

    async def _work(self) -> None:
        while self.busy:
            with self._world.store.transaction():
                for request in self._requests.open():
                    if request["_at"] + (self._settings.ships_after_seconds or 0) <= self._world.clock.now().timestamp():
                        self._send(request)
            await self._world.clock.sleep(TICK_SECONDS)

    def _send(self, request: Doc) -> None:
        left = left_of(request)
        dice = random.Random(f"{self._settings.seed}/{request['reference']}/{len(request['_sent'])}")
        if not request["_sent"] and dice.random() < self._settings.partial:
            left, _ = _halves(left, dice)
        parts = _halves(left, dice) if dice.random() < self._settings.parcels else (left, {})
        self._shipping.ship(Shipment(request=request["id"], parcels=[Parcel(lines=part) for part in parts if part]))


def _halves(pieces: dict[str, int], dice: random.Random) -> tuple[dict[str, int], dict[str, int]]:
    """Return a part of these pieces, at least one and not all, and the rest; all and nothing where there is but one."""
    every = [sku for sku, count in pieces.items() for _ in range(count)]
    taken = set(dice.sample(range(len(every)), dice.randint(1, max(1, len(every) - 1))))
    parts: tuple[dict[str, int], dict[str, int]] = ({}, {})
    for index, sku in enumerate(every):
        part = parts[0] if index in taken else parts[1]
        part[sku] = part.get(sku, 0) + 1
    return parts
