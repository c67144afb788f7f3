"""F-13: a payment at the shop is one at Brightpearl, with one journal entry; what is not what the order comes to is flagged."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.e2e.brightpearl_nopcommerce.playing import Pair
from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.sandbox.nopcommerce.bundle import Bundle

Row = dict[str, Any]


def is_paid(bundle: Bundle) -> bool:
    return bool(bundle.order["payment_status_id"] == 30 and len(bundle.items) == 1)


def is_unpaid(bundle: Bundle) -> bool:
    return bool(bundle.order["payment_status_id"] == 10 and len(bundle.items) == 1)


async def journals(pair: Pair, number: int) -> list[Row]:
    return [row for row in await pair.rows(ERP, "journals") if row["description"].startswith(f"{SHOP}/order/{number} ")]


async def booked(pair: Pair, number: int) -> tuple[Row, Row]:
    """Return the one payment and the one journal entry of a shop order, once both are there and nothing more is to come."""
    order = await pair.placed(number)

    async def stands() -> bool:
        return bool(await journals(pair, number))

    await pair.becomes(stands, wanted=True)
    await settle(pair.stack)
    (journal,) = await journals(pair, number)
    return await pair.row(ERP, "payments", orderId=order["id"]), journal


async def test_f13_a_payment_is_booked_once_with_its_journal_entry_though_answers_are_lost(pair: Pair) -> None:
    async with pair.faults(SHOP, webhook_duplicate=1), pair.faults(ERP, response_lost=0.4, seed=5):
        await pair.buy(1301, is_paid)
        payment, journal = await booked(pair, 1301)
    total = Decimal(str((await pair.row(SHOP, "orders", id=1301))["order_total"]))
    assert ("txn_1301", "CASH", "RECEIPT", total) == (
        payment["transactionRef"],
        payment["paymentMethodCode"],
        payment["paymentType"],
        Decimal(payment["amountPaid"]),
    )
    sides = [(row["nominalCode"], Decimal(row["_value"])) for side in ("debits", "credits") for row in journal[side]]
    assert [("1200", total), ("1100", total)] == sides
    await pair.placed(1301, orderPaymentStatus="PAID")


async def test_f13_an_order_that_is_paid_later_is_booked_then(pair: Pair) -> None:
    await pair.buy(1311, is_unpaid)
    order = await pair.placed(1311, orderPaymentStatus="UNPAID")
    assert [] == await pair.rows(ERP, "payments", orderId=order["id"])
    await pair.shop("POST", "orders/1311", PAID | {"capture_transaction_id": "ch_1311"})
    payment, _ = await booked(pair, 1311)
    assert "ch_1311" == payment["transactionRef"]


PAID: Row = {"payment_status_id": 30, "paid_date_utc": "2026-11-20T09:45:00Z", "event": "order.paid"}


async def test_f13_a_payment_without_transaction_is_quarantined_and_the_order_goes_on_until_it_is_mended(pair: Pair) -> None:
    await pair.buy(1321, is_unpaid)
    order = await pair.placed(1321, allocationStatusCode="AAA")
    await pair.shop("POST", "orders/1321", PAID | {"payment_method_system_name": "Payments.Card"})
    letter = await pair.letter(f"{SHOP}/order/1321", state="dead")
    assert ("processor", "transaction_id") == (letter["hop"], letter["field"])
    assert [] == await pair.rows(ERP, "payments", orderId=order["id"])
    await pair.command("dlq", "edit", letter["dead_letter_id"], "--set", "transaction_id=ch_1321")
    payment, _ = await booked(pair, 1321)
    assert ("ch_1321", "CARD") == (payment["transactionRef"], payment["paymentMethodCode"])
    assert [] == await pair.letters(f"{SHOP}/order/1321")


async def test_f13_a_payment_that_is_not_what_the_order_comes_to_is_booked_and_flagged(pair: Pair) -> None:
    await pair.buy(1331, is_unpaid)
    order = await pair.placed(1331)
    row = next(iter(order["orderRows"]))
    await pair.erp("PATCH", f"orders/{order['id']}/row/{row}", [{"op": "replace", "path": "/rowValue/rowNet/value", "value": "1.00"}])
    await pair.shop("POST", "orders/1331", PAID | {"capture_transaction_id": "ch_1331"})
    payment, _ = await booked(pair, 1331)
    assert Decimal(payment["amountPaid"]) == Decimal(str((await pair.row(SHOP, "orders", id=1331))["order_total"]))
    assert f"were paid, and order {order['id']} comes to" in await pair.command("trace", f"{SHOP}/order/1331", "--json")
