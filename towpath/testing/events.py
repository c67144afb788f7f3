"""Canonical events as tests need them: whole, valid, and changed in one place by keyword."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from towpath.events import (
    Address,
    CustomerChanged,
    Event,
    InvoiceIssued,
    Meta,
    OrderCancelled,
    OrderChanged,
    OrderPlaced,
    OrderStatusChanged,
    PaymentReceived,
    ProductChanged,
    RefundIssued,
    ShipmentConfirmed,
    ShipmentRequested,
    StockChanged,
    business_key,
    seal,
)

PLACED_AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


def an_address(**changes: Any) -> Address:  # noqa: ANN401 - any field of the schema
    """Return a valid address."""
    address: Address = {
        "first_name": "Zoë",
        "last_name": "Müller",
        "company": "",
        "email": "zoe@shop.example",
        "phone": "+49 30 1234",
        "lines": ["Hauptstraße 5", "Hof 2"],
        "city": "Berlin",
        "region": "",
        "postcode": "10115",
        "country": "DE",
    }
    address.update(changes)  # type: ignore[typeddict-item]
    return address


def an_order(number: int = 1001, *, connection: str = "shop", offset: int = 0, customer: int = 7, **changes: Any) -> OrderPlaced:  # noqa: ANN401
    """Return a valid order of two lines whose total adds up: 19.98 + 5.00 + shipping 4.90 + tax 5.68 - discount 1.00 = 34.56 EUR."""
    order: OrderPlaced = {
        "meta": a_meta(business_key(connection, "order", number), minor=offset, trace=number),
        "order_number": str(number),
        "order_id": str(number),
        "status": "20",
        "payment_status": "30",
        "placed_at": PLACED_AT,
        "currency": "EUR",
        "customer_key": business_key(connection, "customer", customer),
        "customer_id": str(customer),
        "customer_email": "zoe@shop.example",
        "customer_first_name": "Zoë",
        "customer_last_name": "Müller",
        "customer_company": "",
        "billing_address": an_address(),
        "shipping_address": an_address(),
        "lines": [
            {
                "line_no": 1, "line_id": "1", "sku": "TP-0001", "name": "", "quantity": Decimal(2), "unit_price": Decimal("9.99"),
                "line_total": Decimal("19.98"), "tax_amount": Decimal("3.80"),
            },
            {
                "line_no": 2, "line_id": "2", "sku": "TP-0002", "name": "", "quantity": Decimal(1), "unit_price": Decimal("5.00"),
                "line_total": Decimal("5.00"), "tax_amount": Decimal("0.95"),
            },
        ],
        "shipping_amount": Decimal("4.90"),
        "shipping_method": "Ground",
        "discount_total": Decimal("1.00"),
        "tax_total": Decimal("5.68"),
        "total": Decimal("34.56"),
        "payment_method": "Payments.Manual",
        "custom_fields": {"Order Source": "web"},
    }  # fmt: skip
    order.update(changes)  # type: ignore[typeddict-item]
    seal(Event("OrderPlaced", order))
    return order


def a_customer(number: int = 7, *, connection: str = "shop", **changes: Any) -> CustomerChanged:  # noqa: ANN401 - any field of the schema
    """Return a valid customer."""
    customer: CustomerChanged = {
        "meta": a_meta(business_key(connection, "customer", number), trace=number),
        "customer_id": str(number),
        "email": "zoe@shop.example",
        "first_name": "Zoë",
        "last_name": "Müller",
        "company": "",
        "active": True,
        "billing_address": an_address(),
        "shipping_address": None,
        "custom_fields": {},
    }
    customer.update(changes)  # type: ignore[typeddict-item]
    seal(Event("CustomerChanged", customer))
    return customer


def a_product(sku: str = "TP-0001", **changes: Any) -> ProductChanged:  # noqa: ANN401 - any field of the schema
    """Return a product of the ERP."""
    product: ProductChanged = {
        "meta": a_meta(business_key("erp", "product", "P-1"), connection="erp", major=1),
        "product_id": "P-1",
        "sku": sku,
        "name": "Mug",
        "product_type": "simple",
        "price": Decimal("9.99"),
        "currency": "EUR",
        "attributes": {"Colour": "blue"},
        "custom_fields": {},
    }
    product.update(changes)  # type: ignore[typeddict-item]
    seal(Event("ProductChanged", product))
    return product


def a_change(number: int = 1001, **changes: Any) -> OrderChanged:  # noqa: ANN401 - any field of the schema
    """Return an order as it stands after a change."""
    return seal(Event("OrderChanged", an_order(number, **changes))).value  # type: ignore[return-value]


def a_status(number: int = 1001, status: str = "20", *, sequence: int = 2, order_id: str = "SO-1001") -> OrderStatusChanged:
    """Return what an ERP says of the status of shop order `number`, which it knows as `order_id`."""
    meta = a_meta(business_key("shop", "order", number), connection="erp", major=sequence, trace=number)
    status_changed: OrderStatusChanged = {"meta": meta, "order_id": order_id, "status": status, "custom_fields": {}}
    seal(Event("OrderStatusChanged", status_changed))
    return status_changed


def a_cancellation(number: int = 1001, *, offset: int = 9) -> OrderCancelled:
    """Return a cancellation of an order by its shop."""
    meta = a_meta(business_key("shop", "order", number), minor=offset, trace=number)
    cancelled: OrderCancelled = {"meta": meta, "order_id": str(number), "order_number": str(number), "reason": "", "custom_fields": {}}
    seal(Event("OrderCancelled", cancelled))
    return cancelled


def a_shipment(number: int = 1001, shipment: str = "SH-1", **changes: Any) -> ShipmentConfirmed:  # noqa: ANN401 - any field of the schema
    """Return a shipment of the first line of `an_order`, whole."""
    shipped: ShipmentConfirmed = {
        "meta": a_meta(business_key("shop", "order", number), connection="erp", major=1, trace=number),
        "shipment_id": shipment,
        "order_id": "SO-1001",
        "carrier": "DHL",
        "tracking_number": "JD014600003",
        "shipped_at": PLACED_AT,
        "lines": [{"line_no": 1, "sku": "TP-0001", "quantity": Decimal(2)}],
        "request_id": "",
        "custom_fields": {},
    }
    shipped.update(changes)  # type: ignore[typeddict-item]
    seal(Event("ShipmentConfirmed", shipped))
    return shipped


def a_request(number: int = 1001, shipment: str = "12447605", **changes: Any) -> ShipmentRequested:  # noqa: ANN401 - any field of the schema
    """Return what an ERP asks to leave its warehouse: the first line of `an_order`, whole."""
    requested: ShipmentRequested = {
        "meta": a_meta(business_key("shop", "order", number), connection="erp", major=1, trace=number),
        "shipment_id": shipment,
        "order_id": "322",
        "location": "2",
        "service": "49",
        "requested_at": PLACED_AT,
        "ship_to": an_address(),
        "lines": [{"line_no": 1, "sku": "TP-0001", "quantity": Decimal(2)}],
        "custom_fields": {},
    }
    requested.update(changes)  # type: ignore[typeddict-item]
    seal(Event("ShipmentRequested", requested))
    return requested


def a_payment(number: int = 1001, **changes: Any) -> PaymentReceived:  # noqa: ANN401 - any field of the schema
    """Return the payment of `an_order`."""
    paid: PaymentReceived = {
        "meta": a_meta(business_key("shop", "order", number), trace=number),
        "payment_id": "ch_1",
        "order_id": str(number),
        "order_number": str(number),
        "amount": Decimal("34.56"),
        "currency": "EUR",
        "method": "Payments.Manual",
        "transaction_id": "ch_1",
        "paid_at": PLACED_AT,
        "custom_fields": {},
    }
    paid.update(changes)  # type: ignore[typeddict-item]
    seal(Event("PaymentReceived", paid))
    return paid


def an_invoice(number: int = 1001, invoice: str = "INV-1", **changes: Any) -> InvoiceIssued:  # noqa: ANN401 - any field of the schema
    """Return the ERP's invoice of `an_order`."""
    issued: InvoiceIssued = {
        "meta": a_meta(business_key("shop", "order", number), connection="erp", major=1, trace=number),
        "invoice_id": invoice,
        "order_id": "SO-1001",
        "status": "Open",
        "total": Decimal("34.56"),
        "currency": "EUR",
        "custom_fields": {},
    }
    issued.update(changes)  # type: ignore[typeddict-item]
    seal(Event("InvoiceIssued", issued))
    return issued


