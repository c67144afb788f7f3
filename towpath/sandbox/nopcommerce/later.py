"""What becomes of orders after they were placed: some are edited, some paid, some cancelled, decided by the seed."""

from __future__ import annotations

import random
import sys
from dataclasses import dataclass

from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce import status
from towpath.sandbox.nopcommerce.edits import Edits
from towpath.sandbox.nopcommerce.people import chance
from towpath.sandbox.nopcommerce.places import TOWNS
from towpath.sandbox.nopcommerce.processing import Processing
from towpath.sandbox.nopcommerce.shop import Shop


@dataclass(frozen=True, slots=True)
class Shares:
    """Which part of the unpaid orders is paid later, and which part of all is cancelled and edited, from 0 to 1.

    No order is cancelled of a product of which less than `spare` is left.
    """

    paid: float
    cancelled: float
    edited: float
    spare: int | None = None

    def __bool__(self) -> bool:
        """Return whether anything becomes of any order."""
        return bool(self.paid or self.cancelled or self.edited)


class Later:
    """The second thoughts of one shop's customers; the caller opens the transaction."""

    def __init__(self, world: World, shop: Shop, processing: Processing) -> None:
        self._store, self._shop, self._processing = world.store, shop, processing
        self.edits = Edits(world, shop)

    def act(self, seed: int, number: int, shares: Shares) -> list[str]:
        """Do with an order what the seed decides, once, and return what was done; nothing for an order that was never placed."""
        order = self._store.get("order", number)
        if order is None or self._store.get("second_thought", number) is not None:
            return []
        dice = random.Random(f"{seed}/{number}/later")
        edit, pay, cancel = chance(dice, shares.edited), chance(dice, shares.paid), chance(dice, shares.cancelled)
        done = []
        if edit and order["order_status_id"] != status.CANCELLED and order["shipping_status_id"] not in status.UNDER_WAY:
            self._edit(order, dice)
            done.append("edited")
        if pay and order["payment_status_id"] == status.UNPAID and order["order_status_id"] != status.CANCELLED:
            self._processing.pay(order)
            done.append("paid")
        is_open = order["order_status_id"] != status.CANCELLED and order["shipping_status_id"] not in status.UNDER_WAY
        if cancel and is_open and (shares.spare is None or shares.spare <= self._least_left(order)):
            self._processing.cancel(order, notify=True)
            done.append("cancelled")
        self._store.put("second_thought", number, {"done": done})
        return done

    def _least_left(self, order: Doc) -> int:
        """Return how many are left of the scarcest product of an order."""
        left = (self._shop.inventory.sellable(self._shop.need("product", item["product_id"])) for item in self._shop.items(order["id"]))
        return min((one for one in left if one is not None), default=sys.maxsize)

    def _edit(self, order: Doc, dice: random.Random) -> None:
        """Change the quantity of the first line by one, or the street of the shipping address."""
        item = self._shop.items(order["id"])[0]
        quantity = item["quantity"] + (1 if dice.random() < 0.5 else -1)  # noqa: PLR2004 - heads or tails
        more = max(quantity - item["quantity"], 0)
        if dice.random() < 0.5 and quantity > 0 and self._shop.affordable(item["product_id"], more) == more:  # noqa: PLR2004 - the same
            self.edits.change(order, {item["product_id"]: quantity}, {})
            return
        there = self._shop.need("address", order["shipping_address_id"])
        street = dice.choice([street for town in TOWNS if town.name == there["city"] for street in town.streets] or ["Main Street"])
        self.edits.change(order, {}, {"address1": f"{street} {dice.randint(1, 240)}", "address2": "Second floor"})
