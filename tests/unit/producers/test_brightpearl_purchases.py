"""Brightpearl's purchase orders: what is ordered, and what of it came in, from webhooks of both and from the list of orders."""

from __future__ import annotations

import json
from typing import Any

import pytest

from producers.base import Fetch
from producers.brightpearl import BrightpearlSource
from tests.unit.producers.test_brightpearl import PROVENANCE, Account, account
from towpath.errors import DataError
from towpath.events import Event

__all__ = ["account"]
Json = dict[str, Any]
SKUS = {"BAG-BLA-001": 10, "MUG-BLU-042": 4}


async def bought(account: Account) -> Json:
    order: Json = await account.ask("POST", "/_sandbox/purchase-orders", {"reference": "PO-7", "lines": SKUS, "cost": "3.25"})
    return order


async def told(account: Account) -> list[Event]:
    """Return what the webhooks so far lead to, of purchase orders."""
    found = []
    for body in await account.told():
        wanted = account.source.wanted(body)
        for one in wanted if isinstance(wanted, list) else [wanted]:
            again = account.source.wanted(one.payload.encode()) if one is not None and one.payload else one
            if isinstance(again, Fetch):
                found += [event for event in await account.events(again) if event.type == "PurchaseOrderChanged"]
    return found


async def test_what_is_bought_and_what_comes_in_become_one_purchase_order_that_is_told_again(account: Account) -> None:
    order = await bought(account)
    first, second = sorted(order["orderRows"], key=int)
    (before,) = await account.events(Fetch("order", order["id"]))
    await account.ask("POST", f"/_sandbox/purchase-orders/{order['id']}/receive", {"lines": {first: 4}})
    await account.ask("POST", f"/_sandbox/purchase-orders/{order['id']}/receive", {"lines": {first: 6, second: 1}})
    after = (await told(account))[-1]
    assert [f"erp/purchase_order/{order['id']}"] * 2 == [event.meta["key"] for event in (before, after)]
    assert before.meta["version"]["major"] < after.meta["version"]["major"]
    shown = [(line["line_no"], line["sku"], line["quantity"], line["received"], str(line["unit_cost"])) for line in after.value["lines"]]
    assert [(1, "BAG-BLA-001", 10, 10, "3.250000"), (2, "MUG-BLU-042", 4, 1, "3.250000")] == shown
    assert [0, 0] == [line["received"] for line in before.value["lines"]]
    assert ("PO-7", "USD", str(order["parties"]["supplier"]["contactId"]), "6") == tuple(
        after.value[name] for name in ("reference", "currency", "vendor_id", "status")
    )


async def test_goods_of_no_purchase_order_tell_of_none(account: Account) -> None:
    order = await account.sell()
    credit = (
        await account.ask("POST", "/public-api/acme/order-service/order", {"orderTypeCode": "SC", "parties": {"customer": {"contactId": 200}}})
    )["response"]
    row = {"productId": 1001, "quantity": {"magnitude": 1}, "rowValue": {"taxCode": "Z", "rowNet": {"value": 1}, "rowTax": {"value": 0}}}
    number = (await account.ask("POST", f"/public-api/acme/order-service/order/{credit}/row", row))["response"]
    moved = {"goodsMoved": [{"productId": 1001, "purchaseOrderRowId": number, "quantity": 1}]}
    note = (await account.ask("POST", f"/public-api/acme/warehouse-service/order/{credit}/goods-note/goods-in", moved))["response"]
    assert [] == await account.events(Fetch("goods_in_note", note))
    assert ["OrderStatusChanged"] == [event.type for event in await account.events(Fetch("order", order))]


ORDER: Json = {
    "id": 7,
    "updatedOn": "2026-11-20T09:30:00.000-06:00",
    "placedOn": "2026-11-20T08:30:00.000-06:00",
    "orderRows": {"1": {"quantity": {"magnitude": "2.0000"}, "rowValue": {"rowNet": {"value": "1.0000"}}}},
}


@pytest.mark.parametrize(
    ("order", "notes", "field"),
    [
        ({"updatedOn": None}, {}, "updatedOn"),
        ({"placedOn": "soon"}, {}, "placedOn"),
        ({"orderRows": []}, {}, ""),
        ({"orderRows": [1]}, {}, "orderRows"),
        ({"orderRows": {"x": {}}}, {}, "orderRows"),
        ({"orderRows": {"1": {"quantity": {"magnitude": "some"}}}}, {}, "orderRows.1.quantity.magnitude"),
        ({"orderRows": {"1": {"quantity": {"magnitude": "1"}, "rowValue": {"rowNet": {}}}}}, {}, "orderRows.1.rowValue.rowNet.value"),
        ({}, 7, "notes"),
        ({}, {"1": 7}, "notes"),
        ({}, {"1": {"createdOn": "soon"}}, "createdOn"),
        ({}, {"1": {"createdOn": "2026-11-20", "goodsMoved": 7}}, "notes.goodsMoved"),
        ({}, {"1": {"createdOn": "2026-11-20", "goodsMoved": [{"quantity": None}]}}, "notes.goodsMoved.quantity"),
    ],
)
def test_what_is_wrong_is_named(order: Json, notes: object, field: str) -> None:
    supplied = {"parties": {"supplier": {"contactId": 5}}, "orderStatus": {}, "currency": {"orderCurrencyCode": "USD"}}
    bundle = json.dumps({"purchase_order": {**ORDER, **supplied, **order}, "notes": notes}).encode()
    if not field:
        assert [] == BrightpearlSource().decode("order", bundle, PROVENANCE)[0].value["lines"]
        return
    with pytest.raises(DataError) as caught:
        BrightpearlSource().decode("order", bundle, PROVENANCE)
    assert field == caught.value.field
