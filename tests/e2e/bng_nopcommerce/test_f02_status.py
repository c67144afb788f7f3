from __future__ import annotations

import asyncio
import json
import uuid
from contextlib import closing
from typing import Any

import pytest

from towpath.codec import default_codec
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played import SKUS, Played
from towpath.testing.waiting import until
from towpath.topic_reader import TopicReader


async def tell(pair: Played, order: str, **changes: object) -> None:
    """Have BNG send its first word of an order's status again, with these changes, as a webhook of its own."""
    hooks = [json.loads(hook["body"]) for hook in await pair.rows(ERP, "webhooks", type="order_status_changed")]
    body = next(body for body in hooks if body["data"]["SalesOrderID"] == order)
    again = {**body, "id": f"evt_{uuid.uuid4().hex}", "data": {**body["data"], **changes}}
    await pair.erp("POST", "emit", {"body": json.dumps(again)})


async def written(pair: Played, number: int) -> list[int]:
    """Return the statuses that were written to a shop order, in their order."""
    calls = (await pair.shop("GET", "journal?limit=100000&path=/api-backend/Order/Update"))["items"]
    return [call["body"]["order_status_id"] for call in calls if call["body"]["id"] == number]


async def test_f02_a_status_reaches_the_shop_in_its_own_words_and_never_its_shipping_status(pair: Played) -> None:
    await pair.buy(2101, lambda bundle: bundle.order["order_status_id"] == 10)
    order = (await pair.sales_order(2101))["SalesOrderID"]
    await pair.change_erp(order, OrderStatus=20)
    assert (await pair.order(2101, order_status_id=20))["shipping_status_id"] == 20
    await pair.change_erp(order, OrderStatus=30)
    await pair.change_erp(order, OrderStatus=40)
    assert (await pair.order(2101, order_status_id=30))["shipping_status_id"] == 20
    sequence = (await pair.sales_order(2101))["Sequence"]
    await settle(pair.stack)
    assert await written(pair, 2101) == [20, 30]  # Shipped is Processing at the shop, where it stands already
    assert (await pair.sales_order(2101))["Sequence"] == sequence  # what the shop told of its change is none at BNG
    assert await pair.rows(SHOP, "shipments", order_id=2101) == []


@pytest.mark.parametrize(("number", "rates"), [(2201, {}), (2202, {"response_lost": 1})], ids=["answered", "answers-lost"])
async def test_f02_cancelled_at_bng_puts_the_stock_back_once_and_tells_the_customer_once(pair: Played, number: int, rates: dict[str, Any]) -> None:
    bundle = await pair.buy(number)
    order = (await pair.sales_order(number))["SalesOrderID"]
    async with pair.faults(SHOP, **rates):
        await pair.change_erp(order, OrderStatus=90)
        await pair.order(number, order_status_id=40)
        await settle(pair.stack)
    back = {row["sku"]: row["to"] - row["from"] for row in await pair.rows(SHOP, "stock_changes", order_id=number, by="cancel")}
    assert back == {SKUS[product]: quantity for product, quantity in bundle.wanted.items()}
    assert len(await pair.rows(SHOP, "stock_changes", order_id=number, by="cancel")) == len(back)
    assert len(await pair.rows(SHOP, "mails", order_id=number, template="OrderCancelled.CustomerNotification")) == 1
    assert [order["OrderStatus"] for order in await pair.sales_orders(number)] == [90]
    for sku in back:
        assert await pair.stock(sku) == await pair.available(sku)
    assert await pair.letters(f"{SHOP}/order/{number}") == []


async def test_f02_an_older_word_after_a_newer_is_superseded(pair: Played) -> None:
    order = (await pair.bought(2301))["SalesOrderID"]
    await pair.change_erp(order, OrderStatus=30)
    await pair.change_erp(order, OrderStatus=40)
    await pair.order(2301, order_status_id=30)
    await tell(pair, order, OrderStatus=90)  # with the Sequence of 30
    await settle(pair.stack)
    assert (await pair.order(2301))["order_status_id"] == 30
    assert await pair.letters(f"{SHOP}/order/2301") == []
    await tell(pair, order, OrderStatus=90, Sequence=2**40)  # the same word, were it the newest, does cancel
    await pair.order(2301, order_status_id=40)


