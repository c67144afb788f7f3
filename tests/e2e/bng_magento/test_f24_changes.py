"""F-24: what becomes of an order of Magento before it has left reaches BNG; what comes too late is told to a person."""

from __future__ import annotations

from typing import Any

from towpath.demo.pairs import SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento

CANCELLED = 90
Row = dict[str, Any]


def is_new(order: Row) -> bool:
    return bool(order["state"] == "new")


async def test_f24_an_order_that_is_cancelled_at_the_shop_is_cancelled_at_bng(magento: PlayedMagento) -> None:
    order = await magento.place(1801, lambda one: one["state"] == "new")
    await magento.shop("POST", f"orders/{order['entity_id']}/cancel")
    await magento.sales_order(order["entity_id"], OrderStatus=CANCELLED)


async def test_f24_another_address_reaches_bng_and_makes_no_second_order(magento: PlayedMagento) -> None:
    order = await magento.place(1851)
    number = order["entity_id"]
    await magento.sales_order(number)
    await magento.shop("POST", f"orders/{number}", {"shipping_address": {"street": ["9 Side Street", "Second floor"]}})

    async def street() -> object:
        return (await magento.sales_orders(number))[0]["ShippingAddress"]["Street"]

    await magento.becomes(street, "9 Side Street, Second floor")
    assert 1 == len(await magento.sales_orders(number))


async def test_f24_a_cancellation_that_overtakes_its_order_waits_for_it_and_cancels_it_by_itself(magento: PlayedMagento) -> None:
    number = (await magento.place(24101, bad=["unknown_sku"]))["entity_id"]
    await magento.letter(f"{SHOP}/order/{number}", state="dead")
    await magento.shop("POST", f"orders/{number}/cancel")
    await magento.letter(f"{SHOP}/order/{number}", state="parked", flow="shop-cancellations-to-erp")
    assert [] == await magento.sales_orders(number)
    await magento.erp("PUT", f"products/GHOST-{number}", {"currency": "EUR"})
    await magento.sales_order(number, OrderStatus=CANCELLED)
    await settle(magento.stack)
    assert [] == await magento.letters(f"{SHOP}/order/{number}")


async def test_f24_a_cancellation_and_a_shipment_that_cross_each_other_are_both_told_to_a_person(magento: PlayedMagento) -> None:
    number = (await magento.place(24201, is_new))["entity_id"]
    written = await magento.sales_order(number)
    await settle(magento.stack)
    async with magento.faults(SHOP, unavailable=1):
        await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
        await magento.shop("POST", f"orders/{number}/cancel")
        await magento.struck(SHOP, "unavailable", 2)
    late = await magento.letter(f"{SHOP}/order/{number}", flow="shop-cancellations-to-erp")
    assert ("dead", "OrderStatus") == (late["state"], late["field"])
    assert "the cancellation comes too late" in late["reason"]
    gone = await magento.letter(f"{SHOP}/order/{number}", flow="erp-shipments-to-shop")
    assert "dead" == gone["state"]
    assert [] == await magento.rows(SHOP, "shipments", order_id=number)
    assert CANCELLED != (await magento.sales_order(number))["OrderStatus"]
