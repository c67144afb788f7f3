"""Stock, status and cancellation at Magento."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from towpath.errors import DataError, OutcomeUnknownError, RetryableError

Shop = Any
Sink = Any
LAMP = "LAM-BLA-021"
STOCK = "POST inventory/source-items"


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Any]]) -> Shop:
    shop = await play("magento")
    await shop.control("POST", "stock", {"sku": LAMP, "quantity": 10})
    return shop


@pytest.fixture
def sink(shop: Shop, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(shop)


def stock(salable: float, raised: int = 1, sku: str = LAMP, **changes: object) -> dict[str, Any]:
    return {"SKU": sku, "Salable": salable, "RaisedAt": raised, "SourceCode": "default", "StockID": 1, **changes}


async def buys(shop: Shop, sku: str) -> dict[str, Any]:
    """Place orders until one has this product, and return it."""
    for first in range(1001, 1201, 20):
        await shop.control("POST", "shopper", {"orders": 20, "first_id": first})
        for order in await shop.rows("orders"):
            if any(item["sku"] == sku for item in order["items"]):
                return dict(order)
    raise AssertionError(sku)


async def lies(shop: Shop, sku: str = LAMP) -> dict[str, float]:
    """Return what lies in the default source and what can be sold."""
    source = next(row["quantity"] for row in await shop.rows("source_items") if row["sku"] == sku)
    return {"source": source, "salable": (await shop.control("GET", f"salable/{sku}"))["salable"]}


async def test_open_orders_are_not_subtracted_twice(shop: Shop, sink: Sink) -> None:
    await buys(shop, LAMP)
    before = await lies(shop)
    reserved = before["source"] - before["salable"]
    assert reserved > 0, "the sale has made a reservation"
    assert "applied" == (await sink.apply("set_stock", "erp/stock/1", stock(7), version=(1, 0))).outcome
    assert {"source": 7 + reserved, "salable": 7} == await lies(shop), "physical: what may be sold, and what open orders hold"


async def test_stock_is_absolute_so_a_lost_answer_changes_nothing(shop: Shop, sink: Sink) -> None:
    shop.cut(STOCK)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("set_stock", "erp/stock/1", stock(7), version=(1, 0))
    assert "found" == (await sink.insist("set_stock", "erp/stock/1", stock(7), version=(1, 0))).outcome
    assert {"source": 7, "salable": 7} == await lies(shop)
    assert 1 == len(shop.sent(STOCK))


async def test_what_the_shop_has_sold_since_is_not_overwritten_by_a_number_that_has_not_risen(shop: Shop, sink: Sink) -> None:
    await sink.apply("set_stock", "erp/stock/1", stock(9, raised=5), version=(5, 0))
    await buys(shop, LAMP)
    before = await lies(shop)
    assert before["salable"] < 8
    assert "found" == (await sink.apply("set_stock", "erp/stock/1", stock(8, raised=5), version=(6, 0))).outcome
    assert before == await lies(shop)
    await sink.apply("set_stock", "erp/stock/1", stock(8, raised=7), version=(7, 0))
    assert 8 == (await lies(shop))["salable"]


async def test_an_older_version_is_superseded(shop: Shop, sink: Sink) -> None:
    await sink.apply("set_stock", "erp/stock/1", stock(5, raised=9), version=(9, 0))
    assert "superseded" == (await sink.apply("set_stock", "erp/stock/1", stock(50, raised=8), version=(8, 0))).outcome
    assert 5 == (await lies(shop))["salable"]


async def test_a_sku_that_the_shop_does_not_know_is_a_data_error_though_the_shop_would_take_it(shop: Shop, sink: Sink) -> None:
    with pytest.raises(DataError, match="NONE/1 is unknown") as caught:
        await sink.apply("set_stock", "erp/stock/1", stock(5, sku="NONE/1"))
    assert "SKU" == caught.value.field
    assert [] == shop.sent(STOCK)


async def test_a_product_that_is_no_goods_is_refused_in_the_shops_words(sink: Sink) -> None:
    with pytest.raises(DataError, match="without Source Items support"):
        await sink.apply("set_stock", "erp/stock/1", stock(5, sku="SET"))


@pytest.mark.parametrize(("changes", "field"), [({"Salable": -1}, "Salable"), ({"Salable": "5"}, "Salable"), ({"SourceCode": ""}, "SourceCode")])
async def test_a_document_that_is_none_names_its_field(sink: Sink, changes: dict[str, object], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await sink.apply("set_stock", "erp/stock/1", {**stock(5), **changes})
    assert field == caught.value.field


async def test_a_status_is_told_once_as_a_comment_and_the_orders_own_status_stays(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "shopper", {"orders": 1})
    [before] = await shop.rows("orders")
    for version, status in ((1, "20"), (2, "20"), (3, "40")):
        await sink.apply("set_order_status", "shop/order/1001", {"OrderID": "1001", "Comment": f"erp: {status}"}, version=(version, 0))
    [order] = await shop.rows("orders")
    assert ["erp: 40", "erp: 20"] == [row["comment"] for row in order["status_histories"]]
    assert before["status"] == order["status"]


async def test_an_unpaid_order_is_cancelled_once(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "shopper", {"orders": 9})
    order = next(row for row in await shop.rows("orders") if row["state"] == "new")
    shop.cut("POST orders/")
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("cancel_order", "key", {"OrderID": str(order["entity_id"])})
    assert "found" == (await sink.insist("cancel_order", "key", {"OrderID": str(order["entity_id"])})).outcome
    assert 1 == len(shop.sent("POST orders/"))


async def test_false_is_no_cancellation(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "shopper", {"orders": 9})
    order = next(row for row in await shop.rows("orders") if row["state"] == "processing")
    with pytest.raises(DataError, match="refund it there"):
        await sink.apply("cancel_order", "key", {"OrderID": str(order["entity_id"])})


@pytest.mark.parametrize("answer", ["null", '"no id"', "{}", "-1", "[]", "true"])
async def test_an_answer_that_is_no_shipment_id_leaves_the_outcome_unknown(shop: Shop, sink: Sink, answer: str) -> None:
    await shop.control("POST", "shopper", {"orders": 1})
    [order] = await shop.rows("orders")
    item = next(item for item in order["items"] if item["product_type"] == "simple")
    shop.answers["POST order/1001/ship"] = web.Response(text=answer)
    wrapped = [(one["sku"], one["qty_ordered"]) for one in order["items"] if one["product_type"] == "simple"]
    lines = [{"SKU": sku, "Quantity": quantity} for sku, quantity in wrapped]
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", "k", {"OrderID": "1001", "Reference": "r", "SourceCode": "default", "Lines": lines})
    assert item


@pytest.mark.parametrize("answer", ["<html>", "null", "[]", '{"items": {}}', '{"items": null, "total_count": 3}', '{"items": [], "total_count": 3}'])
async def test_a_list_that_is_none_is_tried_again_and_nothing_is_written(shop: Shop, sink: Sink, answer: str) -> None:
    shop.answers["GET inventory/source-items"] = web.Response(text=answer)
    with pytest.raises(RetryableError):
        await sink.apply("set_stock", "erp/stock/1", stock(5))
    assert [] == shop.sent(STOCK)


async def test_a_shipment_that_comes_between_read_and_write_is_not_sold_once_more(shop: Shop, sink: Sink) -> None:
    order = await buys(shop, LAMP)
    left: list[str] = []

    async def ship(call: str) -> None:
        if call.startswith(STOCK) and not left:
            left.append(call)
            await shop.ask("POST", f"order/{order['entity_id']}/ship", {"items": []})

    shop.heard = ship
    assert "applied" == (await sink.insist("set_stock", "erp/stock/1", stock(7), version=(1, 0))).outcome
    assert 7 == (await lies(shop))["salable"]
    assert 2 == len(shop.sent(STOCK))
