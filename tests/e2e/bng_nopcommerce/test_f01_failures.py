from __future__ import annotations

import json
import os
import signal
from typing import Any

import aiohttp
import pytest

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import Played
from towpath.testing.waiting import until


async def typed_in(pair: Played, number: int) -> str:
    """Enter an order at BNG as its staff would, under the reference that Towpath will use; return its id."""
    customer = await pair.erp("POST", "customers", {"Email": f"typed-{number}@shop.example"})
    sku = (await pair.rows(ERP, "products"))[0]["SKU"]
    line = {"LineNo": 1, "SKU": sku, "Quantity": 1, "UnitPrice": "1.00"}
    order = {"ExternalOrderID": f"SHOP-{number}", "CustomerID": customer["CustomerID"], "OrderDate": "2026-03-01", "Currency": "USD"}
    url, key = f"{pair.stack.url(ERP)}/api/v1/sales-orders", {"X-API-Key": "bng-demo-key"}
    async with aiohttp.ClientSession() as session, session.post(url, json={**order, "Lines": [line], "Total": "1.00"}, headers=key) as response:
        return str((await response.json())["SalesOrderID"])


async def test_f01_an_order_that_stands_at_bng_already_stays_one_and_the_trace_and_the_log_say_so(pair: Played) -> None:
    sales_order = await typed_in(pair, 1301)
    await pair.buy(1301)
    steps: list[dict[str, Any]] = []

    async def is_told() -> bool:
        steps[:] = map(json.loads, (await pair.command("trace", f"{SHOP}/order/1301", "--json")).splitlines())
        return any(step["what"] == "found" for step in steps)

    await until(is_told, what="the trace tells that the order was found")
    (found,) = (step for step in steps if step["what"] == "found")
    assert f"as {sales_order}" in found["detail"]
    assert "stood there before Towpath wrote it" in found["detail"]
    assert len(await pair.sales_orders(1301)) == 1
    warnings = [line for line in pair.stack.log_tail("up", 10_000).splitlines() if "asked for what stands already" in line]
    assert any(f"{SHOP}/order/1301" in line for line in warnings)


async def test_f01_an_order_told_three_times_is_one(pair: Played) -> None:
    await pair.buy(1311)
    for _ in range(2):
        await pair.shop("POST", "orders/1311", {"event": "order.placed"})
    await pair.sales_order(1311)
    await settle(pair.stack)
    assert (len(await pair.sales_orders(1311)), await pair.outcomes(1311, "sink")) == (1, ["applied"])


@pytest.mark.parametrize(("number", "reference"), [(1321, ""), (1331, "CRM-1")])
async def test_f01_a_customer_whom_bng_knows_no_more_is_found_by_email_or_made_again(pair: Played, number: int, reference: str) -> None:
    first = await pair.buy(number)
    gone = (await pair.sales_order(number))["CustomerID"]
    email = (await pair.row(ERP, "customers", CustomerID=gone))["Email"]
    await pair.erp("DELETE", f"customers/{gone}")
    another = (await pair.erp("POST", "customers", {"Email": email, "ExternalID": reference}))["CustomerID"] if reference else ""

    def is_of_the_same(bundle: Bundle) -> bool:
        return bool(bundle.customer["id"] == first.customer["id"])

    await pair.buy(number + 1, is_of_the_same)
    order = await pair.sales_order(number + 1)
    now = await pair.row(ERP, "customers", CustomerID=order["CustomerID"])
    assert (now["Email"], now["CustomerID"] == gone) == (email, False)
    assert another in ("", now["CustomerID"])
    assert await pair.letters(f"{SHOP}/order/{number + 1}") == []


async def test_f01_orders_are_at_bng_once_each_and_none_is_a_dead_letter_though_bng_was_throttling_and_down(pair: Played) -> None:
    async with pair.faults(ERP, throttle=1):
        await pair.buy(1341)
        await pair.struck(ERP, "throttle")
    async with pair.faults(ERP, unavailable=1):
        await pair.buy(1342)
        await pair.struck(ERP, "unavailable", 2)
        assert [[], []] == [await pair.letters(f"{SHOP}/order/{number}") for number in (1341, 1342)]
    for number in (1341, 1342):
        await pair.sales_order(number)
    await settle(pair.stack)
    assert [1, 1] == [len(await pair.sales_orders(number)) for number in (1341, 1342)]
    assert [[], []] == [await pair.letters(f"{SHOP}/order/{number}") for number in (1341, 1342)]


async def test_f01_f24_what_the_receiver_was_not_there_for_is_told_again_and_arrives_once(pair: Played) -> None:
    receiver = pair.stack.pid_of("receiver")
    assert receiver is not None
    os.kill(receiver, signal.SIGKILL)
    await pair.buy(1351)
    await pair.shop("POST", "orders/1351/edit", {"shipping_address": {"address1": "Told Twice 3", "address2": None}})
    await pair.sales_order(1351)

    async def street() -> str:
        return str((await pair.sales_order(1351))["ShippingAddress"]["Street"])

    await pair.becomes(street, "Told Twice 3")
    await settle(pair.stack)
    assert (1, []) == (len(await pair.sales_orders(1351)), await pair.letters(f"{SHOP}/order/1351"))
