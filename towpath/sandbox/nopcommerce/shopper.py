"""A shopper who places orders: a given number, at a given pace, the same for the same seed."""

from __future__ import annotations

import asyncio
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce.bad import BAD, spread
from towpath.sandbox.nopcommerce.bundle import draw
from towpath.sandbox.nopcommerce.settings import NopSettings
from towpath.sandbox.nopcommerce.shop import Shop

AT_ONCE = 100  # orders a transaction, when no pace is asked for


class Spree(BaseModel):
    """What the shopper is asked to do. Orders whose id is there already are left alone, so a spree can be repeated after a crash."""

    model_config = ConfigDict(extra="forbid")
    orders: int = Field(ge=1)
    seed: int = 0
    per_second: float | None = Field(default=None, gt=0)
    first_id: int = Field(default=1001, ge=1, le=40_000_000)
    customers: int = Field(default=50, ge=1)
    bad: list[Literal["unknown_sku", "bad_email", "bad_total", "unknown_status"]] = []


class Shopper:
    """The shopper of one shop."""

    def __init__(self, world: World, settings: NopSettings, shop: Shop) -> None:
        self._world, self._settings, self._shop = world, settings, shop
        self._placed = self._wanted = 0

    async def start(self, call: Call) -> Answer:
        """Answer `POST /_sandbox/shopper`: when all are placed, or at once (202) where a pace is asked for."""
        spree = checked(Spree, call.json())
        if len(spree.bad) > spree.orders:
            raise Refusal(400, "invalid_body", "more bad orders than orders", field="bad")
        bad = {spree.first_id + index: kind for index, kind in spread(spree.bad, spree.orders).items()}
        self._wanted += spree.orders
        body = {"orders": spree.orders, "first_id": spree.first_id, "last_id": spree.first_id + spree.orders - 1}
        answer = {**body, "bad": {str(number): kind for number, kind in bad.items()}}
        if spree.per_second is None:
            return Answer(200, {**answer, "placed": await self._at_once(spree, bad)})
        self._world.tasks.start(self._paced(spree, bad, spree.per_second))
        return Answer(202, {**answer, "placed": 0})

    async def progress(self, _call: Call) -> Answer:
        """Answer `GET /_sandbox/shopper`: how many orders this process was asked for and has dealt with."""
        return Answer(body={"wanted": self._wanted, "done": self._placed, "busy": self._placed < self._wanted})

    async def _at_once(self, spree: Spree, bad: dict[int, str]) -> int:
        placed, numbers = 0, range(spree.first_id, spree.first_id + spree.orders)
        for start in range(0, spree.orders, AT_ONCE):
            with self._world.store.transaction():
                placed += sum(self._place(spree, number, bad) for number in numbers[start : start + AT_ONCE])
            await asyncio.sleep(0)
        return placed

    async def _paced(self, spree: Spree, bad: dict[int, str], per_second: float) -> None:
        clock = self._world.clock
        begin = clock.monotonic()
        for index in range(spree.orders):
            await clock.sleep(max(0.0, begin + index / per_second - clock.monotonic()))
            with self._world.store.transaction():
                self._place(spree, spree.first_id + index, bad)

    def _place(self, spree: Spree, number: int, bad: dict[int, str]) -> bool:
        bundle = draw(spree.seed, number, spree.customers, self._shop.now(), self._settings)
        if number in bad:
            BAD[bad[number]](bundle)
        self._placed += 1
        return self._shop.place(bundle)
