"""What BNG sent as canonical events: pure functions (contract: schemas/http/bng.yaml)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from producers.base import Provenance
from producers.wire import Json, decimal_of, moment, part
from towpath.errors import DataError
from towpath.events import (
    Address,
    CustomerChanged,
    Event,
    InvoiceIssued,
    Meta,
    OrderStatusChanged,
    ProductChanged,
    ShipmentConfirmed,
    ShipmentLine,
    StockChanged,
    seal,
    stable_id,
)
from towpath.systems.bng import id_of

LARGEST: Final = 2**63 - 1
LARGEST_LINE: Final = 2**31 - 1


def decode_stock(row: Json, provenance: Provenance) -> Event:
    """Return StockChanged of what `GET /inventory` says of a SKU and warehouse."""
    sku, changed_at = id_of(row, "SKU"), moment(row, "UpdatedAt")
    event: StockChanged = {
        "meta": provenance.meta("stock", sku, changed_at, {"major": sequence_of(row), "minor": 0}),
        "sku": sku,
        "location": text_of(row, "Warehouse"),
        "on_hand": Decimal(whole_of(row, "OnHand", -LARGEST)),
        "allocated": Decimal(whole_of(row, "Allocated", 0)),
        "available": Decimal(whole_of(row, "Available", -LARGEST)),
        "custom_fields": {},
    }
    return sealed("StockChanged", event)


def decode_product(row: Json, provenance: Provenance) -> Event:
    """Return ProductChanged of what `GET /products` says of a product."""
    product_id, price, attributes = id_of(row, "ProductID"), money_of(row, "Price"), row.get("Attributes")
    if not isinstance(attributes, dict) or not all(isinstance(value, str) for value in attributes.values()):
        raise DataError("Attributes is no object of texts", field="Attributes", value=str(attributes))
    event: ProductChanged = {
        "meta": provenance.meta("product", product_id, moment(row, "UpdatedAt"), {"major": sequence_of(row), "minor": 0}),
        "product_id": product_id,
        "sku": id_of(row, "SKU"),
        "name": text_of(row, "Name"),
        "product_type": text_of(row, "ProductType"),
        "price": price,
        "currency": text_of(row, "Currency"),
        "attributes": attributes,
        "custom_fields": {},
    }
    return sealed("ProductChanged", event)


def decode_customer(bundle: Json, provenance: Provenance) -> Event:
    """Return CustomerChanged of a customer and the business key of whom it stands for; BNG's one line of street is cut at its first comma."""
    row = part(bundle, "customer")
    customer_id, key = id_of(row, "CustomerID"), bundle.get("customer_key")
    meta = provenance.meta("customer", customer_id, moment(row, "UpdatedAt"), {"major": sequence_of(row), "minor": 0})
    fields = row.get("CustomFields") or {}
    if not isinstance(fields, dict) or not all(isinstance(value, str | None) for value in fields.values()):
        raise DataError("CustomFields is no object of texts", field="CustomFields", value=str(fields))
    event: CustomerChanged = {
        "meta": {**meta, "key": key} if isinstance(key, str) and key else meta,
        "customer_id": customer_id,
        "email": _maybe(row, "Email"),
        "first_name": _maybe(row, "FirstName"),
        "last_name": _maybe(row, "LastName"),
        "company": _maybe(row, "CompanyName"),
        "active": True,
        "billing_address": _address(row, "BillingAddress"),
        "shipping_address": _address(row, "ShippingAddress"),
        "custom_fields": {name: value for name, value in fields.items() if value is not None} | _terms(row),
    }
    return sealed("CustomerChanged", event)


def _terms(row: Json) -> dict[str, str]:
    return {name: value for name in ("PaymentTerms", "CreditLimit") if (value := _maybe(row, name))}


def _address(row: Json, field: str) -> Address | None:
    address = row.get(field)
    if address is None:
        return None
    if not isinstance(address, dict):
        raise DataError(f"{field} is no object", field=field, value=str(address))
    where = f"{field}."
    return {
        "first_name": "",
        "last_name": "",
        "company": "",
        "email": "",
        "phone": "",
        "lines": [line for line in _maybe(address, "Street", where).split(", ", 1) if line],
        "city": _maybe(address, "City", where),
        "region": _maybe(address, "State", where),
        "postcode": _maybe(address, "Zip", where),
        "country": _maybe(address, "Country", where),
    }


def _maybe(record: Json, field: str, where: str = "") -> str:
    """Return a text, empty where BNG has null."""
    value = record.get(field)
    if value is not None and not isinstance(value, str):
        raise DataError(f"{where}{field} is no text", field=f"{where}{field}", value=str(value))
    return value or ""


def decode_status(bundle: Json, provenance: Provenance) -> Event:
    """Return OrderStatusChanged of a sales order and its business key."""
    order = part(bundle, "sales_order")
    event: OrderStatusChanged = {
        "meta": _meta(bundle, order, moment(order, "UpdatedAt"), provenance),
        "order_id": id_of(order, "SalesOrderID"),
        "status": str(whole_of(order, "OrderStatus", 0)),
        "custom_fields": {},
    }
    return sealed("OrderStatusChanged", event)


