from __future__ import annotations

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played import SKUS, Played
from towpath.testing.waiting import until

FIRST, SECOND, THIRD, FOURTH = (SKUS[number] for number in (1, 2, 3, 4))


async def count(pair: Played, sku: str, available: int, warehouse: str = "MAIN") -> None:
    """Count a product so that so many are available there, beside those that other orders hold."""
    held = sum(row["Allocated"] for row in await pair.rows(ERP, "inventory", SKU=sku, Warehouse=warehouse))
    await pair.erp("POST", "warehouse/count", {"sku": sku, "on_hand": available + held, "warehouse": warehouse})


async def test_f04_sales_elsewhere_purchases_and_returns_reach_the_shop(pair: Played) -> None:
    await count(pair, FIRST, 40)
    await pair.stock_becomes(FIRST, 40)
    await pair.erp("POST", "warehouse/receive", {"sku": FIRST, "quantity": 7})
    await pair.stock_becomes(FIRST, 47)
    await pair.erp("POST", "warehouse/return", {"sku": FIRST, "quantity": 1})
    await pair.stock_becomes(FIRST, 48)
    await count(pair, FIRST, 0)
    await pair.stock_becomes(FIRST, 0)


async def test_f04_a_sku_the_shop_does_not_have_is_a_dead_letter_and_the_others_go_on(pair: Played) -> None:
    await pair.erp("PUT", "products/NEW-4201", {"on_hand": 5, "currency": "EUR"})  # which the shop does not sell in, so that the product stays out
    await count(pair, SECOND, 12)
    await pair.stock_becomes(SECOND, 12)
    letter = await pair.letter(f"{ERP}/stock/NEW-4201")
    assert (letter["state"], letter["hop"], letter["field"]) == ("dead", "sink", "SKU")
    assert "NEW-4201" in letter["reason"]


async def test_f04_what_lies_in_several_warehouses_is_summed(pair: Played) -> None:
    await count(pair, THIRD, 10)
    await count(pair, THIRD, 5, warehouse="EAST")
    await pair.stock_becomes(THIRD, 15)
    await count(pair, THIRD, 0)
    await pair.stock_becomes(THIRD, 5)


async def test_f04_the_newest_number_stands_however_often_and_in_whichever_order_they_arrive(pair: Played) -> None:
    async with pair.faults(ERP, webhook_duplicate=1, webhook_shuffle=1, seed=4):
        for available in (90, 20, 70, 30, 80, 60):
            await count(pair, FOURTH, available)
        await settle(pair.stack)
    hooks = [hook for hook in await pair.rows(ERP, "webhooks") if FOURTH in hook["body"] and hook["type"] == "inventory_updated"]
    assert sum(hook["accepted"] for hook in hooks) >= 12
    arrived = [hook["seq"] for hook in sorted(hooks, key=lambda hook: str(hook["delivered_at"]))]
    assert arrived != sorted(arrived)  # or the dice proved nothing
    assert await pair.stock(FOURTH) == 60


async def test_f04_open_orders_lower_what_the_shop_may_sell_while_bng_cannot_be_written(pair: Played) -> None:
    bundle = await pair.buy(4501, lambda bundle: len(bundle.items) == 1 and bundle.items[0]["product_id"] > 10)
    await pair.sales_order(4501)
    (item,) = bundle.items
    sku, quantity = SKUS[item["product_id"]], item["quantity"]
    await pair.stock_becomes(sku, await pair.available(sku))
    async with pair.faults(ERP, unavailable=1):
        await pair.buy(4502, lambda other: list(other.wanted.items()) == [(item["product_id"], quantity)])
        await until(lambda: received(pair, 4502), what="Towpath has the order")
        await count(pair, sku, 50)
        await pair.stock_becomes(sku, 50 - quantity)
        await settle_number(pair, sku, 50 - quantity)
        assert await pair.sales_orders(4502) == []
        assert await pair.available(sku) == 50
    await pair.sales_order(4502)
    await settle(pair.stack)
    assert (await pair.available(sku), await pair.stock(sku)) == (50 - quantity, 50 - quantity)
    numbers = [row["to"] for row in await pair.rows(SHOP, "stock_changes", sku=sku)]
    assert numbers[numbers.index(50 - quantity) :] == [50 - quantity]  # told once, and never higher in between


async def received(pair: Played, number: int) -> bool:
    return "routed" in await pair.outcomes(number, "processor")


async def settle_number(pair: Played, sku: str, quantity: int) -> None:
    """Have a second product's number pass after the first one's, and see that the first stays."""
    other = next(one for one in (SKUS[5], SKUS[6]) if one != sku)
    wanted = await pair.available(other) + 1
    await pair.erp("POST", "warehouse/receive", {"sku": other, "quantity": 1})
    await pair.stock_becomes(other, wanted)
    assert await pair.stock(sku) == quantity


async def test_f04_an_order_cancelled_while_bng_is_down_gives_its_pieces_back_once(pair: Played) -> None:
    bundle = await pair.buy(4601, lambda bundle: len(bundle.items) == 1 and bundle.items[0]["product_id"] > 10)
    await pair.sales_order(4601)
    (item,) = bundle.items
    sku = SKUS[item["product_id"]]
    await settle(pair.stack)
    there = await pair.available(sku)
    async with pair.faults(ERP, unavailable=1):
        await pair.buy(4602, lambda other: list(other.wanted.items()) == [(item["product_id"], item["quantity"])])
        await pair.shop("POST", "orders/4602/cancel")
        await pair.stock_becomes(sku, there)
    await pair.sales_order(4602, OrderStatus=90)
    await settle(pair.stack)
    assert (await pair.available(sku), await pair.stock(sku)) == (there, there)


async def test_f04_a_shop_that_was_down_has_the_newest_number_when_it_is_back(pair: Played) -> None:
    sku = SKUS[7]
    async with pair.faults(SHOP, unavailable=1):
        for available in (90, 20, 31):
            await count(pair, sku, available)
        await pair.struck(SHOP, "unavailable", 2)
    await pair.stock_becomes(sku, await pair.available(sku))
    await settle(pair.stack)
    assert await pair.stock(sku) == await pair.available(sku) == 31
    assert [] == await pair.letters(f"{ERP}/stock/{sku}")
