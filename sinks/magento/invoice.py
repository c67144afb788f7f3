"""An invoice at the shop takes all that is left to be invoiced, and captures its payment where that was only authorised.

The shop refuses to invoice what is invoiced; so what stands by our reference, a comment that only the staff sees, or covers the order already,
is the invoice. It is made only of an order whose total is that of the ERP's invoice.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sinks.base import Document, Standing
from sinks.magento.shop import CANCELED, Row, Shop, order_id, text
from sinks.money import agree, amount_of, decimal
from towpath.errors import DataError
from towpath.http import ApiClient


async def find_invoice(api: ApiClient, document: Document) -> Standing | None:
    """Return the invoice with our reference, else the newest of an order that is invoiced as a whole; raises DataError where totals differ."""
    shop, reference = Shop(api), text(document, "Reference")
    invoices = await shop.invoices(order_id(document))
    for row in invoices:
        if reference in [comment.get("comment") for comment in row.get("comments") or () if isinstance(comment, dict)]:
            return Standing(str(row["entity_id"]))
    if not invoices:
        return None
    order = await shop.order(document)
    _require_agreement(document, order, shop.name)
    invoiced = decimal(order.get("total_invoiced") or 0)
    return Standing(str(invoices[-1]["entity_id"])) if invoiced is not None and agree(amount_of(document, "Total"), invoiced) else None


async def create_invoice(api: ApiClient, document: Document) -> Standing:
    """Invoice what is left of the order; raises DataError, before anything is written, where it is cancelled or its total is another."""
    shop, reference = Shop(api), text(document, "Reference")
    order = await shop.order(document)
    if order.get("state") == CANCELED:
        message = f"order {order['entity_id']} is cancelled at {shop.name}, yet the ERP has invoiced it; settle it by hand"
        raise DataError(message, field="OrderStatus", value=CANCELED)
    _require_agreement(document, order, shop.name)
    invoice: dict[str, Any] = {
        "capture": document.get("Capture") is not False,
        "notify": document.get("Notify") is not False,
        "appendComment": False,
        "comment": {"comment": reference, "is_visible_on_front": 0},
    }
    try:
        return Standing(await shop.invoice(order["entity_id"], invoice))
    except DataError:
        if (found := await find_invoice(api, document)) is not None:  # somebody else has just invoiced it
            return found
        raise


def _require_agreement(document: Document, order: Row, shop: str) -> None:
    wanted, total, canceled = amount_of(document, "Total"), decimal(order.get("grand_total")), decimal(order.get("total_canceled") or 0)
    owed, currency = (total or Decimal(0)) - (canceled or Decimal(0)), order.get("order_currency_code")
    if currency != document.get("Currency"):
        message = f"the ERP's invoice is in {document.get('Currency')}, and order {order['entity_id']} at {shop} in {currency}; settle it by hand"
        raise DataError(message, field="Currency", value=str(document.get("Currency")))
    if total is None or not agree(wanted, owed):
        message = f"the ERP has invoiced {wanted} {currency}, and order {order['entity_id']} at {shop} is {owed}; correct the one that is wrong"
        raise DataError(message, field="Total", value=str(wanted))
