"""A fetched NopCommerce order or customer as a canonical event: pure functions (field names: vendor-apis.md, section 3.3)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from producers.base import Provenance
from producers.nopcommerce import attributes
from producers.wire import SIX_PLACES, Json, decimal_of, moment, part
from towpath.errors import DataError
from towpath.events import (
    Address,
    CustomerChanged,
    Event,
    Meta,
    OrderCancelled,
    OrderLine,
    OrderPlaced,
    PaymentReceived,
    business_key,
    decimal_text,
    micros,
    seal,
)

CANCELLED: Final = "40"
PAID: Final = "30"


def decode_order(bundle: Json, provenance: Provenance) -> list[Event]:
    """Return what a bundle tells of an order: OrderPlaced, and where it is so OrderCancelled and PaymentReceived; raises DataError."""
    placed = _placed(bundle, provenance)
    order, events = part(bundle, "order"), [placed]
    if placed.value["status"] == CANCELLED:
        events.append(_cancelled(placed, provenance))
    if placed.value["payment_status"] == PAID and order.get("paid_date_utc") is not None:
        events.append(_payment(placed, order))
    return events


def _cancelled(placed: Event, provenance: Provenance) -> Event:
    """The shop keeps no time of a cancellation: it is when we heard of it, and the version that of the reading."""
    order = placed.value
    meta: Meta = {**placed.meta, "occurred_at": provenance.received_at}
    event: OrderCancelled = {"meta": meta, "order_id": order["order_id"], "order_number": order["order_number"], "reason": "", "custom_fields": {}}
    return seal(Event("OrderCancelled", event))


def _payment(placed: Event, order: Json) -> Event:
    """The shop sets the date just after the status (Nop.Services, CheckOrderStatus) and says `order.paid` then."""
    transaction = str(order.get("capture_transaction_id") or order.get("authorization_transaction_id") or "")
    paid_at = moment(order, "paid_date_utc")
    event: PaymentReceived = {
        "meta": {**placed.meta, "occurred_at": paid_at},
        "payment_id": transaction or "paid",
        "order_id": placed.value["order_id"],
        "order_number": placed.value["order_number"],
        "amount": placed.value["total"],
        "currency": placed.value["currency"],
        "method": placed.value["payment_method"],
        "transaction_id": transaction,
        "paid_at": paid_at,
        "custom_fields": {},
    }
    return seal(Event("PaymentReceived", event))


def _placed(bundle: Json, provenance: Provenance) -> Event:
    order, customer = part(bundle, "order"), part(bundle, "customer")
    placed_at = moment(order, "created_on_utc")
    shipping_id = order.get("shipping_address_id")
    billing = _address(bundle, order.get("billing_address_id"), "billing_address_id")
    rate = rate_of(order)

    def paid(field: str, missing: Decimal | None = None) -> Decimal:
        return converted(amount(order, field, missing), rate)

    fee = paid("payment_method_additional_fee_excl_tax", Decimal(0))
    fields = attributes.of_order(bundle, order, attributes.generic(_listed(bundle, "customer_attributes"), order.get("store_id")))
    if fee:
        fields["Payment Fee"] = decimal_text(fee)
    event: OrderPlaced = {
        "meta": provenance.meta("order", identity(order, "id"), placed_at, {"major": micros(placed_at), "minor": provenance.inbox_offset}),
        "order_number": str(order.get("custom_order_number") or order["id"]),
        "order_id": identity(order, "id"),
        "status": str(order.get("order_status_id")),
        "payment_status": str(order.get("payment_status_id")),
        "placed_at": placed_at,
        "currency": str(order.get("customer_currency_code")),
        "customer_key": business_key(provenance.connection, "customer", identity(order, "customer_id")),
        "customer_id": identity(order, "customer_id"),
        "customer_email": str(customer.get("email") or billing["email"]),
        "customer_first_name": billing["first_name"],
        "customer_last_name": billing["last_name"],
        "customer_company": billing["company"],
        "billing_address": billing,
        "shipping_address": _address(bundle, shipping_id, "shipping_address_id") if shipping_id else None,
        "lines": [line_of(bundle, item, number, rate) for number, item in enumerate(rows_of(bundle), start=1)],
        "shipping_amount": paid("order_shipping_excl_tax") + fee,
        "shipping_method": str(order.get("shipping_method") or ""),
        "discount_total": paid("order_discount") + paid("order_sub_total_discount_excl_tax", Decimal(0)),
        "tax_total": paid("order_tax"),
        "total": paid("order_total"),
        "payment_method": str(order.get("payment_method_system_name") or ""),
        "custom_fields": fields,
    }
    return seal(Event("OrderPlaced", event))


def decode_customer(bundle: Json, provenance: Provenance) -> Event:
    """Return CustomerChanged of a bundle; the names stand in generic attributes or on the addresses (API v1.06 has none on the customer)."""
    customer = part(bundle, "customer")
    billing_id, shipping_id = customer.get("billing_address_id"), customer.get("shipping_address_id")
    billing = _address(bundle, billing_id, "billing_address_id") if billing_id else None
    own = attributes.generic(_listed(bundle, "customer_attributes"), customer.get("registered_in_store_id"))
    created = moment(customer, "created_on_utc")
    changed = moment(bundle, "changed_at") if bundle.get("changed_at") else created
    event: CustomerChanged = {
        "meta": provenance.meta("customer", identity(customer, "id"), changed, {"major": micros(created), "minor": provenance.inbox_offset}),
        "customer_id": identity(customer, "id"),
        "email": str(customer.get("email") or ""),
        "first_name": str(customer.get("first_name") or own.get("FirstName") or (billing["first_name"] if billing else "")),
        "last_name": str(customer.get("last_name") or own.get("LastName") or (billing["last_name"] if billing else "")),
        "company": str(customer.get("company") or own.get("Company") or (billing["company"] if billing else "")),
        "active": customer.get("active") is not False and customer.get("deleted") is not True,
        "billing_address": billing,
        "shipping_address": _address(bundle, shipping_id, "shipping_address_id") if shipping_id else None,
        "custom_fields": attributes.of_customer(bundle, own),
    }
    return seal(Event("CustomerChanged", event))


def identity(record: Json, field: str) -> str:
    """Return an id of the bundle as text; raises DataError where there is none: two records without an id are not one record."""
    value = record.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise DataError(f"{field} is no id", field=field, value=str(value))
    return str(value)


def amount(record: Json, field: str, missing: Decimal | None = None, where: str = "") -> Decimal:
    """Return a number of the bundle as a Decimal of at most 6 places; raises DataError for what is none, naming it after `where` it stands."""
    value = record.get(field, missing)
    number = decimal_of(value)
    if number is None:
        raise DataError(f"{where}{field} is no amount", field=f"{where}{field}", value=str(value))
    return number


def rate_of(order: Json) -> Decimal:
    """Return how much of the customer's currency one unit of the shop's is, to the 8 places that the shop keeps."""
    value = order.get("currency_rate", 1)
    rate = decimal_of(value, Decimal("1e-8"))
    if rate is None or rate <= 0:
        raise DataError("currency_rate is no positive number", field="currency_rate", value=str(value))
    return rate


def converted(value: Decimal, rate: Decimal) -> Decimal:
    """Return an amount in the customer's currency: the shop keeps all amounts of an order in its own (Nop.Core, Order.CurrencyRate)."""
    return value if rate == 1 else (value * rate).quantize(SIX_PLACES)


