"""A goods-out note as a canonical event: what is to leave a warehouse, or what has left it (vendor-apis.md, section 2.6)."""

from __future__ import annotations

from decimal import Decimal

from producers.base import Provenance
from producers.brightpearl.fields import meta_of, of_order, quantity_of, sealed
from producers.wire import Json, moment, part
from towpath.errors import DataError
from towpath.events import Address, Event, ShipmentConfirmed, ShipmentLine, ShipmentRequested
from towpath.systems._brightpearl_countries import ALPHA_2


def decode_note(bundle: Json, provenance: Provenance) -> Event:
    """Return ShipmentConfirmed of a shipped note, ShipmentRequested of any other, with its order and the order's business key."""
    note, order = part(bundle, "note"), part(bundle, "order")
    if note.get("orderId") != order.get("id"):
        raise DataError(f"the order read for the note is not {note.get('orderId')}", field="orderId", value=str(order.get("id")))
    is_shipped = part(note, "status").get("shipped") is True
    return _confirmed(bundle, note, order, provenance) if is_shipped else _requested(bundle, note, order, provenance)


def _requested(bundle: Json, note: Json, order: Json, provenance: Provenance) -> Event:
    requested_at = moment(note, "createdOn")
    event: ShipmentRequested = {
        "meta": of_order(bundle, meta_of(provenance, "order", "", requested_at)),
        "shipment_id": str(bundle.get("note_id")),
        "order_id": str(order.get("id")),
        "location": str(note.get("warehouseId") or ""),
        "service": _method(note),
        "requested_at": requested_at,
        "ship_to": _ship_to(part(part(order, "parties"), "delivery")),
        "lines": _lines(part(note, "orderRows"), part(order, "orderRows")),
        "custom_fields": {},
    }
    return sealed("ShipmentRequested", event)


def _confirmed(bundle: Json, note: Json, order: Json, provenance: Provenance) -> Event:
    """Return what has left; `Shipped by` is who said so, for what a 3PL told us it tells of itself."""
    status, shipping = part(note, "status"), note.get("shipping")
    shipped_at = moment(status, "shippedOn")
    event: ShipmentConfirmed = {
        "meta": of_order(bundle, meta_of(provenance, "order", "", shipped_at)),
        "shipment_id": str(bundle.get("note_id")),
        "order_id": str(order.get("id")),
        "carrier": _method(note),
        "tracking_number": str(shipping.get("reference") or "") if isinstance(shipping, dict) else "",
        "shipped_at": shipped_at,
        "lines": _lines(part(note, "orderRows"), part(order, "orderRows")),
        "request_id": "",
        "custom_fields": {"Shipped by": str(status["shippedById"])} if status.get("shippedById") else {},
    }
    return sealed("ShipmentConfirmed", event)


def _method(note: Json) -> str:
    shipping = note.get("shipping")
    return str(shipping.get("shippingMethodId") or "") if isinstance(shipping, dict) else ""


def _ship_to(delivery: Json) -> Address:
    """Return where an order goes: lines 3 and 4 are the city and the state, a name is one text; what has no known country has none."""
    iso2, iso3 = str(delivery.get("countryIsoCode") or ""), str(delivery.get("countryIsoCode3") or "")
    country = iso2 if len(iso2) == 2 else ALPHA_2.get(iso3) or ALPHA_2.get(iso2, "")  # noqa: PLR2004 - alpha-2
    first, _, last = str(delivery.get("addressFullName") or "").strip().rpartition(" ")
    return {
        "first_name": first,
        "last_name": last,
        "company": str(delivery.get("companyName") or ""),
        "email": str(delivery.get("email") or ""),
        "phone": str(delivery.get("telephone") or delivery.get("mobileTelephone") or ""),
        "lines": [str(line) for line in (delivery.get("addressLine1"), delivery.get("addressLine2")) if line],
        "city": str(delivery.get("addressLine3") or ""),
        "region": str(delivery.get("addressLine4") or ""),
        "postcode": str(delivery.get("postalCode") or ""),
        "country": country,
    }


def _lines(sent: Json, rows: Json) -> list[ShipmentLine]:
    """Return the lines of a note, numbered as the order's rows are by their ids; rows are objects keyed by id."""
    for row, value in rows.items():
        if not row.isdecimal() or not isinstance(value, dict):
            raise DataError(f"row {row[:40]} of the order is no row by its id", field="order.orderRows", value=row)
    numbers = {row: index for index, row in enumerate(sorted(rows, key=int), start=1)}
    lines: list[ShipmentLine] = []
    for row, items in sent.items():
        if row not in numbers:
            raise DataError(f"the order has no row {row}", field=f"note.orderRows.{row}", value=row)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise DataError("the note's row is no list", field=f"note.orderRows.{row}")
        composition = rows[row].get("composition")
        if isinstance(composition, dict) and composition.get("bundleParent") is True:  # its parts are rows of their own
            continue
        quantity = sum((quantity_of(item, "quantity", f"note.orderRows.{row}.") for item in items), Decimal(0))
        sku = str(rows[row].get("productSku") or "")
        if not sku:
            raise DataError(f"row {row} of the order has no SKU", field=f"order.orderRows.{row}.productSku")
        lines.append({"line_no": numbers[row], "sku": sku, "quantity": quantity})
    return lines