async def test_f02_an_unknown_word_is_a_dead_letter_that_names_it_and_the_next_one_passes(pair: Played) -> None:
    await pair.buy(2401, lambda bundle: bundle.order["order_status_id"] == 10)
    order = (await pair.sales_order(2401))["SalesOrderID"]
    await pair.change_erp(order, OrderStatus=20)
    await pair.order(2401, order_status_id=20)
    known = (await pair.sales_order(2401))["Sequence"]
    await tell(pair, order, OrderStatus=77, Sequence=known + 1)
    letter = await pair.letter(f"{SHOP}/order/2401", field="status")
    assert "unknown order status 77" in letter["reason"]
    assert (await pair.order(2401))["order_status_id"] == 20
    await pair.change_erp(order, CostCentre="CC-100")  # the change that the odd word stood for
    await pair.change_erp(order, OrderStatus=40)
    await pair.order(2401, order_status_id=30)


async def test_f02_a_shop_that_is_down_gets_the_newest_word_when_it_is_back(pair: Played) -> None:
    await pair.buy(2501, lambda bundle: bundle.order["order_status_id"] == 10)
    order = (await pair.sales_order(2501))["SalesOrderID"]
    await until(lambda: knows(pair, 2501), what="Towpath knows the order at BNG")
    before = await refused(pair)
    async with pair.faults(SHOP, unavailable=1):
        for status in (20, 30, 40):
            await pair.change_erp(order, OrderStatus=status)
        await until(lambda: more_refused(pair, before), what="the shop answered 503")
    await pair.order(2501, order_status_id=30)
    assert await pair.letters(f"{SHOP}/order/2501") == []


async def knows(pair: Played, number: int) -> bool:
    return not {"applied", "found"}.isdisjoint(await pair.outcomes(number, "sink"))  # found: its creation was not answered in time


async def refused(pair: Played) -> int:
    return int((await pair.shop("GET", "stats"))["statuses"].get("503", 0))


async def more_refused(pair: Played, before: int) -> bool:
    return await refused(pair) > before


def told(pair: Played, sku: str) -> list[int]:
    """Return the numbers of a product's stock that were sent on to the shop, in their order."""
    with closing(TopicReader(pair.stack.config().kafka)) as reader:
        spans = {place: (extent.low, extent.high) for place, extent in reader.extents([f"deliver.{SHOP}"]).items()}
        records = [record for batch in reader.read(spans) for record in batch.records]
    documents = [json.loads(default_codec().decode_as("Delivery", record.value)["document"]) for record in records]
    return [document["StockQuantity"] for document in documents if document.get("SKU") == sku and "StockQuantity" in document]


async def test_f02_what_bng_frees_of_a_cancelled_order_is_not_in_the_shops_number_before_the_shop_puts_it_back(pair: Played) -> None:
    bundle = await pair.buy(2203, lambda bundle: len(bundle.items) == 1)
    order, (item,) = (await pair.sales_order(2203))["SalesOrderID"], bundle.items
    sku, quantity = SKUS[item["product_id"]], item["quantity"]
    await settle(pair.stack)
    before = len(await pair.rows(SHOP, "stock_changes", sku=sku))
    async with pair.faults(SHOP, unavailable=1):
        await pair.change_erp(order, OrderStatus=90)
        free = await pair.available(sku)

        async def is_told() -> bool:
            return (await asyncio.to_thread(told, pair, sku))[-1:] == [free - quantity]

        await until(is_told, what=f"the shop is told of {free - quantity} {sku}, while BNG has {free}")
    await pair.order(2203, order_status_id=40)
    await pair.stock_becomes(sku, free)
    await settle(pair.stack)
    numbers = [row["to"] for row in (await pair.rows(SHOP, "stock_changes", sku=sku))[before:]]
    assert max(numbers) == free == await pair.stock(sku) == await pair.available(sku)
