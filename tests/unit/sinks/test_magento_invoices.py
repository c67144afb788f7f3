"""An invoice at Magento: one, of an order whose total is that of the ERP's, whatever happens to the call and whoever invoices beside us."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from sinks.effects import Effected
from towpath.errors import DataError, OutcomeUnknownError

Shop = Any
Sink = Any
Order = dict[str, Any]
KEY = "erp/invoice/INV-1"
INVOICE = "POST order/"


@pytest.fixture
async def shop(play: Callable[[str], Awaitable[Any]]) -> Shop:
    """A Magento with orders 1001 to 1010."""
    shop = await play("magento")
    await shop.control("POST", "shopper", {"orders": 10, "seed": 1})
    return shop


@pytest.fixture
def sink(shop: Shop, sink_to: Callable[..., Sink]) -> Sink:
    return sink_to(shop)


async def order_of(shop: Shop, state: str = "new") -> Order:
    found: Order = next(row for row in await shop.rows("orders") if row["state"] == state)
    return found


def an_invoice(order: Order, **changes: object) -> dict[str, Any]:
    total = str(Decimal(str(order["grand_total"])).quantize(Decimal("0.01")))
    return {"OrderID": str(order["entity_id"]), "Reference": KEY, "Total": total, "Currency": order["order_currency_code"]} | changes


async def after(shop: Shop, order: Order) -> Order:
    found: Order = next(row for row in await shop.rows("orders") if row["entity_id"] == order["entity_id"])
    return found


async def invoices(shop: Shop, order: Order) -> list[Order]:
    return [row for row in await shop.rows("invoices") if row["order_id"] == order["entity_id"]]


async def test_an_invoice_takes_the_money_tells_the_customer_and_has_our_reference(shop: Shop, sink: Sink) -> None:
    order = await order_of(shop)
    applied = await sink.apply("create_invoice", KEY, an_invoice(order))
    [row] = await invoices(shop, order)
    assert Effected("applied", str(row["entity_id"])) == applied
    assert [(KEY, 0)] == [(comment["comment"], comment["is_visible_on_front"]) for comment in row["comments"]]
    assert order["grand_total"] == (await after(shop, order))["total_paid"]
    assert [row["entity_id"]] == [mail["invoice_id"] for mail in await shop.rows("mails")]


@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
async def test_whatever_happens_to_the_call_the_order_is_invoiced_once(shop: Shop, sink: Sink, how: str) -> None:
    order = await order_of(shop)
    shop.cut(INVOICE, how)
    with pytest.raises(OutcomeUnknownError):
        await sink.apply("create_invoice", KEY, an_invoice(order))
    if how == "late":
        await shop.late.pop()()
    assert ("applied" if how == "unsent" else "found") == (await sink.insist("create_invoice", KEY, an_invoice(order))).outcome
    assert (1, 1) == (len(await invoices(shop, order)), len(await shop.rows("mails")))


async def test_an_order_that_the_shop_has_invoiced_itself_is_left_as_it_is(shop: Shop, sink: Sink) -> None:
    order = await order_of(shop, "processing")
    [row] = await invoices(shop, order)
    assert Effected("found", str(row["entity_id"])) == await sink.apply("create_invoice", KEY, an_invoice(order))
    assert [] == shop.sent("POST")


async def test_an_order_that_somebody_invoices_at_that_moment_is_found_and_no_error(shop: Shop, sink: Sink) -> None:
    order = await order_of(shop)

    async def pays_first(call: str) -> None:
        if call.startswith(INVOICE):
            await shop.control("POST", f"orders/{order['entity_id']}/pay")

    shop.heard = pays_first
    await sink.apply("create_invoice", KEY, an_invoice(order))
    assert 1 == len(await invoices(shop, order))


async def test_who_tells_customers_elsewhere_sends_no_mail(shop: Shop, sink: Sink) -> None:
    await sink.apply("create_invoice", KEY, an_invoice(await order_of(shop), Notify=False))
    assert [] == await shop.rows("mails")


async def test_a_capture_that_the_gateway_declines_is_a_dead_letter_until_it_takes_it(shop: Shop, sink: Sink) -> None:
    order = await order_of(shop)
    await shop.control("PUT", "gateway", {"refuses": ["capture"]})
    with pytest.raises(DataError, match="gateway declined the capture"):
        await sink.apply("create_invoice", KEY, an_invoice(order))
    assert [] == await invoices(shop, order)
    await shop.control("PUT", "gateway", {})
    assert "applied" == (await sink.apply("create_invoice", KEY, an_invoice(order))).outcome


@pytest.mark.parametrize("state", ["new", "processing"])
@pytest.mark.parametrize(("changes", "field"), [({"Total": "1.00"}, "Total"), ({"Currency": "XXX"}, "Currency")])
async def test_an_invoice_that_is_not_what_the_order_is_is_refused_by_its_field(
    shop: Shop, sink: Sink, state: str, changes: dict[str, object], field: str
) -> None:
    with pytest.raises(DataError) as caught:
        await sink.apply("create_invoice", KEY, an_invoice(await order_of(shop, state), **changes))
    assert field == caught.value.field
    assert [] == shop.sent("POST")


async def test_one_minor_unit_more_or_less_is_rounding(shop: Shop, sink: Sink) -> None:
    order = await order_of(shop)
    total = Decimal(str(order["grand_total"])).quantize(Decimal("0.01")) + Decimal("0.01")
    assert "applied" == (await sink.apply("create_invoice", KEY, an_invoice(order, Total=str(total)))).outcome


async def test_a_cancelled_order_is_for_a_person(shop: Shop, sink: Sink) -> None:
    order = await order_of(shop)
    await shop.control("POST", f"orders/{order['entity_id']}/cancel")
    with pytest.raises(DataError, match="settle it by hand") as caught:
        await sink.apply("create_invoice", KEY, an_invoice(order))
    assert "OrderStatus" == caught.value.field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"OrderID": "../x"}, "OrderID"),
        ({"OrderID": None}, "OrderID"),
        ({"Reference": ""}, "Reference"),
        ({"Total": 12.5}, "Total"),
        ({"Total": "NaN"}, "Total"),
        ({"Total": None}, "Total"),
    ],
)
async def test_what_cannot_be_invoiced_is_a_data_error_that_names_the_field(shop: Shop, sink: Sink, changes: dict[str, object], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await sink.apply("create_invoice", KEY, an_invoice(await order_of(shop), **changes))
    assert field == caught.value.field
    assert [] == shop.sent("POST")
