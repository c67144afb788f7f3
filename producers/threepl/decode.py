"""What the 3PL said as canonical events: pure functions (contract: schemas/http/3pl.yaml)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from producers.base import Provenance
from producers.wire import Json, moment
from towpath.errors import DataError
from towpath.events import Event, ShipmentConfirmed, ShipmentLine, micros, seal, stable_id
from towpath.systems.threepl import id_of

REQUEST: Final = "/request/"
"""Stands in the key of a request between the business key of its order and the id of what its source asked for."""
LONGEST: Final = 200
MOST: Final = 1_000_000
"""Pieces of a line, and parcels of a shipment: what has more is nobody's order."""


def decode_shipment(bundle: Json, shipment: Json, provenance: Provenance) -> list[Event]:
    """Return ShipmentConfirmed of each parcel, numbered as they stand in the webhook, which is the same in every copy of it."""
    order_key, split, request = str(bundle.get("request_key")).partition(REQUEST)
    if not order_key or not split or not request:
        raise DataError("the record has no key of a request", field="request_key", value=str(bundle.get("request_key")))
    shipped_at, parcels = moment(shipment, "shippedAt"), shipment.get("parcels")
    if not isinstance(parcels, list) or not parcels:
        raise DataError("the shipment has no parcels", field="parcels", value=repr(parcels)[:80])
    found = []
    for index, parcel in enumerate(parcels):
        where = f"parcels[{index}]."
        if not isinstance(parcel, dict):
            raise DataError("a parcel is no object", field=where[:-1], value=repr(parcel)[:80])
        meta = provenance.meta("order", "", shipped_at, {"major": micros(shipped_at), "minor": provenance.inbox_offset})
        event: ShipmentConfirmed = {
            "meta": {**meta, "key": order_key},
            "shipment_id": f"{id_of(bundle, 'id')}-{index + 1}",
            "order_id": id_of(shipment, "requestId"),
            "carrier": _text(parcel, "carrier", where),
            "tracking_number": _text(parcel, "trackingNumber", where),
            "shipped_at": shipped_at,
            "lines": _lines(parcel.get("lines"), where),
            "request_id": request,
            "custom_fields": {},
        }
        found.append(_sealed(event))
    return found


def _lines(lines: Any, where: str) -> list[ShipmentLine]:  # noqa: ANN401 - any JSON
    if not isinstance(lines, list) or not lines or not all(isinstance(line, dict) for line in lines):
        raise DataError("a parcel has no lines", field=f"{where}lines", value=repr(lines)[:80])
    return [_line(line, f"{where}lines[{index}].") for index, line in enumerate(lines)]


def _line(line: Json, where: str) -> ShipmentLine:
    quantity = line.get("quantity")
    if not isinstance(quantity, int) or isinstance(quantity, bool) or not 0 < quantity <= MOST:
        raise DataError(f"{where}quantity is no whole number of pieces", field=f"{where}quantity", value=repr(quantity))
    sku = _text(line, "sku", where)
    if not sku:
        raise DataError(f"{where}sku is no SKU", field=f"{where}sku", value=repr(line.get("sku")))
    return {"line_no": 0, "sku": sku, "quantity": Decimal(quantity)}


def _text(record: Json, field: str, where: str) -> str:
    """Return a text without the blanks around it, which may be empty; raises DataError for what is none."""
    value = record.get(field)
    if not isinstance(value, str) or len(value) > LONGEST or not value.isprintable():
        raise DataError(f"{where}{field} is no text of one line", field=f"{where}{field}", value=repr(value))
    return value.strip()


def _sealed(value: ShipmentConfirmed) -> Event:
    """Return the event with an id of the parcel and its content."""
    event = seal(Event("ShipmentConfirmed", value))
    event.meta["event_id"] = stable_id(event.meta["connection"], event.identity, event.type, event.meta["digest"])
    return event
