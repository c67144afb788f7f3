"""A payment at Brightpearl: one, with one journal entry, whatever happens to the calls; what is not what the order comes to is flagged."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.sinks.test_brightpearl import KEY, Brightpearl, To, erp, place, sink, sink_as
from towpath.errors import DataError, OutcomeUnknownError

__all__ = ["erp", "sink", "sink_as"]
Json = Any
PAYMENT_KEY = f"{KEY}/payment/ch_1"
DESCRIPTION = f"{KEY} payment ch_1"
JOURNAL = "POST accounting-service/journal-entry"
PAY = "POST accounting-service/customer-payment"


def a_payment(amount: str = "101.64", **changes: Json) -> Json:
    reference = {"transactionRef": "ch_1", "paymentMethodCode": "CARD", "paymentType": "RECEIPT", "orderId": {"$ref": "order", "key": KEY}}
    return {**reference, "currencyIsoCode": "USD", "amountPaid": amount, "paymentDate": "2026-11-20T02:30:00.000000Z", **changes}


async def pay(sink: To, amount: str = "101.64", payment: Json = None, *, insist: bool = False, **changes: Json) -> Any:  # noqa: ANN401 - an Effected
    """Apply a payment as its mapping asks for it."""
    sides = {
        side: [{"nominalCode": code, "change": {"currency": "USD", "value": amount}}] for side, code in (("debits", "1200"), ("credits", "1100"))
    }
    document = {
        "PaymentID": {"$ref": "payment", "key": PAYMENT_KEY},
        "BookedAt": "2026-11-20T02:30:00.000000Z",
        "TimeZone": "America/Chicago",
        "Settles": {"OrderID": {"$ref": "order", "key": KEY}, "Amount": amount, "Currency": "USD"},
        "Entry": {"description": DESCRIPTION, "currency": "USD", **sides},
        **changes,
    }
    related = {f"payment {PAYMENT_KEY}": orjson.dumps(payment or a_payment(amount)).decode()}
    return await (sink.insist if insist else sink.apply)("create_journal_entry", PAYMENT_KEY, document, related=related)


async def test_a_payment_is_one_with_one_journal_entry_and_the_order_is_paid(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    effected = await pay(sink)
    (order,), (payment,), (journal,) = [await erp.rows(entity) for entity in ("orders", "payments", "journals")]
    assert ("applied", str(journal["id"]), "") == (effected.outcome, effected.external_id, effected.reason)
    assert ("ch_1", "CARD", "RECEIPT", order["id"], "101.64") == tuple(
        payment[name] for name in ("transactionRef", "paymentMethodCode", "paymentType", "orderId", "amountPaid")
    )
    assert [("1200", "101.64"), ("1100", "101.64")] == [(row["nominalCode"], row["_value"]) for row in (*journal["debits"], *journal["credits"])]
    assert (DESCRIPTION, "2026-11-18T18:00:00.000-06:00", "PAID") == (journal["description"], journal["taxDate"], order["orderPaymentStatus"])


@pytest.mark.parametrize("how", ["lost", "unsent", "late"])
@pytest.mark.parametrize("call", [PAY, JOURNAL])
async def test_whatever_happens_to_a_call_there_is_one_of_each(erp: Brightpearl, sink: To, call: str, how: str) -> None:
    await place(sink)
    erp.cut(call, how)
    with pytest.raises(OutcomeUnknownError):
        await pay(sink)
    if how == "late":
        await erp.late.pop()()
    await pay(sink, insist=True)
    assert (1, 1) == (len(await erp.rows("payments")), len(await erp.rows("journals")))


@pytest.mark.parametrize("lost", [False, True])
async def test_a_payment_that_is_not_what_its_order_comes_to_is_booked_and_flagged(erp: Brightpearl, sink: To, *, lost: bool) -> None:
    await place(sink)
    if lost:
        erp.cut(JOURNAL)
    effected = await pay(sink, "100.00", insist=True)
    (order,) = await erp.rows("orders")
    assert f"100.00 USD were paid, and order {order['id']} comes to 101.64" == effected.reason
    assert (["100.00"], "PARTIALLY_PAID") == ([row["amountPaid"] for row in await erp.rows("payments")], order["orderPaymentStatus"])


async def test_one_minor_unit_is_rounding(sink: To) -> None:
    await place(sink)
    assert "" == (await pay(sink, "101.65")).reason


async def test_a_payment_that_somebody_booked_before_is_found(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    (order,) = await erp.rows("orders")
    await erp.ask("POST", "accounting-service/customer-payment", a_payment(orderId=order["id"]))
    await pay(sink)
    assert 1 == len(await erp.rows("payments"))


async def test_one_with_our_reference_and_another_amount_is_for_a_person(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    (order,) = await erp.rows("orders")
    await erp.ask("POST", "accounting-service/customer-payment", a_payment("1.00", orderId=order["id"]))
    with pytest.raises(DataError, match="has the reference ch_1") as caught:
        await pay(sink)
    assert ("amountPaid", []) == (caught.value.field, await erp.rows("journals"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"currencyIsoCode": "EUR"}, "currencyIsoCode"),
        ({"transactionRef": ""}, "transactionRef"),
        ({"paymentMethodCode": None}, "paymentMethodCode"),
        ({"amountPaid": 12.5}, "amountPaid"),
        ({"paymentDate": "soon"}, "paymentDate"),
        ({"orderId": "../1"}, "orderId"),
        ({"orderId": 77}, "OrderID"),
    ],
)
async def test_what_cannot_be_paid_is_a_data_error_that_names_the_field(erp: Brightpearl, sink: To, changes: Json, field: str) -> None:
    await place(sink)
    erp.calls.clear()
    with pytest.raises(DataError) as caught:
        await pay(sink, payment=a_payment(**changes))
    assert (field, []) == (caught.value.field, erp.sent("POST"))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"Entry": None}, "Entry"),
        ({"Entry": {"description": ""}}, "Entry.description"),
        ({"Settles": None}, "Settles"),
        ({"BookedAt": "soon"}, "BookedAt"),
    ],
)
async def test_a_journal_entry_that_cannot_be_is_a_data_error_that_names_the_field(sink: To, changes: Json, field: str) -> None:
    await place(sink)
    with pytest.raises(DataError) as caught:
        await pay(sink, **changes)
    assert field == caught.value.field


async def test_a_journal_entry_that_does_not_balance_is_refused_in_brightpearl_s_own_words(erp: Brightpearl, sink: To) -> None:
    await place(sink)
    with pytest.raises(DataError, match="does not balance"):
        await pay(sink, Entry={"description": DESCRIPTION, "debits": [{"nominalCode": "1200", "change": {"value": "1.00"}}], "credits": []})
    assert [] == await erp.rows("journals")
