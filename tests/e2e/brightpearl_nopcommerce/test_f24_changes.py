"""F-24: what becomes of an order of the shop before it has left reaches Brightpearl; what comes too late is told to a person."""

from __future__ import annotations

from decimal import Decimal

from tests.e2e.brightpearl_nopcommerce.playing import Pair, is_simple
from towpath.demo.pairs import ERP, SHOP, THREEPL
from towpath.demo.play import settle
from towpath.testing.played import SKUS

CANCELLED = 5


async def status(pair: Pair, number: int) -> int:
    return int((await pair.row(ERP, "orders", reference=f"SHOP-{number}"))["orderStatus"]["orderStatusId"])


async def test_f24_a_cancellation_before_shipment_cancels_the_order_once_and_asks_nobody_to_send_it(pair: Pair) -> None:
    await pair.buy(2411, is_simple)
    order = await pair.placed(2411, allocationStatusCode="AAA")
    async with pair.faults(SHOP, webhook_duplicate=1), pair.faults(ERP, response_lost=0.5, seed=24):
        await pair.shop("POST", "orders/2411/cancel")
        await pair.becomes(lambda: status(pair, 2411), CANCELLED, seconds=60)
        await settle(pair.stack)
    assert 1 == len(await pair.calls(ERP, "PUT", f"order/{order['id']}/status"))
    assert [] == [row for row in await pair.rows(THREEPL, "requests") if row["reference"].endswith("2411")]
    assert [] == await pair.letters(f"{SHOP}/order/2411")


async def test_f24_a_cancellation_whose_webhook_overtakes_the_orders_cancels_it_once_it_is_placed(pair: Pair) -> None:
    async with pair.faults(SHOP, webhook_shuffle=1, webhook_duplicate=1, seed=24), pair.faults(ERP, unavailable=0.3, seed=24):
        await pair.buy(2421, is_simple)
        await pair.shop("POST", "orders/2421/cancel")
        await pair.placed(2421)
        await pair.becomes(lambda: status(pair, 2421), CANCELLED, seconds=60)
        await settle(pair.stack)
    assert 1 == len(await pair.rows(ERP, "orders", reference="SHOP-2421"))
    assert [] == await pair.letters(f"{SHOP}/order/2421")


async def test_f24_an_edited_quantity_and_address_are_the_orders_though_answers_are_lost(pair: Pair) -> None:
    bundle = await pair.buy(2431, is_simple)
    order = await pair.placed(2431, allocationStatusCode="AAA")
    sku, quantity = SKUS[bundle.items[0]["product_id"]], bundle.items[0]["quantity"] + 1
    async with pair.faults(ERP, response_lost=0.5, seed=24), pair.faults(SHOP, webhook_duplicate=1):
        await pair.shop(
            "POST", "orders/2431/edit", {"quantities": {sku: quantity}, "shipping_address": {"address1": "Neue Straße 5", "address2": None}}
        )

        async def edited() -> tuple[object, ...]:
            now = await pair.row(ERP, "orders", id=order["id"])
            (row, *_) = now["orderRows"].values()
            return row["quantity"]["magnitude"], now["parties"]["delivery"]["addressLine1"]

        await pair.becomes(edited, (f"{quantity}.0000", "Neue Straße 5"), seconds=60)
        await settle(pair.stack)
    now = await pair.row(ERP, "orders", reference="SHOP-2431")
    shop_order = await pair.row(SHOP, "orders", id=2431)
    assert Decimal(now["totalValue"]["total"]) == Decimal(str(shop_order["order_total"])) != Decimal(order["totalValue"]["total"])
    assert set(order["orderRows"]) <= set(now["orderRows"])
    assert "it was changed, and not all of it is reserved" in await pair.command("trace", f"{SHOP}/order/2431", "--json")
    assert [] == await pair.letters(f"{SHOP}/order/2431")


async def test_f24_an_edit_after_the_goods_out_note_comes_too_late_and_a_person_is_told(pair: Pair) -> None:
    bundle = await pair.buy(2441, is_simple)
    await pair.noted(2441)
    before = await pair.row(ERP, "orders", reference="SHOP-2441")
    sku, quantity = SKUS[bundle.items[0]["product_id"]], bundle.items[0]["quantity"] + 1
    await pair.shop("POST", "orders/2441/edit", {"quantities": {sku: quantity}})
    letter = await pair.letter(f"{SHOP}/order/2441", flow="shop-changes-to-erp", seconds=60)
    assert ("dead", "OrderStatus") == (letter["state"], letter["field"])
    assert "the change comes too late" in letter["reason"]
    assert before["orderRows"] == (await pair.row(ERP, "orders", reference="SHOP-2441"))["orderRows"]
