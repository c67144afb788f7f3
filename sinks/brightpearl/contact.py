"""Contacts and their postal addresses: an address first, then the contact that names it, each an effect of its own."""

from __future__ import annotations

from sinks.base import Document, Standing
from sinks.brightpearl.fields import address, part, text
from towpath.http import ApiClient
from towpath.systems.brightpearl import created_id, search

LONGEST_NAME = 32


async def find_address(_api: ApiClient, _document: Document) -> Standing | None:
    """Return None: an address is nobody's until a contact names it, and cannot be told from another; one too many does no harm."""
    return None


async def create_address(api: ApiClient, document: Document) -> Standing:
    """Create a postal address."""
    return Standing(str(created_id(await api.write("POST", "/contact-service/postal-address", address(document)))))


async def find_contact(api: ApiClient, document: Document) -> Standing | None:
    """Return the oldest contact with this e-mail address: a second contact would be taken as readily as the first."""
    wanted = _email(document)
    page = await search(api, "/contact-service/contact-search", {"primaryEmail": wanted, "sort": "contactId.ASC"})
    found = [row["contactId"] for row in page.rows if str(row.get("primaryEmail")).strip().casefold() == wanted.strip().casefold()]
    return Standing(str(min(found))) if found else None


async def create_contact(api: ApiClient, document: Document) -> Standing:
    """Create a contact; a name that is longer than Brightpearl takes is cut."""
    names = {name: str(document[name])[:LONGEST_NAME] for name in ("firstName", "lastName") if document.get(name)}
    ids = {kind: int(one) for kind, one in (document.get("postAddressIds") or {}).items()}
    return Standing(str(created_id(await api.write("POST", "/contact-service/contact", {**document, **names, "postAddressIds": ids}))))


def _email(document: Document) -> str:
    return text(part(part(part(document, "communication"), "emails"), "PRI"), "email", "communication.emails.PRI.")
