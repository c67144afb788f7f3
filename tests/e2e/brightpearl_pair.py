"""A running pair of Brightpearl and NopCommerce for the tests of its flows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP, find_pair
from towpath.demo.stack import Stack
from towpath.testing.played import Played
from towpath.testing.waiting import until

Row = dict[str, Any]


class Pair(Played):
    """The pair, with Brightpearl's own names for what stands there."""

    async def placed(self, number: int, *, seconds: float = 40, **having: object) -> Row:
        """Return Brightpearl's order of a shop order, once it is there with these values."""

        async def is_so() -> bool:
            return bool(await self.rows(ERP, "orders", reference=f"SHOP-{number}", **having))

        await until(is_so, seconds=seconds, what=f"order {number} at Brightpearl with {having}")
        return await self.row(ERP, "orders", reference=f"SHOP-{number}")

    async def shelved(self, sku: str, quantity: int, *, seconds: float = 40) -> None:
        """Return once the shop may sell so many of a product."""

        async def is_so() -> bool:
            return any(row["stock_quantity"] == quantity for row in await self.rows(SHOP, "products", sku=sku))

        await until(is_so, seconds=seconds, what=f"{quantity} of {sku} at the shop")


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Pair]:
    """Run the pair in a folder while entered; it is killed at the end."""
    stack = Stack(folder / "stack", find_pair("brightpearl-nopcommerce"), {}, {}, {}, impatient)
    stack.write()
    try:
        await stack.start()
        yield Pair(stack)
    finally:
        await asyncio.to_thread(stack.kill_all)
