"""What only lists tell of: whatever webhooks were lost, on either side, and BNG's purchases, of which no webhook tells (F-23)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from producers.base import KIND
from tests.e2e.conftest import running
from towpath.codec import default_codec
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import place
from towpath.demo.stack import Stack
from towpath.testing.played import SKUS, Played
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """Run one stack for all tests of the file."""
    async with running(tmp_path_factory.mktemp("deaf"), changes=deaf) as stack:
        yield stack


@pytest.mark.asyncio(loop_scope="module")
async def test_f01_f06_what_no_webhook_tells_of_comes_by_polling_once(stack: Stack) -> None:
    await place(stack, orders=ORDERS, seed=3)
    async with aiohttp.ClientSession() as session:
        await session.put(f"{stack.url(ERP)}/_sandbox/products/CAP-6100", json={"name": "Cap", "price": "12.50"})
    wanted = [f"SHOP-{number}" for number in range(1001, 1001 + ORDERS)]

    async def arrived() -> bool:
        return [one for one in await references(stack) if one <= wanted[-1]] == wanted

    await until(arrived, what="the ERP has each order once")

    async def is_there() -> bool:
        return await priced(stack) == [12.5]

    await until(is_there, what="the shop has the product once")
    inbox = await asyncio.to_thread(read_all, stack.config().kafka, [f"inbox.{SHOP}"])
    assert {"polled", "fetched"} == {record.header(KIND) for record in inbox}
    orders = [f"order/{number}" for number in range(1001, 1001 + ORDERS)]
    polled = sorted((record.key or b"").decode() for record in inbox if record.header(KIND) == "polled")
    assert orders == [key for key in polled if key in orders]


@pytest.mark.asyncio(loop_scope="module")
async def test_f24_what_becomes_of_open_orders_is_found_by_reading_them_again_for_the_shop_lists_no_changes(stack: Stack) -> None:
    pair = Played(stack)
    *_, bundle = [await pair.buy(number, lambda bundle: bool(bundle.order["payment_status_id"] == 10)) for number in (2401, 2402, 2403)]
    for number in (2401, 2402, 2403):
        await pair.sales_order(number)
    await pair.shop("POST", "orders/2401/pay")
    await pair.shop("POST", "orders/2402/cancel")
    sku, quantity = SKUS[bundle.items[0]["product_id"]], bundle.items[0]["quantity"] + 1
    await pair.shop(
        "POST", "orders/2403/edit", {"quantities": {sku: quantity}, "shipping_address": {"address1": "Unheard Street 1", "address2": None}}
    )
    await pair.sales_order(2401, PaymentStatus="Paid")
    await pair.sales_order(2402, OrderStatus=90)

    async def edited() -> tuple[int, str]:
        order = await pair.sales_order(2403)
        return order["Lines"][0]["Quantity"], order["ShippingAddress"]["Street"]

    await pair.becomes(edited, (quantity, "Unheard Street 1"))
    assert [1, 1, 1] == [len(await pair.sales_orders(number)) for number in (2401, 2402, 2403)]


@pytest.mark.asyncio(loop_scope="module")
async def test_f02_f03_f04_what_bng_could_not_tell_comes_to_the_shop_by_its_lists(stack: Stack) -> None:
    pair, sku = Played(stack), SKUS[9]
    await pair.buy(2501, lambda bundle: bool(bundle.order["order_status_id"] == 10))
    order = (await pair.sales_order(2501))["SalesOrderID"]
    await pair.change_erp(order, OrderStatus=20)
    await pair.order(2501, order_status_id=20)
    sent = await pair.erp("POST", "warehouse/ship", {"order": order})
    await pair.order(2501, shipping_status_id=30)
    (shipment,) = await pair.rows(SHOP, "shipments", order_id=2501)
    assert sent["TrackingNumber"] == shipment["tracking_number"]
    await pair.erp("POST", "warehouse/count", {"sku": sku, "on_hand": 321})
    await pair.stock_becomes(sku, await pair.available(sku))


async def told(stack: Stack, topic: str) -> list[dict[str, Any]]:
    """Return what a public stream tells, an event that is told again once."""
    records = await asyncio.to_thread(read_all, stack.config().kafka, [topic])
    events = [default_codec().decode(record.value)[1] for record in records]
    return list({event["meta"]["event_id"]: event for event in events}.values())


@pytest.mark.asyncio(loop_scope="module")
async def test_f23_vendors_and_purchases_are_public_and_what_came_in_is_stock(stack: Stack) -> None:
    async with aiohttp.ClientSession() as session:
        await session.put(f"{stack.url(ERP)}/_sandbox/products/CAP-2300", json={"name": "Cap", "price": "12.50", "on_hand": 0})

        async def do(path: str, body: object) -> dict[str, Any]:
            async with session.post(f"{stack.url(ERP)}/_sandbox/{path}", json=body) as response:
                assert response.ok, await response.text()
                answer: dict[str, Any] = await response.json()
                return answer

        vendor = await do("vendors", {"name": "Kiln & Co", "email": "sales@kiln.example", "currency": "GBP"})
        bought = await do("purchase-orders", {"vendor": vendor["VendorID"], "lines": {"CAP-2300": 12}, "unit_cost": "3.25"})
        await do(f"purchase-orders/{bought['PurchaseOrderID']}/receive", {"lines": {"CAP-2300": 7}})

    async def is_told() -> bool:
        lines = [line for event in await told(stack, "purchase-orders") for line in event["lines"]]
        return any((line["sku"], line["quantity"], line["received"], line["unit_cost"]) == ("CAP-2300", 12, 7, Decimal("3.25")) for line in lines)

    await until(is_told, what="the purchase order is on its stream, seven received")

    async def known() -> list[dict[str, Any]]:
        return [event for event in await told(stack, "vendors") if event["meta"]["key"] == f"{ERP}/vendor/{vendor['VendorID']}"]

    async def is_known() -> bool:
        return bool(await known())

    await until(is_known, what="the vendor is on its stream")
    (event,) = await known()
    assert ("Kiln & Co", "sales@kiln.example", "GBP") == (event["name"], event["email"], event["currency"])
    keys = {one["meta"]["key"] for one in await told(stack, "purchase-orders") if one["lines"][0]["sku"] == "CAP-2300"}
    assert {f"{ERP}/purchase_order/{bought['PurchaseOrderID']}"} == keys

    async def is_stock() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{stack.url(SHOP)}/_sandbox/store/products") as response:
            return [row["stock_quantity"] for row in (await response.json())["items"] if row["sku"] == "CAP-2300"] == [7]

    await until(is_stock, what="what came in is the shop's stock")


@pytest.mark.asyncio(loop_scope="module")
async def test_f23_a_purchase_of_what_the_shop_does_not_sell_is_public_and_its_stock_a_dead_letter_though_bng_was_down(stack: Stack) -> None:
    pair = Played(stack)
    async with pair.faults(ERP, unavailable=0.7, throttle=0.2, seed=23):
        await pair.erp("PUT", "products/CAP-2301", {"name": "Cap", "currency": "EUR", "on_hand": 0})  # which the shop does not sell in
        vendor = await pair.erp("POST", "vendors", {"name": "Loom & Co", "email": "sales@loom.example", "currency": "GBP"})
        bought = await pair.erp("POST", "purchase-orders", {"vendor": vendor["VendorID"], "lines": {"CAP-2301": 5}, "unit_cost": "1.00"})
        await pair.erp("POST", f"purchase-orders/{bought['PurchaseOrderID']}/receive", {"lines": {"CAP-2301": 5}})
        await pair.struck(ERP, "unavailable", 2)

    async def received() -> bool:
        lines = [line for event in await told(stack, "purchase-orders") for line in event["lines"]]
        return any((line["sku"], line["received"]) == ("CAP-2301", 5) for line in lines)

    await until(received, seconds=60, what="the purchase is on its stream, all of it received")
    letter = await pair.letter(f"{ERP}/stock/CAP-2301", seconds=60)
    assert ("dead", "sink", "SKU") == (letter["state"], letter["hop"], letter["field"])
