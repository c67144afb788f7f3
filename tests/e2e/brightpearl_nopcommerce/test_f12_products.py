"""F-12: a product of Brightpearl, and its price in the list that counts, is one at the shop; one of a shop that is master is one at Brightpearl."""

from __future__ import annotations

from tests.e2e.brightpearl_nopcommerce.conftest import MASTER
from tests.e2e.brightpearl_nopcommerce.playing import Pair
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle


async def key_of(pair: Pair, sku: str) -> str:
    (found,) = [row for row in await pair.rows(ERP, "products") if row["identity"]["sku"] == sku]
    return f"{ERP}/product/{found['id']}"


async def test_f12_a_product_of_brightpearl_comes_to_the_shop_with_its_price_and_its_stock(pair: Pair) -> None:
    await pair.erp("PUT", "products/CAP-1201", {"name": "Cap", "price": "12.50", "on_hand": 40})
    await pair.is_there(SHOP, "products", sku="CAP-1201", name="Cap", price=12.5, published=True, stock_quantity=40)
    number = (await pair.row(SHOP, "products", sku="CAP-1201"))["id"]
    await pair.erp("PUT", "products/CAP-1201", {"name": "Cap, wool"})
    await pair.is_there(SHOP, "products", sku="CAP-1201", name="Cap, wool", price=12.5)
    await settle(pair.stack)
    assert (await pair.row(SHOP, "products", sku="CAP-1201"))["id"] == number
    assert await pair.letters(f"{ERP}/stock/CAP-1201") == []  # its stock may have come first, and waited for it


async def test_f12_the_newest_product_stands_however_often_it_is_told(pair: Pair) -> None:
    async with pair.faults(ERP, webhook_duplicate=1, webhook_shuffle=1, seed=4):
        for name in ("nine", "two", "seven", "three", "six"):
            await pair.erp("PUT", "products/CAP-1202", {"name": name})
        await settle(pair.stack)
    assert (await pair.row(SHOP, "products", sku="CAP-1202"))["name"] == "six"


async def test_f12_a_name_that_the_shop_cannot_hold_is_a_dead_letter_that_its_correction_resolves(pair: Pair) -> None:
    await pair.erp("PUT", "products/CAP-1203", {"name": "C" * 401, "on_hand": 3})
    letter = await pair.letter(await key_of(pair, "CAP-1203"), seconds=60)
    assert (letter["state"], letter["hop"], letter["field"]) == ("dead", "sink", "Name")
    await pair.erp("PUT", "products/CAP-1203", {"name": "Cap"})
    await pair.is_there(SHOP, "products", sku="CAP-1203", name="Cap", stock_quantity=3)
    await settle(pair.stack)
    assert [await pair.letters(key) for key in (await key_of(pair, "CAP-1203"), f"{ERP}/stock/CAP-1203")] == [[], []]


async def test_f12_a_shop_that_is_down_or_loses_its_answers_gets_each_product_once(pair: Pair) -> None:
    async with pair.faults(SHOP, response_lost=0.5, unavailable=0.3, late_commit=0.2, late_commit_seconds=0.5, seed=6):
        for number in range(4):
            await pair.erp("PUT", f"products/CAP-125{number}", {"name": f"Cap {number}", "price": "4.00"})
        for number in range(4):
            await pair.is_there(SHOP, "products", sku=f"CAP-125{number}", name=f"Cap {number}", price=4.0)
    await settle(pair.stack)
    skus = [row["sku"] for row in await pair.rows(SHOP, "products")]
    assert [skus.count(f"CAP-125{number}") for number in range(4)] == [1] * 4


async def test_f12_a_product_of_a_shop_that_is_master_is_one_at_brightpearl_with_its_price(pair: Pair) -> None:
    await pair.erp("PUT", "products/CAP-1261", {"name": "Cap", "price": "12.50"})
    await pair.is_there(SHOP, "products", sku="CAP-1261", name="Cap", price=12.5)
    await settle(pair.stack)  # its stock is written too, and a write at the shop puts the whole row back as it was just read
    product = await pair.shop("POST", "products/CAP-1261", {"name": "Cap, as the shop calls it", "price": 9.75})
    await pair.command("resync", "product", str(product["id"]), "--connection", MASTER)

    async def at_erp() -> tuple[str, str]:
        (found,) = [row for row in await pair.rows(ERP, "products") if row["identity"]["sku"] == "CAP-1261"]
        return found["salesChannels"][0]["productName"], (await pair.row(ERP, "prices", _id=found["id"]))["1"]["2"]

    await pair.becomes(at_erp, ("Cap, as the shop calls it", "9.75"))
    await settle(pair.stack)
    assert 1 == len([row for row in await pair.rows(ERP, "products") if row["identity"]["sku"] == "CAP-1261"])
    assert [] == await pair.letters(f"{MASTER}/product/{product['id']}")
