from __future__ import annotations

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played import Played


async def test_what_bng_held_before_comes_by_a_backfill_and_changes_nothing_once_more(pair: Played) -> None:
    await pair.erp("PUT", "products/CAP-7001", {"name": "Cap", "price": "12.50", "on_hand": 40})
    product = await pair.product("CAP-7001", name="Cap", price=12.5, stock_quantity=40)
    before = len(await pair.rows(SHOP, "products"))
    said = await pair.command("backfill", ERP, "product", "--from", "2020-01-01")
    assert int(said.split()[1]) == len(await pair.rows(ERP, "products")) > 60, said
    (known,) = await pair.rows(ERP, "products", SKU="CAP-7001")
    assert f"{ERP} is asked for product {known['ProductID']}" in await pair.command("resync", "product", known["ProductID"], "--connection", ERP)
    await settle(pair.stack)
    assert product["id"] == (await pair.row(SHOP, "products", sku="CAP-7001"))["id"]
    assert before == len(await pair.rows(SHOP, "products"))
    assert [] == await pair.letters(f"{ERP}/product/{known['ProductID']}")
