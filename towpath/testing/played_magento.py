"""A running pair of BNG and Magento as a test plays it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from towpath.demo.pairs import ERP, SHOP
from towpath.testing.played import Played, Row
from towpath.testing.waiting import until

SEEDS = 500
INCREMENTS = 100_000_000


@dataclass(frozen=True, slots=True)
class PlayedMagento(Played):
    """The pair of one stack, whose orders have an entity id and another number by which they are called."""

    async def place(self, number: int, fits: Callable[[Row], bool] = lambda _: True, **more: object) -> Row:
        """Place orders from that number on until one fits, and return it as the shop has it."""
        for one in range(number, number + SEEDS):
            await self.shop("POST", "shopper", {"orders": 1, "seed": 7, "first_id": one, "sets": True, **more})
            order = await self.row(SHOP, "orders", entity_id=one)
            if fits(order):
                return order
        raise AssertionError(f"no order from {number} on fits")

    async def sales_orders(self, number: int) -> list[Row]:
        """Return BNG's sales orders of a shop order, by its entity id."""
        return await self.rows(ERP, "sales_orders", ExternalOrderID=f"SHOP-{INCREMENTS + number}")

    async def salable(self, sku: str) -> float:
        """Return how many of a product the shop may sell."""
        found: float = (await self.shop("GET", f"salable/{sku}"))["salable"]
        return found

    async def in_source(self, sku: str) -> float:
        """Return how many of a product lie in the shop's default source."""
        return float((await self.row(SHOP, "source_items", sku=sku, source_code="default"))["quantity"])

    async def shipments(self, number: int, count: int) -> list[Row]:
        """Return the shop's shipments of an order, once there are so many."""

        async def are_there() -> bool:
            return len(await self.rows(SHOP, "shipments", order_id=number)) >= count

        await until(are_there, seconds=40, what=f"{count} shipments of order {number} at the shop")
        return await self.rows(SHOP, "shipments", order_id=number)
