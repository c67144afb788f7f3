"""The customers of the shop: customer 107 is the same person in every shop that has one."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from towpath.sandbox.nopcommerce.places import BY_CODE, TOWNS, Country, Town

NAMES: Final = {
    "US": (("Ava", "Noah", "Zoë", "José"), ("O'Connor", "Smith-Jones", "Nguyễn", "Baker")),
    "DE": (("Jürgen", "Käthe", "Björn", "Anneliese"), ("Müller", "Weiß", "Schröder", "von der Heide")),
    "FR": (("François", "Maëlle", "Hélène"), ("Lefèvre", "D'Arcy", "Noël")),
    "ES": (("Íñigo", "María José", "Begoña"), ("Muñoz", "García Márquez", "Ibáñez")),
    "GB": (("Siân", "Oliver", "Niamh"), ("MacDonald", "Ó Briain", "Whittaker")),
    "JP": (("花子", "Haruto", "さくら"), ("佐藤", "Tanaka", "髙橋")),
}
COMPANIES: Final = ("Café Société", "Müller & Söhne", "Harbour Supplies", "Northern Lights Ltd")
TYPES: Final = ("Retail", "Retail", "Retail", "Wholesale", "VIP")


@dataclass(frozen=True, slots=True)
class Person:
    """Who buys, and where they live; `street` has the house number as the country writes it."""

    id: int
    first_name: str
    last_name: str
    email: str
    company: str | None
    phone: str
    country: Country
    town: Town
    street: str
    kind: str


def person(number: int) -> Person:
    """Return the customer of that id."""
    dice = random.Random(f"customer/{number}")
    town = dice.choice(TOWNS)
    first, last = (dice.choice(names) for names in NAMES[town.country])
    company = dice.choice(COMPANIES) if chance(dice, 0.25) else None
    return Person(
        id=number,
        first_name=first,
        last_name=last,
        email=f"shopper{number}@example.com",
        company=company,
        phone=f"+1 555 {number % 10000:04d}",
        country=BY_CODE[town.country],
        town=town,
        street=street(town, dice),
        kind="Wholesale" if company else dice.choice(TYPES),
    )


def chance(dice: random.Random, rate: float) -> bool:
    """Return true as often as `rate` says."""
    return dice.random() < rate


def street(town: Town, dice: random.Random) -> str:
    """Return a street with a house number."""
    name, number = dice.choice(town.streets), dice.randint(1, 240)
    return f"{name} {number}" if town.country in {"DE", "ES"} else f"{number} {name}"
