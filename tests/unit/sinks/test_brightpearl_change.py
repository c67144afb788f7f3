"""Changing an order at Brightpearl: read whole and written back whole, unless it is on its way or held."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.sinks.test_brightpearl import Brightpearl, To
from towpath.errors import DataError, RetryableError
from towpath.testing.clock import VirtualClock

Json = Any
BAG, LAMP = "BAG-BLA-001", "LAM-GRE-023"
PLACE = {"addressFullName": "Ann Lee", "addressLine1": "1 High St", "addressLine3": "Leeds", "postalCode": "LS1 4AP", "countryIsoCode": "GB"}
KEY = "shop/order/1"


@pytest.fixture
async def erp(tmp_path: Path) -> AsyncIterator[Brightpearl]:
    erp = Brightpearl(tmp_path / "erp")
    async with erp.client:
        yield erp


@pytest.fixture
async def sink(erp: Brightpearl, tmp_path: Path, clock: VirtualClock) -> AsyncIterator[To]:
    sink = To(erp, tmp_path / "ledger.db", clock)
    yield sink
    await sink.close()


def row(sku: str = BAG, quantity: str = "2", net: str = "10.00") -> Json:
    return {"SKU": sku, "name": "Bag", "quantity": quantity, "taxCode": "T20", "net": net, "tax": "2.00"}


async def sold(erp: Brightpearl, *, reserved: int = 0) -> int:
    """Enter an order of two bags, with shipping and a gift that the staff added, and return its id."""
    await erp.control("PUT", "contacts/200", {"firstName": "Ann", "lastName": "Lee"})
    goods = {"productId": 1001, "quantity": "2", "taxCode": "T20", "net": "10.00", "tax": "2.00"}
    shipping = {"name": "Shipping: Ground", "quantity": "1", "taxCode": "T20", "net": "4.00", "tax": "0.80"}
    more = {"channelId": 9, "statusId": 3, "delivery": {"address": {**PLACE, "countryIsoCode": "GBR"}, "shippingMethodId": 6}}
    order = int(await erp.ask("POST", "order-service/sales-order", {"customer": {"id": 200}, "ref": "SHOP-1", "rows": [goods, shipping], **more}))
    if reserved:
        (number, *_) = (await erp.rows("orders"))[0]["orderRows"]
        products = [{"productId": 1001, "salesOrderRowId": int(number), "quantity": reserved}]
        await erp.ask("POST", f"warehouse-service/order/{order}/reservation/warehouse/2", {"products": products})
    return order


def change(order: int, *rows: Json, **address: str) -> Json:
    shipping = {"name": "Shipping: Ground", "quantity": "1", "taxCode": "T20", "net": "4.00", "tax": "0.80"}
    return {"OrderID": str(order), "delivery": {"address": {**PLACE, **address}}, "rows": [*rows, shipping]}


async def changed(sink: To, document: Json, version: int = 1) -> str:
    return (await sink.clock.run(sink.apply("change_order", KEY, document, version=(version, 0)))).outcome


async def test_what_stands_as_it_is_wanted_is_not_written(erp: Brightpearl, sink: To) -> None:
    assert "found" == await changed(sink, change(await sold(erp), row(quantity="2.0", net="10")))
    assert [] == erp.sent("PUT")


async def test_a_change_keeps_the_rows_it_does_not_touch_and_all_else_of_the_order(erp: Brightpearl, sink: To) -> None:
    order = await sold(erp)
    (before,) = await erp.rows("orders")
    assert "applied" == await changed(sink, change(order, row(quantity="3", net="15.00"), row(LAMP, "1", "8.00"), addressLine1="2 Low St"))
    (after,) = await erp.rows("orders")
    (bags, shipping), (*kept, lamps) = before["orderRows"], after["orderRows"]
    assert [bags, shipping] == kept
    assert ("3.0000", "15.0000") == (after["orderRows"][bags]["quantity"]["magnitude"], after["orderRows"][bags]["rowValue"]["rowNet"]["value"])
    assert before["orderRows"][shipping] == after["orderRows"][shipping]
    assert LAMP == after["orderRows"][lamps]["productSku"]
    assert "2 Low St" == after["parties"]["delivery"]["addressLine1"]
    for name in ("reference", "orderStatus", "assignment", "delivery", "warehouseId"):
        assert before[name] == after[name], "a replacement that leaves something out removes it"


async def test_a_row_that_the_shop_took_out_goes(erp: Brightpearl, sink: To) -> None:
    assert "applied" == await changed(sink, change(await sold(erp), row(LAMP, "1", "8.00")))
    (after,) = await erp.rows("orders")
    assert {LAMP, None} == {one.get("productSku") for one in after["orderRows"].values()}


async def test_more_than_is_reserved_is_told_and_less_is_refused(erp: Brightpearl, sink: To) -> None:
    order = await sold(erp, reserved=2)
    effected = await sink.clock.run(sink.apply("change_order", KEY, change(order, row(quantity="5")), version=(1, 0)))
    assert "allocation status APA" in effected.reason
    erp.cut("PUT order-service/sales-order")
    effected = await sink.insist("change_order", f"{KEY}/lost", change(order, row(quantity="6")), version=(1, 0))
    assert "allocation status APA" in effected.reason, "told also by who finds it done, since the answer was lost"
    with pytest.raises(DataError, match=r"2 of row \d+ are reserved"):
        await changed(sink, change(order, row(quantity="1")), 2)


async def test_what_comes_after_a_note_is_for_a_person(erp: Brightpearl, sink: To) -> None:
    order = await sold(erp, reserved=2)
    await erp.control("POST", "warehouse/note", {"order": order})
    with pytest.raises(DataError, match="the change comes too late") as caught:
        await changed(sink, change(order, row(quantity="3")))
    assert "OrderStatus" == caught.value.field
    assert "found" == await changed(sink, change(order, row()), 2), "what asks for nothing is never too late"


async def test_an_order_with_a_bundle_is_for_a_person(erp: Brightpearl, sink: To) -> None:
    order = await sold(erp)
    (before,) = await erp.rows("orders")
    parts = {number: {**one, "composition": {"bundleParent": True, "bundleChild": False}} for number, one in before["orderRows"].items()}
    erp.answers[f"GET order-service/order/{order}"] = web.json_response({"response": [{**before, "orderRows": parts}]})
    with pytest.raises(DataError, match="has a bundle"):
        await changed(sink, change(order, row(quantity="3")))
    assert [] == erp.sent("PUT")


async def test_an_order_that_somebody_changed_meanwhile_is_read_again(erp: Brightpearl, sink: To) -> None:
    order = await sold(erp)
    served = [web.json_response({"errors": [{"code": "CMNC-412", "message": "The version of the order is 3"}]}, status=412)]
    erp.answers["PUT order-service/sales-order"] = served[0]
    with pytest.raises(RetryableError, match="read again"):
        await changed(sink, change(order, row(quantity="3")))
    erp.answers.clear()
    assert "applied" == await changed(sink, change(order, row(quantity="3")))


async def test_an_order_that_is_gone_is_named(sink: To) -> None:
    with pytest.raises(DataError, match="order 999 does not exist") as caught:
        await changed(sink, change(999, row()))
    assert "OrderID" == caught.value.field
