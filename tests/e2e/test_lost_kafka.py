"""docs/runbooks/lost-kafka.md: the topics are gone, the database and the processor's files are not; nothing is written twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import impatient
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played import SKUS, Played


async def test_after_kafkas_data_is_lost_backfills_bring_what_was_on_its_way_and_nothing_is_written_twice(start: Callable[..., Any]) -> None:
    async with start(changes=impatient) as stack:
        pair = Played(stack)
        for number in (1001, 1002, 1003):
            await pair.bought(number)
        await pair.erp("POST", "warehouse/ship", {"order": (await pair.sales_order(1003))["SalesOrderID"]})
        await pair.order(1003, shipping_status_id=30)
        async with pair.faults(ERP, unavailable=1.0):
            await pair.buy(1004)
            await pair.struck(ERP, "unavailable")
            stack.kill("up")
            stack.kill("broker")  # it ends with `up`, a moment later
        shutil.rmtree(stack.directory / "data" / "kafka")
        await pair.shop("POST", "orders/1001/cancel")
        await pair.erp("POST", "warehouse/ship", {"order": (await pair.sales_order(1002))["SalesOrderID"]})
        await stack.start()
        await pair.bought(1005)
        await pair.sales_order(1001, OrderStatus=90)
        await pair.order(1002, shipping_status_id=30)
        assert [] == await pair.sales_orders(1004)
        assert "backfilled 5 of order from shop" in await pair.command("backfill", SHOP, "order", "--from", "2026-01-01")
        assert "backfilled 2 of shipment from erp" in await pair.command("backfill", ERP, "shipment", "--from", "2026-01-01")
        await pair.command("backfill", ERP, "inventory", "--from", "2026-01-01")
        await pair.sales_order(1004)
        await settle(stack)
        orders = [row["ExternalOrderID"] for row in await pair.rows(ERP, "sales_orders")]
        assert sorted(orders) == [f"{SHOP.upper()}-{number}" for number in range(1001, 1006)]
        assert sorted(row["order_id"] for row in await pair.rows(SHOP, "shipments")) == [1002, 1003]
        for sku in SKUS.values():
            await pair.stock_becomes(sku, await pair.available(sku))
