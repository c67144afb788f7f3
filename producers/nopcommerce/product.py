"""A fetched NopCommerce product as a canonical event (official Web API Backend v1.06: vendor-apis.md, section 3.3)."""

from __future__ import annotations

from decimal import Decimal

from producers.base import Provenance
from producers.nopcommerce.decode import amount, identity
from producers.wire import Json, moment, part
from towpath.errors import DataError
from towpath.events import Event, ProductChanged, decimal_text, micros, seal, stable_id


def decode_product(bundle: Json, provenance: Provenance) -> Event:
    """Return ProductChanged of a bundle. The shop says nowhere in which currency it keeps its prices, so the price is the attribute `price`."""
    product = part(bundle, "product")
    number, changed_at = identity(product, "id"), moment(product, "updated_on_utc")
    event: ProductChanged = {
        "meta": provenance.meta("product", number, changed_at, {"major": micros(changed_at), "minor": provenance.inbox_offset}),
        "product_id": number,
        "sku": identity(product, "sku").strip(),
        "name": str(product.get("name") or ""),
        "product_type": "",
        "price": None,
        "currency": "",
        "attributes": {**_described(bundle), "price": decimal_text(amount(product, "price", Decimal(0)))},
        "custom_fields": {},
    }
    sealed = seal(Event("ProductChanged", event))
    meta = sealed.meta
    meta["event_id"] = stable_id(meta["connection"], sealed.identity, "ProductChanged", meta["version"]["major"], meta["digest"])
    return sealed


def _described(bundle: Json) -> dict[str, str]:
    """Return the specification attributes by name; one with several options has them with commas between."""
    rows, options, names = bundle.get("described"), part(bundle, "options"), part(bundle, "attributes")
    rows = rows.get("items") if isinstance(rows, dict) else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError("`described` is no list of objects", field="described")
    found: dict[str, list[str]] = {}
    for row in rows:
        option = options.get(str(row.get("specification_attribute_option_id")))
        attribute = names.get(str(option.get("specification_attribute_id"))) if isinstance(option, dict) else None
        if isinstance(option, dict) and isinstance(attribute, dict):
            found.setdefault(str(attribute.get("name")), []).append(str(row.get("custom_value") or option.get("name") or ""))
    return {name: ", ".join(values) for name, values in found.items()}
