"""F-15: Brightpearl's purchase orders are on the public stream, and what came in of them is the shop's stock."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.e2e.brightpearl_nopcommerce.playing import Pair
from towpath.codec import default_codec
from towpath.demo.pairs import ERP, SHOP
from towpath.testing.reading import read_all


async def told(pair: Pair, order: int) -> list[dict[str, Any]]:
    """Return what the public stream tells of a purchase order, oldest first."""
    records = await asyncio.to_thread(read_all, pair.stack.config().kafka, ["purchase-orders"])
    events = [default_codec().decode(record.value)[1] for record in records]
    return [event for event in events if event["meta"]["key"] == f"{ERP}/purchase_order/{order}"]


async def test_f15_a_purchase_order_is_public_and_what_comes_in_of_it_is_stock_though_webhooks_come_twice(pair: Pair) -> None:
    sku = "MUG-WHI-045"
    await pair.erp("POST", "warehouse/count", {"sku": sku, "warehouse": 2, "on_hand": 3})
    await pair.shelved(sku, 3)
    async with pair.faults(ERP, webhook_duplicate=1, webhook_shuffle=0.5):
        order = await pair.erp("POST", "purchase-orders", {"reference": "PO-15", "lines": {sku: 12}, "cost": "3.25"})
        (row,) = order["orderRows"]
        await pair.erp("POST", f"purchase-orders/{order['id']}/receive", {"lines": {row: 7}})
        await pair.shelved(sku, 10)

    async def received() -> list[int]:
        return [int(line["received"]) for event in (await told(pair, order["id"]))[-1:] for line in event["lines"]]

    await pair.becomes(received, [7])
    assert [(sku, 12, "PO-15")] == [
        (line["sku"], line["quantity"], event["reference"]) for event in (await told(pair, order["id"]))[-1:] for line in event["lines"]
    ]
    events = await told(pair, order["id"])
    assert sorted(events, key=lambda event: event["meta"]["version"]["major"]) == events


async def test_f15_what_comes_in_while_the_shop_is_down_is_its_stock_when_it_is_back(pair: Pair) -> None:
    sku = "MUG-OLI-049"
    await pair.erp("POST", "warehouse/count", {"sku": sku, "warehouse": 2, "on_hand": 3})
    await pair.shelved(sku, 3)
    order = await pair.erp("POST", "purchase-orders", {"reference": "PO-15-2", "lines": {sku: 4}, "cost": "3.25"})
    (row,) = order["orderRows"]
    async with pair.faults(SHOP, unavailable=1):
        await pair.erp("POST", f"purchase-orders/{order['id']}/receive", {"lines": {row: 4}})
        await pair.struck(SHOP, "unavailable", 2)
    await pair.shelved(sku, 7)
    assert [] == await pair.letters(f"{ERP}/stock/{sku}")
