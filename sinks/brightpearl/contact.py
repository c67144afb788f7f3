"""Contacts and their postal addresses: an address first, then the contact that names it, each an effect of its own; then what is wanted of them.

A contact's names and e-mail address are patched, its addresses are records of their own. Its company can be given to a new one only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sinks.base import Document, Standing
from sinks.brightpearl.fields import address, number, part, text
from sinks.customers import Person, change_of, checked, chosen, meant, rejected
from towpath.delivery.reviewing import MATCH
from towpath.errors import DataError
from towpath.http import ApiClient
from towpath.systems.brightpearl import content_of, created_id, search

LONGEST_NAME: Final = 32
PATHS: Final[Mapping[str, str]] = {"FirstName": "/firstName", "LastName": "/lastName", "Email": "/communication/emails/PRI/email"}
ADDRESSES: Final[Mapping[str, str]] = {"BillingAddress": "BIL", "ShippingAddress": "DEL"}
LINES: Final = ("addressLine1", "addressLine2", "addressLine3", "addressLine4", "postalCode", "countryIsoCode")
Row = dict[str, Any]


async def find_address(_api: ApiClient, _document: Document) -> Standing | None:
    """Return None: an address is nobody's until a contact names it, and cannot be told from another; one too many does no harm."""
    return None


async def create_address(api: ApiClient, document: Document) -> Standing:
    """Create a postal address."""
    return Standing(str(created_id(await api.write("POST", "/contact-service/postal-address", address(document)))))


async def find_contact(api: ApiClient, document: Document) -> Standing | None:
    """Return the contact that `Match` names, or who is surely the same; without it the oldest with this e-mail address.

    A second contact of an e-mail address would be taken as readily as the first, unless somebody was asked: then one of that name too who is not
    among those that were rejected is ours, whose creation was not answered.
    """
    others = rejected(document)
    if document.get(MATCH) is False:
        return None
    match = chosen(document)
    if isinstance(match, str):
        return Standing(str((await _contact(api, match))["contactId"]))
    wanted = _email(document)
    page = await search(api, "/contact-service/contact-search", {"primaryEmail": wanted, "sort": "contactId.ASC"})
    found = [row for row in page.rows if str(row.get("primaryEmail")).strip().casefold() == wanted.strip().casefold()]
    if others is not None:
        names = ("FirstName", "firstName"), ("LastName", "lastName")
        found = [row for row in found if str(row["contactId"]) not in others and all(same(name, row.get(at), document.get(at)) for name, at in names)]
    if match is None:
        return Standing(str(min(row["contactId"] for row in found))) if found else None
    people = [Person(str(row["contactId"]), wanted, str(row.get("firstName") or ""), str(row.get("lastName") or "")) for row in found]
    one = meant(Person("", wanted, *(str(document.get(name) or "")[:LONGEST_NAME] for name in ("firstName", "lastName"))), people, match)
    return None if one is None else Standing(one.id)


async def create_contact(api: ApiClient, document: Document) -> Standing:
    """Create a contact; a name that is longer than Brightpearl takes is cut."""
    names = {name: str(document[name])[:LONGEST_NAME] for name in ("firstName", "lastName") if document.get(name)}
    ids = {kind: int(one) for kind, one in (document.get("postAddressIds") or {}).items()}
    known = {name: value for name, value in document.items() if name not in {MATCH, "Company", *PATHS, *ADDRESSES}}
    return Standing(str(created_id(await api.write("POST", "/contact-service/contact", {**known, **names, "postAddressIds": ids}))))


