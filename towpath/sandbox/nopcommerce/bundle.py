"""An order with all that belongs to it, as the shop's tables would hold it."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from towpath.sandbox.kit.store import Doc
from towpath.sandbox.nopcommerce.basket import affordable, basket, items, totals
from towpath.sandbox.nopcommerce.dto import ADDRESS, CUSTOMER, ORDER
from towpath.sandbox.nopcommerce.people import Person, chance, person, street
from towpath.sandbox.nopcommerce.places import TOWNS
from towpath.sandbox.nopcommerce.settings import NopSettings

FIRST_CUSTOMER: Final = 101
CUSTOMER_ADDRESSES: Final = 500_000_000  # an order's own addresses have the ids 2n and 2n + 1
SOURCES: Final = ("Web", "Mobile App", "Phone", "Marketplace")
COST_CENTRES: Final = ("CC-100", "CC-200", "CC-300")


@dataclass(slots=True)
class Bundle:
    """The rows of one order, its customer among them."""

    order: Doc
    items: list[Doc]
    addresses: list[Doc]
    customer: Doc
    attributes: dict[str, str]
    wanted: dict[int, int]
    """How many of which product were asked for; less may be in the order."""


def draw(seed: int, order_id: int, customers: int, moment: str, settings: NopSettings, afford: Callable[[int, int], int] | None = None) -> Bundle:
    """Return the order of that number: the same for the same seed, but for its time and for what `afford` says that the shop lacks."""
    dice = random.Random(f"{seed}/{order_id}")
    buyer = person(FIRST_CUSTOMER + int(customers * dice.random() ** 2))
    lines = basket(dice, buyer.country)
    wanted = {line.product: line.quantity for line in lines}
    if afford is not None:
        lines = affordable(lines, buyer.country, afford)
    paid = chance(dice, 0.8)
    order = {
        **ORDER,
        **totals(dice, lines, buyer.country),
        **_marks(dice, buyer),
        **_card(buyer, settings),
        "order_guid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"shop/order/{order_id}")),
        "customer_id": buyer.id,
        "billing_address_id": order_id * 2,
        "shipping_address_id": order_id * 2 + 1,
        "order_status_id": 20 if paid else 10,
        "shipping_status_id": 20,
        "payment_status_id": 30 if paid else 10,
        "paid_date_utc": moment if paid else None,
        "capture_transaction_id": f"txn_{order_id}" if paid else None,
        "created_on_utc": moment,
        "custom_order_number": str(order_id),
        "id": order_id,
    }
    home = address(order_id * 2, buyer, moment)
    away = address(order_id * 2 + 1, buyer, moment)
    if chance(dice, 0.3):
        town = dice.choice([t for t in TOWNS if t.country == buyer.town.country])
        away |= {"address1": street(town, dice), "address2": "c/o Reception", "city": town.name, "zip_postal_code": town.zip}
        away["state_province_id"] = town.state
    own = address(CUSTOMER_ADDRESSES + buyer.id, buyer, moment)
    rows = items(order_id, lines, buyer.country)
    return Bundle(order, rows, [home, away, own], customer(buyer, moment), attributes(buyer), wanted)


def address(number: int, who: Person, moment: str) -> Doc:
    """Return where someone lives."""
    return {
        **ADDRESS,
        "first_name": who.first_name,
        "last_name": who.last_name,
        "email": who.email,
        "company": who.company,
        "country_id": who.country.id,
        "state_province_id": who.town.state,
        "city": who.town.name,
        "address1": who.street,
        "zip_postal_code": who.town.zip,
        "phone_number": who.phone,
        "created_on_utc": moment,
        "id": number,
    }


def customer(who: Person, moment: str) -> Doc:
    """Return a registered customer; names are on the address only."""
    where = CUSTOMER_ADDRESSES + who.id
    return {
        "customer_guid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"shop/customer/{who.id}")),
        "username": who.email,
        "email": who.email,
        **CUSTOMER,
        "created_on_utc": moment,
        "last_activity_date_utc": moment,
        "billing_address_id": where,
        "shipping_address_id": where,
        "id": who.id,
    }


def attributes(who: Person) -> dict[str, str]:
    """Return the generic attributes of a customer."""
    found = {"FirstName": who.first_name, "LastName": who.last_name, "Customer Type": who.kind}
    return {**found, "Company": who.company} if who.company else found


def _marks(dice: random.Random, buyer: Person) -> Doc:
    source = dice.choice(SOURCES)
    values = {"Order Source": source, **({"Cost Centre": dice.choice(COST_CENTRES)} if buyer.company else {})}
    rows = "".join(f"<item><key>{escape(key)}</key><value>{escape(value)}</value></item>" for key, value in values.items())
    choice = f"<CheckoutAttributeValue><Value>{escape(source)}</Value></CheckoutAttributeValue>"
    return {
        "custom_values_xml": f'<?xml version="1.0" encoding="utf-16"?><DictionarySerializer>{rows}</DictionarySerializer>',
        "checkout_attributes_xml": f'<Attributes><CheckoutAttribute ID="1">{choice}</CheckoutAttribute></Attributes>',
        "checkout_attribute_description": f"Order Source: {source}",
    }


def _card(buyer: Person, settings: NopSettings) -> Doc:
    number = settings.canary_card
    return {
        "card_type": "Visa",
        "card_name": f"{buyer.first_name} {buyer.last_name}",
        "card_number": number,
        "masked_credit_card_number": "*" * (len(number) - 4) + number[-4:],
        "card_cvv2": settings.canary_cvv,
        "card_expiration_month": "11",
        "card_expiration_year": "2031",
    }