def line_of(bundle: Json, item: Json, number: int, rate: Decimal) -> OrderLine:
    """Return an item of an order as its line of that number; raises DataError naming the item and the field."""
    where = f"items[{number - 1}]"

    def paid(field: str) -> Decimal:
        return converted(amount(item, field, where=f"{where}."), rate)

    product = part(bundle, "products").get(str(item.get("product_id")))
    if not isinstance(product, dict) or not product.get("sku"):
        raise DataError(f"{where}: product {item.get('product_id')} has no SKU", field=f"{where}.product_id", value=str(item.get("product_id")))
    net = paid("price_excl_tax")
    return {
        "line_no": number,
        "line_id": str(item.get("id")),
        "sku": str(product["sku"]),
        "name": str(product.get("name") or ""),
        "quantity": amount(item, "quantity", where=f"{where}."),
        "unit_price": paid("unit_price_excl_tax"),
        "line_total": net,
        "tax_amount": paid("price_incl_tax") - net,
    }


def _address(bundle: Json, address_id: object, field: str) -> Address:
    address = part(bundle, "addresses").get(str(address_id))
    if not isinstance(address, dict):
        raise DataError(f"address {address_id} is missing", field=field, value=str(address_id))
    country = _named(bundle, "countries", address.get("country_id"))
    state = _named(bundle, "states", address.get("state_province_id"))
    return {
        "first_name": str(address.get("first_name") or ""),
        "last_name": str(address.get("last_name") or ""),
        "company": str(address.get("company") or ""),
        "email": str(address.get("email") or ""),
        "phone": str(address.get("phone_number") or ""),
        "lines": [str(line) for line in (address.get("address1"), address.get("address2")) if line],
        "city": str(address.get("city") or ""),
        "region": str(state.get("abbreviation") or state.get("name") or address.get("county") or ""),
        "postcode": str(address.get("zip_postal_code") or ""),
        "country": str(country.get("two_letter_iso_code") or ""),
    }


def _named(bundle: Json, name: str, one: object) -> Json:
    found = part(bundle, name).get(str(one))
    return found if isinstance(found, dict) else {}


def rows_of(bundle: Json) -> list[Json]:
    """Return the items of an order, in the order in which its lines are counted."""
    items = bundle.get("items")
    return _listed({"items": items.get("items") if isinstance(items, dict) else items}, "items")


def _listed(bundle: Json, name: str) -> list[Json]:
    found = bundle.get(name, [])
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DataError(f"`{name}` is no list of objects", field=name)
    return found
