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
    """Let no webhook of the shop in, and poll it twice a second."""
    del content["connections"][SHOP]["webhook_secret"]
    content["connections"][SHOP]["poll_seconds"] = 0.5


async def references(stack: Stack) -> list[str]:
    async with aiohttp.ClientSession() as session, session.get(f"{stack.url(ERP)}/_sandbox/store/sales_orders") as response:
        return sorted(order["ExternalOrderID"] for order in (await response.json())["items"])


async def test_orders_whose_webhooks_are_never_accepted_come_to_the_erp_once_by_polling(start: Callable[..., Any]) -> None:
    async with start(changes=deaf) as stack:
        await place(stack, orders=ORDERS, seed=3)
        wanted = [f"SHOP-{number}" for number in range(1001, 1001 + ORDERS)]

        async def arrived() -> bool:
            return await references(stack) == wanted

        await until(arrived, what="the ERP has each order once")
        inbox = await asyncio.to_thread(read_all, stack.config().kafka, [f"inbox.{SHOP}"])
        assert {"polled", "fetched"} == {record.header(KIND) for record in inbox}
        polled = sorted((record.key or b"").decode() for record in inbox if record.header(KIND) == "polled")
        assert [f"order/{number}" for number in range(1001, 1001 + ORDERS)] == polled
