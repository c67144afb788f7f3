"""Brightpearl's sales credits: one that is closed is a refund of its order, by the key under which it was written."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from processors.rules import check
from producers.base import Fetch
from producers.brightpearl import BrightpearlSource
from tests.unit.producers.test_brightpearl import BASE, PROVENANCE, Account, Ours, Theirs, account
from towpath.errors import DataError, RetryableError

__all__ = ["account"]
Json = dict[str, Any]


class Returned(Ours):
    """Every sales credit was written for return 5 of order 1001 of the shop."""

    async def key_of(self, entity: str, external_id: str) -> str | None:
        return "shop/order/1001/return/5" if entity == "sales_credit" and external_id else None


class Foreign(Theirs):
    """Nothing was written by us, and no reference looks like ours."""

    def is_ours(self, _order_reference: str) -> bool:
        return False


async def credited(account: Account) -> int:
    """Make a sales credit and return its id."""
    await account.ask("PUT", "/_sandbox/contacts/200", {"firstName": "Ann", "communication": {"emails": {"PRI": {"email": "ann@example.com"}}}})
    rows = [{"productId": product, "quantity": "2", "taxCode": "T20", "net": "10.00", "tax": "2.00"} for product in (1001, 1002)]
    answer = await account.ask("POST", f"{BASE}order-service/sales-credit", {"customer": {"id": 200}, "ref": "SHOP-1001-R5", "rows": rows})
    return int(answer["response"])


async def test_a_credit_is_a_refund_once_it_is_closed_and_the_same_whatever_its_status(account: Account) -> None:
    number, source, found = await credited(account), BrightpearlSource(), []
    for path, body in ((None, None), ("close", None), ("status", {"orderStatusId": 8})):
        if path == "close":
            await account.ask("POST", f"/_sandbox/sales-credits/{number}/close")
        elif path == "status":
            await account.ask("PUT", f"/_sandbox/orders/{number}/status", body)
        text = await source.fetch(account.api, Fetch("order", number), Returned())
        assert text is not None
        found.append(source.decode("order", text.encode(), PROVENANCE))
    assert [0, 1, 1] == [len(events) for events in found]
    (closed,), (later,) = found[1:]
    check(closed)
    assert ("RefundIssued", "shop/order/1001", str(number)) == (closed.type, closed.meta["key"], closed.value["refund_id"])
    assert ({"Return": "5"}, Decimal(24), Decimal(4)) == (closed.value["custom_fields"], closed.value["total"], closed.value["tax_total"])
    assert [(1, "BAG-BLA-001", 2, 5), (2, "BAG-BLU-002", 2, 5)] == [
        (line["line_no"], line["sku"], line["quantity"], line["unit_price"]) for line in closed.value["lines"]
    ]
    assert (closed.meta["digest"], True) == (later.meta["digest"], later.meta["version"]["major"] >= closed.meta["version"]["major"])


async def test_a_credit_of_the_staff_concerns_nobody_and_one_of_ours_is_waited_for(account: Account) -> None:
    number = await credited(account)
    assert None is await BrightpearlSource().fetch(account.api, Fetch("order", number), Foreign())
    with pytest.raises(RetryableError, match="is not known to have been written yet"):
        await BrightpearlSource().fetch(account.api, Fetch("order", number), Theirs())


CREDIT: Json = {
    "id": 7,
    "updatedOn": "2026-11-20T09:30:00.000-06:00",
    "invoices": [{"invoiceReference": "SC-7", "taxDate": "2026-11-20T00:00:00.000-06:00"}],
    "orderRows": {},
    "totalValue": {"total": "1.00"},
    "currency": {"orderCurrencyCode": "USD"},
}


@pytest.mark.parametrize(
    ("change", "key", "field"),
    [
        ({}, None, "return_key"),
        ({}, "shop/order/1001", "return_key"),
        ({"updatedOn": None}, "shop/order/1001/return/5", "updatedOn"),
        ({"invoices": [{"invoiceReference": "x", "taxDate": "soon"}]}, "shop/order/1001/return/5", "taxDate"),
        ({"orderRows": [1]}, "shop/order/1001/return/5", "orderRows"),
        (
            {"orderRows": {"1": {"rowValue": {"rowNet": {}}, "quantity": {"magnitude": "x"}}}},
            "shop/order/1001/return/5",
            "orderRows.1.quantity.magnitude",
        ),
        ({"totalValue": {}}, "shop/order/1001/return/5", "totalValue.total"),
        ({"currency": None}, "shop/order/1001/return/5", "currency"),
    ],
)
def test_what_is_wrong_is_named(change: Json, key: str | None, field: str) -> None:
    with pytest.raises(DataError) as caught:
        BrightpearlSource().decode("order", json.dumps({"return_key": key, "credit": CREDIT | change}).encode(), PROVENANCE)
    assert field == caught.value.field
