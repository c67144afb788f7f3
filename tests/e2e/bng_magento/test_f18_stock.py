"""F-18: BNG's stock is what Magento may sell, whose quantities are physical: open orders are subtracted once.

The tests share a stack in any order, and whoever orders takes of every product: what is available is asked of BNG, and counts are high, for
no shop sells less than nothing.
"""

from __future__ import annotations

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento

LAMP, BOTTLE = "LAM-GRE-023", "BOT-WHI-015"


async def count(magento: PlayedMagento, sku: str, quantity: int) -> None:
    await magento.erp("POST", "warehouse/count", {"sku": sku, "on_hand": quantity})


async def salable_becomes(magento: PlayedMagento, sku: str, quantity: float) -> None:
    async def salable() -> float:
        return await magento.salable(sku)

    await magento.becomes(salable, quantity)


async def test_f18_a_count_at_bng_is_what_the_shop_may_sell(magento: PlayedMagento) -> None:
    async with magento.faults(ERP, webhook_duplicate=1, webhook_shuffle=1):
        for quantity in (4000, 700, 2500):
            await count(magento, BOTTLE, quantity)
        await salable_becomes(magento, BOTTLE, await magento.available(BOTTLE))
        await settle(magento.stack)
    assert 2500 == await magento.in_source(BOTTLE)
    assert await magento.available(BOTTLE) == await magento.salable(BOTTLE)


async def test_f18_open_orders_are_subtracted_once_and_a_shipment_changes_neither(magento: PlayedMagento) -> None:
    await count(magento, LAMP, 1000)
    await salable_becomes(magento, LAMP, await magento.available(LAMP))
    order = await magento.place(4001, lambda one: any(item["sku"] == LAMP for item in one["items"]))
    await settle(magento.stack)
    available = await magento.available(LAMP)
    open_pieces = 1000 - available
    assert open_pieces > 0
    assert (available, 1000) == (await magento.salable(LAMP), await magento.in_source(LAMP))
    await count(magento, LAMP, 600)
    await salable_becomes(magento, LAMP, 600 - open_pieces)
    await settle(magento.stack)
    assert 600 == await magento.in_source(LAMP), "what BNG has on hand, all of whose allocations the shop's reservations cover"
    written = await magento.sales_order(order["entity_id"])
    await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
    await magento.shipments(order["entity_id"], 1)
    await settle(magento.stack)
    sent = sum(item["qty_ordered"] for item in order["items"] if item["sku"] == LAMP)
    assert (600 - open_pieces, 600 - sent) == (await magento.salable(LAMP), await magento.in_source(LAMP))
    assert await magento.available(LAMP) == await magento.salable(LAMP)


async def test_f18_a_sku_that_the_shop_does_not_have_is_a_dead_letter_and_others_go_on(magento: PlayedMagento) -> None:
    await magento.erp(
        "PUT", "products/NEW-18", {"price": "5.00", "currency": "EUR"}
    )  # which the shop does not sell in, so that the product stays out
    await count(magento, "NEW-18", 5)
    await count(magento, BOTTLE, 3100)
    await salable_becomes(magento, BOTTLE, await magento.available(BOTTLE))

    async def reasons() -> bool:
        letters = await magento.letters(f"{ERP}/stock/NEW-18")
        return bool(letters) and all("NEW-18 is unknown" in letter["reason"] and letter["field"] == "SKU" for letter in letters)

    await magento.becomes(reasons, wanted=True)
    assert [] == await magento.rows(SHOP, "source_items", sku="NEW-18")


async def test_f18_a_shop_that_throttled_and_was_down_has_the_newest_number_when_it_is_back(magento: PlayedMagento) -> None:
    sku = "BOT-OLI-019"
    async with magento.faults(SHOP, throttle=0.4, unavailable=0.6, seed=18):
        for quantity in (4000, 700, 2600):
            await count(magento, sku, quantity)
        await magento.struck(SHOP, "unavailable", 2)
    await salable_becomes(magento, sku, await magento.available(sku))
    await settle(magento.stack)
    assert (2600, []) == (await magento.in_source(sku), await magento.letters(f"{ERP}/stock/{sku}"))
