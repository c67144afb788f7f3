"""The customers of the shop: customer 107 is the same person in every shop that has one; guests have no number."""

from __future__ import annotations

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from towpath.sandbox.kit.store import Doc


@dataclass(frozen=True, slots=True)
class Place:
    """A town with its country's money: what a dollar is worth there, how many decimal places, and the rate of tax on goods."""

    country: str
    city: str
    postcode: str
    region: tuple[int, str, str] | None
    streets: tuple[str, ...]
    currency: str = "USD"
    usd: str = "1"
    places: int = 2
    tax: str = "0.0825"

    def round(self, amount: Decimal) -> Decimal:
        """Return the amount with as many decimal places as the currency has."""
        return amount.quantize(Decimal(1).scaleb(-self.places))


PLACES: Final = (
    Place("US", "Purchase", "10577", (43, "NY", "New York"), ("Oak Ave", "O'Hara St")),
    Place("US", "Austin", "78701", (57, "TX", "Texas"), ("Congress Ave", "East 6th St")),
    Place("DE", "Berlin", "10115", None, ("Hauptstraße", "Torstraße"), "EUR", "0.92", 2, "0.19"),
    Place("FR", "Lyon", "69002", None, ("rue de la République", "quai Saint-Antoine"), "EUR", "0.92", 2, "0.20"),
    Place("GB", "Leeds", "LS1 4AP", None, ("Park Row", "King's Road"), "GBP", "0.79", 2, "0.20"),
    Place("JP", "Osaka", "530-0001", None, ("梅田", "Umeda"), "JPY", "151", 0, "0.10"),
)
NAMES: Final = (("Jane", "Doe"), ("Zoë", "Müller"), ("José", "O'Connor"), ("Hélène", "Lefèvre"), ("花子", "佐藤"), ("Siân", "Smith-Jones"))
COMPANIES: Final = (None, None, None, "Müller & Söhne", "Harbour Supplies")
WHOLESALE, GENERAL = 2, 1
FIRST_CUSTOMER: Final = 101
FIRST_REGISTERED: Final = 1_000_000
"""Where the numbers of customers begin that register or are made by the API."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who buys, and where they live."""

    number: int
    first: str
    last: str
    email: str
    company: str | None
    place: Place
    street: str

    def address(self) -> Doc:
        """Return where they live, by the names that an order's address and a customer's have in common."""
        return {
            "firstname": self.first,
            "lastname": self.last,
            **({"company": self.company} if self.company else {}),
            "street": [self.street],
            "city": self.place.city,
            "postcode": self.place.postcode,
            "country_id": self.place.country,
            "telephone": f"+1 555 {self.number % 10000:04d}",
        }

    def order_address(self, kind: str) -> Doc:
        """Return the address as an order has it."""
        region = self.place.region
        where = {"region_id": region[0], "region_code": region[1], "region": region[2]} if region else {}
        return {"address_type": kind, "email": self.email, **self.address(), **where}

    def customer(self, moment: str) -> Doc:
        """Return the customer as REST gives it: the default addresses' ids are texts."""
        number, region = self.number * 10, self.place.region
        where = {"region": {"region_id": region[0], "region_code": region[1], "region": region[2]}, "region_id": region[0]} if region else {}
        own = {"id": number, "customer_id": self.number, **self.address(), **where, "default_shipping": True, "default_billing": True}
        return {
            "id": self.number,
            "group_id": WHOLESALE if self.company else GENERAL,
            "default_billing": str(number),
            "default_shipping": str(number),
            "created_at": moment,
            "updated_at": moment,
            "created_in": "Default Store View",
            "email": self.email,
            "firstname": self.first,
            "lastname": self.last,
            "store_id": 1,
            "website_id": 1,
            "addresses": [own],
            "disable_auto_group_change": 0,
            "extension_attributes": {"is_subscribed": False},
            "custom_attributes": [{"attribute_code": "order_source", "value": "web"}],
        }


def person(number: int) -> Person:
    """Return the customer of that number."""
    dice = random.Random(f"customer/{number}")
    place, (first, last) = dice.choice(PLACES), dice.choice(NAMES)
    street = f"{dice.randint(1, 240)} {dice.choice(place.streets)}"
    return Person(number, first, last, f"shopper{number}@example.com", dice.choice(COMPANIES), place, street)
