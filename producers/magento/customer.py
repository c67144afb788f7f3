"""What a Magento customer tells: a pure function (field names: oracle/magento, customer-data-customer-interface)."""

from __future__ import annotations

from producers.base import Provenance
from producers.magento.fields import address_of, saved_at
from producers.wire import Json, text
from towpath.events import Address, CustomerChanged, Event, micros, seal
from towpath.systems.magento import id_of


def decode_customer(customer: Json, provenance: Provenance) -> Event:
    """Return CustomerChanged; its addresses are the default ones, whose flag is a boolean there and whose id is a text on the customer."""
    number, changed_at = id_of(customer.get("id"), "id"), saved_at(customer)
    billing, shipping = (_default(customer, kind) for kind in ("default_billing", "default_shipping"))
    version = {"major": micros(changed_at), "minor": provenance.inbox_offset}
    event: CustomerChanged = {
        "meta": provenance.meta("customer", number, changed_at, version),  # type: ignore[arg-type]
        "customer_id": str(number),
        "email": text(customer, "email"),
        "first_name": text(customer, "firstname"),
        "last_name": text(customer, "lastname"),
        "company": billing["company"] if billing else "",
        "active": not customer.get("confirmation"),
        "billing_address": billing,
        "shipping_address": shipping,
        "custom_fields": _fields(customer),
    }
    return seal(Event("CustomerChanged", event))


def _default(customer: Json, kind: str) -> Address | None:
    """Return the default address of a kind, in two lines at most, as the other side can have it; the shop's may be more."""
    addresses = customer.get("addresses")
    for one in addresses if isinstance(addresses, list) else ():
        if isinstance(one, dict) and (one.get(kind) is True or (one.get("id") is not None and str(one["id"]) == text(customer, kind))):
            address = address_of(one, kind)
            first, *more = address["lines"] or [""]
            return {**address, "lines": [line for line in (first, ", ".join(more)) if line], "email": text(customer, "email")}
    return None


def _fields(customer: Json) -> dict[str, str]:
    """Return the customer's group, and the shop's own attributes whose value is one text."""
    own, group = customer.get("custom_attributes"), customer.get("group_id")
    rows = [row for row in own if isinstance(row, dict)] if isinstance(own, list) else []
    found = {str(row.get("attribute_code")): str(row["value"]) for row in rows if isinstance(row.get("value"), str) and row["value"]}
    return found if group is None else {"Customer Group": str(group), **found}
