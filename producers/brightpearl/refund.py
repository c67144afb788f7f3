"""What a closed sales credit tells: pure functions. It was made for a return of the shop, whose key in our ledger names both."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from producers.base import Provenance
from producers.brightpearl.fields import meta_of, quantity_of, sealed
from producers.wire import SIX_PLACES, Json, moment, part
from towpath.errors import DataError
from towpath.events import Event, OrderLine, RefundIssued

NONE: Final = Decimal(0)
RETURN: Final = "/return/"


def decode_refund(bundle: Json, provenance: Provenance) -> list[Event]:
    """Return RefundIssued of a sales credit that is invoiced, nothing before: it may still be changed."""
    credit, key = part(bundle, "credit"), bundle.get("return_key")
    order_key, _, asked = key.rpartition(RETURN) if isinstance(key, str) else ("", "", "")
    if not order_key:
        raise DataError("the sales credit has no key of its return", field="return_key", value=str(key))
    invoices = credit.get("invoices")
    invoice = invoices[0] if isinstance(invoices, list) and invoices and isinstance(invoices[0], dict) else {}
    if not invoice.get("invoiceReference"):
        return []
    lines, total = _lines(credit), part(credit, "totalValue")
    event: RefundIssued = {
        "meta": {**meta_of(provenance, "order", "", moment(credit, "updatedOn")), "key": order_key},
        "refund_id": str(credit.get("id")),
        "order_id": str(credit.get("parentOrderId") or ""),
        "order_number": order_key.rpartition("/")[2],
        "currency": str(part(credit, "currency").get("orderCurrencyCode") or ""),
        "lines": lines,
        "shipping_amount": NONE,
        "discount_total": NONE,
        "tax_total": sum((line["tax_amount"] for line in lines), NONE),
        "adjustment": NONE,
        "total": quantity_of(total, "total", "totalValue."),
        "method": "",
        "transaction_id": "",
        "reason": "",
        "refunded_at": moment(invoice, "taxDate"),
        "custom_fields": {"Return": asked},
    }
    return [sealed("RefundIssued", event)]


def _lines(credit: Json) -> list[OrderLine]:
    rows = credit.get("orderRows") or {}
    if not isinstance(rows, dict) or not all(name.isdecimal() and isinstance(row, dict) for name, row in rows.items()):
        raise DataError("orderRows is no object by row id", field="orderRows", value=str(rows)[:60])
    return [_line(rows[name], name, index) for index, name in enumerate(sorted(rows, key=int), start=1)]


def _line(row: Json, name: str, index: int) -> OrderLine:
    where, value = f"orderRows.{name}.", part(row, "rowValue")
    quantity, net = (
        quantity_of(part(row, "quantity"), "magnitude", f"{where}quantity."),
        quantity_of(part(value, "rowNet"), "value", f"{where}rowNet."),
    )
    return {
        "line_no": index,
        "line_id": name,
        "sku": str(row.get("productSku") or ""),
        "name": str(row.get("productName") or ""),
        "quantity": quantity,
        "unit_price": (net / quantity).quantize(SIX_PLACES) if quantity else net,
        "line_total": net,
        "tax_amount": quantity_of(part(value, "rowTax"), "value", f"{where}rowTax."),
    }