def decode_shipment(bundle: Json, provenance: Provenance) -> Event:
    """Return ShipmentConfirmed of a shipment, its sales order, and the order's business key."""
    shipment, order = part(bundle, "shipment"), part(bundle, "sales_order")
    shipped_at, order_id = moment(shipment, "ShippedAt"), id_of(shipment, "SalesOrderID")
    if order.get("SalesOrderID") != order_id:
        raise DataError(f"the order read for the shipment is not {order_id}", field="SalesOrderID", value=str(order.get("SalesOrderID")))
    skus = {_line_no(line, where): id_of(line, "SKU", where) for where, line in lines_of(order, "sales_order.")}
    event: ShipmentConfirmed = {
        "meta": _meta(bundle, shipment, shipped_at, provenance),
        "shipment_id": id_of(shipment, "ShipmentID"),
        "order_id": order_id,
        "carrier": text_of(shipment, "Carrier"),
        "tracking_number": "" if shipment.get("TrackingNumber", "") is None else text_of(shipment, "TrackingNumber"),
        "shipped_at": shipped_at,
        "lines": [_line(line, skus, where) for where, line in lines_of(shipment)],
        "request_id": "",
        "custom_fields": {},
    }
    return sealed("ShipmentConfirmed", event)


def decode_invoice(bundle: Json, provenance: Provenance) -> Event:
    """Return InvoiceIssued of an invoice and its order's business key; BNG tells when it changed, not when it was issued."""
    invoice = part(bundle, "invoice")
    event: InvoiceIssued = {
        "meta": _meta(bundle, invoice, moment(invoice, "UpdatedAt"), provenance),
        "invoice_id": id_of(invoice, "InvoiceID"),
        "order_id": id_of(invoice, "SalesOrderID"),
        "status": text_of(invoice, "Status"),
        "total": money_of(invoice, "Total"),
        "currency": text_of(invoice, "Currency"),
        "custom_fields": {},
    }
    return sealed("InvoiceIssued", event)


def _line(line: Json, skus: Mapping[int, str], where: str) -> ShipmentLine:
    number = _line_no(line, where)
    if number not in skus:
        raise DataError(f"{where}LineNo: the order has no line {number}", field=f"{where}LineNo", value=str(number))
    return {"line_no": number, "sku": skus[number], "quantity": Decimal(whole_of(line, "Quantity", 1, where=where))}


def _line_no(line: Json, where: str) -> int:
    return whole_of(line, "LineNo", 1, LARGEST_LINE, where)


def _meta(bundle: Json, record: Json, occurred_at: datetime, provenance: Provenance) -> Meta:
    key = bundle.get("order_key")
    if not isinstance(key, str) or not key:
        raise DataError("the record has no business key of its order", field="order_key", value=str(key))
    meta = provenance.meta("order", "", occurred_at, {"major": sequence_of(record), "minor": 0})
    return {**meta, "key": key}


def sealed(kind: str, value: Mapping[str, Any]) -> Event:
    """Return the event with the id that BNG's Sequence gives it: stock that is what it was before is another fact nevertheless."""
    event = seal(Event(kind, value))
    meta = event.meta
    meta["event_id"] = stable_id(meta["connection"], event.identity, kind, meta["version"]["major"])
    return event


def sequence_of(record: Json) -> int:
    """Return what tells the order of a record's changes."""
    return whole_of(record, "Sequence", 1)


def whole_of(record: Json, field: str, least: int, most: int = LARGEST, where: str = "") -> int:
    """Return a whole number; raises DataError naming the field, after `where` it stands."""
    value = record.get(field)
    number = value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None
    if number is None or not least <= number <= most or number != int(number):
        raise DataError(f"{where}{field} is no whole number from {least} to {most}", field=f"{where}{field}", value=str(value))
    return int(number)


def money_of(record: Json, field: str, where: str = "") -> Decimal:
    """Return an amount that is not below zero; raises DataError naming the field, after `where` it stands."""
    amount = decimal_of(record.get(field))
    if amount is None or amount < 0:
        raise DataError(f"{where}{field} is no amount of money", field=f"{where}{field}", value=str(record.get(field)))
    return amount


def text_of(record: Json, field: str) -> str:
    """Return a text; raises DataError naming the field."""
    value = record.get(field)
    if not isinstance(value, str):
        raise DataError(f"{field} is no text", field=field, value=str(value))
    return value


def lines_of(record: Json, where: str = "") -> list[tuple[str, Json]]:
    """Return each line with the name of its place."""
    lines = record.get("Lines")
    if not isinstance(lines, list) or not lines or not all(isinstance(line, dict) for line in lines):
        raise DataError(f"{where}Lines is no list of lines", field=f"{where}Lines")
    return [(f"{where}Lines[{index}].", line) for index, line in enumerate(lines)]
