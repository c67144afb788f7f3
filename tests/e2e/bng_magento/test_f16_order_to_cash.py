"""F-16: an order at Magento becomes one sales order at BNG, with its customer, its lines and its stock allocated."""

from __future__ import annotations

from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento

NEW, PROCESSING = 10, 20
Row = dict[str, Any]


def goods(order: Row) -> dict[str, int]:
    """Return how many of which SKU can leave a warehouse."""
    parents = {item.get("parent_item_id") for item in order["items"]}
    return {item["sku"]: item["qty_ordered"] for item in order["items"] if item["item_id"] not in parents}


def has_a_set_and_a_bag(order: Row) -> bool:
    return {"bundle", "configurable"} <= {item["product_type"] for item in order["items"]}


async def test_f16_an_order_is_one_sales_order_though_every_save_tells_of_it_and_parents_are_counted_once(magento: PlayedMagento) -> None:
    async with magento.faults(SHOP, webhook_duplicate=1, webhook_shuffle=0.5):
        order = await magento.place(1601, has_a_set_and_a_bag)
        for _ in range(3):
            await magento.shop("POST", f"orders/{order['entity_id']}", {})
        written = await magento.sales_order(order["entity_id"])
        await settle(magento.stack)
    (written,) = await magento.sales_orders(order["entity_id"])
    assert goods(order) == {line["SKU"]: line["Quantity"] for line in written["Lines"]}
    assert f"{order['grand_total']:.4f}".rstrip("0") == f"{float(written['Total']):.4f}".rstrip("0")
    assert order["order_currency_code"] == written["Currency"]
    assert (PROCESSING if order["state"] == "processing" else NEW) == written["OrderStatus"]
    (customer,) = await magento.rows(ERP, "customers", CustomerID=written["CustomerID"])
    assert order["customer_email"] == customer["Email"]


async def test_f16_f24_a_pending_order_is_new_and_its_payment_follows(magento: PlayedMagento) -> None:
    order = await magento.place(1701, lambda one: one["state"] == "new")
    number = order["entity_id"]
    await magento.sales_order(number, OrderStatus=NEW, PaymentStatus="Pending")
    await magento.shop("POST", f"orders/{number}/pay")
    await magento.sales_order(number, PaymentStatus="Paid")


async def test_f16_an_unknown_status_or_sku_and_a_wrong_total_email_address_or_currency_are_dead_letters_that_name_the_field(
    magento: PlayedMagento,
) -> None:
    bad = {"unknown_status": "status", "unknown_sku": "SKU", "bad_total": "total", "bad_email": "customer_email"}
    bad |= {"bad_address": "shipping_address.postcode", "bad_currency": "currency"}
    for number, (kind, field) in enumerate(bad.items(), start=1901):
        order = await magento.place(number * 10, bad=[kind])
        letter = await magento.letter(f"{SHOP}/order/{order['entity_id']}", state="dead")
        assert field in f"{letter['field']} {letter['reason']}"
        if kind != "unknown_status":
            assert [] == await magento.sales_orders(order["entity_id"])
