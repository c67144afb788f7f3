"""The shop's GETs that write are writes to the dialled faults too: whoever repeats one blindly does it twice, or never learns that it was done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

Shop = Any
OpenShop = Callable[..., Awaitable[Shop]]
SHIP = "OrderProcessing/Ship/1?notifyCustomer=true"
WRITES = [
    ("GET", SHIP, None),
    ("GET", "OrderProcessing/Deliver/2?notifyCustomer=true", None),
    ("GET", "OrderProcessing/CancelOrder/1001?notifyCustomer=true", None),
    ("GET", "OrderProcessing/MarkOrderAsPaid/{unpaid}", None),
    ("GET", "OrderProcessing/CheckOrderStatus/1001", None),
    ("POST", "Product/AdjustInventory/1?quantityToChange=-2", None),
    ("POST", "Shipment/Create", {"order_id": 1001}),
    ("POST", "ShipmentItem/Create", {"shipment_id": 1, "order_item_id": 20020, "quantity": 1}),
    ("PUT", "Shipment/Update", {"id": 1, "order_id": 1001}),
    ("DELETE", "Shipment/Delete/1", None),
    ("POST", "ProductWarehouse/Create", {"product_id": 1, "warehouse_id": 1}),
    ("PUT", "Product/Update", {"id": 1}),
    ("PUT", "Order/Update", {"id": 1001}),
]


async def prepared(open_shop: OpenShop) -> tuple[Shop, int]:
    """Return a shop with orders, a shipment 1 to send and a shipment 2 that was sent, and the id of an unpaid order."""
    shop = await open_shop()
    await shop.control("shopper", {"orders": 20, "seed": 1})
    for number in (1, 2):
        await shop.ask("POST", "Shipment/Create", {"order_id": 1001})
        await shop.ask("POST", "ShipmentItem/Create", {"shipment_id": number, "order_item_id": 20020, "quantity": 1})
    await shop.ask("GET", "OrderProcessing/Ship/2?notifyCustomer=false")
    unpaid = next(order["id"] for order in await shop.rows("orders") if order["payment_status_id"] == 10 and order["id"] != 1001)
    return shop, unpaid


async def dial(shop: Shop, **faults: float) -> None:
    assert (await shop.client.put("/_sandbox/faults", json=faults)).status == 200


async def send(shop: Shop, method: str, path: str, body: object, seconds: float = 20) -> None:
    """Send a call that gets no answer."""
    timeout = aiohttp.ClientTimeout(total=seconds)
    with pytest.raises((aiohttp.ClientError, TimeoutError)):
        await shop.client.request(method, f"/api-backend/{path}", json=body, headers=shop.headers, timeout=timeout)


@pytest.mark.parametrize(("method", "path", "body"), WRITES)
async def test_every_write_can_lose_its_response_after_the_effect(open_shop: OpenShop, method: str, path: str, body: object) -> None:
    shop, unpaid = await prepared(open_shop)
    await dial(shop, response_lost=1)
    await send(shop, method, path.format(unpaid=unpaid), body)
    row = (await (await shop.client.get("/_sandbox/journal")).json())["items"][-1]
    assert (row["fault"], row["status"], row["outcome"]) == ("response_lost", None, 200)


async def test_a_shipment_whose_answer_was_lost_is_shipped_and_its_customer_was_told_once(open_shop: OpenShop) -> None:
    shop, _ = await prepared(open_shop)
    await dial(shop, response_lost=1)
    await send(shop, "GET", SHIP, None)
    await dial(shop)
    assert (await shop.ask("GET", "Shipment/GetById/1"))["shipped_date_utc"] is not None
    assert (await shop.ask("GET", SHIP, status=500))["message"] == "This shipment is already shipped"
    assert [mail["shipment_id"] for mail in await shop.rows("mails")] == [1]


async def test_a_shipment_is_shipped_after_its_client_gave_up(open_shop: OpenShop) -> None:
    shop, _ = await prepared(open_shop)
    await dial(shop, late_commit=1, late_commit_seconds=0.05)
    await send(shop, "GET", SHIP, None, seconds=2)
    await dial(shop)
    async with asyncio.timeout(10):
        while (await shop.ask("GET", "Shipment/GetById/1"))["shipped_date_utc"] is None:
            pass
    assert [mail["shipment_id"] for mail in await shop.rows("mails")] == [1]


async def test_a_shop_that_is_not_available_does_nothing(open_shop: OpenShop) -> None:
    shop, _ = await prepared(open_shop)
    before = await shop.rows("shipments"), await shop.rows("orders")
    await dial(shop, unavailable=1)
    for method, path, body in WRITES:
        await shop.ask(method, path, body, status=503)
    assert (await shop.rows("shipments"), await shop.rows("orders")) == before


@pytest.mark.parametrize("path", ["Order/HasItemsToShip/1001", "OrderProcessing/CanCancelOrder/1001", "Shipment/GetByOrderId/1001"])
async def test_calls_that_only_ask_never_lose_their_answer(open_shop: OpenShop, path: str) -> None:
    shop, _ = await prepared(open_shop)
    await dial(shop, response_lost=1, late_commit=1)
    await shop.ask("GET", path)