async def put_contact(api: ApiClient, document: Document, _known: int | None) -> tuple[bool, Standing]:
    """Change what is not as wanted: names and e-mail address by one call, each address by its own."""
    document = checked(document, tuple(ADDRESSES))
    contact = await _contact(api, text(document, "Customer"))
    organisation = contact.get("organisation")
    there: Row = {
        "Company": organisation.get("name") if isinstance(organisation, dict) else "",
        "FirstName": contact.get("firstName"),
        "LastName": contact.get("lastName"),
        "Email": _primary(contact),
    }
    there |= {name: _postal(contact, kind) for name, kind in ADDRESSES.items()}
    change = change_of(document, there, same).without("Company")
    standing = Standing(str(contact["contactId"]), review=change.review)
    patch = [{"op": "replace", "path": PATHS[name], "value": cut(name, value)} for name, value in change.fields.items() if name in PATHS]
    if patch:
        content_of(await api.write("PATCH", f"/contact-service/contact/{contact['contactId']}", patch))
    for name, kind in ADDRESSES.items():
        if change.fields.get(name):
            await _write_address(api, contact, kind, address(change.fields[name], f"{name}."))
    return bool(change.fields), standing


async def _write_address(api: ApiClient, contact: Row, kind: str, wanted: Mapping[str, object]) -> None:
    """Change an address that is nothing but the contact's of this kind; else give it a new one."""
    ids = contact.get("postAddressIds") or {}
    own = ids.get(kind)
    if own is not None and list(ids.values()).count(own) == 1:
        content_of(await api.write("PUT", f"/contact-service/postal-address/{own}", wanted))
        return
    made = created_id(await api.write("POST", "/contact-service/postal-address", wanted))
    named = [{"postalAddressId": made, "type": kind}]
    content_of(await api.write("PUT", f"/contact-service/contact/{contact['contactId']}/postal-address", named))


def same(name: str, one: Any, other: Any) -> bool:  # noqa: ANN401 - any value of a field
    """Tell whether two values of a field are one at Brightpearl, which cuts names and has no case in e-mail addresses."""
    if name in ADDRESSES:
        one, other = ({part: str((value or {}).get(part) or "") for part in LINES} for value in (one, other))
        return bool({**one, "countryIsoCode": _three(one)} == {**other, "countryIsoCode": _three(other)})
    one, other = (" ".join(str(cut(name, value) or "").split()) for value in (one, other))
    return bool(one.casefold() == other.casefold() if name == "Email" else one == other)


def cut(name: str, value: Any) -> Any:  # noqa: ANN401 - any value of a field
    """Return a value as Brightpearl takes it."""
    return value[:LONGEST_NAME] if name in {"FirstName", "LastName"} and isinstance(value, str) else value


def _three(lines: Mapping[str, str]) -> object:
    return address({"addressLine1": "-", "countryIsoCode": lines["countryIsoCode"]})["countryIsoCode"] if lines["countryIsoCode"] else ""


def _postal(contact: Row, kind: str) -> Row | None:
    """Return a contact's address of a kind, else its default one, as its decoding does."""
    ids, addresses = contact.get("postAddressIds") or {}, contact.get("postalAddresses") or {}
    found = addresses.get(str(ids.get(kind) or ids.get("DEF")))
    return {part: found.get(part) for part in LINES} if isinstance(found, dict) else None


def _primary(contact: Row) -> str:
    emails = (contact.get("communication") or {}).get("emails") or {}
    return str((emails.get("PRI") or {}).get("email") or "")


async def _contact(api: ApiClient, one: str) -> Row:
    """Return a contact; raises DataError where there is none."""
    wanted = number({"CustomerID": one}, "CustomerID")
    answer = await api.get(f"/contact-service/contact/{wanted}")
    found = content_of(answer) if answer.status == 200 else []  # noqa: PLR2004 - else 404
    if not found:
        raise DataError(f"contact {wanted} does not exist at {api.name}", field="CustomerID", value=one)
    if not isinstance(found, list) or not isinstance(found[0], dict) or found[0].get("contactId") != wanted:
        raise answer.unreadable(f"it is not contact {wanted}")
    return dict(found[0])


def _email(document: Document) -> str:
    return text(part(part(part(document, "communication"), "emails"), "PRI"), "email", "communication.emails.PRI.")
