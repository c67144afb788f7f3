"""Entries in BNG's general ledger: searched for by their reference, which is not unique, before they are made.

A document is `Entry`, as BNG takes it, and `Settles`: of which sales order it books how much. An amount that is not what the order's invoice
says (its total, where there is none yet) is refused before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.money import agree, amount_of, decimal
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.bng import Bng, Record

CANCELLED: Final = "Cancelled"


async def find_entry(api: ApiClient, document: Document) -> Standing | None:
    """Return the oldest entry with this reference; raises DataError where it is not the one that is wanted."""
    entry = _entry(document)
    found = await Bng(api).gl_entries(_reference(entry))
    if not found:
        return None
    if _amounts(found[0].get("Lines")) != _amounts(entry.get("Lines")):
        message = f"entry {found[0]['GlEntryID']} has the reference {entry['Reference']}, and other lines; settle it by hand"
        raise DataError(message, field="Entry.Lines", value=str(found[0]["GlEntryID"]))
    return Standing(str(found[0]["GlEntryID"]))


async def entries(api: ApiClient, document: Document) -> list[Standing]:
    """Return every entry with this reference, the oldest first."""
    return [Standing(str(one["GlEntryID"])) for one in await Bng(api).gl_entries(_reference(_entry(document)))]


async def create_entry(api: ApiClient, document: Document) -> Standing:
    """Post the entry, once what it settles agrees with it."""
    entry = _entry(document)
    _reference(entry)
    if (settles := document.get("Settles")) is not None:
        await _require_agreement(api, settles)
    return Standing(str((await Bng(api).create_gl_entry(entry))["GlEntryID"]))


async def _require_agreement(api: ApiClient, settles: Document) -> None:
    """Raise DataError where a payment is not what its order's invoice says."""
    amount, currency = amount_of(settles, "Amount", "Settles."), settles.get("Currency")
    order = await Bng(api).sales_order(str(settles.get("SalesOrderID")))
    invoices = [one for one in await Bng(api).invoices(order["SalesOrderID"]) if one.get("Status") != CANCELLED]
    owed = sum((_total(one) for one in invoices), Decimal(0)) if invoices else _total(order)
    what = f"invoice {' and '.join(str(one['InvoiceID']) for one in invoices)}" if invoices else f"sales order {order['SalesOrderID']}"
    owed_in = str((invoices[0] if invoices else order).get("Currency"))
    if currency != owed_in:
        message = f"{amount} {currency} were paid, and {what} is in {owed_in}; settle it by hand"
        raise DataError(message, field="Settles.Currency", value=str(currency))
    if not agree(amount, owed):
        message = f"{amount} {currency} were paid, and {what} is {owed} {owed_in}; correct the one that is wrong, or book it by hand"
        raise DataError(message, field="Settles.Amount", value=str(amount))


def _total(record: Record) -> Decimal:
    total = decimal(record.get("Total"))
    if total is None:
        raise DataError("BNG gives no Total to compare with", field="Total", value=repr(record.get("Total")))
    return total


def _amounts(lines: object) -> list[tuple[str, Decimal | None, Decimal | None]]:
    rows: Sequence[Mapping[str, Any]] = [line for line in lines if isinstance(line, Mapping)] if isinstance(lines, list) else []
    return [(str(line.get("Account")), decimal(line.get("Debit")), decimal(line.get("Credit"))) for line in rows]


def _entry(document: Document) -> Document:
    entry = document.get("Entry")
    if not isinstance(entry, Mapping):
        raise DataError("the mapped document has no Entry", field="Entry", value=repr(entry)[:80])
    return entry


def _reference(entry: Document) -> str:
    """Return what an entry is looked up by; without one, every entry of BNG would be found."""
    value = entry.get("Reference")
    if not isinstance(value, str) or not value.strip():
        raise DataError("the entry has no Reference", field="Entry.Reference", value=repr(value))
    return value
