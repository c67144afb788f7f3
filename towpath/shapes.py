"""The shapes of `schemas/*.avsc` as typed dictionaries; `towpath/events.py` has what is done with them. No I/O."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TypedDict


class Version(TypedDict):
    """Orders the facts of one key; compare as (major, minor)."""

    major: int
    minor: int


class Meta(TypedDict):
    """What every event says of itself."""

    event_id: str
    connection: str
    key: str
    version: Version
    digest: str
    occurred_at: datetime
    received_at: datetime
    trace_id: str


class Address(TypedDict):
    """A postal address; `country` is ISO 3166-1 alpha-2, empty strings where the source has nothing."""

    first_name: str
    last_name: str
    company: str
    email: str
    phone: str
    lines: list[str]
    city: str
    region: str
    postcode: str
    country: str


class OrderLine(TypedDict):
    """One line of an order; amounts in the order's currency, without tax."""

    line_no: int
    line_id: str
    sku: str
    name: str
    quantity: Decimal
    unit_price: Decimal
    line_total: Decimal
    tax_amount: Decimal


class OrderPlaced(TypedDict):
    """An order stands at the shop with this content."""

    meta: Meta
    order_number: str
    order_id: str
    status: str
    payment_status: str
    placed_at: datetime
    currency: str
    customer_key: str
    customer_id: str
    customer_email: str
    customer_first_name: str
    customer_last_name: str
    customer_company: str
    billing_address: Address
    shipping_address: Address | None
    lines: list[OrderLine]
    shipping_amount: Decimal
    shipping_method: str
    discount_total: Decimal
    tax_total: Decimal
    total: Decimal
    payment_method: str
    custom_fields: dict[str, str]


class OrderChanged(OrderPlaced):
    """An order that was placed before stands at the shop with this other content."""


class OrderStatusChanged(TypedDict):
    """An order stands at the source with this status, in the source's own word."""

    meta: Meta
    order_id: str
    status: str
    custom_fields: dict[str, str]


class OrderCancelled(TypedDict):
    """An order was cancelled at the source."""

    meta: Meta
    order_id: str
    order_number: str
    reason: str
    custom_fields: dict[str, str]


class ShipmentLine(TypedDict):
    """How many of one order line are in a shipment."""

    line_no: int
    sku: str
    quantity: Decimal


class ShipmentRequested(TypedDict):
    """Goods of an order are to leave a warehouse."""

    meta: Meta
    shipment_id: str
    order_id: str
    location: str
    service: str
    requested_at: datetime
    ship_to: Address
    lines: list[ShipmentLine]
    custom_fields: dict[str, str]


class ShipmentConfirmed(TypedDict):
    """Goods of an order have left the warehouse."""

    meta: Meta
    shipment_id: str
    order_id: str
    carrier: str
    tracking_number: str
    shipped_at: datetime
    lines: list[ShipmentLine]
    request_id: str
    custom_fields: dict[str, str]


class PaymentReceived(TypedDict):
    """An order was paid at the source."""

    meta: Meta
    payment_id: str
    order_id: str
    order_number: str
    amount: Decimal
    currency: str
    method: str
    transaction_id: str
    paid_at: datetime
    custom_fields: dict[str, str]


class InvoiceIssued(TypedDict):
    """An order was invoiced at the source."""

    meta: Meta
    invoice_id: str
    order_id: str
    status: str
    total: Decimal
    currency: str
    custom_fields: dict[str, str]


class ReturnRequested(TypedDict):
    """A customer wants to give goods of an order back; `refund` is `failed` or `done` once that was tried."""

    meta: Meta
    return_id: str
    return_number: str
    order_id: str
    order_number: str
    status: str
    refund: str
    reason: str
    action: str
    currency: str
    lines: list[OrderLine]
    requested_at: datetime
    custom_fields: dict[str, str]


class RefundIssued(TypedDict):
    """Money of an order was given back at the source; `adjustment` is what was besides, or was kept where it is below zero."""

    meta: Meta
    refund_id: str
    order_id: str
    order_number: str
    currency: str
    lines: list[OrderLine]
    shipping_amount: Decimal
    discount_total: Decimal
    tax_total: Decimal
    adjustment: Decimal
    total: Decimal
    method: str
    transaction_id: str
    reason: str
    refunded_at: datetime
    custom_fields: dict[str, str]


class StockChanged(TypedDict):
    """The stock of a product at one location of the source is this."""

    meta: Meta
    sku: str
    location: str
    on_hand: Decimal
    allocated: Decimal
    available: Decimal
    custom_fields: dict[str, str]


class StockHold(TypedDict):
    """How many of a product one order of a shop holds that its target does not know of yet (no event: it stays among the processors)."""

    connection: str
    sku: str
    order_key: str
    quantity: Decimal
    state: str
    standing_at: datetime | None
    at: datetime


class CustomerChanged(TypedDict):
    """A customer stands at the source with this content."""

    meta: Meta
    customer_id: str
    email: str
    first_name: str
    last_name: str
    company: str
    active: bool
    billing_address: Address | None
    shipping_address: Address | None
    custom_fields: dict[str, str]


class ProductChanged(TypedDict):
    """A product stands at the source with this content; without a price its currency is empty."""

    meta: Meta
    product_id: str
    sku: str
    name: str
    product_type: str
    price: Decimal | None
    currency: str
    attributes: dict[str, str]
    custom_fields: dict[str, str]


class PurchaseLine(TypedDict):
    """One line of a purchase order; what is ordered and not received is incoming stock."""

    line_no: int
    sku: str
    quantity: Decimal
    received: Decimal
    unit_cost: Decimal


class PurchaseOrderChanged(TypedDict):
    """A purchase order stands at the source with this content."""

    meta: Meta
    purchase_order_id: str
    reference: str
    vendor_id: str
    status: str
    ordered_at: datetime
    currency: str
    lines: list[PurchaseLine]
    custom_fields: dict[str, str]


class VendorChanged(TypedDict):
    """A vendor stands at the source with this content."""

    meta: Meta
    vendor_id: str
    name: str
    email: str
    currency: str
    address: Address | None
    custom_fields: dict[str, str]
