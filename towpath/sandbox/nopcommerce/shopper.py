"""A shopper who places orders and has second thoughts: a given number, at a given pace, the same for the same seed."""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce.bad import BAD, spread
from towpath.sandbox.nopcommerce.bundle import draw
from towpath.sandbox.nopcommerce.later import Later, Shares
from towpath.sandbox.nopcommerce.settings import NopSettings
from towpath.sandbox.nopcommerce.shop import Shop

AT_ONCE = 100  # orders a transaction, when no pace is asked for
PLACED: Final = "placed"
GIVEN_UP: Final = "given_up"


class Spree(BaseModel):
    """What the shopper is asked to do. Orders whose id is there already are left alone, so a spree can be repeated after a crash.

    Of what the shop lacks the shopper buys what there is, and gives an order up that would be empty. Bad orders are left as they are.
    """

    model_config = ConfigDict(extra="forbid")
    orders: int = Field(ge=1)
    seed: int = 0
    per_second: float | None = Field(default=None, gt=0)
    first_id: int = Field(default=1001, ge=1, le=40_000_000)
    customers: int = Field(default=50, ge=1)
    bad: list[Literal["unknown_sku", "bad_email", "bad_total", "bad_address", "bad_currency", "unknown_status"]] = []
    oversell: bool = Field(default=False, description="buy all that is wanted, so that the stock goes below zero")
    paid_later: float = Field(default=0, ge=0, le=1, description="share of the unpaid orders that are paid")
    cancelled: float = Field(default=0, ge=0, le=1, description="share of all orders that are cancelled")
    spare: int | None = Field(default=None, ge=0, description="nothing is cancelled that is of a product of which less than this is left")
    edited: float = Field(default=0, ge=0, le=1, description="share of all orders whose quantity or shipping address is changed")
    later_seconds: float = Field(default=0, ge=0, description="from the placing of an order to what becomes of it")

    @property
    def shares(self) -> Shares:
        """Return the shares of the orders that something becomes of."""
        return Shares(self.paid_later, self.cancelled, self.edited, self.spare)


class Shopper:
    """The shopper of one shop; what it did is counted for as long as the process lives."""

    def __init__(self, world: World, settings: NopSettings, shop: Shop, later: Later) -> None:
        self._world, self._settings, self._shop, self._second = world, settings, shop, later
        self._wanted = self._done = self._left = 0
        self._changes: Counter[str] = Counter()

    async def start(self, call: Call) -> Answer:
        """Answer `POST /_sandbox/shopper`: when all is done; at once (202) where a pace is asked for; and without what happens `later_seconds` on."""
        spree = checked(Spree, call.json())
        if len(spree.bad) > spree.orders:
            raise Refusal(400, "invalid_body", "more bad orders than orders", field="bad")
        bad = {spree.first_id + index: kind for index, kind in spread(spree.bad, spree.orders).items()}
        self._wanted += spree.orders
        self._left += 2 * spree.orders
        body = {"orders": spree.orders, "first_id": spree.first_id, "last_id": spree.first_id + spree.orders - 1}
        answer = {**body, "bad": {str(number): kind for number, kind in bad.items()}}
        if spree.per_second is not None:
            self._world.tasks.start(self._paced(spree, bad, spree.per_second))
            return Answer(202, {**answer, PLACED: 0, GIVEN_UP: 0})
        outcomes = Counter(await self._at_once(spree, lambda number: self._place(spree, number, bad)))
        later = self._at_once(spree, lambda number: self._think(spree, number, bad), after=spree.later_seconds)
        if spree.later_seconds:
            self._world.tasks.start(later)
        else:
            await later
        return Answer(200, {**answer, PLACED: outcomes[PLACED], GIVEN_UP: outcomes[GIVEN_UP]})

    async def progress(self, _call: Call) -> Answer:
        """Answer `GET /_sandbox/shopper`: how many orders this process was asked for and has dealt with, and what became of them."""
        changes = {name: self._changes[name] for name in ("paid", "cancelled", "edited")}
        return Answer(body={"wanted": self._wanted, "done": self._done, **changes, "busy": self._left > 0})

    async def _at_once(self, spree: Spree, act: Callable[[int], str], after: float = 0) -> list[str]:
        if after:
            await self._world.clock.sleep(after)
        outcomes, numbers = [], range(spree.first_id, spree.first_id + spree.orders)
        for start in range(0, spree.orders, AT_ONCE):
            with self._world.store.transaction():
                outcomes += [act(number) for number in numbers[start : start + AT_ONCE]]
            await asyncio.sleep(0)
        return outcomes

    async def _paced(self, spree: Spree, bad: Mapping[int, str], per_second: float) -> None:
        clock = self._world.clock
        begin = clock.monotonic()
        placing = ((index / per_second, 0, index) for index in range(spree.orders))
        thinking = ((index / per_second + spree.later_seconds, 1, index) for index in range(spree.orders))
        for moment, step, index in heapq.merge(placing, thinking):
            await clock.sleep(max(0.0, begin + moment - clock.monotonic()))
            with self._world.store.transaction():
                (self._think if step else self._place)(spree, spree.first_id + index, bad)

    def _place(self, spree: Spree, number: int, bad: Mapping[int, str]) -> str:
        self._done += 1
        self._left -= 1
        if self._shop.knows(number):
            return "known"
        afford = None if spree.oversell else self._shop.affordable
        bundle = draw(spree.seed, number, spree.customers, self._shop.now(), self._settings, afford)
        if number in bad and bundle.items:
            BAD[bad[number]](bundle)
        return PLACED if self._shop.place(bundle) else GIVEN_UP

    def _think(self, spree: Spree, number: int, bad: Mapping[int, str]) -> str:
        self._left -= 1
        done = self._second.act(spree.seed, number, spree.shares) if spree.shares and number not in bad else []
        self._changes.update(done)
        return ", ".join(done)
