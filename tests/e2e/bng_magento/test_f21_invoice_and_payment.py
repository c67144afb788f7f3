"""F-21: BNG's invoice is one at Magento, which takes the money; a payment is one entry in BNG's ledger that agrees with the invoice."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from towpath.demo.pairs import ERP, SHOP
from towpath.demo.play import settle
from towpath.testing.played_magento import PlayedMagento

Row = dict[str, Any]
CASH, OWED = "1010", "1200"


def is_new(order: Row) -> bool:
    return bool(order["state"] == "new")


def is_paid(order: Row) -> bool:
    return bool(order["state"] == "processing")


def total(order: Row) -> Decimal:
    return Decimal(str(order["grand_total"]))


async def entries(magento: PlayedMagento, order: Row) -> list[Row]:
    """Return BNG's entries for payments of a shop order."""
    rows = await magento.rows(ERP, "gl_entries")
    return [row for row in rows if row["Reference"].startswith(f"{SHOP}/order/{order['entity_id']} ")]


async def one_entry(magento: PlayedMagento, order: Row) -> Row:
    """Return the one entry of a shop order, once it is there and nothing more is to come."""

    async def is_there() -> bool:
        return len(await entries(magento, order)) > 0

    await magento.becomes(is_there, wanted=True)
    await settle(magento.stack)
    (entry,) = await entries(magento, order)
    return entry


def booked(entry: Row) -> list[tuple[str, Decimal, Decimal]]:
    return [(line["Account"], Decimal(line["Debit"]), Decimal(line["Credit"])) for line in entry["Lines"]]


async def invoices(magento: PlayedMagento, order: Row) -> list[Row]:
    return await magento.rows(SHOP, "invoices", order_id=order["entity_id"])


async def test_f21_what_bng_ships_is_invoiced_at_the_shop_once_and_its_money_is_in_the_ledger(magento: PlayedMagento) -> None:
    order = await magento.place(6101, is_new)
    written = await magento.sales_order(order["entity_id"])
    async with magento.faults(SHOP, response_lost=0.5, webhook_duplicate=1), magento.faults(ERP, response_lost=0.3, webhook_duplicate=1):
        await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
        entry = await one_entry(magento, order)
    issued = await magento.row(ERP, "invoices", SalesOrderID=written["SalesOrderID"])
    (invoice,) = await invoices(magento, order)
    assert [f"{ERP}/invoice/{issued['InvoiceID']}"] == [comment["comment"] for comment in invoice["comments"]]
    assert [(CASH, total(order), Decimal(0)), (OWED, Decimal(0), total(order))] == booked(entry)
    assert f"{SHOP}/order/{order['entity_id']} checkmo txn_{order['entity_id']}" == entry["Reference"]
    await magento.sales_order(order["entity_id"], PaymentStatus="Paid")
    assert 1 == len(await magento.rows(SHOP, "mails", order_id=order["entity_id"], template="sales_email_invoice_template"))


async def test_f21_an_order_that_was_paid_at_the_shop_keeps_its_invoice_and_is_booked_before_bng_invoices_it(magento: PlayedMagento) -> None:
    order = await magento.place(6201, is_paid)
    entry = await one_entry(magento, order)
    assert [(CASH, total(order), Decimal(0)), (OWED, Decimal(0), total(order))] == booked(entry)
    (before,) = await invoices(magento, order)
    written = await magento.sales_order(order["entity_id"])
    await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
    await magento.shipments(order["entity_id"], 1)
    await settle(magento.stack)
    assert [before] == await invoices(magento, order)
    assert [entry] == await entries(magento, order)


async def test_f21_a_payment_without_transaction_is_quarantined_and_the_order_goes_on_until_it_is_mended(magento: PlayedMagento) -> None:
    order = await magento.place(6301, is_new)
    number = order["entity_id"]
    written = await magento.sales_order(number)
    await magento.shop("POST", f"orders/{number}/pay", {"untraced": True})
    letter = await magento.letter(f"{SHOP}/order/{number}", state="dead")
    assert ("processor", "transaction_id") == (letter["hop"], letter["field"])
    await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
    await magento.shipments(number, 1)
    await settle(magento.stack)  # the shop tells of the payment again on every save
    assert ([], "Pending") == (await entries(magento, order), (await magento.sales_order(number))["PaymentStatus"])
    await magento.command("dlq", "edit", letter["dead_letter_id"], "--set", "transaction_id=ch_6301")
    assert (await one_entry(magento, order))["Reference"].endswith("checkmo ch_6301")
    await magento.sales_order(number, PaymentStatus="Paid")
    assert [] == await magento.letters(f"{SHOP}/order/{number}")


async def test_f21_a_payment_and_an_invoice_that_are_not_what_is_owed_are_quarantined_by_their_field(magento: PlayedMagento) -> None:
    order = await magento.place(6401, is_new)
    written = await magento.sales_order(order["entity_id"])
    await magento.change_erp(written["SalesOrderID"], Total="1.00")
    await magento.shop("POST", f"orders/{order['entity_id']}/pay")
    letter = await magento.letter(f"{SHOP}/order/{order['entity_id']}", state="dead")
    assert ("sink", "Settles.Amount") == (letter["hop"], letter["field"])
    await magento.erp("POST", "warehouse/ship", {"order": written["SalesOrderID"]})
    wrong = await magento.letter(f"{SHOP}/order/{order['entity_id']}", state="dead", field="Total")
    assert "sink" == wrong["hop"]
    assert [] == await entries(magento, order)
