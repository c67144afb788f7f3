"""The warehouse at work by itself: it ships what is open and corrects the stock, the same for the same seed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from towpath.sandbox.bng.kinds import INVENTORY, SALES_ORDERS
from towpath.sandbox.bng.orders import OPEN, Orders
from towpath.sandbox.bng.shipping import Parcel, Shipping
from towpath.sandbox.bng.stock import CANCELLED, SHIPPED, Stock
from towpath.sandbox.kit.store import Doc, Store
from towpath.sandbox.kit.system import World

CLOSED: Final = (*SHIPPED, CANCELLED)
COMPLETED: Final = 40
CORRECTED_EVERY: Final = 3  # moves


class Spree(BaseModel):
    """What the warehouse is asked to do. `orders` counts those of the whole store, so that a spree can be repeated after a crash.

    The fate of an order hangs on the seed and its ExternalOrderID only. A spree ends when so many orders are closed (None: when nothing is
    ready to leave) and its corrections are made; one with a pace waits for orders that are still to come.
    """

    model_config = ConfigDict(extra="forbid")
    orders: int | None = Field(default=None, ge=1, description="orders in the store that are to be shipped or cancelled in the end")
    seed: int = 0
    per_second: float | None = Field(default=None, gt=0, description="shipments, cancellations and corrections a second")
    partial: float = Field(default=0.3, ge=0, le=1, description="share of the orders that leave in two shipments, where they have two pieces")
    cancel: float = Field(default=0.0, ge=0, le=1, description="share of the orders that are cancelled instead")
    complete: float = Field(default=0.0, ge=0, le=1, description="share of the shipped orders that are Completed at once")
    counts: int = Field(default=0, ge=0, description="corrections of OnHand by a few pieces")
    spare: int | None = Field(default=None, ge=0, description="no count and no cancellation is of what has less than this available")
    receipts: int = Field(default=0, ge=0, description="purchases that arrive")
    returns: int = Field(default=0, ge=0, description="pieces that customers send back")

    @model_validator(mode="after")
    def _shares(self) -> Spree:
        if self.partial + self.cancel > 1:
            raise ValueError("partial and cancel are more than 1 together")
        return self


class Shift:
    """One spree: each move is one shipment, cancellation or correction; the caller opens the transaction."""

    def __init__(self, spree: Spree, world: World, orders: Orders, shipping: Shipping, stock: Stock) -> None:
        self._spree, self._store, self._orders, self._shipping, self._stock = spree, world.store, orders, shipping, stock
        self._dice = random.Random(f"{spree.seed}/corrections")
        self._corrections = [-1] * spree.counts + [10] * spree.receipts + [1] * spree.returns
        self._dice.shuffle(self._corrections)
        self._round = deque[str]()
        self._moves = 0

    @property
    def over(self) -> bool:
        """Whether so many orders are closed as were asked for, and the corrections are made."""
        wanted = self._spree.orders
        return wanted is not None and not self._corrections and self._closed() >= wanted

    def move(self) -> bool:
        """Do the next thing, and return whether there was one."""
        self._moves += 1
        if self._moves % CORRECTED_EVERY == 0 and self._correct():
            return True
        wanted = self._spree.orders
        if wanted is None or self._closed() < wanted:
            return self._dispatch() or self._correct()
        return self._correct()

    def _closed(self) -> int:
        return number_of(self._store, CLOSED)

    def _dispatch(self) -> bool:
        """Let something of the next order leave, round by round, so that the rest of an order leaves after something of all others."""
        if self._work_off():
            return True
        self._round.extend(order["SalesOrderID"] for order in self._store.find(SALES_ORDERS.name, [("OrderStatus", "in", OPEN)]))
        return self._work_off()

    def _work_off(self) -> bool:
        return any(self._handle(self._round.popleft()) for _ in range(len(self._round)))

    def _handle(self, number: str) -> bool:
        order = self._orders.records.need(number)
        if order["OrderStatus"] not in OPEN:
            return False
        dice = random.Random(f"{self._spree.seed}/{order['ExternalOrderID'] or number}")
        fate, completed = dice.random(), dice.random() < self._spree.complete
        untouched = self._shipping.shipments.first("SalesOrderID", number) is None
        if untouched and fate < self._spree.cancel and self._is_spare(order):
            self._orders.write(order, {"OrderStatus": CANCELLED})
            return True
        lines = self._shipping.ready(number)
        if not lines:
            return False
        if untouched and fate < self._spree.cancel + self._spree.partial:
            lines = _some(lines, dice)
        self._shipping.ship(Parcel(order=number, lines=lines))
        shipped = self._orders.records.need(number)
        if completed and shipped["OrderStatus"] in SHIPPED:
            self._orders.write(shipped, {"OrderStatus": COMPLETED})
        return True

    def _is_spare(self, order: Doc) -> bool:
        """Tell whether so much is left of each product that no shop sells what it puts back itself before it has the number that says so too."""
        spare, skus = self._spree.spare, {line["SKU"] for line in order["Lines"]}
        left = (sum(row["Available"] for row in self._stock.rows.all([("SKU", "=", sku)])) for sku in skus)
        return spare is None or all(pieces >= spare for pieces in left)

    def _correct(self) -> bool:
        if not self._corrections:
            return False
        row = self._dice.choice(self._store.find(INVENTORY.name))
        most = self._corrections.pop()
        change = self._dice.randint(1, 5 * most) if most > 0 else max(-row["OnHand"], self._dice.choice((-3, -2, -1, 1, 2)))
        if change < 0 and self._spree.spare is not None and row["Available"] + change < self._spree.spare:
            change = -change
        self._stock.change(row["SKU"], row["Warehouse"], on_hand=change)
        return True


def number_of(store: Store, states: Sequence[int]) -> int:
    """Return how many orders have one of these statuses."""
    return store.count(SALES_ORDERS.name, [("OrderStatus", "in", states)])


def _some(lines: dict[int, int], dice: random.Random) -> dict[int, int]:
    """Return a part of these quantities, at least one piece and not all; all where there is but one."""
    pieces = [line_no for line_no, quantity in lines.items() for _ in range(quantity)]
    taken = dice.sample(pieces, dice.randint(1, max(1, len(pieces) - 1)))
    return {line_no: taken.count(line_no) for line_no in sorted(set(taken))}
