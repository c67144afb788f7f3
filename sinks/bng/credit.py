"""Credit memos at BNG: a second one with our reference would be taken as readily, so each is looked for among its order's before it is made."""

from __future__ import annotations

from decimal import Decimal

from sinks.base import Document, Standing
from sinks.money import agree, amount_of, decimal
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.bng import Bng, Record


async def find_memo(api: ApiClient, document: Document) -> Standing | None:
    """Return the oldest credit memo with this reference; raises DataError where it is of another amount."""
    found = await _with_reference(api, document)
    if not found:
        return None
    if decimal(found[0].get("Total")) != amount_of(document, "Total"):
        one = found[0]["CreditMemoID"]
        message = f"credit memo {one} has the reference {document['Reference']}, and is of {found[0].get('Total')}; settle it by hand"
        raise DataError(message, field="Total", value=str(document["Total"]))
    return _standing(found[0])


async def memos(api: ApiClient, document: Document) -> list[Standing]:
    """Return every credit memo with this reference, the oldest first."""
    return [_standing(one) for one in await _with_reference(api, document)]


async def create_memo(api: ApiClient, document: Document) -> Standing:
    """Create the credit memo; raises DataError, before it is written, where more would be given back than the order is."""
    bng, total = Bng(api), amount_of(document, "Total")
    order = await bng.sales_order(str(document.get("SalesOrderID")))
    if order.get("Currency") != document.get("Currency"):
        message = f"sales order {order['SalesOrderID']} is in {order.get('Currency')}, and a refund of it in {document.get('Currency')}"
        raise DataError(f"{message}; settle it by hand", field="Currency", value=str(document.get("Currency")))
    before = sum((decimal(one.get("Total")) or Decimal(0) for one in await bng.credit_memos(order["SalesOrderID"])), Decimal(0))
    sold = decimal(order.get("Total")) or Decimal(0)
    if before + total > sold and not agree(total, sold - before):
        message = f"{total} {order.get('Currency')} were given back, and of sales order {order['SalesOrderID']} {sold - before} are left to credit"
        raise DataError(f"{message}; correct the one that is wrong", field="Total", value=str(total))
    return _standing(await bng.create_credit_memo(document))


async def _with_reference(api: ApiClient, document: Document) -> list[Record]:
    wanted, order = document.get("Reference"), document.get("SalesOrderID")
    for field, value in (("Reference", wanted), ("SalesOrderID", order)):
        if not isinstance(value, str) or not value.strip():
            raise DataError(f"the credit memo has no {field}", field=field, value=repr(value))
    return [one for one in await Bng(api).credit_memos(str(order)) if one.get("Reference") == wanted]


def _standing(memo: Record) -> Standing:
    return Standing(str(memo["CreditMemoID"]))
