"""F-16 where something is wrong: what stands at BNG already or is gone there, a BNG that throttles or is down, a receiver that is away."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import aiohttp

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import INCREMENTS, PlayedMagento
from towpath.testing.waiting import until

Row = dict[str, Any]


async def typed_in(magento: PlayedMagento, number: int) -> str:
    """Enter an order at BNG as its staff would, under the reference that Towpath will use; return its id."""
    customer = await magento.erp("POST", "customers", {"Email": f"typed-{number}@shop.example"})
    line = {"LineNo": 1, "SKU": (await magento.rows(ERP, "products"))[0]["SKU"], "Quantity": 1, "UnitPrice": "1.00"}
    order = {"ExternalOrderID": f"SHOP-{INCREMENTS + number}", "CustomerID": customer["CustomerID"], "OrderDate": "2026-03-01", "Currency": "USD"}
    url, key = f"{magento.stack.url(ERP)}/api/v1/sales-orders", {"X-API-Key": "bng-demo-key"}
    async with aiohttp.ClientSession() as session, session.post(url, json={**order, "Lines": [line], "Total": "1.00"}, headers=key) as response:
        return str((await response.json())["SalesOrderID"])


async def test_f16_an_order_that_stands_at_bng_already_stays_one_and_the_trace_and_the_log_say_so(magento: PlayedMagento) -> None:
    there = await typed_in(magento, 16101)
    await magento.place(16101)
    found: list[Row] = []

    async def is_told() -> bool:
        steps = map(json.loads, (await magento.command("trace", f"{SHOP}/order/16101", "--json")).splitlines())
        found[:] = [step for step in steps if step["what"] == "found"]
        return any(f"as {there}" in step["detail"] for step in found)

    await until(is_told, what="the trace tells that the order was found")
    assert [there] == [row["SalesOrderID"] for row in await magento.sales_orders(16101)]
    warnings = [line for line in magento.stack.log_tail("up", 10_000).splitlines() if "asked for what stands already" in line]
    assert any(f"{SHOP}/order/16101" in line for line in warnings)


async def test_f16_an_order_with_a_product_unknown_at_bng_comes_through_by_itself_once_that_arrives(magento: PlayedMagento) -> None:
    order = await magento.place(16201, bad=["unknown_sku"])
    number = order["entity_id"]
    letter = await magento.letter(f"{SHOP}/order/{number}", state="dead")
    assert f"once product GHOST-{number} is there" in letter["reason"]
    await magento.erp("PUT", f"products/GHOST-{number}", {"currency": "EUR"})  # which the shop does not sell in: nothing else is to come of it
    await magento.sales_order(number)
    await settle(magento.stack)
    assert (1, []) == (len(await magento.sales_orders(number)), await magento.letters(f"{SHOP}/order/{number}"))


async def test_f16_a_customer_whom_bng_knows_no_more_is_made_again(magento: PlayedMagento) -> None:
    first = await magento.place(16301, lambda one: not one["customer_is_guest"])
    gone = (await magento.sales_order(first["entity_id"]))["CustomerID"]
    await magento.erp("DELETE", f"customers/{gone}")
    again = await magento.place(16401, lambda one: bool(one["customer_email"] == first["customer_email"]))
    written = await magento.sales_order(again["entity_id"])
    now = await magento.row(ERP, "customers", CustomerID=written["CustomerID"])
    assert (first["customer_email"].casefold(), False) == (now["Email"].casefold(), now["CustomerID"] == gone)
    assert [] == await magento.letters(f"{SHOP}/order/{again['entity_id']}")


async def test_f16_f21_orders_and_payments_are_at_bng_once_each_though_it_was_throttling_and_down(magento: PlayedMagento) -> None:
    async with magento.faults(ERP, throttle=1):
        one = (await magento.place(16501, lambda order: bool(order["state"] == "processing")))["entity_id"]
        await magento.struck(ERP, "throttle")
    async with magento.faults(ERP, unavailable=1):
        other = (await magento.place(16601, lambda order: bool(order["state"] == "processing")))["entity_id"]
        await magento.struck(ERP, "unavailable", 2)
    for number in (one, other):
        await magento.sales_order(number, PaymentStatus="Paid")
    await settle(magento.stack)
    entries = [row["Reference"] for row in await magento.rows(ERP, "gl_entries")]
    for number in (one, other):
        assert (1, []) == (len(await magento.sales_orders(number)), await magento.letters(f"{SHOP}/order/{number}"))
        assert 1 == sum(reference.startswith(f"{SHOP}/order/{number} ") for reference in entries)


async def test_f16_f17_f18_what_the_receiver_was_not_there_for_is_told_again_and_happens_once(magento: PlayedMagento) -> None:
    receiver, sku = magento.stack.pid_of("receiver"), "BOT-PLU-020"
    assert receiver is not None
    os.kill(receiver, signal.SIGKILL)
    order = await magento.place(16701)
    await magento.erp("POST", "warehouse/count", {"sku": sku, "on_hand": 5000})
    written = await magento.sales_order(order["entity_id"])
    sent = await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
    (shipment,) = await magento.shipments(order["entity_id"], 1)
    assert [sent["TrackingNumber"]] == [track["track_number"] for track in shipment["tracks"]]
    await settle(magento.stack)
    assert 1 == len(await magento.sales_orders(order["entity_id"])) == len(await magento.rows(SHOP, "shipments", order_id=order["entity_id"]))
    assert await magento.available(sku) == await magento.salable(sku) > 4000
