"""Answers of the shop that say something else than they should: nothing is written for them, and no record is blamed."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from towpath.errors import DataError, OutcomeUnknownError, RetryableError

Shop = Any
Sink = Any
SHIPMENT = {
    "OrderID": "1001",
    "Reference": "erp/shipment/SH-1",
    "ShippedAt": "2026-11-20T09:30:00Z",
    "Lines": [{"LineNo": 1, "SKU": "BOT-PLU-020", "Quantity": 3}],
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "set_order_status": {"OrderID": "1001", "Status": 20},
    "cancel_order": {"OrderID": "1001"},
    "create_shipment": SHIPMENT,
    "set_stock": {"SKU": "BOT-PLU-020", "StockQuantity": 7, "RaisedAt": 1},
}
WRITES = ("POST", "PUT", "GET OrderProcessing")
ITEM = '{"id": 20020, "order_id": 1001, "product_id": 20, "quantity": 3}'


@pytest.mark.parametrize(
    ("operation", "call", "text"),
    [
        ("set_order_status", "GET Order/GetById", "<html>maintenance</html>"),
        ("set_order_status", "GET Order/GetById", '{"id": 1001}'),
        ("set_order_status", "GET Order/GetById", '{"id": 1001, "order_status_id": "10"}'),
        ("cancel_order", "GET Order/GetById", "[]"),
        ("cancel_order", "GET Order/GetById", "[" * 100_000),
        ("create_shipment", "GET Shipment/GetByOrderId", "null"),
        ("create_shipment", "GET Shipment/GetByOrderId", '[{"id": 1, "order_id": 1002, "admin_comment": "erp/shipment/SH-1"}]'),
        ("create_shipment", "GET Shipment/GetByOrderId", "[1]"),
        ("create_shipment", "GET OrderItem/GetOrderItems", '[{"id": 20020, "order_id": 1001, "quantity": 3}]'),
        ("create_shipment", "GET OrderItem/GetOrderItems", f"[{ITEM.replace('1001', '1002')}]"),
        ("create_shipment", "GET Product/GetById", "{}"),
        ("set_stock", "GET Product/GetProductBySku", '{"id": 21, "sku": "OTHER", "stock_quantity": 1}'),
        ("set_stock", "GET Product/GetProductBySku", '{"id": 20, "sku": "BOT-PLU-020"}'),
    ],
)
async def test_an_answer_that_says_something_else_is_asked_for_again_and_nothing_is_written(
    shop: Shop, sink: Sink, operation: str, call: str, text: str
) -> None:
    shop.answers[call] = web.Response(text=text)
    with pytest.raises(RetryableError) as failed:
        await sink.apply(operation, "key", DOCUMENTS[operation], version=(1, 0))
    assert not failed.value.system_wide
    assert [] == shop.sent(*WRITES)
    del shop.answers[call]
    assert "applied" == (await sink.apply(operation, "key", DOCUMENTS[operation], version=(1, 0))).outcome


@pytest.mark.parametrize("call", ["GET Shipment/GetByOrderId", "GET OrderItem/GetOrderItems"])
async def test_a_list_that_is_not_there_is_a_wrong_address_and_no_empty_list(shop: Shop, sink: Sink, call: str) -> None:
    shop.answers[call] = web.Response(status=404, text="Not Found")
    with pytest.raises(RetryableError, match="is this connection's url that of the shop") as failed:
        await sink.apply("create_shipment", "key", SHIPMENT)
    assert not failed.value.system_wide, "one order's list may be missing alone: its delivery parks, and comes back"
    assert [] == shop.sent(*WRITES)


async def test_a_list_may_come_as_a_page(shop: Shop, sink: Sink) -> None:
    shop.answers["GET OrderItem/GetOrderItems"] = web.Response(text=f'{{"items": [{ITEM}], "total_count": 1}}')
    assert "applied" == (await sink.apply("create_shipment", "key", SHIPMENT)).outcome


@pytest.mark.parametrize("text", ["", "created", "{}", '{"id": "1"}'])
async def test_a_shipment_whose_id_is_not_told_is_looked_up(shop: Shop, sink: Sink, text: str) -> None:
    async def swallowed(call: str) -> None:
        if call.startswith("POST Shipment/Create"):
            shop.heard = None
            row = {"order_id": 1001, "admin_comment": SHIPMENT["Reference"], "created_on_utc": SHIPMENT["ShippedAt"]}
            await shop.ask("POST", "Shipment/Create", row)
            shop.answers["POST Shipment/Create"] = web.Response(text=text)

    shop.heard = swallowed
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_shipment", "key", SHIPMENT)
    assert "applied" == (await sink.insist("create_shipment", "key", SHIPMENT)).outcome
    assert ["1"] == [str(row["id"]) for row in await shop.rows("shipments") if row["shipped_date_utc"]]


@pytest.mark.parametrize("sent", [1, 2])
async def test_of_two_shipments_with_our_reference_the_one_that_was_sent_is_ours(shop: Shop, sink: Sink, sent: int) -> None:
    for _ in range(2):
        row = {"order_id": 1001, "admin_comment": SHIPMENT["Reference"], "created_on_utc": SHIPMENT["ShippedAt"]}
        await shop.ask("POST", "Shipment/Create", row)
    await shop.ask("POST", "ShipmentItem/Create", {"shipment_id": sent, "order_item_id": 20020, "quantity": 3})
    await shop.ask("GET", f"OrderProcessing/Ship/{sent}?notifyCustomer=true")
    found = await sink.apply("create_shipment", "key", SHIPMENT)
    assert ("found", str(sent)) == (found.outcome, found.external_id)
    assert 1 == len(await shop.rows("mails"))


async def test_a_write_that_the_shop_refuses_is_told_in_its_words_and_can_be_made_later(shop: Shop, sink: Sink) -> None:
    shop.answers["PUT Product/Update"] = web.Response(status=400, text='{"Detail": "stock_quantity is locked"}')
    with pytest.raises(DataError, match="PUT /api-backend/Product/Update: 400 stock_quantity is locked"):
        await sink.apply("set_stock", "key", DOCUMENTS["set_stock"], version=(1, 0))
    shop.answers.clear()
    assert "applied" == (await sink.apply("set_stock", "key", DOCUMENTS["set_stock"], version=(1, 0))).outcome
