"""The calls that write customers: one saves a customer with all its addresses, and those that it leaves out are gone."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.messages import Answer, Call, Endpoint
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.auth import BASE
from towpath.sandbox.magento.people import FIRST_REGISTERED, PLACES
from towpath.sandbox.magento.shop import Shop
from towpath.sandbox.magento.wording import Worded, no_such

FIRST_ADDRESS: Final = 20_000_000
DEFAULTS: Final = ("default_billing", "default_shipping")
REQUIRED: Final = ("firstname", "lastname", "street", "city", "telephone", "country_id")
TAKEN: Final = "A customer with the same email address already exists in an associated website."


class Clients:
    """The calls of one shop that write customers."""

    def __init__(self, shop: Shop) -> None:
        self._shop, self._store = shop, shop.store

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""
        return [
            Endpoint("POST", f"{BASE}customers", self.create, write=True),
            Endpoint("PUT", f"{BASE}customers/{{customerId}}", self.update, write=True),
            Endpoint("GET", f"{BASE}directory/countries/{{countryId}}", self.country),
        ]

    def create(self, call: Call) -> Answer:
        """Answer `POST /V1/customers` with the new customer; an e-mail address is unique in a website."""
        given = _given(call)
        moment, number = self._shop.now(), FIRST_REGISTERED + self._store.add("id/customer")
        new = {
            "group_id": 1,
            "created_at": moment,
            "created_in": "Default Store View",
            "store_id": 1,
            "website_id": 1,
            "disable_auto_group_change": 0,
        }
        return Answer(body=self._saved({**new, "addresses": [], **given, "id": number}))

    def update(self, call: Call) -> Answer:
        """Answer `PUT /V1/customers/{customerId}` with the customer: what is left out stays, but for addresses of a list that is given."""
        known = self._store.get("customer", call.params["customerId"])
        if known is None:
            raise no_such("customerId", call.params["customerId"])
        return Answer(body=self._saved({**known, **_given(call), "id": known["id"]}))

    def country(self, call: Call) -> Answer:
        """Answer `GET /V1/directory/countries/{countryId}`: a country with its regions, whose ids are texts there."""
        code = call.params["countryId"]
        there = [place for place in PLACES if place.country == code]
        if not there:
            raise Worded(404, "Requested country is not available.")
        regions = [
            {"id": str(number), "code": short, "name": name} for number, short, name in sorted({place.region for place in there if place.region})
        ]
        body: dict[str, Any] = {"id": code, "two_letter_abbreviation": code, "full_name_english": code}
        return Answer(body=body | ({"available_regions": regions} if regions else {}))

    def _saved(self, customer: Doc) -> Doc:
        others = self._store.find("customer", [("email", "=", customer.get("email"))])
        if any(one["id"] != customer["id"] for one in others):
            raise Worded(400, TAKEN)
        for field in ("email", "firstname", "lastname"):
            if not customer.get(field):
                raise Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": field})
        customer["addresses"] = [self._address(customer, one) for one in customer["addresses"]]
        for field in DEFAULTS:
            customer.pop(field, None)
            chosen = [one for one in customer["addresses"] if one.get(field) is True]
            for one in chosen[:-1]:
                one.pop(field)
            if chosen:
                customer[field] = str(chosen[-1]["id"])
        self._shop.save_customer(customer)
        return customer

    def _address(self, customer: Doc, given: Doc) -> Doc:
        for field in REQUIRED:
            if not given.get(field):
                raise Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": field})
        number = given.get("id") or FIRST_ADDRESS + self._store.add("id/address")
        return {**given, "id": number, "customer_id": customer["id"]}


def _given(call: Call) -> Doc:
    body = call.json()
    customer = body.get("customer") if isinstance(body, dict) else None
    if not isinstance(customer, dict):
        raise Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": "customer"})
    return customer