def a_refund(number: int = 1001, **changes: Any) -> RefundIssued:  # noqa: ANN401 - any field of the schema
    """Return a refund of one of the two pieces of the first line of `an_order`, and of its shipping: 9.99 + 4.90 + tax 2.83 = 17.72 EUR."""
    refunded: RefundIssued = {
        "meta": a_meta(business_key("shop", "order", number), trace=number),
        "refund_id": "R-1",
        "order_id": str(number),
        "order_number": str(number),
        "currency": "EUR",
        "lines": [
            {
                "line_no": 1, "line_id": "1", "sku": "TP-0001", "name": "", "quantity": Decimal(1), "unit_price": Decimal("9.99"),
                "line_total": Decimal("9.99"), "tax_amount": Decimal("1.90"),
            }
        ],
        "shipping_amount": Decimal("4.90"),
        "discount_total": Decimal(0),
        "tax_total": Decimal("2.83"),
        "adjustment": Decimal(0),
        "total": Decimal("17.72"),
        "method": "Payments.Manual",
        "transaction_id": "re_1",
        "reason": "",
        "refunded_at": PLACED_AT,
        "custom_fields": {},
    }  # fmt: skip
    refunded.update(changes)  # type: ignore[typeddict-item]
    seal(Event("RefundIssued", refunded))
    return refunded


def a_stock(sku: str = "TP-0001", available: int = 10, *, location: str = "MAIN", sequence: int = 1, **changes: Any) -> StockChanged:  # noqa: ANN401
    """Return the stock of a product at one warehouse of the ERP."""
    stock: StockChanged = {
        "meta": a_meta(business_key("erp", "stock", sku), connection="erp", major=sequence),
        "sku": sku,
        "location": location,
        "on_hand": Decimal(available),
        "allocated": Decimal(0),
        "available": Decimal(available),
        "custom_fields": {},
    }
    stock.update(changes)  # type: ignore[typeddict-item]
    seal(Event("StockChanged", stock))
    return stock


def a_meta(key: str, *, connection: str = "", major: int = 1_763_631_000_000_000, minor: int = 0, trace: int = 1) -> Meta:
    """Return the meta of an event that is not sealed yet; its connection is the key's own where none is given."""
    return {
        "event_id": "",
        "connection": connection or key.partition("/")[0],
        "key": key,
        "version": {"major": major, "minor": minor},
        "digest": "",
        "occurred_at": PLACED_AT,
        "received_at": PLACED_AT,
        "trace_id": f"{trace:032x}",
    }
