"""What goes on at the shop and in the warehouse while faults are injected."""

from __future__ import annotations

import asyncio

import aiohttp

from towpath.chaos.arena import Arena
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import ask, place

EACH_SECOND = 10
WAREHOUSE_EVERY = 4
CHANGES = {"paid_later": 0.5, "later_seconds": 2.0}
"""No order is cancelled or edited: what comes after its goods have left is for a person to settle, and under a fault it may."""
SHIFT = {"partial": 0.3}
CORRECTIONS = {"counts": 10, "spare": 30, "receipts": 10, "returns": 5}


async def keep_up(arena: Arena, enough: asyncio.Event) -> None:
    """Sell ten orders a second until all of the run are placed, and then one a second until it is `enough`; ship and count all the while."""
    left, turn = arena.run.orders, 0
    while left > 0 or not enough.is_set():
        count = min(left, EACH_SECOND) or 1
        await sell(arena, count)
        left = max(0, left - count)
        turn += 1
        if turn % WAREHOUSE_EVERY == 0 and not arena.closed:
            await work(arena, **SHIFT, **(CORRECTIONS if turn == WAREHOUSE_EVERY else {}))
        await asyncio.sleep(1)


async def sell(arena: Arena, orders: int) -> None:
    """Have the shop sell so many orders more at once."""
    first, arena.next_order = arena.next_order, arena.next_order + orders
    await place(arena.stack, orders=orders, seed=arena.run.seed, first_id=first, **CHANGES)


async def work(arena: Arena, **how: object) -> None:
    """Have the warehouse ship all that is ready, unless it is at it."""
    try:
        await ask(arena.stack, ERP, "warehouse", {"seed": arena.run.seed, **how})
    except aiohttp.ClientResponseError as error:
        if error.status != 409:  # noqa: PLR2004 - a shift is on
            raise


async def under_way(arena: Arena, orders: int = 3) -> None:
    """Return once some orders of this run are at the ERP."""
    before = await arena.orders_at_erp()

    async def there() -> bool:
        return await arena.orders_at_erp() >= before + orders

    await arena.until(there, 90, "the first orders are at the ERP")


async def count_webhooks(arena: Arena) -> int:
    """Return how many webhooks both systems have queued so far."""
    return sum([len(await arena.rows(name, "webhooks")) for name in (SHOP, ERP)])
