from __future__ import annotations

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played import Played, Row
from towpath.testing.waiting import until


async def described(pair: Played, product: Row) -> dict[str, str]:
    names = {row["id"]: row["name"] for row in await pair.rows(SHOP, "specification_attributes")}
    options = {row["id"]: row for row in await pair.rows(SHOP, "specification_attribute_options")}
    rows = await pair.rows(SHOP, "product_specification_attributes", product_id=product["id"])
    chosen = [options[row["specification_attribute_option_id"]] for row in rows]
    return {names[option["specification_attribute_id"]]: option["name"] for option in chosen}


async def test_f06_a_product_of_bng_comes_to_the_shop_with_its_attributes_and_its_stock(pair: Played) -> None:
    await pair.erp("PUT", "products/CAP-6001", {"name": "Cap", "price": "12.50", "attributes": {"Colour": "Red", "Size": "M"}, "on_hand": 40})
    product = await pair.product("CAP-6001", name="Cap", price=12.5, published=True, stock_quantity=40)
    assert await described(pair, product) == {"Colour": "Red", "Size": "M"}
    await pair.erp("PUT", "products/CAP-6001", {"price": "11.00", "attributes": {"Colour": "Blue", "Size": "M"}})
    assert (await pair.product("CAP-6001", price=11.0))["id"] == product["id"]
    await settle(pair.stack)
    assert await described(pair, product) == {"Colour": "Blue", "Size": "M"}
    assert await pair.stock("CAP-6001") == 40
    assert await pair.letters(f"{ERP}/stock/CAP-6001") == []  # its stock may have come first, and waited for it


async def test_f06_the_newest_product_stands_however_often_and_in_whichever_order_it_is_told(pair: Played) -> None:
    async with pair.faults(ERP, webhook_duplicate=1, webhook_shuffle=1, seed=4):
        for price in ("9.00", "2.00", "7.00", "3.00", "8.00", "6.00"):
            await pair.erp("PUT", "products/CAP-6002", {"name": "Cap", "price": price})
        await settle(pair.stack)
    hooks = [hook for hook in await pair.rows(ERP, "webhooks") if "CAP-6002" in hook["body"] and hook["type"] == "product_updated"]
    arrived = [hook["seq"] for hook in sorted(hooks, key=lambda hook: str(hook["delivered_at"]))]
    assert arrived != sorted(arrived)  # or the dice proved nothing
    assert (await pair.row(SHOP, "products", sku="CAP-6002"))["price"] == 6.0


async def test_f06_a_price_in_another_currency_is_a_dead_letter_that_its_correction_resolves_with_the_stock_that_waits(pair: Played) -> None:
    await pair.erp("PUT", "products/CAP-6003", {"name": "Cap", "currency": "EUR", "on_hand": 3})
    (bng,) = await pair.rows(ERP, "products", SKU="CAP-6003")
    letter = await pair.letter(f"{ERP}/product/{bng['ProductID']}")
    assert (letter["state"], letter["hop"], letter["field"]) == ("dead", "processor", "currency")
    stock = await pair.letter(f"{ERP}/stock/CAP-6003")
    assert (stock["state"], stock["hop"], stock["field"]) == ("dead", "sink", "SKU")
    await pair.erp("PUT", "products/CAP-6003", {"currency": "USD"})
    await pair.product("CAP-6003", stock_quantity=3)
    await settle(pair.stack)
    assert [await pair.letters(f"{ERP}/{key}") for key in (f"product/{bng['ProductID']}", "stock/CAP-6003")] == [[], []]


async def test_f06_a_shop_that_is_down_or_loses_its_answers_gets_each_product_once(pair: Played) -> None:
    async with pair.faults(SHOP, unavailable=1):
        await pair.erp("PUT", "products/CAP-6004", {"name": "Cap", "price": "4.00"})
        await until(lambda: received(pair, "CAP-6004"), what="Towpath was told of it")
    await pair.product("CAP-6004", price=4.0)

    async def change(number: int) -> None:
        await pair.erp("PUT", f"products/CAP-605{number}", {"name": f"Cap {number}", "attributes": {"Brim": f"{number} cm"}})

    first, *others = range(6)
    await change(first)  # makes the attribute: of two products at once that do, each may, where the answer to one is late
    await pair.product(f"CAP-605{first}", name=f"Cap {first}")
    async with pair.faults(SHOP, response_lost=0.5, late_commit=0.2, late_commit_seconds=0.5, seed=6):
        for number in others:
            await change(number)
        for number in others:
            await pair.product(f"CAP-605{number}", name=f"Cap {number}")
    await settle(pair.stack)
    for number in range(6):
        assert await described(pair, await pair.row(SHOP, "products", sku=f"CAP-605{number}")) == {"Brim": f"{number} cm"}
    assert len(await pair.rows(SHOP, "specification_attributes", name="Brim")) == 1


async def received(pair: Played, sku: str) -> bool:
    (bng,) = await pair.rows(ERP, "products", SKU=sku)
    return "routed" in await pair.command("trace", f"{ERP}/product/{bng['ProductID']}", "--json")
