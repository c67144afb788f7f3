"""A customer at BNG: found by our reference, by e-mail where it may be, else made; then given what is wanted of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.bng.fields import reference, standing
from sinks.customers import Person, change_of, checked, chosen, meant, without_match
from towpath.http import ApiClient
from towpath.systems.bng import Bng, Record

ID: Final = "CustomerID"
OURS: Final = "ExternalID"
WHERE: Final = ("Street", "City", "State", "Zip", "Country")
"""What says where an address is."""
OBJECTS: Final = ("BillingAddress", "ShippingAddress", "CustomFields")


async def find_customer(api: ApiClient, document: Document) -> Standing | None:
    """Return the customer with our reference, else the one that `Match` tells of; that one gets our reference unless it has somebody else's."""
    bng, ours, match = Bng(api), reference(document, OURS), chosen(document)
    found = await bng.find_customer(ours)
    if found is None and isinstance(match, str):
        found = await bng.customer(match)
    elif found is None and isinstance(match, float):
        email = reference(document, "Email")
        there = {record[ID]: record for record in await bng.customers_by_email(email)}
        one = meant(_person(document), [_person(record, ours) for record in there.values()], match)
        found = None if one is None else there[one.id]
    return None if found is None else standing(ID, found)._replace(whole=bool(found.get(OURS)))


async def find_customer_again(api: ApiClient, document: Document) -> Standing | None:
    """One that was deleted or merged may live on under another id, and then under an ExternalID that is not ours."""
    found = await Bng(api).find_customer(reference(document, OURS))
    found = found or await Bng(api).find_customer_by_email(reference(document, "Email"))
    return None if found is None else standing(ID, found)


async def refer_to_us(api: ApiClient, document: Document, found: Standing) -> Standing:
    """Give a customer who has none our reference."""
    return standing(ID, await Bng(api).change_customer(found.id, {OURS: reference(document, OURS)}))


async def create_customer(api: ApiClient, document: Document) -> Standing:
    """Create a customer."""
    return standing(ID, await Bng(api).create_customer(without_match(document)))


async def customers(api: ApiClient, document: Document) -> list[Standing]:
    """Return all customers with our reference."""
    return [standing(ID, found) for found in await Bng(api).customers(reference(document, OURS))]


async def put_customer(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Change what is not as wanted; its ExternalID is how it is found, and stays."""
    wanted = {name: value for name, value in checked(document, OBJECTS)["Wanted"].items() if name != OURS}
    there = await Bng(api).customer(reference(document, "Customer"))
    change = change_of({**document, "Wanted": wanted}, there, same)
    if not change.fields:
        return False, standing(ID, there)._replace(review=change.review)
    if "CustomFields" in change.fields:
        change.fields["CustomFields"] = {**(there.get("CustomFields") or {}), **change.fields["CustomFields"]}
    return True, standing(ID, await Bng(api).change_customer(there[ID], change.fields))._replace(review=change.review)


def same(name: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - any value of a field
    """Tell whether two values of a field are one at BNG: null is an empty text; of CustomFields those of `other` count, of addresses `WHERE`."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return all(same(part, one.get(part), other.get(part)) for part in (other if name == "CustomFields" else WHERE))
    if name == "CustomFields" and not one and isinstance(other, Mapping):
        return not any(other.values())
    one, other = (" ".join(value.split()) if isinstance(value, str) else value for value in (one, other))
    return bool((one or None) == (other or None))


def _person(record: Record, ours: str = "") -> Person:
    address = record.get("BillingAddress")
    names = {name: str(record.get(field) or "") for name, field in (("first_name", "FirstName"), ("last_name", "LastName"))}
    postcode = str(address.get("Zip") or "") if isinstance(address, Mapping) else ""
    taken = str(record.get(OURS) or "")
    taken_by = taken if ours and taken and _is_ours(taken, ours) else ""
    return Person(str(record.get(ID) or ""), str(record.get("Email") or ""), **names, postcode=postcode, taken_by=taken_by)


def _is_ours(taken: str, ours: str) -> bool:
    """Tell whether a reference is of the kind that our flow gives: it begins as ours does, up to the number."""
    prefix = ours.rstrip("0123456789")
    return bool(prefix) and taken != ours and taken.startswith(prefix)
