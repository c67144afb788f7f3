"""A return at Brightpearl: one sales credit and one goods-in note, whatever happens to the calls."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.sinks.test_brightpearl import INSTANCE, KEY, Brightpearl, To, erp, place, sink, sink_as
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, OutcomeUnknownError

__all__ = ["erp", "sink", "sink_as"]
Json = Any
RETURN = f"{KEY}/return/5"
ROW = {"SKU": "BAG-BLA-001", "name": "Bag", "quantity": "1", "taxCode": "T20", "net": "39.90", "tax": "7.98"}
CREDIT = {
    "parentId": {"$ref": "order", "key": KEY},
    "ref": "SHOP-1001-R5",
    "placedOn": "2026-11-20T02:30:00.000000Z",
    "timeZone": "America/Chicago",
    "warehouseId": 2,
    "currency": "USD",
    "rows": [ROW],
}
CREATE = "POST order-service/sales-credit"
TAKE_IN = "POST warehouse-service/order/"


async def take_in(sink: To, *, insist: bool = False, credit: Json = None, **changes: Json) -> Any:  # noqa: ANN401 - an Effected
    """Apply a return that was received as its mapping asks for it."""
    document = {
        "CreditID": {"$ref": "sales_credit", "key": RETURN},
        "warehouseId": 2,
        "receivedOn": "2026-11-20T02:30:00.000000Z",
        "userBatchReference": RETURN,
        "rows": [{"SKU": "BAG-BLA-001", "quantity": 1}],
    }
    related = {f"sales_credit {RETURN}": orjson.dumps(CREDIT | (credit or {})).decode()}
    return await (sink.insist if insist else sink.apply)("create_goods_in", RETURN, document | changes, related=related)


async def credits_of(erp: Brightpearl) -> list[Json]:
    return [row for row in await erp.rows("orders") if row["orderTypeCode"] == "SC"]


async def test_a_return_is_credited_against_its_order_and_then_taken_in(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    before = (await erp.ask("GET", "warehouse-service/product-availability/1001"))["1001"]["total"]["inStock"]
    await sink.apply("create_sales_credit", RETURN, CREDIT)
    (credit,), (order,) = await credits_of(erp), [row for row in await erp.rows("orders") if row["orderTypeCode"] == "SO"]
    assert (order["id"], order["parties"]["customer"]["contactId"]) == (credit["parentOrderId"], credit["parties"]["customer"]["contactId"])
    assert ("SHOP-1001-R5", "47.88", "2026-11-19T20:30:00.000-06:00") == (credit["reference"], credit["totalValue"]["total"], credit["placedOn"])
    assert [] == await erp.rows("goods_in_notes")
    await take_in(sink)
    (note,) = await erp.rows("goods_in_notes")
    assert ([credit], credit["id"], RETURN) == (await credits_of(erp), note["orderId"], note["userBatchReference"])
    after = (await erp.ask("GET", "warehouse-service/product-availability/1001"))["1001"]["total"]["inStock"]
    assert before + 1 == after


@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
@pytest.mark.parametrize("call", [CREATE, TAKE_IN])
@pytest.mark.parametrize("app", ["private", "instance"])
async def test_whatever_happens_to_a_call_there_is_one_of_each(erp: Brightpearl, sink_as: Any, app: str, call: str, how: str) -> None:  # noqa: ANN401
    sink = sink_as(INSTANCE if app == "instance" else None)
    await place(sink)
    erp.cut(call, how)
    with pytest.raises(OutcomeUnknownError):
        await take_in(sink)
    if how == "late":
        await erp.late.pop()()
    await take_in(sink, insist=True)
    assert (1, 1) == (len(await credits_of(erp)), len(await erp.rows("goods_in_notes")))


async def test_an_order_with_the_reference_of_a_credit_is_none(erp: Brightpearl, sink: To) -> None:
    await place(sink, ref="SHOP-1001-R5")
    await sink.apply("create_sales_credit", RETURN, CREDIT)
    assert 1 == len(await credits_of(erp))


async def test_the_status_of_a_credit_says_what_became_of_its_refund(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    await sink.apply("create_sales_credit", RETURN, CREDIT)
    for version, status in ((1, 7), (2, 8)):
        document = {"OrderID": {"$ref": "sales_credit", "key": RETURN}, "OrderStatusID": status}
        await sink.apply("set_order_status", RETURN, document, version=(version, 0))
    assert [8] == [row["orderStatus"]["orderStatusId"] for row in await credits_of(erp)]
    assert [2] == [row["orderStatus"]["orderStatusId"] for row in await erp.rows("orders") if row["orderTypeCode"] == "SO"]


@pytest.mark.parametrize(
    ("credit", "field"),
    [
        ({"ref": ""}, "ref"),
        ({"parentId": 77}, "OrderID"),
        ({"parentId": "../1"}, "parentId"),
        ({"currency": "EUR"}, "currency"),
        ({"rows": []}, "rows"),
        ({"rows": [{"SKU": ""}]}, "rows[0].SKU"),
        ({"placedOn": None}, "placedOn"),
    ],
)
async def test_what_cannot_be_credited_is_a_data_error_that_names_the_field(erp: Brightpearl, sink: To, credit: Json, field: str) -> None:
    await place(sink)
    with pytest.raises(DataError) as caught:
        await take_in(sink, credit=credit)
    assert (field, [], []) == (caught.value.field, await credits_of(erp), await erp.rows("goods_in_notes"))
    assert None is await sink.ledger.peek(Effect("to", "create_goods_in", RETURN))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"userBatchReference": None}, "userBatchReference"),
        ({"rows": [{"SKU": "GHOST", "quantity": 1}]}, "rows[0].SKU"),
        ({"rows": [{"SKU": "BAG-BLA-001", "quantity": 0.5}]}, "rows[0].quantity"),
        ({"receivedOn": ""}, "receivedOn"),
        ({"warehouseId": "../2"}, "warehouseId"),
    ],
)
async def test_what_cannot_be_taken_in_is_a_data_error_that_names_the_field(erp: Brightpearl, sink: To, changes: Json, field: str) -> None:
    await place(sink)
    with pytest.raises(DataError) as caught:
        await take_in(sink, **changes)
    assert (field, []) == (caught.value.field, await erp.rows("goods_in_notes"))
