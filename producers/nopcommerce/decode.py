"""A fetched NopCommerce order or customer as a canonical event: pure functions (field names: vendor-apis.md, section 3.3)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from producers.base import Provenance
from towpath.errors import DataError
from towpath.events import Address, CustomerChanged, Event, OrderLine, OrderPlaced, business_key, decimal_text, micros, seal

Json = Mapping[str, Any]
SIX_PLACES = Decimal("0.000001")


def parse(payload: bytes) -> dict[str, Any]:
    """Return a bundle with its numbers as Decimals; raises DataError when it is no JSON object."""
    try:
        content = json.loads(payload, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise DataError(f"the fetched record is not JSON: {type(error).__name__}: {error}", field="body") from error
    if not isinstance(content, dict):
        raise DataError("the fetched record is no JSON object", field="body")
    return content


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def decode_order(bundle: Json, provenance: Provenance) -> Event:
    """Return OrderPlaced of a bundle; raises DataError naming the field."""
    order, customer = _part(bundle, "order"), _part(bundle, "customer")
    placed_at = moment(order, "created_on_utc")
    shipping_id = order.get("shipping_address_id")
    billing = _address(bundle, order.get("billing_address_id"), "billing_address_id")
    rate = rate_of(order)

    def paid(field: str, missing: Decimal | None = None) -> Decimal:
        return converted(amount(order, field, missing), rate)

    fee = paid("payment_method_additional_fee_excl_tax", Decimal(0))
    fields = custom_fields(order)
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
        "lines": [_line(bundle, item, number, rate) for number, item in enumerate(_rows(bundle), start=1)],
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
    """Return CustomerChanged of a bundle; the names stand on the addresses (API v1.06 has none on the customer)."""
    customer = _part(bundle, "customer")
    billing_id, shipping_id = customer.get("billing_address_id"), customer.get("shipping_address_id")
    billing = _address(bundle, billing_id, "billing_address_id") if billing_id else None
    created = moment(customer, "created_on_utc")
    event: CustomerChanged = {
        "meta": provenance.meta("customer", identity(customer, "id"), created, {"major": micros(created), "minor": provenance.inbox_offset}),
        "customer_id": identity(customer, "id"),
        "email": str(customer.get("email") or ""),
        "first_name": str(customer.get("first_name") or (billing["first_name"] if billing else "")),
        "last_name": str(customer.get("last_name") or (billing["last_name"] if billing else "")),
        "company": str(customer.get("company") or (billing["company"] if billing else "")),
        "active": customer.get("active") is not False and customer.get("deleted") is not True,
        "billing_address": billing,
        "shipping_address": _address(bundle, shipping_id, "shipping_address_id") if shipping_id else None,
        "custom_fields": {},
    }
    return seal(Event("CustomerChanged", event))


def identity(part: Json, field: str) -> str:
    """Return an id of the bundle as text; raises DataError where there is none: two records without an id are not one record."""
    value = part.get(field)
    if isinstance(value, bool) or not isinstance(value, int | str) or not str(value).strip():
        raise DataError(f"{field} is no id", field=field, value=str(value))
    return str(value)


def amount(part: Json, field: str, missing: Decimal | None = None, where: str = "") -> Decimal:
    """Return a number of the bundle as a Decimal of at most 6 places; raises DataError for what is none, naming it after `where` it stands."""
    value = part.get(field, missing)
    number = _decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    if number is None:
        raise DataError(f"{where}{field} is no amount", field=f"{where}{field}", value=str(value))
    return number


def _decimal(value: int | str | Decimal, places: Decimal = SIX_PLACES) -> Decimal | None:
    try:
        number = Decimal(value)
        return number.quantize(places) if number.is_finite() else None
    except InvalidOperation:  # no number, or one beyond 22 digits
        return None


def rate_of(order: Json) -> Decimal:
    """Return how much of the customer's currency one unit of the shop's is, to the 8 places that the shop keeps."""
    value = order.get("currency_rate", 1)
    rate = _decimal(value, Decimal("1e-8")) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    if rate is None or rate <= 0:
        raise DataError("currency_rate is no positive number", field="currency_rate", value=str(value))
    return rate


def converted(value: Decimal, rate: Decimal) -> Decimal:
    """Return an amount in the customer's currency: the shop keeps all amounts of an order in its own (Nop.Core, Order.CurrencyRate)."""
    return value if rate == 1 else (value * rate).quantize(SIX_PLACES)


def moment(part: Json, field: str) -> datetime:
    """Return a `..._utc` time; raises DataError for what is none."""
    value = part.get(field)
    try:
        parsed = datetime.fromisoformat(str(value))
        return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise DataError(f"{field} is no ISO 8601 time", field=field, value=str(value)) from error


def custom_fields(order: Json) -> dict[str, str]:
    """Return the merchant's own values of an order, from the XML of `custom_values_xml` and `checkout_attributes_xml`."""
    found: dict[str, str] = {}
    for field in ("custom_values_xml", "checkout_attributes_xml"):
        text = order.get(field)
        if not text:
            continue
        try:
            root = fromstring(str(text), forbid_dtd=True)
        except (ParseError, DefusedXmlException, ValueError) as error:
            raise DataError(f"{field} is no XML that is safe to read: {error}", field=field, value=str(text)) from error
        for item in root.iter("item"):
            found[str(item.findtext("key", ""))] = str(item.findtext("value", ""))
        for item in root.iter("CheckoutAttribute"):
            chosen = [str(value.text or "") for value in item.iterfind("CheckoutAttributeValue/Value")]
            found[f"checkout attribute {item.get('ID', '')}"] = ", ".join(chosen)
    return found


def _line(bundle: Json, item: Json, number: int, rate: Decimal) -> OrderLine:
    where = f"items[{number - 1}]"

    def paid(field: str) -> Decimal:
        return converted(amount(item, field, where=f"{where}."), rate)

    product = _part(bundle, "products").get(str(item.get("product_id")))
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
    address = _part(bundle, "addresses").get(str(address_id))
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
    found = _part(bundle, name).get(str(one))
    return found if isinstance(found, dict) else {}


def _rows(bundle: Json) -> list[Json]:
    items = bundle.get("items")
    found = items.get("items") if isinstance(items, dict) else items
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise DataError("the order's items are no list", field="items")
    return found


def _part(bundle: Json, name: str) -> dict[str, Any]:
    part = bundle.get(name)
    if not isinstance(part, dict):
        raise DataError(f"the fetched record has no object `{name}`", field=name)
    return part
