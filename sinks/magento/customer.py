"""A customer at the shop: found by e-mail, which is unique in a website, or made; then saved whole with what is wanted of it.

One call saves a customer with its addresses, and takes away those that it leaves out; so all of it is read and sent back. The shop has no field for a
reference of ours: who a customer is here is in the cross-references and at the other side.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.customers import Person, change_of, checked, chosen, meant, without_match
from sinks.magento.shop import Row, Shop, text
from towpath.errors import DataError
from towpath.http import ApiClient

NAMES: Final[Mapping[str, str]] = {"Email": "email", "FirstName": "firstname", "LastName": "lastname", "GroupID": "group_id"}
ADDRESSES: Final[Mapping[str, str]] = {"BillingAddress": "default_billing", "ShippingAddress": "default_shipping"}
WHERE: Final = ("street", "city", "postcode", "country_id", "region")
"""What says where an address is; the rest of it says whose."""


async def find_customer(api: ApiClient, document: Document) -> Standing | None:
    """Return the customer that `Match` names, or who is surely the same by e-mail address and name."""
    shop, match = Shop(api), chosen(document)
    if isinstance(match, str):
        return Standing(str((await shop.customer(match))["id"]))
    email = text(document, "Email")
    found = await shop.customers_by_email(email)
    if match is None:  # the shop has one customer of an e-mail address: nobody can be another one
        return Standing(str(found[0]["id"])) if found else None
    wanted = Person("", email, str(document.get("FirstName") or ""), str(document.get("LastName") or ""), _postcode(document))
    people = [Person(str(row["id"]), str(row.get("email")), str(row.get("firstname") or ""), str(row.get("lastname") or "")) for row in found]
    one = meant(wanted, people, match)
    return None if one is None else Standing(one.id)


async def create_customer(api: ApiClient, document: Document) -> Standing:
    """Make a customer with its addresses; the shop refuses a second one of the same e-mail address."""
    shop = Shop(api)
    wanted = without_match(document)
    customer = {NAMES[name]: wanted[name] for name in NAMES if wanted.get(name) not in (None, "")}
    addresses = [await _located(shop, wanted[name], name) for name in ADDRESSES if wanted.get(name)]
    same_place = len(addresses) > 1 and same("BillingAddress", *addresses)
    rows = [_new(customer, wanted, one) for one in (addresses[:1] if same_place else addresses)]
    names = [field for name, field in ADDRESSES.items() if wanted.get(name)]
    for place, field in enumerate(names):
        rows[min(place, len(rows) - 1)][field] = True
    return Standing(str((await shop.save_customer({**customer, "addresses": rows}))["id"]))


async def put_customer(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Save a customer with what is not as wanted; its company is that of its billing address."""
    shop, document = Shop(api), checked(document, tuple(ADDRESSES))
    customer = await shop.customer(str(document.get("Customer")))
    rows = {name: _default(customer, field) for name, field in ADDRESSES.items()}
    there: Row = {name: customer.get(field) for name, field in NAMES.items()}
    there |= {name: None if row is None else _where(row) for name, row in rows.items()}
    there["Company"] = (rows["BillingAddress"] or {}).get("company")
    documents = {part: await _all_located(shop, document.get(part)) for part in ("Wanted", "Expected")}
    change = change_of({**document, **documents}, there, same)
    if rows["BillingAddress"] is None and "BillingAddress" not in change.fields:
        change = change.without("Company")  # there is nothing that would hold it
    if not change.fields:
        return False, Standing(str(customer["id"]), review=change.review)
    changed = {**customer, **{NAMES[name]: value for name, value in change.fields.items() if name in NAMES}}
    changed["addresses"] = _addresses(changed, rows, change.fields, document["Wanted"])
    await shop.save_customer(changed)
    return True, Standing(str(customer["id"]), review=change.review)


