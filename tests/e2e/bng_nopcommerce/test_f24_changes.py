from __future__ import annotations

from decimal import Decimal

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.testing.played import SKUS, Played


def is_unpaid(bundle: Bundle) -> bool:
    return bool(bundle.order["payment_status_id"] == 10)


async def changes(pair: Played, order: str) -> list[dict[str, object]]:
    """Return the bodies of what Towpath wrote to a sales order after it was created."""
    calls = (await pair.erp("GET", f"journal?limit=100000&path=/api/v1/sales-orders/{order}"))["items"]
    return [call["body"] for call in calls if call["method"] == "PATCH"]


async def test_f24_a_cancellation_before_shipment_cancels_the_sales_order_and_frees_its_stock(pair: Played) -> None:
    bundle = await pair.buy(8101)
    order = (await pair.sales_order(8101))["SalesOrderID"]
    await pair.shop("POST", "orders/8101/cancel")
    await pair.sales_order(8101, OrderStatus=90)
    await settle(pair.stack)
    assert await changes(pair, order) == [{"OrderStatus": 90}]
    for product in bundle.wanted:
        assert await pair.stock(SKUS[product]) == await pair.available(SKUS[product])
    assert all(row["Allocated"] == 0 for row in await pair.rows(ERP, "allocations", SalesOrderID=order))
    assert len(await pair.rows(SHOP, "mails", order_id=8101, template="OrderCancelled.CustomerNotification")) == 1


async def test_f24_an_edited_quantity_and_address_are_the_sales_orders(pair: Played) -> None:
    bundle = await pair.buy(8201, lambda bundle: len(bundle.items) == 2)
    order = await pair.sales_order(8201)
    sku, quantity = SKUS[bundle.items[0]["product_id"]], bundle.items[0]["quantity"] + 3
    await pair.shop("POST", "orders/8201/edit", {"quantities": {sku: quantity}, "shipping_address": {"address1": "Neue Straße 5", "address2": "Hof"}})

    async def edited() -> tuple[int, str]:
        now = await pair.sales_order(8201)
        return now["Lines"][0]["Quantity"], now["ShippingAddress"]["Street"]

    await pair.becomes(edited, (quantity, "Neue Straße 5, Hof"))
    await settle(pair.stack)
    now, at_shop = await pair.sales_order(8201), await pair.order(8201)
    assert (now["SalesOrderID"], now["BillingAddress"], now["Lines"][1]) == (order["SalesOrderID"], order["BillingAddress"], order["Lines"][1])
    assert Decimal(now["Total"]) == Decimal(str(at_shop["order_total"])) != Decimal(order["Total"])
    assert await pair.stock(sku) == await pair.available(sku)


async def test_f24_pending_becomes_paid_once(pair: Played) -> None:
    await pair.buy(8301, is_unpaid)
    order = await pair.sales_order(8301)
    assert order["PaymentStatus"] == "Pending"
    await pair.shop("POST", "orders/8301/pay")
    await pair.sales_order(8301, PaymentStatus="Paid")
    await settle(pair.stack)
    assert await changes(pair, order["SalesOrderID"]) == [{"PaymentStatus": "Paid"}]
    assert await pair.letters(f"{SHOP}/order/8301") == []


async def test_f24_a_cancellation_after_shipment_comes_too_late_and_says_so(pair: Played) -> None:
    order = (await pair.bought(8401))["SalesOrderID"]
    await pair.erp("POST", "warehouse/ship", {"order": order})
    await pair.order(8401, shipping_status_id=30)
    await pair.shop("POST", "orders/8401/cancel")
    letter = await pair.letter(f"{SHOP}/order/8401", flow="shop-cancellations-to-erp")
    assert (letter["state"], letter["field"]) == ("dead", "OrderStatus")
    assert "the cancellation comes too late" in letter["reason"]
    await settle(pair.stack)
    assert (await pair.sales_order(8401))["OrderStatus"] == 30
    assert await changes(pair, order) == []


async def test_f24_an_edit_after_shipment_comes_too_late_and_the_shops_order_is_left_as_it_is(pair: Played) -> None:
    bundle = await pair.buy(8501)
    before = await pair.sales_order(8501)
    await pair.erp("POST", "warehouse/ship", {"order": before["SalesOrderID"]})
    await pair.order(8501, shipping_status_id=30)
    sku, quantity = SKUS[bundle.items[0]["product_id"]], bundle.items[0]["quantity"] + 1
    await pair.shop("POST", "orders/8501/edit", {"quantities": {sku: quantity}})
    at_shop = await pair.order(8501)
    letter = await pair.letter(f"{SHOP}/order/8501", flow="shop-changes-to-erp")
    assert (letter["state"], letter["field"]) == ("dead", "OrderStatus")
    assert "the change comes too late" in letter["reason"]
    await settle(pair.stack)
    assert (await pair.sales_order(8501))["Lines"] == before["Lines"]
    assert await pair.order(8501) == at_shop


async def test_f24_a_cancellation_that_overtakes_its_order_waits_for_it_and_cancels_it_by_itself(pair: Played) -> None:
    await pair.buy(8601, bad=["unknown_sku"])
    await pair.letter(f"{SHOP}/order/8601", state="dead")
    await pair.shop("POST", "orders/8601/cancel")
    await pair.letter(f"{SHOP}/order/8601", state="parked", flow="shop-cancellations-to-erp")
    assert await pair.sales_orders(8601) == []
    await pair.erp("PUT", "products/GHOST-8601", {})
    order = (await pair.sales_order(8601, OrderStatus=90))["SalesOrderID"]
    await settle(pair.stack)
    assert await changes(pair, order) == [{"OrderStatus": 90}]
    assert await pair.letters(f"{SHOP}/order/8601") == []


async def test_f24_shuffled_and_doubled_webhooks_of_changes_end_at_the_shops_last_word(pair: Played) -> None:
    async with pair.faults(SHOP, webhook_shuffle=1, webhook_duplicate=1, seed=8):
        for number in (8701, 8702):
            await pair.buy(number, lambda bundle: is_unpaid(bundle) and len(bundle.items) == 1)
            await pair.shop("POST", f"orders/{number}/pay")
            await pair.shop("POST", f"orders/{number}/edit", {"shipping_address": {"address1": "Last Street 9", "address2": None}})
        await pair.shop("POST", "orders/8702/cancel")
        await settle(pair.stack)
    kept, cancelled = await pair.sales_order(8701), await pair.sales_order(8702)
    assert (kept["ShippingAddress"]["Street"], kept["PaymentStatus"]) == ("Last Street 9", "Paid")
    assert (kept["OrderStatus"] != 90, cancelled["OrderStatus"]) == (True, 90)
    assert [await pair.letters(f"{SHOP}/order/{number}") for number in (8701, 8702)] == [[], []]
