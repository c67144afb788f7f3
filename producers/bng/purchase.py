"""What BNG says of its purchases as canonical events: pure functions (contract: schemas/http/bng.yaml)."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from producers.base import Provenance
from producers.bng.decode import LARGEST_LINE, lines_of, money_of, sealed, sequence_of, text_of, whole_of
from producers.wire import Json, moment
from towpath.errors import DataError
from towpath.events import Address, Event, PurchaseLine, PurchaseOrderChanged, VendorChanged
from towpath.systems.bng import id_of


def decode_purchase_order(row: Json, provenance: Provenance) -> Event:
    """Return PurchaseOrderChanged of what `GET /purchase-orders` says of one."""
    number = id_of(row, "PurchaseOrderID")
    event: PurchaseOrderChanged = {
        "meta": provenance.meta("purchase_order", number, moment(row, "UpdatedAt"), {"major": sequence_of(row), "minor": 0}),
        "purchase_order_id": number,
        "reference": "",
        "vendor_id": id_of(row, "VendorID"),
        "status": text_of(row, "Status"),
        "ordered_at": _day(row, "OrderDate"),
        "currency": text_of(row, "Currency"),
        "lines": [_line(line, where) for where, line in lines_of(row)],
        "custom_fields": {},
    }
    return sealed("PurchaseOrderChanged", event)


def decode_vendor(row: Json, provenance: Provenance) -> Event:
    """Return VendorChanged of what `GET /vendors` says of one."""
    number = id_of(row, "VendorID")
    event: VendorChanged = {
        "meta": provenance.meta("vendor", number, moment(row, "UpdatedAt"), {"major": sequence_of(row), "minor": 0}),
        "vendor_id": number,
        "name": text_of(row, "Name"),
        "email": "" if row.get("Email") is None else text_of(row, "Email"),
        "currency": text_of(row, "Currency"),
        "address": _address(row),
        "custom_fields": {},
    }
    return sealed("VendorChanged", event)


def _line(line: Json, where: str) -> PurchaseLine:
    return {
        "line_no": whole_of(line, "LineNo", 1, LARGEST_LINE, where),
        "sku": id_of(line, "SKU", where),
        "quantity": Decimal(whole_of(line, "Quantity", 1, where=where)),
        "received": Decimal(whole_of(line, "ReceivedQuantity", 0, where=where)),
        "unit_cost": money_of(line, "UnitCost", where),
    }


def _address(row: Json) -> Address | None:
    found = row.get("Address")
    if found is None:
        return None
    if not isinstance(found, dict):
        raise DataError("Address is no object", field="Address", value=str(found)[:60])
    given = {name: "" if found.get(name) is None else text_of(found, name) for name in ("Street", "City", "State", "Zip", "Country")}
    return {
        "first_name": "",
        "last_name": "",
        "company": text_of(row, "Name"),
        "email": "",
        "phone": "",
        "lines": [given["Street"]] if given["Street"] else [],
        "city": given["City"],
        "region": given["State"],
        "postcode": given["Zip"],
        "country": given["Country"],
    }


def _day(row: Json, field: str) -> datetime:
    try:
        return datetime.strptime(text_of(row, field), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise DataError(f"{field} is no day such as 2026-11-20", field=field, value=str(row.get(field))) from None