def _addresses(customer: Row, rows: Mapping[str, Row | None], fields: Row, wanted: Document) -> list[Row]:
    """Return the customer's addresses with what changes; two defaults that are one row and differ from now on part."""
    kept = [dict(row) for row in customer.get("addresses") or []]
    shared = rows["BillingAddress"] is not None and rows["BillingAddress"] is rows["ShippingAddress"]
    for name, field in ADDRESSES.items():
        place, row = fields.get(name), rows[name]
        other = next(one for one in ADDRESSES if one != name)
        if place is None:
            continue
        if row is None or (shared and not same(name, fields.get(other, there_of(row)), place)):
            for one in kept:
                one.pop(field, None)
            kept.append({**_new(customer, wanted, place), field: True})
            continue
        next(one for one in kept if one.get("id") == row.get("id")).update(place)
    if "Company" in fields:
        for one in kept:
            if one.get("default_billing"):
                one["company"] = fields["Company"]
    return kept


def there_of(row: Row | None) -> Row:
    """Return where an address is, nowhere for none."""
    return {} if row is None else _where(row)


def same(name: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - any value of a field
    """Tell whether two values of a field are one at the shop."""
    if name in ADDRESSES:
        return all(_plain((one or {}).get(part)) == _plain((other or {}).get(part)) for part in WHERE)
    one, other = (_plain(value) for value in (one, other))
    return bool(one.casefold() == other.casefold() if name == "Email" else one == other)


def _plain(value: Any) -> str:  # noqa: ANN401 - a text, a list of lines, a region or a number
    if isinstance(value, Mapping):
        value = value.get("region_code") or value.get("region")
    if isinstance(value, list):
        value = ", ".join(str(line) for line in value if line)
    return " ".join(str("" if value is None else value).split())


def _default(customer: Row, field: str) -> Row | None:
    addresses = [row for row in customer.get("addresses") or [] if isinstance(row, dict)]
    return next((row for row in addresses if row.get(field) is True or str(row.get("id")) == str(customer.get(field))), None)


def _where(row: Row) -> Row:
    return {part: row.get(part) for part in WHERE}


async def _all_located(shop: Shop, document: Document | None) -> Row | None:
    if document is None:
        return None
    known = {name: value for name, value in document.items() if name in {*NAMES, *ADDRESSES, "Company"}}
    return {**known, **{name: await _located(shop, document[name], name) for name in ADDRESSES if isinstance(document.get(name), Mapping)}}


async def _located(shop: Shop, address: Any, name: str) -> Row:  # noqa: ANN401 - whatever was mapped
    """Return where an address is as the shop has it; raises DataError naming what is no address, or the country where the shop has none such."""
    if not isinstance(address, Mapping):
        raise DataError(f"{name} is no object", field=name, value=repr(address)[:80])
    if not isinstance(address.get("Lines") or [], list):
        raise DataError(f"{name}.Lines is no list of texts", field=f"{name}.Lines", value=repr(address["Lines"])[:80])
    country, state = str(address.get("Country") or "").upper(), str(address.get("State") or "").strip()
    place: Row = {"street": [str(line) for line in address.get("Lines") or []], "city": address.get("City"), "postcode": address.get("Zip")}
    place |= {"country_id": country}
    regions = await shop.regions(country, name)
    known = next((one for one in regions if state and state.casefold() in {str(one.get(part)).casefold() for part in ("code", "name")}), None)
    if known is not None:
        place |= {"region": {"region_code": known["code"], "region": known["name"], "region_id": int(known["id"])}, "region_id": int(known["id"])}
    elif state:
        place |= {"region": {"region": state}}
    return place


def _new(customer: Row, wanted: Document, place: Row) -> Row:
    """Return a new address: the shop wants a name and a telephone number in each."""
    whose = {"firstname": customer.get("firstname"), "lastname": customer.get("lastname"), "telephone": wanted.get("Telephone") or "-"}
    return {**whose, **({"company": wanted["Company"]} if wanted.get("Company") else {}), **place}


def _postcode(document: Document) -> str:
    address = document.get("BillingAddress")
    return str(address.get("Zip") or "") if isinstance(address, Mapping) else ""
