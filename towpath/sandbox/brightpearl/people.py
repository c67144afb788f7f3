"""Contacts and postal addresses; neither can be told from another by anything unique."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.brightpearl.records import Account, Records, missing, numbers, part, shown
from towpath.sandbox.brightpearl.search import Column, Search
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc

LONGEST_NAME: Final = 32
COUNTRIES: Final = {
    "GBR": ("GB", 222),
    "USA": ("US", 223),
    "DEU": ("DE", 81),
    "FRA": ("FR", 73),
    "CRI": ("CR", 282),
    "NLD": ("NL", 150),
    "IRL": ("IE", 103),
}
COUNTRIES_MORE: Final = {
    "JPN": ("JP", 107),
    "CAN": ("CA", 38),
    "AUS": ("AU", 13),
    "ESP": ("ES", 195),
    "ITA": ("IT", 105),
    "AUT": ("AT", 14),
    "CHE": ("CH", 204),
}
PATCHED: Final = frozenset({"/firstName", "/lastName", "/salutation"})
LINES: Final = ("addressLine1", "addressLine2", "addressLine3", "addressLine4", "postalCode")


class People:
    """The contacts of one account."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.contacts, self.addresses = Records(account, "contact", 200), Records(account, "address", 300)
        self.search = Search(
            self.contacts,
            [
                Column("contactId", "IDSET", lambda doc: doc["contactId"], "_id"),
                Column("primaryEmail", "STRING", lambda doc: doc["communication"]["emails"].get("PRI", {}).get("email"), "_email"),
                Column("firstName", "STRING", lambda doc: doc.get("firstName")),
                Column("lastName", "STRING", lambda doc: doc.get("lastName")),
                Column("createdOn", "PERIOD", lambda doc: doc["createdOn"]),
                Column("updatedOn", "PERIOD", lambda doc: doc["updatedOn"], "_updated"),
            ],
        )

    def add_address(self, call: Call) -> Answer:
        """Answer `POST postal-address`."""
        return Answer(body={"response": self._put_address(self.addresses.next_id(), call.json())})

    def change_address(self, call: Call) -> Answer:
        """Answer `PUT postal-address/{id}`: what is left out is emptied."""
        number = self.addresses.need(call.params["ids"])["addressId"]
        self._put_address(number, call.json())
        for contact in self.contacts.all():
            if number in contact["postAddressIds"].values():
                self._touch(contact)
        return Answer(body={})

    def patch(self, call: Call) -> Answer:
        """Answer `PATCH contact/{id}`, a JSON Patch of its names and its e-mail addresses, with the contact."""
        contact = self.contacts.need(call.params["ids"])
        for change in call.json():
            value = str(change.get("value") or "")
            if change.get("op") not in {"replace", "add"}:
                raise Refusal(500, "CMNC-044", f"The operation {change.get('op')} is not supported")
            if change.get("path") in PATCHED:
                if len(value) > LONGEST_NAME:
                    raise Refusal(400, "CNTC-010", f"{change['path']} has more than {LONGEST_NAME} characters")
                contact[change["path"][1:]] = value
            elif change.get("path") == "/communication/emails/PRI/email":
                contact["communication"]["emails"] = {**contact["communication"]["emails"], "PRI": {"email": value}}
            else:
                raise Refusal(400, "CMNC-045", f"The path {change.get('path')} cannot be patched")
        return Answer(body={"response": self._whole(self._touch(contact))})

    def name_addresses(self, call: Call) -> Answer:
        """Answer `PUT contact/{id}/postal-address`: each address becomes the contact's of its type; one that is another's is refused."""
        contact = self.contacts.need(call.params["ids"])
        others = {one for other in self.contacts.all() if other["contactId"] != contact["contactId"] for one in other["postAddressIds"].values()}
        for named in call.json():
            if self.addresses.get(named["postalAddressId"]) is None or named["postalAddressId"] in others:
                raise Refusal(400, "CNTC-011", f"Postal address {named['postalAddressId']} cannot be associated")
            contact["postAddressIds"] = {**contact["postAddressIds"], str(named.get("type")): named["postalAddressId"]}
        self._touch(contact)
        return Answer(body={})

    def _touch(self, contact: Doc) -> Doc:
        email = str(part(contact["communication"]["emails"], "PRI").get("email") or "")
        return self.contacts.write(contact["contactId"], {**contact, "updatedOn": self._account.now(), "_email": email.casefold()})

    def _put_address(self, number: int, body: Doc) -> int:
        if not str(body.get("addressLine1") or "").strip():
            raise Refusal(400, "CNTC-021", "You must supply an address line 1")
        iso3 = body.get("countryIsoCode")
        if iso3 not in {**COUNTRIES, **COUNTRIES_MORE}:
            raise Refusal(400, "CNTC-022", f"{iso3} is no ISO 3166-1 alpha-3 country code")
        self.addresses.write(number, {"addressId": number, **{name: str(body.get(name) or "") for name in LINES}, "countryIsoCode": iso3})
        return number

    def add_contact(self, call: Call) -> Answer:
        """Answer `POST contact`: a second one with the same e-mail address is a second contact."""
        return Answer(body={"response": self.put(self.contacts.next_id(), call.json())["contactId"]})

    def put(self, number: int, body: Doc) -> Doc:
        """Write a contact under a number and return it."""
        for name in ("firstName", "lastName"):
            if len(str(body.get(name) or "")) > LONGEST_NAME:
                raise Refusal(400, "CNTC-010", f"{name} has more than {LONGEST_NAME} characters")
        for address in part(body, "postAddressIds").values():
            if self.addresses.get(address) is None:
                raise Refusal(400, "CNTC-011", f"Postal address {address} does not exist")
        known = self.contacts.get(number) or {}
        emails = part(part(body, "communication"), "emails") or part(part(known, "communication"), "emails")
        doc = {
            "contactId": number,
            **{name: str(body.get(name) or known.get(name) or "") for name in ("firstName", "lastName", "salutation")},
            "postAddressIds": part(body, "postAddressIds") or known.get("postAddressIds", {}),
            "communication": {"emails": emails, "telephones": part(part(body, "communication"), "telephones")},
            "organisation": part(body, "organisation") or known.get("organisation", {}),
            "relationshipToAccount": {"isSupplier": False, "isStaff": False},
            "createdOn": known.get("createdOn", self._account.now()),
            "updatedOn": self._account.now(),
        }
        email = str(part(emails, "PRI").get("email") or "")
        self.contacts.write(number, {**doc, "_email": email.casefold()})
        return doc

    def get(self, call: Call) -> Answer:
        """Answer `GET contact/{ids}`, with `pagination` and `sorting` beside the response."""
        found = self.contacts.chosen(call.params["ids"])
        if not found:
            raise missing("contact", call.params["ids"])
        page = {"morePagesAvailable": False, "resultsReturned": len(found), "firstResult": 1, "lastResult": len(found)}
        return Answer(body={"response": [self._whole(doc) for doc in found], "pagination": page, "sorting": []})

    def party(self, number: int, address: Doc | None = None) -> Doc:
        """Return a contact as an order shows it, at this address or at its own."""
        contact = self.contacts.get(number)
        if contact is None:
            raise Refusal(400, "ORDC-007", f"Contact {number} does not exist")
        given = address or self._address(contact)
        iso3 = given.get("countryIsoCode") or ""
        iso2, country = {**COUNTRIES, **COUNTRIES_MORE}.get(iso3, ("", 0))
        name = f"{contact['firstName']} {contact['lastName']}".strip()
        party: Doc = {"contactId": number, "addressFullName": given.get("addressFullName") or name, "companyName": given.get("companyName") or ""}
        party |= {line: str(given.get(line) or "") for line in LINES}
        email = part(contact["communication"]["emails"], "PRI").get("email") or ""
        party |= {"country": iso3, "telephone": str(given.get("telephone") or ""), "mobileTelephone": "", "fax": "", "email": email}
        return {**party, "countryId": country, **({"countryIsoCode": iso2, "countryIsoCode3": iso3} if iso3 else {})}

    def delete(self, ids: str) -> None:
        """Remove contacts, as a merge does."""
        for number in numbers(ids):
            self._account.store.delete("contact", number)

    def _address(self, contact: Doc) -> Doc:
        return self.addresses.get(contact["postAddressIds"].get("DEF", 0)) or {}

    def _whole(self, contact: Doc) -> dict[str, Any]:
        ids = set(contact["postAddressIds"].values())
        return {**shown(contact), "postalAddresses": {str(one): shown(self.addresses.need(one)) for one in sorted(ids)}}
