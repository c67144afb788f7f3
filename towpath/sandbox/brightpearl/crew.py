"""The warehouse office at work by itself: it makes goods-out notes of what is reserved, and corrects the stock, the same for the same seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter, deque
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from towpath.sandbox.brightpearl.goods import Goods
from towpath.sandbox.brightpearl.hooks import Hooks
from towpath.sandbox.brightpearl.notes import Notes
from towpath.sandbox.brightpearl.orders import CANCELLED, Orders
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World

CORRECTED_EVERY: Final = 3  # moves


class Spree(BaseModel):
    """What the office is asked to do. `orders` counts those of the whole store, so that a spree can be repeated after a crash.

    A spree ends when so many orders are closed, which is noted wholly or cancelled (None: when nothing is ready to leave), and its corrections
    are made; one with a pace waits for orders that are still to come.
    """

    model_config = ConfigDict(extra="forbid")
    orders: int | None = Field(default=None, ge=1)
    seed: int = 0
    per_second: float | None = Field(default=None, gt=0, description="notes, cancellations and corrections a second")
    partial: float = Field(default=0.3, ge=0, le=1, description="share of the orders that leave in two notes, where they have two pieces")
    cancel: float = Field(default=0.0, ge=0, le=1, description="share of the orders that are cancelled instead")
    counts: int = Field(default=0, ge=0, description="corrections by a few pieces")
    spare: int | None = Field(default=None, ge=0, description="no count and no cancellation is of what has less than this left")
    receipts: int = Field(default=0, ge=0, description="purchases that arrive")
    returns: int = Field(default=0, ge=0, description="pieces that customers send back")

    @model_validator(mode="after")
    def _shares(self) -> Spree:
        if self.partial + self.cancel > 1:
            raise ValueError("partial and cancel are more than 1 together")
        return self


class Shift:
    """One spree: each move is one note, cancellation or correction; the caller opens the transaction."""

    def __init__(self, spree: Spree, world: World, orders: Orders, notes: Notes, goods: Goods) -> None:
        self._spree, self._store, self._orders, self._notes, self._goods = spree, world.store, orders, notes, goods
        self._dice = random.Random(f"{spree.seed}/corrections")
        self._corrections = [-1] * spree.counts + [10] * spree.receipts + [1] * spree.returns
        self._dice.shuffle(self._corrections)
        self._round = deque[int]()
        self._moves = 0

    @property
    def over(self) -> bool:
        """Whether so many orders are closed as were asked for, and the corrections are made."""
        return self._spree.orders is not None and not self._corrections and self._is_enough()

    def move(self) -> bool:
        """Do the next thing, and return whether there was one."""
        self._moves += 1
        if self._moves % CORRECTED_EVERY == 0 and self._correct():
            return True
        return (not self._is_enough() and self._dispatch()) or self._correct()

    def _is_enough(self) -> bool:
        return self._spree.orders is not None and sum(self._is_closed(order) for order in self._orders.records.all()) >= self._spree.orders

    def _is_closed(self, order: Doc) -> bool:
        has_left = self._notes.reservations.get(order["id"]) is not None and not self._notes.left(order["id"])
        return bool(order["orderStatus"]["orderStatusId"] == CANCELLED or has_left)

    def _dispatch(self) -> bool:
        """Note something of the next order, round by round."""
        if self._work_off():
            return True
        self._round.extend(order["id"] for order in self._orders.records.all() if not self._is_closed(order))
        return self._work_off()

    def _work_off(self) -> bool:
        return any(self._handle(self._round.popleft()) for _ in range(len(self._round)))

    def _handle(self, number: int) -> bool:
        order, left = self._orders.records.need(number), self._notes.left(number)
        if not left or order["orderStatus"]["orderStatusId"] == CANCELLED:
            return False
        dice = random.Random(f"{self._spree.seed}/{order['reference'] or number}")
        fate, is_untouched = dice.random(), not self._notes.records.all([("orderId", "=", number)])
        if is_untouched and fate < self._spree.cancel and self._is_spare(order):
            self._orders.put_status(order, CANCELLED)
            return True
        if is_untouched and fate < self._spree.cancel + self._spree.partial:
            left = _some(left, dice)
        self._notes.take(number, left)
        return True

    def _is_spare(self, order: Doc) -> bool:
        """Tell whether so much is left of each product that nobody can sell what the order goes on holding before its shop has the number."""
        spare, left = self._spree.spare, Counter[int]()
        if spare is None:
            return True
        for row in self._store.find("stock"):
            left[row["product"]] += row["inStock"] - row["allocated"]
        return all(left[product] >= spare for product in {row.get("productId") for row in order["orderRows"].values()} & left.keys())

    def _correct(self) -> bool:
        if not self._corrections:
            return False
        row = self._dice.choice(self._store.find("stock"))
        most, on_hand = self._corrections.pop(), row["inStock"] - row["allocated"]
        change = self._dice.randint(1, 5 * most) if most > 0 else max(-on_hand, self._dice.choice((-3, -2, -1, 1, 2)))
        if change < 0 and self._spree.spare is not None and on_hand + change < self._spree.spare:
            change = -change
        self._goods.move(row["product"], row["warehouse"], in_stock=change)
        return True


class Crew:
    """Who works the shifts of one account's office, one at a time."""

    def __init__(self, world: World, orders: Orders, notes: Notes, goods: Goods, hooks: Hooks) -> None:
        self._world, self._orders, self._notes, self._goods, self._hooks = world, orders, notes, goods, hooks
        self._task: asyncio.Task[None] | None = None

    def paths(self) -> list[Control]:
        """Return the paths of the crew."""
        return [Control("POST", "/_sandbox/warehouse", self.start), Control("GET", "/_sandbox/warehouse", self.progress)]

    @property
    def busy(self) -> bool:
        """Whether a shift is on."""
        return self._task is not None and not self._task.done()

    async def start(self, call: Call) -> Answer:
        """Answer `POST /_sandbox/warehouse`: when the shift is over, or at once (202) where a pace is asked for."""
        spree = checked(Spree, call.json() if call.body else {})
        if self.busy:
            raise Refusal(409, "busy", "a shift is on: wait until it is over")
        shift = Shift(spree, self._world, self._orders, self._notes, self._goods)
        self._task = task = self._world.tasks.start(self._work(shift, spree))
        if spree.per_second is None:
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()
        return Answer(200 if spree.per_second is None else 202, self._progress())

    async def progress(self, _call: Call) -> Answer:
        """Answer `GET /_sandbox/warehouse`."""
        return Answer(body=self._progress())

    def _progress(self) -> dict[str, Any]:
        return {"busy": self.busy, "notes": self._world.store.count("note")}

    async def _work(self, shift: Shift, spree: Spree) -> None:
        clock, moved = self._world.clock, True
        begin, turn = clock.monotonic(), 0
        while not shift.over and (moved or (spree.orders is not None and spree.per_second is not None)):
            if spree.per_second is not None:
                await clock.sleep(max(0.0, begin + turn / spree.per_second - clock.monotonic()))
            with self._world.store.transaction():
                moved = shift.move()
                self._hooks.flush()
            turn += 1
            await asyncio.sleep(0)


def _some(lines: dict[str, int], dice: random.Random) -> dict[str, int]:
    """Return a part of these quantities, at least one piece and not all; all where there is but one."""
    pieces = [row for row, quantity in lines.items() for _ in range(quantity)]
    taken = dice.sample(pieces, dice.randint(1, max(1, len(pieces) - 1)))
    return {row: taken.count(row) for row in sorted(set(taken))}
