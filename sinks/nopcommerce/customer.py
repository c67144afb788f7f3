"""A customer at the shop: found by e-mail or made, then given what is wanted of it.

Its names and what else a merchant keeps of it are generic attributes, its addresses rows of their own (Web API Backend v1.06), so one customer is
written by several calls, each of which may be sent again: what stands already is not. Our reference is a line of its `admin_comment`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.customers import Person, change_of, checked, chosen, meant
from sinks.nopcommerce.places import places_of
from sinks.nopcommerce.shop import Row, Shop
from towpath.errors import DataError
from towpath.events import NAMESPACE
from towpath.http import ApiClient, gather_all

NAMES: Final[Mapping[str, str]] = {"FirstName": "first_name", "LastName": "last_name", "Company": "company"}
"""Fields that are generic attributes of this name, and the field of the row in a shop that has moved them there (4.70)."""
ADDRESSES: Final[Mapping[str, str]] = {"BillingAddress": "billing_address_id", "ShippingAddress": "shipping_address_id"}
WHERE: Final = ("address1", "address2", "city", "zip_postal_code", "country_id", "state_province_id", "county")
"""What says where an address is."""
ALL_STORES: Final = 0


async def find_customer(api: ApiClient, document: Document) -> Standing | None:
    """Return the customer that we made, else the one that `Match` tells of; not whole where our reference or the customer's role is missing."""
    shop, match = Shop(api), chosen(document)
    if isinstance(match, str) and "Reference" not in document:  # it is the shop's own customer that is told of
        return Standing(str((await shop.customer(match))["id"]))
    found = await shop.customer_by_guid(_guid(api, document))
    if found is None and isinstance(match, str):
        found = await shop.customer(match)
    elif found is None and isinstance(match, float):
        found = await shop.customer_by_email(_email(document))
    if found is None:
        return None
    if isinstance(match, float) and not _refers(found, _reference(document)):
        own = await shop.attributes(found["id"])
        person = Person(str(found["id"]), str(found.get("email") or ""), _name(found, own, "FirstName"), _name(found, own, "LastName"))
        address = document.get("BillingAddress")
        names = str(document.get("FirstName") or ""), str(document.get("LastName") or "")
        wanted = Person("", _email(document), *names, str(address.get("Zip") or "") if isinstance(address, Mapping) else "")
        meant(wanted, [person._replace(taken_by=_other(found, _reference(document)))], match)
    return Standing(str(found["id"]), whole=_refers(found, _reference(document)) and await shop.is_registered(found["id"]))


async def create_customer(api: ApiClient, document: Document) -> Standing:
    """Make a customer who is known by e-mail alone; what else is wanted is written to it next."""
    shop, email = Shop(api), _email(document)
    new = {"username": email, "email": email, "active": True, "registered_in_store_id": 1, "admin_comment": _reference(document)}
    times = dict.fromkeys(("created_on_utc", "last_activity_date_utc"), shop.now())
    made = await shop.send("POST", "Customer/Create", {**new, **times, "customer_guid": _guid(api, document)})
    await shop.register(made["id"])
    return Standing(str(made["id"]))


async def finish_customer(api: ApiClient, document: Document, found: Standing) -> Standing:
    """Give a customer our reference, and the role of those who registered."""
    shop = Shop(api)
    customer = await shop.customer(found.id)
    if not _refers(customer, _reference(document)):
        lines = [*str(customer.get("admin_comment") or "").splitlines(), _reference(document)]
        await shop.send("PUT", "Customer/Update", {**customer, "admin_comment": "\n".join(lines)})
    if not await shop.is_registered(customer["id"]):
        await shop.register(customer["id"])
    return Standing(found.id)


