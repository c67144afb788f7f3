from __future__ import annotations

import os
import signal
from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import Played
from towpath.testing.waiting import until

TOLD = "ShipmentSent.CustomerNotification"


async def ship(pair: Played, order: str, **more: object) -> dict[str, Any]:
    """Ship at BNG and return its shipment."""
    shipment: dict[str, Any] = await pair.erp("POST", "warehouse/ship", {"order": order, **more})
    return shipment


async def shipments(pair: Played, number: int) -> list[dict[str, Any]]:
    """Return the shop's shipments of an order that have left."""
    return [row for row in await pair.rows(SHOP, "shipments", order_id=number) if row["shipped_date_utc"]]


async def shipped(pair: Played, number: int, count: int = 1) -> list[dict[str, Any]]:
    """Return all the shop's shipments of an order, once so many have left."""

    async def is_so() -> bool:
        return len(await shipments(pair, number)) >= count

    await until(is_so, what=f"{count} shipments of order {number} left at the shop")
    return await pair.rows(SHOP, "shipments", order_id=number)


async def contents(pair: Played, shipment: int) -> dict[int, int]:
    """Return how many of which order item are in a shipment, each item in one row."""
    rows = await pair.rows(SHOP, "shipment_items", shipment_id=shipment)
    found = {row["order_item_id"]: row["quantity"] for row in rows}
    assert len(found) == len(rows)
    return found


async def told(pair: Played, number: int) -> int:
    """Return how often the customer was told that something of the order has left."""
    return len(await pair.rows(SHOP, "mails", order_id=number, template=TOLD))


def quantities(bundle: Bundle) -> dict[int, int]:
    return {item["id"]: item["quantity"] for item in bundle.items}


async def test_f03_a_whole_shipment_arrives_with_its_tracking_and_reference_and_the_customer_is_told_once(pair: Played) -> None:
    bundle = await pair.buy(3101)
    order = (await pair.sales_order(3101))["SalesOrderID"]
    async with pair.faults(ERP, webhook_duplicate=1):
        sent = await ship(pair, order, carrier="UPS", tracking_number="1Z-3101")
        (shipment,) = await shipped(pair, 3101)
        await settle(pair.stack)
    assert [row["id"] for row in await pair.rows(SHOP, "shipments", order_id=3101)] == [shipment["id"]]
    assert shipment["tracking_number"] == "1Z-3101"
    assert shipment["admin_comment"].splitlines() == [f"{ERP}/shipment/{sent['ShipmentID']}", "UPS"]
    assert await contents(pair, shipment["id"]) == quantities(bundle)
    assert await told(pair, 3101) == 1
    assert (await pair.order(3101))["shipping_status_id"] == 30


async def test_f03_parts_arrive_as_they_left_whatever_order_their_webhooks_have(pair: Played) -> None:
    bundle = await pair.buy(3201, lambda bundle: len(bundle.items) == 2 and bundle.items[0]["quantity"] > 2)
    order = (await pair.sales_order(3201))["SalesOrderID"]
    first, second = quantities(bundle)
    async with pair.faults(ERP, webhook_shuffle=1, webhook_duplicate=1, seed=3):
        parts = [await ship(pair, order, lines={"1": 2}), await ship(pair, order, lines={"2": bundle.items[1]["quantity"]}), await ship(pair, order)]
        rows = await shipped(pair, 3201, 3)
        await settle(pair.stack)
    found = {row["admin_comment"].splitlines()[0]: (row["tracking_number"], await contents(pair, row["id"])) for row in rows}
    wanted = [{first: 2}, {second: bundle.items[1]["quantity"]}, {first: bundle.items[0]["quantity"] - 2}]
    assert found == {f"{ERP}/shipment/{part['ShipmentID']}": (part["TrackingNumber"], want) for part, want in zip(parts, wanted, strict=True)}
    assert len(await pair.rows(SHOP, "shipments", order_id=3201)) == 3
    assert await told(pair, 3201) == 3
    assert (await pair.order(3201))["shipping_status_id"] == 30


