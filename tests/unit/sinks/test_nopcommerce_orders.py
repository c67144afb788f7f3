"""The status of an order at the shop: moved on and never back, and cancelled once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, OutcomeUnknownError, RetryableError

Shop = Any
Sink = Any
KEY = "shop/order/1001"
UPDATE, CANCEL = "PUT Order/Update", "GET OrderProcessing/CancelOrder"
CANCELLED_MAIL = "OrderCancelled.CustomerNotification"


async def order(shop: Shop, number: int = 1001) -> dict[str, Any]:
    return next(row for row in await shop.rows("orders") if row["id"] == number)


async def set_status(sink: Sink, status: object, version: int = 1, number: object = "1001") -> Effected:
    effected: Effected = await sink.apply("set_order_status", KEY, {"OrderID": number, "Status": status}, version=(version, 0))
    return effected


async def test_an_order_is_moved_on_and_nothing_else_of_it_changes(shop: Shop, sink: Sink) -> None:
    odd = {"currency_rate": 1.23456789, "order_total": 1e-7, "order_tax": 123456789.12, "custom_values_xml": "<ü>&amp;</ü>", "tax_rates": None}
    await shop.control("POST", "orders/1001", {**odd, "event": None})
    before = await order(shop)
    assert Effected("applied", "1001") == await set_status(sink, 20)
    assert {**before, "order_status_id": 20} == await order(shop)
    assert ["GET Order/GetById/1001", "PUT Order/Update"] == shop.calls, "nothing between the read and the write"


async def test_a_status_that_the_order_has_is_found(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001", {"order_status_id": 20, "event": None})
    assert Effected("found", "1001") == await set_status(sink, 20)
    assert [] == shop.sent(UPDATE)


@pytest.mark.parametrize(("there", "wanted"), [(40, 20), (40, 30), (30, 20)])
async def test_an_order_never_goes_back(shop: Shop, sink: Sink, there: int, wanted: int) -> None:
    await shop.control("POST", "orders/1001", {"order_status_id": there, "event": None})
    assert "found" == (await set_status(sink, wanted)).outcome
    assert [] == shop.sent(UPDATE)
    assert there == (await order(shop))["order_status_id"]


async def test_an_older_status_after_a_newer_one_is_superseded_and_an_equal_one_unchanged(shop: Shop, sink: Sink) -> None:
    assert "applied" == (await set_status(sink, 30, version=7)).outcome
    calls = len(shop.calls)
    assert Effected("superseded", "1001") == await set_status(sink, 20, version=5)
    assert Effected("unchanged", "1001") == await set_status(sink, 30, version=7)
    assert calls == len(shop.calls), "the shop is not asked"


@pytest.mark.parametrize(
    ("change", "field", "value"),
    [
        ({"OrderID": "9999"}, "OrderID", "9999"),
        ({"OrderID": "-1"}, "OrderID", "-1"),
        ({"Status": 40}, "Status", "40"),
        ({"Status": 25}, "Status", "25"),
        ({"Status": None}, "Status", "None"),
        ({"Status": True}, "Status", "True"),
    ],
)
async def test_what_names_no_order_or_status_is_refused_by_its_field(
    shop: Shop, sink: Sink, change: dict[str, object], field: str, value: str
) -> None:
    with pytest.raises(DataError) as refused:
        await sink.apply("set_order_status", KEY, {"OrderID": "1001", "Status": 20} | change, version=(1, 0))
    assert (field, value) == (refused.value.field, refused.value.value)
    assert [] == shop.sent(UPDATE)


async def test_a_status_of_the_shop_that_nobody_knows_is_not_written_over(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001", {"order_status_id": 15, "event": None})
    with pytest.raises(DataError, match="order 1001: 15 is no status") as refused:
        await set_status(sink, 20)
    assert "OrderStatus" == refused.value.field
    assert [] == shop.sent(UPDATE)


async def test_a_newer_status_waits_until_a_lost_one_has_settled(shop: Shop, sink: Sink, sink_to: Callable[..., Sink]) -> None:
    shop.cut(UPDATE, "late")
    with pytest.raises(OutcomeUnknownError):
        await set_status(sink, 20, version=1)
    for process in (sink, sink_to(shop, "other")):
        with pytest.raises(RetryableError, match="may still commit"):
            await set_status(process, 30, version=2)
    await shop.late[0]()
    await sink.clock.advance(5)
    assert "applied" == (await set_status(sink, 30, version=2)).outcome
    assert "superseded" == (await set_status(sink, 20, version=1)).outcome
    assert 30 == (await order(shop))["order_status_id"]


async def test_a_status_whose_answer_was_lost_is_found(shop: Shop, sink: Sink) -> None:
    shop.cut(UPDATE)
    assert "found" == (await sink.insist("set_order_status", KEY, {"OrderID": "1001", "Status": 20}, version=(1, 0))).outcome
    assert 1 == len(shop.sent(UPDATE))


async def test_a_cancellation_cancels_the_order_puts_its_stock_back_and_tells_the_customer(shop: Shop, sink: Sink) -> None:
    assert Effected("applied", "1001") == await sink.apply("cancel_order", KEY, {"OrderID": "1001"})
    assert 40 == (await order(shop))["order_status_id"]
    assert [CANCELLED_MAIL] == [mail["template"] for mail in await shop.rows("mails")]
    assert {3, 1} == {change["to"] - change["from"] for change in await shop.rows("stock_changes") if change["by"] == "cancel"}
    assert "unchanged" == (await sink.apply("cancel_order", KEY, {"OrderID": "1001"})).outcome
    await sink.ledger.gone(Effect("to", "cancel_order", KEY), "1001")
    assert "found" == (await sink.apply("cancel_order", KEY, {"OrderID": "1001"})).outcome
    assert 1 == len(shop.sent(CANCEL))


async def test_an_order_that_the_shop_cancelled_itself_is_found(shop: Shop, sink: Sink) -> None:
    await shop.control("POST", "orders/1001/cancel", {"notify": False})
    assert Effected("found", "1001") == await sink.apply("cancel_order", KEY, {"OrderID": "1001"})
    assert [] == shop.sent(CANCEL)


@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
async def test_a_cancellation_whose_answer_was_lost_is_looked_up_and_made_once(shop: Shop, sink: Sink, how: str) -> None:
    shop.cut(CANCEL, how)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("cancel_order", KEY, {"OrderID": "1001"})
    for commit in shop.late:
        await commit()
    assert ("applied" if how == "unsent" else "found") == (await sink.insist("cancel_order", KEY, {"OrderID": "1001"})).outcome
    assert (2 if how == "unsent" else 1) == len(shop.sent(CANCEL))
    assert [CANCELLED_MAIL] == [mail["template"] for mail in await shop.rows("mails")]


async def test_a_cancellation_of_no_order_is_refused_by_its_field(shop: Shop, sink: Sink) -> None:
    with pytest.raises(DataError) as refused:
        await sink.apply("cancel_order", "shop/order/9999", {"OrderID": "9999"})
    assert "OrderID" == refused.value.field
    assert [] == shop.sent(CANCEL)
