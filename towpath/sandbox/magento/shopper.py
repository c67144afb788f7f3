"""A shopper who places orders and has second thoughts: a given number, at a given pace, the same for the same seed."""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.magento.draw import draw
from towpath.sandbox.magento.processing import Processing
from towpath.sandbox.magento.shop import Shop

PAID_AT_ONCE: Final = 0.6


class Spree(BaseModel):
    """What the shopper is asked to do. Orders whose id is there already are left alone, so a spree can be repeated after a crash."""

    model_config = ConfigDict(extra="forbid")
    orders: int = Field(ge=1)
    seed: int = 0
    per_second: float | None = Field(default=None, gt=0)
    first_id: int = Field(default=1001, ge=1, le=40_000_000)
    customers: int = Field(default=50, ge=1)
    bad: list[Literal["unknown_sku", "bad_email", "bad_total", "bad_address", "bad_currency", "unknown_status"]] = []
    sets: bool = Field(default=False, description="sell sets too, one in five orders: a bundle that the shop ships as one, and never in part")
    oversell: bool = Field(default=False, description="buy all that is wanted, so that more is reserved than there is")
    paid_later: float = Field(default=0, ge=0, le=1, description="share of the unpaid orders that are paid")
    cancelled: float = Field(default=0, ge=0, le=1, description="share of all orders that are cancelled, where they are unpaid")
    edited: float = Field(default=0, ge=0, le=1, description="share of all orders whose shipping address is changed")
    later_seconds: float = Field(default=0, ge=0, description="from the placing of an order to what becomes of it")


class Shopper:
    """The shopper of one shop; what it did is counted for as long as the process lives."""

    def __init__(self, world: World, shop: Shop, processing: Processing) -> None:
        self._world, self._shop, self._processing = world, shop, processing
        self._wanted = self._done = self._left = 0
        self._changes: Counter[str] = Counter()

    async def start(self, call: Call) -> Answer:
        """Answer `POST /_sandbox/shopper`: when all is done; at once (202) where a pace is asked for."""
        spree = checked(Spree, call.json())
        bad = {(index + 1) * spree.orders // (len(spree.bad) + 1): kind for index, kind in enumerate(spree.bad)}
        self._wanted += spree.orders
        self._left += 2 * spree.orders
        last = spree.first_id + spree.orders - 1
        answer = {"orders": spree.orders, "first_id": spree.first_id, "last_id": last}
        answer |= {"bad": {str(spree.first_id + index): kind for index, kind in bad.items()}}  # type: ignore[dict-item]
        work = self._run(spree, bad)
        if spree.per_second is not None or spree.later_seconds:
            self._world.tasks.start(work)
            return Answer(202, answer)
        await work
        return Answer(200, answer)

    async def progress(self, _call: Call) -> Answer:
        """Answer `GET /_sandbox/shopper`: how many orders this process was asked for and has dealt with, and what became of them."""
        changes = {name: self._changes[name] for name in ("paid", "cancelled", "edited")}
        return Answer(body={"wanted": self._wanted, "done": self._done, **changes, "busy": self._left > 0})

    async def _run(self, spree: Spree, bad: Mapping[int, str]) -> None:
        clock, pace = self._world.clock, 1 / spree.per_second if spree.per_second else 0.0
        begin = clock.monotonic()
        placing = ((index * pace, 0, index) for index in range(spree.orders))
        thinking = ((index * pace + spree.later_seconds, 1, index) for index in range(spree.orders))
        for moment, step, index in heapq.merge(placing, thinking):
            if (wait := begin + moment - clock.monotonic()) > 0:
                await clock.sleep(wait)
            with self._world.store.transaction():
                (self._think if step else self._place)(spree, spree.first_id + index, bad.get(index))
            self._left -= 1

    def _place(self, spree: Spree, number: int, bad: str | None) -> None:
        self._done += 1
        if self._shop.knows(number):
            return
        basket, dice = draw(spree.seed, number, spree.customers, None if spree.oversell else self._shop.affordable, sets=spree.sets)
        order = self._shop.place(basket, dice)
        if order is None:
            return
        if bad is not None:
            _spoil(order, bad)
            self._shop.save(order)
        elif dice.random() < PAID_AT_ONCE:
            self._processing.pay(order)

    def _think(self, spree: Spree, number: int, bad: str | None) -> None:
        order, dice = self._shop.store.get("order", number), random.Random(f"{spree.seed}/{number}/later")
        edit, pay, cancel = (dice.random() < share for share in (spree.edited, spree.paid_later, spree.cancelled))
        if order is None or bad is not None or self._shop.store.get("second_thought", number) is not None:
            return
        self._shop.store.put("second_thought", number, {"entity_id": number})
        if edit and order["state"] in {"new", "processing"}:
            there = order["extension_attributes"]["shipping_assignments"][0]["shipping"]["address"]
            there["street"] = [f"{dice.randint(1, 99)} Side Street", "Second floor"]
            self._shop.save(order)
            self._changes["edited"] += 1
        if cancel and self._processing.drop(order):
            self._changes["cancelled"] += 1
        elif pay and order["state"] == "new":
            self._processing.pay(order)
            self._changes["paid"] += 1


def _spoil(order: Doc, kind: str) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "bad_email": {"customer_email": "not-an-email", "customer_is_guest": 1},
        "bad_total": {"grand_total": order["grand_total"] + 5},
        "bad_currency": {"order_currency_code": "QQQ"},
        "unknown_status": {"status": "waiting_for_moon"},
    }
    order |= wrong.get(kind, {})
    if kind == "unknown_sku":
        order["items"][-1]["sku"] = f"GHOST-{order['entity_id']}"
    if kind == "bad_address":
        order["extension_attributes"]["shipping_assignments"][0]["shipping"]["address"]["postcode"] = "1"
