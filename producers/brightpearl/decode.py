"""What Brightpearl said as canonical events: pure functions (vendor-apis.md, section 2). Times come with the account's offset, and become UTC."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from producers.base import Provenance
from producers.brightpearl.fields import meta_of, of_order, quantity_of, sealed
from producers.wire import Json, decimal_of, moment, part
from towpath.errors import DataError
from towpath.events import (
    Address,
    CustomerChanged,
    Event,
    OrderStatusChanged,
    ProductChanged,
    StockChanged,
    micros,
)
from towpath.systems._brightpearl_countries import ALPHA_2

LONGEST_SKU: Final = 200


def decode_stock(bundle: Json, provenance: Provenance) -> list[Event]:
    """Return StockChanged of each warehouse of what `GET product-availability` says of a product; on hand there is what is not allocated."""
    product, warehouses, as_of = part(bundle, "product"), part(part(bundle, "availability"), "warehouses"), moment(bundle, "read_at")
    sku = _sku(product)
    version = {"major": micros(as_of), "minor": provenance.inbox_offset}
    found = []
    for location in warehouses:
        where, row = f"availability.warehouses.{location}.", part(warehouses, location)
        event: StockChanged = {
            "meta": provenance.meta("stock", sku, as_of, {"major": version["major"], "minor": version["minor"]}),
            "sku": sku,
            "location": location,
            "on_hand": quantity_of(row, "inStock", where),
            "allocated": quantity_of(row, "allocated", where),
            "available": quantity_of(row, "onHand", where),
            "custom_fields": {},
        }
        found.append(sealed("StockChanged", event))
    return found


def decode_product(bundle: Json, provenance: Provenance) -> Event:
    """Return ProductChanged of a product; its prices are attributes `price_list/<id>`, for which list counts is the flow's to say."""
    product = part(bundle, "product")
    channels = product.get("salesChannels")
    channel = channels[0] if isinstance(channels, list) and channels and isinstance(channels[0], dict) else {}
    event: ProductChanged = {
        "meta": meta_of(provenance, "product", product.get("id"), _changed(product)),
        "product_id": str(product.get("id")),
        "sku": _sku(product),
        "name": str(channel.get("productName") or ""),
        "product_type": str(product.get("productTypeId") or ""),
        "price": None,
        "currency": "",
        "attributes": _prices(bundle),
        "custom_fields": {},
    }
    return sealed("ProductChanged", event)


def decode_status(bundle: Json, provenance: Provenance) -> Event:
    """Return OrderStatusChanged of an order and its business key."""
    order = part(bundle, "order")
    status = part(order, "orderStatus").get("orderStatusId")
    if not isinstance(status, int) or isinstance(status, bool):
        raise DataError("orderStatus.orderStatusId is no number", field="orderStatus.orderStatusId", value=str(status))
    event: OrderStatusChanged = {
        "meta": of_order(bundle, meta_of(provenance, "order", "", moment(order, "updatedOn"))),
        "order_id": str(order.get("id")),
        "status": str(status),
        "custom_fields": {},
    }
    return sealed("OrderStatusChanged", event)


def decode_contact(bundle: Json, provenance: Provenance) -> Event:
    """Return CustomerChanged of a contact and the business key of whom it stands for."""
    contact = part(bundle, "contact")
    emails, organisation = part(part(contact, "communication"), "emails"), contact.get("organisation")
    primary = emails.get("PRI")
    ids, key = contact.get("postAddressIds"), bundle.get("customer_key")
    meta = meta_of(provenance, "customer", contact.get("contactId"), _changed(contact))
    event: CustomerChanged = {
        "meta": {**meta, "key": key} if isinstance(key, str) and key else meta,
        "customer_id": str(contact.get("contactId")),
        "email": str(primary.get("email") or "") if isinstance(primary, dict) else "",
        "first_name": str(contact.get("firstName") or ""),
        "last_name": str(contact.get("lastName") or ""),
        "company": str(organisation.get("name") or "") if isinstance(organisation, dict) else "",
        "active": True,
        "billing_address": _address(contact, ids, "BIL"),
        "shipping_address": _address(contact, ids, "DEL"),
        "custom_fields": {},
    }
    return sealed("CustomerChanged", event)


def _address(contact: Json, ids: object, kind: str) -> Address | None:
    """Return a contact's address of a kind, else its default one: lines 3 and 4 are the city and the state."""
    number = (ids.get(kind) or ids.get("DEF")) if isinstance(ids, dict) else None
    addresses = contact.get("postalAddresses")
    found = addresses.get(str(number)) if isinstance(addresses, dict) else None
    if not isinstance(found, dict):
        return None
    code = str(found.get("countryIsoCode") or "")
    country = code if len(code) == 2 else ALPHA_2.get(code)  # noqa: PLR2004 - alpha-2
    if code and country is None:
        raise DataError(f"country {code} is not known", field=f"postalAddresses.{number}.countryIsoCode", value=code)
    return {
        "first_name": str(contact.get("firstName") or ""),
        "last_name": str(contact.get("lastName") or ""),
        "company": "",
        "email": "",
        "phone": "",
        "lines": [str(line) for line in (found.get("addressLine1"), found.get("addressLine2")) if line],
        "city": str(found.get("addressLine3") or ""),
        "region": str(found.get("addressLine4") or ""),
        "postcode": str(found.get("postalCode") or ""),
        "country": country or "",
    }


def _prices(bundle: Json) -> dict[str, str]:
    price = bundle.get("price")
    lists = price.get("priceLists") if isinstance(price, dict) else []
    found: dict[str, str] = {}
    for one in lists if isinstance(lists, list) else []:
        single = one.get("quantityPrice", {}).get("1") if isinstance(one, dict) and isinstance(one.get("quantityPrice"), dict) else None
        if single is None:
            continue
        amount = decimal_of(single)
        if amount is None:
            raise DataError("a price is no amount of money", field=f"price.priceLists.{one.get('priceListId')}", value=str(single))
        found[f"price_list/{one.get('priceListId')}"] = f"{str(single).strip()} {one.get('currencyCode') or ''}".strip()
    return found


def _changed(record: Json) -> datetime:
    """Return when a record changed; what was never changed was created."""
    return moment(record, "updatedOn" if record.get("updatedOn") else "createdOn")


def _sku(product: Json) -> str:
    sku = part(product, "identity").get("sku")
    if not isinstance(sku, str) or not sku.strip() or len(sku) > LONGEST_SKU or not sku.isprintable():
        raise DataError("identity.sku is no SKU", field="identity.sku", value=repr(sku))
    return sku
