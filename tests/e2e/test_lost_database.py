"""docs/runbooks/lost-database.md, with no backup at all: what was written is found again, and nothing is written twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.index.asking import told_letters
from towpath.testing.played import Played

ORDERS = (1001, 1002, 1003)


async def test_after_the_database_is_lost_a_replay_of_the_orders_brings_everything_through_once(start: Callable[..., Any]) -> None:
    async with start(changes=impatient) as stack:
        pair = Played(stack)
        for number in ORDERS:
            await pair.bought(number)
        await pair.erp("POST", "warehouse/ship", {"order": (await pair.sales_order(1003))["SalesOrderID"]})
        await pair.order(1003, shipping_status_id=30)
        await settle(stack)
        stack.kill("up")
        for file in (stack.directory / "data").glob("towpath.db*"):
            file.unlink()
        await pair.shop("POST", "orders/1001/cancel")
        await pair.erp("POST", "warehouse/ship", {"order": (await pair.sales_order(1002))["SalesOrderID"]})
        await stack.start()
        await pair.bought(1004)

        async def reasons() -> list[str]:
            return [letter["reason"] for letter in await asyncio.to_thread(told_letters, stack.config())]

        letter = await pair.letter(f"{SHOP}/order/1001", state="parked")
        assert letter["reason"] == f"waits for order {SHOP}/order/1001, which is not at {ERP} yet"
        assert "replayed 4 records" in await pair.command("replay", f"deliver.{ERP}", "--flow", "shop-orders-to-erp")
        await pair.sales_order(1001, OrderStatus=90)
        await pair.order(1002, shipping_status_id=30)
        await pair.becomes(reasons, [], seconds=60)
        await settle(stack)
        orders = [row["ExternalOrderID"] for row in await pair.rows(ERP, "sales_orders")]
        assert sorted(orders) == [f"{SHOP.upper()}-{number}" for number in (*ORDERS, 1004)]
        assert sorted(row["order_id"] for row in await pair.rows(SHOP, "shipments")) == [1002, 1003]
