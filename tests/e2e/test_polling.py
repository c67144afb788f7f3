from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp

from producers.base import KIND
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import place
from towpath.demo.stack import Stack
from towpath.testing.reading import read_all
from towpath.testing.waiting import until

ORDERS = 5


def deaf(content: dict[str, Any]) -> None:
    """Let no webhook in, and poll both systems twice a second."""
    for name in (SHOP, ERP):
        del content["connections"][name]["webhook_secret"]
        content["connections"][name]["poll_seconds"] = 0.5


async def references(stack: Stack) -> list[str]:
    async with aiohttp.ClientSession() as session, session.get(f"{stack.url(ERP)}/_sandbox/store/sales_orders") as response:
        return sorted(order["ExternalOrderID"] for order in (await response.json())["items"])


async def priced(stack: Stack) -> list[float]:
    async with aiohttp.ClientSession() as session, session.get(f"{stack.url(SHOP)}/_sandbox/store/products") as response:
        return [product["price"] for product in (await response.json())["items"] if product["sku"] == "CAP-6100"]


async def test_f01_f06_what_no_webhook_tells_of_comes_by_polling_once(start: Callable[..., Any]) -> None:
    async with start(changes=deaf) as stack:
        await place(stack, orders=ORDERS, seed=3)
        async with aiohttp.ClientSession() as session:
            await session.put(f"{stack.url(ERP)}/_sandbox/products/CAP-6100", json={"name": "Cap", "price": "12.50"})
        wanted = [f"SHOP-{number}" for number in range(1001, 1001 + ORDERS)]

        async def arrived() -> bool:
            return await references(stack) == wanted

        await until(arrived, what="the ERP has each order once")

        async def is_there() -> bool:
            return await priced(stack) == [12.5]

        await until(is_there, what="the shop has the product once")
        inbox = await asyncio.to_thread(read_all, stack.config().kafka, [f"inbox.{SHOP}"])
        assert {"polled", "fetched"} == {record.header(KIND) for record in inbox}
        polled = sorted((record.key or b"").decode() for record in inbox if record.header(KIND) == "polled")
        assert [f"order/{number}" for number in range(1001, 1001 + ORDERS)] == polled
