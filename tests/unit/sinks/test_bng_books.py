"""A payment in BNG's general ledger: one entry that balances and agrees with the invoice, whatever happens to the calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import orjson
import pytest

from sinks.effects import Effected
from towpath.delivery.ledger import Effect
from towpath.errors import DataError, OutcomeUnknownError

Erp = Any
Sink = Any
KEY = "shop/order/1001"
ENTRY_KEY = f"{KEY}/payment/ch_1"
REFERENCE = f"{KEY} stripe ch_1"
POST = "POST gl-entries"


@pytest.fixture
async def erp(play: Callable[[str], Awaitable[Any]]) -> Erp:
    """A BNG with one sales order, SO1001, of 119.70 GBP, that Towpath wrote."""
    erp = await play("bng")
    customer = await erp.ask("POST", "customers", {"Email": "ann@example.com"})
    line = {"LineNo": 1, "SKU": "BAG-BLA-001", "Quantity": 3, "UnitPrice": "39.90"}
    order = {"CustomerID": customer["CustomerID"], "OrderDate": "2026-11-20", "Currency": "GBP", "Total": "119.70", "Lines": [line]}
    await erp.ask("POST", "sales-orders", order)
    erp.calls.clear()
    return erp


@pytest.fixture
async def sink(erp: Erp, sink_to: Callable[..., Sink]) -> Sink:
    sink = sink_to(erp)
    order = Effect("to", "create_order", KEY)
    await sink.ledger.begin(order, digest="", lease=timedelta(0), settle=timedelta(0))
    await sink.ledger.complete(order, "SO1001")
    return sink


def an_entry(amount: str = "119.70", currency: str = "GBP", **changes: object) -> dict[str, Any]:
    lines = [{"Account": "1020", "Debit": amount, "Credit": "0.00"}, {"Account": "1200", "Debit": "0.00", "Credit": amount}]
    entry = {"EntryDate": "2026-11-20", "Reference": REFERENCE, "Lines": lines, **changes}
    return {"Entry": entry, "Settles": {"SalesOrderID": {"$ref": "order", "key": KEY}, "Amount": amount, "Currency": currency}}


async def pay(sink: Sink, entry: dict[str, Any] | None = None, *, insist: bool = False) -> Effected:
    """Apply the payment as its mapping asks for it."""
    document = {"SalesOrderID": {"$ref": "order", "key": KEY}, "PaymentStatus": "Paid", "GlEntry": {"$ref": "gl_entry", "key": ENTRY_KEY}}
    related = {f"gl_entry {ENTRY_KEY}": orjson.dumps(entry or an_entry()).decode()}
    done: Effected = await (sink.insist if insist else sink.apply)("set_payment_status", KEY, document, related=related)
    return done


async def test_a_payment_is_one_entry_and_the_order_is_paid(erp: Erp, sink: Sink) -> None:
    assert "applied" == (await pay(sink)).outcome
    [entry] = await erp.rows("gl_entries")
    assert [("1020", "119.70", "0.00"), ("1200", "0.00", "119.70")] == [(one["Account"], one["Debit"], one["Credit"]) for one in entry["Lines"]]
    assert (REFERENCE, "Paid") == (entry["Reference"], (await erp.rows("sales_orders"))[0]["PaymentStatus"])
    assert ("unchanged", 1) == ((await pay(sink)).outcome, len(await erp.rows("gl_entries")))


@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
@pytest.mark.parametrize("call", [POST, "PATCH sales-orders"])
async def test_whatever_happens_to_a_call_there_is_one_entry_and_the_order_is_paid(erp: Erp, sink: Sink, call: str, how: str) -> None:
    erp.cut(call, how)
    with pytest.raises(OutcomeUnknownError):
        await pay(sink)
    if how == "late":
        await erp.late.pop()()
    assert (await pay(sink, insist=True)).outcome in {"applied", "found"}
    assert (1, ["Paid"]) == (len(await erp.rows("gl_entries")), [one["PaymentStatus"] for one in await erp.rows("sales_orders")])


async def test_an_entry_of_another_process_that_was_killed_is_found_by_its_reference(erp: Erp, sink: Sink) -> None:
    await erp.ask("POST", "gl-entries", an_entry()["Entry"])
    await pay(sink)
    assert 1 == len(await erp.rows("gl_entries"))
    assert "GL1001" == (await sink.ledger.peek(Effect("to", "create_gl_entry", ENTRY_KEY))).external_id


async def test_an_entry_with_our_reference_and_other_amounts_is_for_a_person(erp: Erp, sink: Sink) -> None:
    await erp.ask("POST", "gl-entries", an_entry("100.00")["Entry"])
    with pytest.raises(DataError, match="has the reference") as caught:
        await pay(sink)
    assert "Entry.Lines" == caught.value.field
    assert (1, "Pending") == (len(await erp.rows("gl_entries")), (await erp.rows("sales_orders"))[0]["PaymentStatus"])


@pytest.mark.parametrize("invoiced", [False, True])
@pytest.mark.parametrize(
    ("amount", "currency", "field"), [("119.68", "GBP", "Settles.Amount"), ("119.72", "GBP", "Settles.Amount"), ("119.70", "EUR", "Settles.Currency")]
)
async def test_a_payment_that_is_not_what_is_owed_is_refused_before_anything_is_written(
    erp: Erp, sink: Sink, amount: str, currency: str, field: str, *, invoiced: bool
) -> None:
    if invoiced:
        await erp.ask("PATCH", "sales-orders/SO1001", {"OrderStatus": 30})
    with pytest.raises(DataError, match="invoice INV1001" if invoiced else "sales order SO1001") as caught:
        await pay(sink, an_entry(amount, currency))
    assert field == caught.value.field
    assert ([], "Pending") == (await erp.rows("gl_entries"), (await erp.rows("sales_orders"))[0]["PaymentStatus"])


@pytest.mark.parametrize("amount", ["119.69", "119.71", "119.70"])
async def test_each_side_may_round_by_one_minor_unit(erp: Erp, sink: Sink, amount: str) -> None:
    await erp.ask("PATCH", "sales-orders/SO1001", {"OrderStatus": 30})
    await pay(sink, an_entry(amount))
    assert [amount] == [one["Lines"][0]["Debit"] for one in await erp.rows("gl_entries")]


async def test_bng_is_asked_for_the_invoice_and_not_for_the_order_where_there_is_one(erp: Erp, sink: Sink) -> None:
    await erp.ask("PATCH", "sales-orders/SO1001", {"OrderStatus": 30})
    await erp.ask("PATCH", "sales-orders/SO1001", {"Total": "1.00"})
    await pay(sink)
    assert 1 == len(await erp.rows("gl_entries"))


async def test_an_entry_that_does_not_balance_is_refused_by_bng_in_its_own_words(erp: Erp, sink: Sink) -> None:
    entry = an_entry()
    entry["Entry"]["Lines"][1]["Credit"] = "119.60"
    with pytest.raises(DataError, match=r"debit 119\.70 is not credit 119\.60"):
        await pay(sink, entry)
    assert [] == await erp.rows("gl_entries")


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({}, "Entry"),
        (an_entry(Reference=""), "Entry.Reference"),
        (an_entry(Reference=None), "Entry.Reference"),
        ({**an_entry(), "Settles": {"SalesOrderID": "SO1001", "Amount": 119.7, "Currency": "GBP"}}, "Settles.Amount"),
        ({**an_entry(), "Settles": {"SalesOrderID": "SO9", "Amount": "119.70", "Currency": "GBP"}}, "SalesOrderID"),
        ({**an_entry(), "Settles": {"SalesOrderID": "..", "Amount": "119.70", "Currency": "GBP"}}, "SalesOrderID"),
    ],
)
async def test_an_entry_that_cannot_be_is_a_data_error_that_names_the_field(erp: Erp, sink: Sink, entry: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError) as caught:
        await pay(sink, entry or {"Other": 1})
    assert field == caught.value.field
    assert [] == erp.sent("POST", "PATCH")
