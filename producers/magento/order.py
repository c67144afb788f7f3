"""What a Magento order tells: pure functions (field names: oracle/magento, sales-data-order-interface).

An order is told of on every save, so nothing here depends on which save it was: OrderPlaced of an order that only came further is the one that
was placed. Amounts are in the order's currency (`base_…` are the shop's), `discount_amount` is below zero, an order's id is `entity_id`, and
`increment_id` is its number.
"""

from __future__ import annotations

import hashlib
from typing import Final

from producers.base import Provenance
from producers.magento.fields import NONE, address_of, saved_at
from producers.magento.lines import lines_of
from producers.wire import Json, amount, moment, part, text
from towpath.errors import DataError
from towpath.events import Address, Event, Meta, OrderCancelled, OrderPlaced, PaymentReceived, business_key, micros, seal
from towpath.systems.magento import id_of

CANCELED: Final = "canceled"
PAID_INVOICE: Final = 2
HIDDEN_TAX: Final = ("discount_tax_compensation_amount", "shipping_discount_tax_compensation_amount")


def decode_order(bundle: Json, provenance: Provenance) -> list[Event]:
    """Return what a bundle tells of an order: OrderPlaced, and where it is so OrderCancelled and PaymentReceived; raises DataError."""
    order = part(bundle, "order")
    placed = _placed(order, provenance)
    events = [placed]
    if order.get("state") == CANCELED:
        events.append(_cancelled(placed, order))
    if placed.value["payment_status"] == "paid":
        events += _payment(placed, order, bundle.get("invoices"))
    return events


def _placed(order: Json, provenance: Provenance) -> Event:
    number, placed_at, changed_at = id_of(order.get("entity_id"), "entity_id"), moment(order, "created_at"), saved_at(order)
    billing = address_of(part(order, "billing_address"), "billing_address")
    email = text(order, "customer_email") or billing["email"]
    customer = _customer(order, email)
    event: OrderPlaced = {
        "meta": provenance.meta("order", number, placed_at, {"major": micros(changed_at), "minor": provenance.inbox_offset}),
        "order_number": text(order, "increment_id") or str(number),
        "order_id": str(number),
        "status": text(order, "status") or text(order, "state"),
        "payment_status": payment_status(order),
        "placed_at": placed_at,
        "currency": text(order, "order_currency_code"),
        "customer_key": business_key(provenance.connection, "customer", customer),
        "customer_id": customer,
        "customer_email": email,
        "customer_first_name": text(order, "customer_firstname") or billing["first_name"],
        "customer_last_name": text(order, "customer_lastname") or billing["last_name"],
        "customer_company": billing["company"],
        "billing_address": billing,
        "shipping_address": _shipping(order),
        "lines": lines_of(order),
        "shipping_amount": amount(order, "shipping_amount", NONE),
        "shipping_method": text(order, "shipping_description"),
        "discount_total": abs(amount(order, "discount_amount", NONE)),
        "tax_total": amount(order, "tax_amount", NONE) + sum((amount(order, field, NONE) for field in HIDDEN_TAX), NONE),
        "total": amount(order, "grand_total"),
        "payment_method": text(_payment_of(order), "method"),
        "custom_fields": {
            name: text(order, field) for name, field in (("Customer Group", "customer_group_id"), ("Coupon", "coupon_code")) if order.get(field)
        },
    }
    return seal(Event("OrderPlaced", event))


def payment_status(order: Json) -> str:
    """Return `pending`, `authorized`, `paid`, `partially_refunded` or `refunded`, from amounts: Magento's own word says how far the goods are."""
    paid, refunded = amount(order, "total_paid", NONE), amount(order, "total_refunded", NONE)
    if refunded > 0:
        return "refunded" if refunded >= paid else "partially_refunded"
    if paid > 0 and paid >= amount(order, "grand_total"):
        return "paid"
    return "authorized" if amount(_payment_of(order), "amount_authorized", NONE) > 0 else "pending"


def _cancelled(placed: Event, order: Json) -> Event:
    value = placed.value
    meta: Meta = {**placed.meta, "occurred_at": saved_at(order)}
    event: OrderCancelled = {"meta": meta, "order_id": value["order_id"], "order_number": value["order_number"], "reason": "", "custom_fields": {}}
    return seal(Event("OrderCancelled", event))


def _payment(placed: Event, order: Json, invoices: object) -> list[Event]:
    """Return PaymentReceived, dated as the last paid invoice is; none while the invoice is not there to be read: the next save tells it."""
    rows = [row for row in invoices if isinstance(row, dict) and row.get("state") == PAID_INVOICE] if isinstance(invoices, list) else []
    if not rows:
        return []
    last = max(rows, key=lambda row: (moment(row, "created_at"), id_of(row.get("entity_id"), "invoices.entity_id")))
    value, paid_at = placed.value, moment(last, "created_at")
    transaction = text(last, "transaction_id") or text(_payment_of(order), "last_trans_id")
    event: PaymentReceived = {
        "meta": {**placed.meta, "occurred_at": paid_at},
        "payment_id": transaction or "paid",
        "order_id": value["order_id"],
        "order_number": value["order_number"],
        "amount": amount(order, "total_paid"),
        "currency": value["currency"],
        "method": value["payment_method"],
        "transaction_id": transaction,
        "paid_at": paid_at,
        "custom_fields": {},
    }
    return [seal(Event("PaymentReceived", event))]


def _customer(order: Json, email: str) -> str:
    """Return the id of the customer; a guest, who has none, is known by the e-mail address, which does not become part of a key."""
    if order.get("customer_id") is not None:
        return str(id_of(order["customer_id"], "customer_id"))
    if not email:
        raise DataError("the guest's order has no customer_email", field="customer_email")
    digest = hashlib.sha256(email.strip().casefold().encode("utf-8", "replace")).hexdigest()
    return f"guest-{digest[:16]}"


def _shipping(order: Json) -> Address | None:
    """Return where it is shipped to, which stands in the shipping assignments only; None for goods that are not shipped."""
    more = order.get("extension_attributes")
    assigned = more.get("shipping_assignments") if isinstance(more, dict) else None
    for one in assigned if isinstance(assigned, list) else ():
        shipping = one.get("shipping") if isinstance(one, dict) else None
        address = shipping.get("address") if isinstance(shipping, dict) else None
        if isinstance(address, dict) and address:
            return address_of(address, "shipping_address")
    return None


def _payment_of(order: Json) -> Json:
    found = order.get("payment")
    return found if isinstance(found, dict) else {}
