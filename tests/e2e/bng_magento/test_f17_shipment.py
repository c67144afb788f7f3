"""F-17: what leaves BNG's warehouse is a shipment at Magento, with its track and source, and the customer is told once."""

from __future__ import annotations

from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento

Row = dict[str, Any]


async def ship(magento: PlayedMagento, order: Row, **more: object) -> Row:
    """Ship at BNG once the order stands there, and return its shipment."""
    written = await magento.sales_order(order["entity_id"])
    shipment: Row = await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"], **more})
    return shipment


def contents(order: Row, shipments: list[Row]) -> dict[str, float]:
    """Return how many of which of an order's items are in its shipments."""
    items = {item["item_id"]: item["sku"] for item in order["items"]}
    found: dict[str, float] = {}
    for row in (row for shipment in shipments for row in shipment["items"]):
        found[items[row["order_item_id"]]] = found.get(items[row["order_item_id"]], 0) + row["qty"]
    return found


def own(order: Row) -> dict[str, float]:
    return {item["sku"]: item["qty_ordered"] for item in order["items"] if "parent_item_id" not in item}


def plain_with_several(order: Row) -> bool:
    return bool(order["items"][0]["product_type"] == "simple" and order["items"][0]["qty_ordered"] > 1)


async def test_f17_a_shipment_arrives_once_with_its_track_its_source_and_its_reference(magento: PlayedMagento) -> None:
    order = await magento.place(2701, lambda one: {"bundle", "configurable"} <= {item["product_type"] for item in one["items"]})
    async with magento.faults(ERP, webhook_duplicate=1):
        sent = await ship(magento, order, carrier="UPS", tracking_number="1Z-2701")
        await magento.shipments(order["entity_id"], 1)
        await settle(magento.stack)
    (shipment,) = await magento.rows(SHOP, "shipments", order_id=order["entity_id"])
    assert [("1Z-2701", "ups")] == [(track["track_number"], track["carrier_code"]) for track in shipment["tracks"]]
    assert [f"{ERP}/shipment/{sent['ShipmentID']}"] == [comment["comment"] for comment in shipment["comments"]]
    assert {"source_code": "default"} == shipment["extension_attributes"]
    assert own(order) == contents(order, [shipment])
    assert 1 == len(await magento.rows(SHOP, "mails", order_id=order["entity_id"], template="sales_email_shipment_template"))


async def test_f17_a_part_whose_answer_is_lost_is_shipped_once_and_the_rest_later(magento: PlayedMagento) -> None:
    order = await magento.place(2801, plain_with_several)
    async with magento.faults(SHOP, response_lost=1):
        await ship(magento, order, lines={"1": 1})
        await magento.shipments(order["entity_id"], 1)
    await settle(magento.stack)
    sku = order["items"][0]["sku"]
    assert {sku: 1} == contents(order, await magento.rows(SHOP, "shipments", order_id=order["entity_id"]))
    await ship(magento, order)
    assert own(order) == contents(order, await magento.shipments(order["entity_id"], 2))


async def test_f17_a_cancellation_at_bng_cancels_an_unpaid_order_and_asks_a_person_for_a_paid_one(magento: PlayedMagento) -> None:
    for first, state in ((3001, "new"), (3101, "processing")):
        order = await magento.place(first, lambda one, state=state: one["state"] == state)  # type: ignore[misc]  # a default of a lambda
        written = await magento.sales_order(order["entity_id"])
        await magento.change_erp(written["SalesOrderID"], OrderStatus=90)
        if state == "new":

            async def stands(number: int = order["entity_id"]) -> str:
                return str((await magento.row(SHOP, "orders", entity_id=number))["state"])

            await magento.becomes(stands, "canceled")
        else:
            letter = await magento.letter(f"{SHOP}/order/{order['entity_id']}", state="dead")
            assert "refund it there" in letter["reason"]


async def test_f17_a_shop_that_throttles_or_is_down_gets_the_shipment_when_it_is_back_and_its_customer_is_told_once(magento: PlayedMagento) -> None:
    order = await magento.place(3201)
    number = order["entity_id"]
    await magento.sales_order(number)
    async with magento.faults(SHOP, throttle=0.5, unavailable=0.5, seed=17):
        await ship(magento, order)
        await magento.struck(SHOP, "unavailable", 2)
    await magento.shipments(number, 1)
    await settle(magento.stack)
    assert 1 == len(await magento.rows(SHOP, "shipments", order_id=number))
    assert 1 == len(await magento.rows(SHOP, "mails", order_id=number, template="sales_email_shipment_template"))
    assert [] == await magento.letters(f"{SHOP}/order/{number}")


async def test_f17_what_the_shops_order_does_not_have_is_a_dead_letter_naming_it_and_the_next_shipment_arrives(magento: PlayedMagento) -> None:
    order = await magento.place(3301, lambda one: bool(one["items"][0]["product_type"] == "simple"))
    written = await magento.sales_order(order["entity_id"])
    await magento.erp("PUT", "products/GIFT-17", {"currency": "EUR"})  # which the shop does not sell in, so that it stays BNG's
    known = [{name: line[name] for name in ("LineNo", "SKU", "Quantity", "UnitPrice", "TaxAmount")} for line in written["Lines"]]
    added = {"LineNo": len(known) + 1, "SKU": "GIFT-17", "Quantity": 1, "UnitPrice": "0.00"}
    await magento.change_erp(written["SalesOrderID"], Lines=[*known, added])
    await ship(magento, order, lines={str(len(known) + 1): 1})
    letter = await magento.letter(f"{SHOP}/order/{order['entity_id']}", flow="erp-shipments-to-shop")
    assert ("dead", "sink") == (letter["state"], letter["hop"])
    assert "GIFT-17" in letter["reason"]
    assert [] == await magento.rows(SHOP, "shipments", order_id=order["entity_id"])
    await ship(magento, order)
    assert own(order) == contents(order, await magento.shipments(order["entity_id"], 1))
