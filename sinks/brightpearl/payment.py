"""A customer's payment of an order, and the journal entry by which it is reconciled.

Brightpearl refuses a second payment with a known `transactionRef` and method; whatever stands is looked for first, so that a repeat is no error.
A journal entry is looked for by its description, which is not unique. A payment that is not what its order comes to is booked, for the money has
come, and flagged.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sinks.base import Document, Standing
from sinks.brightpearl.fields import moment, number, text, zone
from sinks.brightpearl.order import read_order
from sinks.money import agree, amount_of, decimal
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.brightpearl import created_id, search


async def find_payment(api: ApiClient, document: Document) -> Standing | None:
    """Return the order's payment with this reference and method; raises DataError where it is of another amount."""
    reference, method = text(document, "transactionRef"), text(document, "paymentMethodCode")
    page = await search(api, "/accounting-service/customer-payment-search", {"orderId": str(number(document, "orderId"))})
    found = [row for row in page.rows if (row.get("transactionRef"), row.get("paymentMethodCode")) == (reference, method)]
    if not found:
        return None
    if decimal(found[0].get("amountPaid")) != amount_of(document, "amountPaid"):
        message = f"payment {found[0]['paymentId']} has the reference {reference}, and is of {found[0].get('amountPaid')}; settle it by hand"
        raise DataError(message, field="amountPaid", value=str(document["amountPaid"]))
    return Standing(str(found[0]["paymentId"]))


async def create_payment(api: ApiClient, document: Document) -> Standing:
    """Book the payment; raises DataError, before it is written, where its order is in another currency."""
    order, currency = await read_order(api, number(document, "orderId")), document.get("currencyIsoCode")
    ordered_in = (order.get("currency") or {}).get("orderCurrencyCode")
    if currency != ordered_in:
        message = f"{document.get('amountPaid')} {currency} were paid, and order {order['id']} is in {ordered_in}; settle it by hand"
        raise DataError(message, field="currencyIsoCode", value=str(currency))
    amount = amount_of(document, "amountPaid")
    payment = {**document, "orderId": order["id"], "amountPaid": str(amount), "paymentDate": moment(document, "paymentDate").isoformat()}
    return Standing(str(created_id(await api.write("POST", "/accounting-service/customer-payment", payment))))


async def find_journal(api: ApiClient, document: Document) -> Standing | None:
    """Return the oldest journal entry with our description."""
    found = await find_journals(api, document)
    return found[0]._replace(review=await _mismatch(api, document)) if found else None


async def find_journals(api: ApiClient, document: Document) -> list[Standing]:
    """Return all journal entries with our description, the oldest first."""
    wanted = text(_entry(document), "description", "Entry.")
    page = await search(api, "/accounting-service/journal-search", {"description": wanted, "sort": "journalId.ASC"})
    found = [row["journalId"] for row in page.rows if row.get("description") == wanted]
    return [Standing(str(journal)) for journal in sorted(found)]


async def create_journal(api: ApiClient, document: Document) -> Standing:
    """Post the entry, dated by the account's own day; what does not agree with the order is said in `review`."""
    entry = _entry(document)
    text(entry, "description", "Entry.")
    dated = {**entry, "taxDate": moment(document, "BookedAt").astimezone(zone(document, "TimeZone")).date().isoformat()}
    review = await _mismatch(api, document)
    return Standing(str(created_id(await api.write("POST", "/accounting-service/journal-entry", dated))), review=review)


async def _mismatch(api: ApiClient, document: Document) -> str:
    """Return what a person should look at where what was paid is not what the order comes to, empty where it is."""
    settles = document.get("Settles")
    if not isinstance(settles, Mapping):
        raise DataError("the mapped document has no Settles", field="Settles", value=repr(settles)[:80])
    paid, order = amount_of(settles, "Amount", "Settles."), await read_order(api, number(settles, "OrderID", "Settles."))
    total = decimal((order.get("totalValue") or {}).get("total"))
    if total is not None and agree(paid, total):
        return ""
    return f"{paid} {settles.get('Currency')} were paid, and order {order['id']} comes to {Decimal(0) if total is None else total}"


def _entry(document: Document) -> dict[str, Any]:
    entry = document.get("Entry")
    if not isinstance(entry, dict):
        raise DataError("the mapped document has no Entry", field="Entry", value=repr(entry)[:80])
    return entry
