"""F-08 where something is wrong: an order that is there already, a Brightpearl that throttles, is down or has too little, a receiver that is away."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import aiohttp

from tests.e2e.brightpearl_nopcommerce.playing import Pair, is_simple
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import SKUS
from towpath.testing.waiting import until

OURS = {"brightpearl-app-ref": "acme_towpath", "brightpearl-account-token": "brightpearl-demo-token"}


async def typed_in(pair: Pair, number: int) -> int:
    """Enter an order at Brightpearl as its staff would, under the reference that Towpath will use; return its id."""
    body = {"firstName": "Ann", "lastName": "Typist", "communication": {"emails": {"PRI": {"email": f"typed-{number}@shop.example"}}}}
    await pair.erp("PUT", f"contacts/{number}", body)
    row = {"name": "By hand", "quantity": "1", "taxCode": "T20", "net": "1.00", "tax": "0.20"}
    order = {"customer": {"id": number}, "ref": f"SHOP-{number}", "warehouseId": 2, "currency": {"code": "USD"}, "rows": [row]}
    dates = {"placedOn": "2026-03-01T10:00:00.000Z", "taxDate": "2026-03-01"}
    url = f"{pair.stack.url(ERP)}/public-api/acme/order-service/sales-order"
    async with aiohttp.ClientSession() as session, session.post(url, json={**order, **dates}, headers=OURS) as response:
        assert response.ok, await response.text()
        return int((await response.json())["response"])


async def test_f08_an_order_that_stands_at_brightpearl_already_stays_one_and_the_trace_and_the_log_say_so(pair: Pair) -> None:
    there = await typed_in(pair, 1021)
    await pair.buy(1021)
    found: list[dict[str, Any]] = []

    async def is_told() -> bool:
        steps = map(json.loads, (await pair.command("trace", f"{SHOP}/order/1021", "--json")).splitlines())
        found[:] = [step for step in steps if step["what"] == "found"]
        return bool(found)

    await until(is_told, seconds=60, what="the trace tells that the order was found")
    assert f"as {there}" in found[0]["detail"]
    await settle(pair.stack)
    assert [there] == [row["id"] for row in await pair.rows(ERP, "orders", reference="SHOP-1021")]
    warnings = [line for line in pair.stack.log_tail("up", 10_000).splitlines() if "asked for what stands already" in line]
    assert any(f"{SHOP}/order/1021" in line for line in warnings)


async def test_f08_orders_are_placed_once_each_and_none_is_a_dead_letter_though_brightpearl_was_throttling_and_down(pair: Pair) -> None:
    async with pair.faults(ERP, throttle=1):
        await pair.buy(1031, is_simple)
        await pair.struck(ERP, "throttle")
    async with pair.faults(ERP, unavailable=1):
        await pair.buy(1032, is_simple)
        await pair.struck(ERP, "unavailable", 2)
        assert [[], []] == [await pair.letters(f"{SHOP}/order/{number}") for number in (1031, 1032)]
    for number in (1031, 1032):
        await pair.placed(number, allocationStatusCode="AAA")
    await settle(pair.stack)
    assert [1, 1] == [len(await pair.rows(ERP, "orders", reference=f"SHOP-{number}")) for number in (1031, 1032)]
    assert [[], []] == [await pair.letters(f"{SHOP}/order/{number}") for number in (1031, 1032)]


async def test_f08_a_reservation_of_a_part_which_brightpearl_makes_in_silence_is_read_back_and_told(pair: Pair) -> None:
    def wants_several(bundle: Bundle) -> bool:
        return is_simple(bundle) and bundle.items[0]["quantity"] > 1

    _, bundle = pair.drawn(1041, wants_several)
    sku = SKUS[bundle.items[0]["product_id"]]
    await settle(pair.stack)
    await pair.erp("POST", "warehouse/count", {"sku": sku, "warehouse": 2, "on_hand": 1})
    await pair.buy(1041, wants_several, oversell=True)
    await pair.placed(1041, allocationStatusCode="APA")
    await settle(pair.stack)
    assert "not all is reserved in warehouse 2" in await pair.command("trace", f"{SHOP}/order/1041", "--json")
    await pair.erp("POST", "warehouse/count", {"sku": sku, "warehouse": 2, "on_hand": 200})


async def test_f08_f09_f10_what_the_receiver_was_not_there_for_is_told_again_and_happens_once(pair: Pair) -> None:
    receiver, sku = pair.stack.pid_of("receiver"), "MUG-RED-044"
    assert receiver is not None
    os.kill(receiver, signal.SIGKILL)
    await pair.buy(1051, is_simple)
    await pair.erp("POST", "warehouse/count", {"sku": sku, "warehouse": 2, "on_hand": 77})
    await pair.shelved(sku, 77)
    note = await pair.noted(1051)
    await pair.requested(note)
    await settle(pair.stack)
    assert 1 == len(await pair.rows(ERP, "orders", reference="SHOP-1051"))
    assert [] == await pair.letters(f"{SHOP}/order/1051")
