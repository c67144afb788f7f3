"""What Brightpearl's purchase orders tell: pure functions. What came in stands in goods-in notes, whose making changes no order."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from producers.base import Provenance
from producers.brightpearl.fields import meta_of, quantity_of, sealed
from producers.wire import SIX_PLACES, Json, moment, part
from towpath.errors import DataError
from towpath.events import Event, PurchaseLine, PurchaseOrderChanged

NONE: Final = Decimal(0)


def decode_purchase_order(bundle: Json, provenance: Provenance) -> Event:
    """Return PurchaseOrderChanged of a purchase order and its goods-in notes."""
    order, notes = part(bundle, "purchase_order"), _notes(bundle)
    number, changed_at = order.get("id"), moment(order, "updatedOn")
    latest = max((changed_at, *(moment(note, "createdOn") for note in notes)))
    event: PurchaseOrderChanged = {
        "meta": meta_of(provenance, "purchase_order", number, latest),
        "purchase_order_id": str(number),
        "reference": str(order.get("reference") or ""),
        "vendor_id": str(part(part(order, "parties"), "supplier").get("contactId") or ""),
        "status": str(part(order, "orderStatus").get("orderStatusId") or ""),
        "ordered_at": moment(order, "placedOn"),
        "currency": str(part(order, "currency").get("orderCurrencyCode") or ""),
        "lines": _lines(order, _received(notes)),
        "custom_fields": {},
    }
    return sealed("PurchaseOrderChanged", event)


def _notes(bundle: Json) -> list[Json]:
    notes = bundle.get("notes")
    found = list(notes.values()) if isinstance(notes, dict) else notes if isinstance(notes, list) else None
    if found is None or not all(isinstance(note, dict) for note in found):
        raise DataError("the goods-in notes are no object by id", field="notes", value=str(notes)[:60])
    return found


def _received(notes: list[Json]) -> dict[str, Decimal]:
    """Return how many came in by the row of the order."""
    found: dict[str, Decimal] = {}
    for note in notes:
        moved = note.get("goodsMoved")
        if not isinstance(moved, list) or not all(isinstance(one, dict) for one in moved):
            raise DataError("a goods-in note has no list of goods", field="notes.goodsMoved", value=str(moved)[:60])
        for one in moved:
            row = str(one.get("purchaseOrderRowId"))
            found[row] = found.get(row, NONE) + quantity_of(one, "quantity", "notes.goodsMoved.")
    return found


def _lines(order: Json, received: dict[str, Decimal]) -> list[PurchaseLine]:
    rows = order.get("orderRows") or {}
    if not isinstance(rows, dict) or not all(name.isdecimal() and isinstance(row, dict) for name, row in rows.items()):
        raise DataError("orderRows is no object by row id", field="orderRows", value=str(rows)[:60])
    found: list[PurchaseLine] = []
    for index, name in enumerate(sorted(rows, key=int), start=1):
        row, where = rows[name], f"orderRows.{name}."
        quantity = quantity_of(part(row, "quantity"), "magnitude", f"{where}quantity.")
        net = quantity_of(part(part(row, "rowValue"), "rowNet"), "value", f"{where}rowValue.rowNet.")
        cost = (net / quantity).quantize(SIX_PLACES) if quantity else net
        line: PurchaseLine = {
            "line_no": index,
            "sku": str(row.get("productSku") or ""),
            "quantity": quantity,
            "received": received.get(name, NONE),
            "unit_cost": cost,
        }
        found.append(line)
    return found