async def put_customer(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Change what is not as wanted, by as few calls as that takes; a guest, who has left an e-mail address with an order alone, stays one."""
    shop, document = Shop(api), checked(document, (*ADDRESSES, "Attributes"))
    customer = await shop.customer(str(document.get("Customer")))
    if not customer.get("email"):
        return False, Standing(str(customer["id"]), review="a guest of the shop, who is left as one")
    own = await shop.attributes(customer["id"])
    rows = dict(zip(ADDRESSES, await gather_all(*(_address(shop, customer[field]) for field in ADDRESSES.values())), strict=True))
    there: Row = {"Email": customer.get("email"), **{name: _name(customer, own, name) for name in NAMES}}
    there |= {name: None if row is None else {part: row.get(part) for part in WHERE} for name, row in rows.items()}
    there["Attributes"] = {row["key"]: row.get("value") for row in own}
    change = change_of({**document, **{part: await _located(shop, document.get(part)) for part in ("Wanted", "Expected")}}, there, same)
    await _write_attributes(shop, customer, own, change.fields)
    moved = await _write_addresses(shop, customer, rows, change.fields, document["Wanted"])
    if "Email" in change.fields:
        is_name = customer.get("username") == customer.get("email")
        moved |= {"email": change.fields["Email"], **({"username": change.fields["Email"]} if is_name else {})}
    moved |= {NAMES[name]: value for name, value in change.fields.items() if name in NAMES and NAMES[name] in customer}
    if moved:
        await shop.send("PUT", "Customer/Update", {**customer, **moved})
    return bool(change.fields), Standing(str(customer["id"]), review=change.review)


async def _write_attributes(shop: Shop, customer: Row, own: list[Row], fields: Mapping[str, Any]) -> None:
    values = {name: fields[name] for name in NAMES if name in fields and NAMES[name] not in customer} | dict(fields.get("Attributes") or {})
    known = {row["key"]: row for row in own}
    for key, value in values.items():
        if (row := known.get(key)) is None:
            new = {"entity_id": customer["id"], "key_group": "Customer", "key": key, "value": value, "store_id": ALL_STORES}
            await shop.send("POST", "GenericAttribute/Create", {**new, "created_or_updated_date_utc": shop.now()})
        elif row.get("value") != value:
            await shop.send("PUT", "GenericAttribute/Update", {**row, "value": value, "created_or_updated_date_utc": shop.now()})


async def _write_addresses(shop: Shop, customer: Row, rows: Mapping[str, Row | None], fields: Row, wanted: Document) -> Row:
    """Write the addresses that change, and return the fields of the customer that name new ones; two that share a row and differ from now on part."""
    moved: Row = {}
    shared = customer["billing_address_id"] == customer["shipping_address_id"]
    for name, reference in ADDRESSES.items():
        if name not in fields or fields[name] is None:
            continue
        row, other = rows[name], next(one for one in ADDRESSES if one != name)
        if row is not None and shared and not same(name, fields.get(other, (rows[other] or {})), fields[name]):
            row = None
        if row is None:
            new = {**_named(customer, wanted, name), **fields[name], "created_on_utc": shop.now()}
            moved[reference] = (await shop.send("POST", "Address/Create", new))["id"]
            await shop.send("GET", f"Customer/InsertCustomerAddress/{customer['id']}/{moved[reference]}")
        elif not (shared and name != next(iter(ADDRESSES)) and other in fields):  # the row that both share is written once
            await shop.send("PUT", "Address/Update", {**row, **fields[name]})
    return moved


def _named(customer: Row, wanted: Document, name: str) -> Row:
    """Return whose address a new one is, as far as the document tells."""
    address = wanted.get(name) or {}
    names = {"first_name": "FirstName", "last_name": "LastName", "company": "Company", "phone_number": "Phone"}
    return {"email": customer.get("email"), **{field: address.get(part) or wanted.get(part) for field, part in names.items()}}


def same(name: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - any value of a field
    """Tell whether two values of a field are one: null is an empty text, an e-mail address has no case, and of attributes the wanted ones count."""
    if name == "Attributes":
        return all(same("", (one or {}).get(part), value) for part, value in (other or {}).items())
    if name in ADDRESSES:
        return all(same("", (one or {}).get(part), (other or {}).get(part)) for part in WHERE)
    one, other = (" ".join(value.split()) if isinstance(value, str) else value for value in (one, other))
    if name == "Email":
        one, other = (str(value or "").casefold() for value in (one, other))
    return bool((one or None) == (other or None))


async def _located(shop: Shop, document: Document | None) -> Row | None:
    """Return a document with its addresses as the shop's rows have them, and without our reference."""
    if document is None:
        return None
    found = {name: value for name, value in document.items() if name != "Reference"}
    places = places_of(shop)
    for name in ADDRESSES:
        if isinstance(found.get(name), Mapping):
            found[name] = await places.located(found[name], name)
    return found


async def _address(shop: Shop, number: int | None) -> Row | None:
    return None if not number else await shop.address(number)


def _name(customer: Row, own: list[Row], name: str) -> str:
    if NAMES[name] in customer:
        return str(customer[NAMES[name]] or "")
    return next((str(row.get("value") or "") for row in own if row["key"] == name), "")


def _guid(api: ApiClient, document: Document) -> str:
    """Return the id by which a customer that we make is known before the shop has numbered it."""
    return str(uuid.uuid5(NAMESPACE, f"{api.name} {_reference(document)}"))


def _refers(customer: Row, reference: str) -> bool:
    return reference in (line.strip() for line in str(customer.get("admin_comment") or "").splitlines())


def _other(customer: Row, reference: str) -> str:
    """Return the reference of another customer of the same source, empty where there is none."""
    source = reference.rpartition("/")[0] + "/"
    return next((line.strip() for line in str(customer.get("admin_comment") or "").splitlines() if line.strip().startswith(source)), "")


def _reference(document: Document) -> str:
    value = document.get("Reference")
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise DataError("the customer has no Reference to be found by", field="Reference", value=repr(value))
    return value.strip()


def _email(document: Document) -> str:
    value = document.get("Email")
    if not isinstance(value, str) or not value.strip():
        raise DataError("the customer has no Email", field="Email", value=repr(value))
    return value.strip()