async def test_f03_one_shipment_where_the_answer_to_each_of_its_calls_is_lost(pair: Played) -> None:
    bundle = await pair.buy(3301, lambda bundle: len(bundle.items) == 2)
    order = (await pair.sales_order(3301))["SalesOrderID"]
    before = (await pair.shop("GET", "faults"))["injected"]["response_lost"]
    async with pair.faults(SHOP, response_lost=1):
        await ship(pair, order)
        (shipment,) = await shipped(pair, 3301)
        await settle(pair.stack)
    assert (await pair.shop("GET", "faults"))["injected"]["response_lost"] - before >= 4  # the row, two items, and the one that ships
    assert len(await pair.rows(SHOP, "shipments", order_id=3301)) == 1
    assert await contents(pair, shipment["id"]) == quantities(bundle)
    assert await told(pair, 3301) == 1
    assert await pair.letters(f"{SHOP}/order/3301") == []


async def test_f03_a_shipment_told_before_towpath_knows_of_the_sales_order_waits_for_it(pair: Played) -> None:
    async with pair.faults(ERP, response_lost=1):
        await pair.buy(3401)
        order = (await pair.sales_order(3401))["SalesOrderID"]
        sink = pair.stack.pid_of("sink")
        assert sink is not None
        os.kill(sink, signal.SIGSTOP)  # the answer was lost, and nobody looks the order up for now
    try:
        sent = await ship(pair, order)
        await until(lambda: accepted(pair, sent["ShipmentID"]), what="the shipment's webhook was accepted")
    finally:
        os.kill(sink, signal.SIGCONT)
    (shipment,) = await shipped(pair, 3401)
    await settle(pair.stack)
    assert f"{ERP}/shipment/{sent['ShipmentID']}" in shipment["admin_comment"]
    assert (len(await pair.sales_orders(3401)), len(await pair.rows(SHOP, "shipments", order_id=3401)), await told(pair, 3401)) == (1, 1, 1)
    assert await pair.letters(f"{SHOP}/order/3401") == []


async def accepted(pair: Played, shipment: str) -> bool:
    return any(shipment in hook["body"] for hook in await pair.rows(ERP, "webhooks", type="shipment_created", state="delivered"))


async def test_f03_what_the_shops_order_does_not_have_is_a_dead_letter_naming_it_and_the_next_shipment_arrives(pair: Played) -> None:
    bundle = await pair.buy(3501, lambda bundle: len(bundle.items) == 1)
    order = await pair.sales_order(3501)
    (line,) = order["Lines"]
    await pair.erp("PUT", "products/GIFT-3501", {})
    added = {"LineNo": 2, "SKU": "GIFT-3501", "Quantity": 1, "UnitPrice": "0.00"}
    known = {name: line[name] for name in ("LineNo", "SKU", "Quantity", "UnitPrice", "TaxAmount")}
    await pair.change_erp(order["SalesOrderID"], Lines=[known, added])
    await ship(pair, order["SalesOrderID"], lines={"2": 1})
    letter = await pair.letter(f"{SHOP}/order/3501", state="dead")
    assert (letter["hop"], letter["field"]) == ("sink", "Lines[0].SKU")
    assert "GIFT-3501" in letter["reason"]
    assert await pair.rows(SHOP, "shipments", order_id=3501) == []
    await ship(pair, order["SalesOrderID"])
    (shipment,) = await shipped(pair, 3501)
    assert await contents(pair, shipment["id"]) == quantities(bundle)
    assert await told(pair, 3501) == 1


async def test_f03_goods_that_leave_for_an_order_cancelled_at_the_shop_are_a_dead_letter(pair: Played) -> None:
    order = (await pair.bought(3601))["SalesOrderID"]
    async with pair.faults(ERP, unavailable=1):  # so that the cancellation comes too late
        await pair.shop("POST", "orders/3601/cancel", {"notify": False})
        await ship(pair, order)
    letter = await pair.letter(f"{SHOP}/order/3601", flow="erp-shipments-to-shop")
    assert (letter["field"], letter["state"]) == ("OrderStatus", "dead")
    assert await pair.rows(SHOP, "shipments", order_id=3601) == []


async def test_f03_a_shop_that_is_down_gets_the_shipment_when_it_is_back_and_its_customer_is_told_once(pair: Played) -> None:
    order = (await pair.bought(3701))["SalesOrderID"]
    async with pair.faults(SHOP, unavailable=1):
        sent = await ship(pair, order)
        await pair.struck(SHOP, "unavailable", 2)
    (shipment,) = await shipped(pair, 3701)
    await settle(pair.stack)
    assert sent["TrackingNumber"] == shipment["tracking_number"]
    assert (1, []) == (await told(pair, 3701), await pair.letters(f"{SHOP}/order/3701"))
