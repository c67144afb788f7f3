from __future__ import annotations

from tests.e2e.brightpearl_nopcommerce.playing import Pair
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle


async def test_f10_a_count_in_any_mapped_warehouse_changes_what_the_shop_may_sell(pair: Pair) -> None:
    await pair.erp("POST", "warehouse/count", {"sku": "MUG-PLU-050", "warehouse": 2, "on_hand": 7})
    await pair.shelved("MUG-PLU-050", 7)
    await pair.erp("POST", "warehouse/count", {"sku": "MUG-PLU-050", "warehouse": 3, "on_hand": 5})
    await pair.shelved("MUG-PLU-050", 12)


async def test_f10_what_lies_in_a_warehouse_that_is_not_mapped_is_not_sold(pair: Pair) -> None:
    for warehouse, pieces in ((7, 90), (3, 5), (2, 8)):
        await pair.erp("POST", "warehouse/count", {"sku": "MUG-ORA-048", "warehouse": warehouse, "on_hand": pieces})
    await pair.shelved("MUG-ORA-048", 13)
    await settle(pair.stack)
    assert 13 == await pair.stock("MUG-ORA-048")


async def test_f10_the_last_of_many_counts_stands_though_their_webhooks_come_twice_and_out_of_order_and_the_shop_is_down(pair: Pair) -> None:
    sku = "MUG-BLU-042"
    async with pair.faults(SHOP, unavailable=1), pair.faults(ERP, webhook_duplicate=1, webhook_shuffle=1):
        for pieces in (40, 3, 25, 9):
            await pair.erp("POST", "warehouse/count", {"sku": sku, "warehouse": 2, "on_hand": pieces})
        await pair.struck(SHOP, "unavailable", 2)
    await pair.shelved(sku, 9)
    await settle(pair.stack)
    assert 9 == await pair.stock(sku)


async def test_f10_a_sku_that_the_shop_does_not_have_is_a_dead_letter_and_others_go_on(pair: Pair) -> None:
    await pair.erp("PUT", "products/NEW-1001", {"name": "N" * 401, "on_hand": 5})  # a name that the shop cannot hold, so that the product stays out
    for warehouse, pieces in ((2, 4), (3, 21)):
        await pair.erp("POST", "warehouse/count", {"sku": "MUG-SAN-046", "warehouse": warehouse, "on_hand": pieces})
    await pair.shelved("MUG-SAN-046", 25)
    letter = await pair.letter(f"{ERP}/stock/NEW-1001", seconds=60)
    assert ("dead", "sink", "SKU") == (letter["state"], letter["hop"], letter["field"])
    assert "NEW-1001" in letter["reason"]
