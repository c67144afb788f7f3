"""F-20: a product of BNG is one at Magento, in the attribute set of its product type."""

from __future__ import annotations

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento
from towpath.testing.waiting import until

APPAREL = 9


async def described(magento: PlayedMagento, sku: str) -> dict[str, str]:
    """Return the attributes of a product by code, an option by its label."""
    labels = {(row["attribute_code"], row["value"]): row["label"] for row in await magento.rows(SHOP, "attribute_options")}
    rows = (await magento.row(SHOP, "products", sku=sku))["custom_attributes"]
    return {row["attribute_code"]: labels.get((row["attribute_code"], row["value"]), row["value"]) for row in rows}


async def key_of(magento: PlayedMagento, sku: str) -> str:
    return f"{ERP}/product/{(await magento.row(ERP, 'products', SKU=sku))['ProductID']}"


async def test_f20_a_product_of_bng_comes_to_the_shop_in_its_attribute_set_with_its_stock(magento: PlayedMagento) -> None:
    cap = {"name": "Cap", "kind": "Apparel", "price": "12.50", "attributes": {"Colour": "Red", "Size": "XXL", "Washable": "yes"}, "on_hand": 40}
    await magento.erp("PUT", "products/CAP-20 1", cap)
    product = await magento.product("CAP-20 1", name="Cap", price=12.5, attribute_set_id=APPAREL, status=1)
    assert await described(magento, "CAP-20 1") == {"color": "Red", "size": "XXL", "washable": "1"}
    await magento.erp("PUT", "products/CAP-20 1", {"price": "11.00", "attributes": {"Colour": "Blue", "Size": "XXL", "Washable": "no"}})
    assert (await magento.product("CAP-20 1", price=11))["id"] == product["id"]
    await magento.becomes(lambda: magento.salable("CAP-20 1"), 40)  # what is parked is sent again a moment after its product
    await settle(magento.stack)
    assert await described(magento, "CAP-20 1") == {"color": "Blue", "size": "XXL", "washable": "0"}
    assert await magento.salable("CAP-20 1") == 40
    assert await magento.letters(f"{ERP}/stock/CAP-20 1") == []  # its stock may have come first, and waited for it


async def test_f20_the_newest_product_stands_however_often_and_in_whichever_order_it_is_told(magento: PlayedMagento) -> None:
    async with magento.faults(ERP, webhook_duplicate=1, webhook_shuffle=1, seed=4):
        for price in ("9.00", "2.00", "7.00", "3.00", "8.00", "6.00"):
            await magento.erp("PUT", "products/CAP-202", {"name": "Cap", "price": price})
        await settle(magento.stack)
    assert (await magento.row(SHOP, "products", sku="CAP-202"))["price"] == 6


async def test_f20_what_the_shop_cannot_have_is_a_dead_letter_by_its_field_that_a_correction_resolves(magento: PlayedMagento) -> None:
    await magento.erp("PUT", "products/CAP-203", {"name": "Cap", "kind": "Hats", "attributes": {"Size": "M"}, "on_hand": 3})
    letter = await magento.letter(await key_of(magento, "CAP-203"))
    assert (letter["state"], letter["hop"], letter["field"]) == ("dead", "processor", "product_type")
    await magento.erp("PUT", "products/CAP-203", {"kind": "Home"})
    letter = await magento.letter(await key_of(magento, "CAP-203"), hop="sink")
    assert (letter["state"], letter["field"]) == ("dead", "Attributes.size")
    await magento.erp("PUT", "products/CAP-203", {"kind": "Apparel"})
    await magento.product("CAP-203", attribute_set_id=APPAREL)
    await magento.becomes(lambda: magento.salable("CAP-203"), 3)  # what is parked is sent again a moment after its product
    await settle(magento.stack)
    assert [await magento.letters(key) for key in (await key_of(magento, "CAP-203"), f"{ERP}/stock/CAP-203")] == [[], []]
    assert await magento.salable("CAP-203") == 3


async def test_f20_a_shop_that_is_down_or_loses_its_answers_gets_each_product_once(magento: PlayedMagento) -> None:
    async with magento.faults(SHOP, unavailable=1):
        await magento.erp("PUT", "products/CAP-204", {"name": "Cap", "price": "4.00"})
        await until(lambda: received(magento, "CAP-204"), what="Towpath was told of it")
    await magento.product("CAP-204", price=4)
    async with magento.faults(SHOP, response_lost=0.5, late_commit=0.2, late_commit_seconds=0.5, seed=6):
        for number in range(4):
            await magento.erp("PUT", f"products/CAP-205{number}", {"name": f"Cap {number}", "attributes": {"Colour": f"Shade {number}"}})
        for number in range(4):
            await magento.product(f"CAP-205{number}", name=f"Cap {number}")
    await settle(magento.stack)
    labels = [row["label"] for row in await magento.rows(SHOP, "attribute_options", attribute_code="color")]
    assert [labels.count(f"Shade {number}") for number in range(4)] == [1] * 4


async def received(magento: PlayedMagento, sku: str) -> bool:
    return "routed" in await magento.command("trace", await key_of(magento, sku), "--json")
