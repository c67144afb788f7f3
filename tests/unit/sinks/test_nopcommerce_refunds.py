"""Money back at the shop: once, whatever happens to the call that gives it; a gateway that refuses is said at the request and may be asked again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from towpath.errors import DataError, OutcomeUnknownError

Shop = Any
Sink = Any
KEY = "erp/refund/350"
REFUND = "GET OrderProcessing/"


@pytest.fixture
async def asked(shop: Shop) -> dict[str, Any]:
    """A return request of one of 3 BOT-PLU-020 of order 1001, which is paid."""
    await shop.control("POST", "orders/1001", {"payment_status_id": 30, "paid_date_utc": "2026-11-20T09:45:00Z", "event": None})
    found: dict[str, Any] = await shop.control("POST", "orders/1001/return", {"sku": "BOT-PLU-020"})
    return found


async def order(shop: Shop) -> dict[str, Any]:
    return next(row for row in await shop.rows("orders") if row["id"] == 1001)


async def a_refund(shop: Shop, asked: dict[str, Any], amount: str | None = "5.00", **changes: object) -> dict[str, Any]:
    row = await order(shop)
    total = Decimal(str(row["order_total"])).quantize(Decimal("0.01"))
    document = {"OrderID": "1001", "ReturnRequestID": str(asked["id"]), "Reference": KEY, "Amount": amount or str(total), "Offline": False}
    return document | {"Currency": row["customer_currency_code"]} | changes


async def stands(shop: Shop) -> tuple[float, int, int]:
    """Return what was given back of the order in all, its payment status, and the request's status."""
    row, (asked,) = await order(shop), await shop.rows("return_requests")
    return row["refunded_amount"], row["payment_status_id"], asked["return_request_status_id"]


async def test_a_part_goes_back_once_and_the_request_says_so(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    assert "applied" == (await sink.apply("refund_order", KEY, await a_refund(shop, asked))).outcome
    assert (5, 35, 40) == await stands(shop)
    assert "unchanged" == (await sink.apply("refund_order", KEY, await a_refund(shop, asked))).outcome
    assert [{"order_id": 1001, "amount": 5, "online": True}] == [
        {name: row[name] for name in ("order_id", "amount", "online")} for row in await shop.rows("refunds")
    ]


async def test_all_of_it_goes_back_by_the_call_for_all(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    await sink.apply("refund_order", KEY, await a_refund(shop, asked, None))
    assert ((await order(shop))["order_total"], 40, 40) == await stands(shop)
    assert [f"{REFUND}Refund/1001"] == shop.sent(REFUND)


@pytest.mark.parametrize("amount", ["5.00", None])
@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
@pytest.mark.parametrize(("call", "nth"), [(REFUND, 1), ("PUT ReturnRequest/Update", 1), ("PUT ReturnRequest/Update", 2)])
async def test_whatever_happens_to_a_call_the_money_goes_back_once(
    shop: Shop, sink: Sink, asked: dict[str, Any], call: str, nth: int, how: str, amount: str | None
) -> None:
    document = await a_refund(shop, asked, amount)
    shop.cut(call, how, nth)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("refund_order", KEY, document)
    if how == "late":
        await shop.late.pop()()
    await sink.insist("refund_order", KEY, document)
    assert (float(document["Amount"]), 40) == ((await stands(shop))[0], (await stands(shop))[2])
    assert 1 == len(await shop.rows("refunds"))


async def test_two_returns_of_an_order_are_two_refunds(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    again = await shop.control("POST", "orders/1001/return", {"sku": "BOT-PLU-020"})
    for number, request in ((350, asked), (351, again)):
        await sink.apply("refund_order", f"erp/refund/{number}", await a_refund(shop, request, Reference=f"erp/refund/{number}"))
    assert [5, 5] == [row["amount"] for row in await shop.rows("refunds")]
    assert [40, 40] == [row["return_request_status_id"] for row in await shop.rows("return_requests")]


async def test_a_gateway_that_refuses_is_said_at_the_request_and_may_be_asked_again(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    await shop.control("PUT", "gateway", {"refuses": ["refund"]})
    with pytest.raises(DataError, match="gateway declined the refund") as caught:
        await sink.apply("refund_order", KEY, await a_refund(shop, asked))
    assert ("refund", (0, 30, 20)) == (caught.value.field, await stands(shop))
    (row,) = await shop.rows("return_requests")
    assert f"{KEY}: refund failed: " in row["staff_notes"].splitlines()[-1]
    await shop.control("PUT", "gateway", {})
    await sink.apply("refund_order", KEY, await a_refund(shop, asked))
    assert (5, 35, 40) == await stands(shop)


async def test_a_shop_without_a_gateway_gives_it_back_offline(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    await shop.control("PUT", "gateway", {"refuses": ["refund"]})
    await sink.apply("refund_order", KEY, await a_refund(shop, asked, Offline=True))
    assert (5, 35, 40) == await stands(shop)


async def test_an_amount_in_the_customer_s_currency_goes_back_in_the_shop_s(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    await shop.control("POST", "orders/1001", {"customer_currency_code": "EUR", "currency_rate": 0.8, "event": None})
    await sink.apply("refund_order", KEY, await a_refund(shop, asked, "5.00"))
    assert 6.25 == (await stands(shop))[0]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Amount": "99999.00"}, "Amount"),
        ({"Amount": 5.0}, "Amount"),
        ({"Currency": "XXX"}, "Currency"),
        ({"Reference": ""}, "Reference"),
        ({"ReturnRequestID": "77"}, "ReturnRequestID"),
        ({"ReturnRequestID": "../1"}, "ReturnRequestID"),
        ({"ReturnRequestID": None}, "ReturnRequestID"),
        ({"OrderID": "../1"}, "OrderID"),
    ],
)
async def test_what_cannot_be_refunded_is_a_data_error_that_names_the_field_and_nothing_is_written(
    shop: Shop, sink: Sink, asked: dict[str, Any], changes: dict[str, object], field: str
) -> None:
    with pytest.raises(DataError) as caught:
        await sink.apply("refund_order", KEY, await a_refund(shop, asked) | changes)
    assert (field, [], []) == (caught.value.field, shop.sent(REFUND), shop.sent("PUT"))


async def test_a_request_that_was_rejected_is_for_a_person(shop: Shop, sink: Sink, asked: dict[str, Any]) -> None:
    await shop.control("POST", f"return-requests/{asked['id']}", {"return_request_status_id": 50})
    with pytest.raises(DataError, match="settle it by hand") as caught:
        await sink.apply("refund_order", KEY, await a_refund(shop, asked))
    assert ("ReturnRequestID", 0) == (caught.value.field, (await stands(shop))[0])
