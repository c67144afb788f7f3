"""What is in an order and what it costs, from a seed; the sums add up to the last minor unit."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from towpath.sandbox.kit.catalogue import Item, catalogue
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.magento.goods import BUNDLE, BUNDLED, CONFIGURABLE, number
from towpath.sandbox.magento.people import FIRST_CUSTOMER, Person, person

ITEM_IDS: Final = 20  # order 1001 has the items 20020, 20021, …
INCREMENTS: Final = 100_000_000  # order 1001 is called 100001001: nobody may take one for the other
Afford = Callable[[str, int], int]


@dataclass(slots=True)
class Basket:
    """The items of one order, and how many of which SKU they take."""

    order: int
    buyer: Person
    items: list[Doc] = field(default_factory=list)
    taken: dict[str, int] = field(default_factory=dict)
    wanted: dict[str, int] = field(default_factory=dict)

    def add(self, kind: str, item: Item, quantity: int, unit: Decimal, parent: int | None = None) -> int:
        """Add an item and return its id; what is inside a parent takes stock, and so does what has none."""
        place, row = self.buyer.place, unit * quantity
        tax = place.round(row * Decimal(place.tax))
        one = self.order * ITEM_IDS + len(self.items)
        doc: Doc = {
            "item_id": one,
            "order_id": self.order,
            "sku": item.sku,
            "name": item.name,
            "product_type": kind,
            "product_id": item.number,
            "price": number(unit),
            "original_price": number(unit),
            "price_incl_tax": number(unit + place.round(unit * Decimal(place.tax))),
            "row_total": number(row),
            "row_total_incl_tax": number(row + tax),
            "tax_amount": number(tax),
            "tax_percent": number(Decimal(place.tax) * 100) if unit else 0,
            "discount_amount": 0,
            "qty_ordered": quantity,
            **dict.fromkeys(("qty_invoiced", "qty_shipped", "qty_refunded", "qty_canceled"), 0),
            "is_virtual": 0,
            "weight": 0.5,
        }
        self.items.append({**doc, "parent_item_id": parent} if parent else doc)
        if kind == "simple":
            self.taken[item.sku] = self.taken.get(item.sku, 0) + quantity
        return one


def draw(seed: int, order: int, customers: int, afford: Afford | None = None, *, sets: bool = False) -> tuple[Basket, random.Random]:
    """Return the basket of that order, the same for the same seed but for what `afford` says that the shop lacks, and its dice."""
    dice = random.Random(f"{seed}/{order}")
    basket = Basket(order, person(FIRST_CUSTOMER + int(customers * dice.random() ** 2)))
    for item in dice.sample(catalogue(), dice.randint(1, 4)):
        quantity = dice.choice((1, 1, 1, 2, 3, 12))
        basket.wanted[item.sku] = basket.wanted.get(item.sku, 0) + quantity
        got = quantity if afford is None else afford(item.sku, quantity)
        if got > 0:
            _put(basket, item, got, _money(basket, item))
    if dice.random() < 0.2 and sets:  # noqa: PLR2004 - one of five buys a set
        _put_set(basket, afford)
    return basket, dice


def _put(basket: Basket, item: Item, quantity: int, unit: Decimal) -> None:
    """Add a product; a bag is sold as a configurable one: its parent has its SKU and price, the child costs nothing."""
    if item.number > 10:  # noqa: PLR2004 - the bags are the first ten
        basket.add("simple", item, quantity, unit)
        return
    configurable = Item(CONFIGURABLE, item.sku, "Bag", item.kind, item.colour, item.price)
    parent = basket.add("configurable", configurable, quantity, unit)
    basket.add("simple", item, quantity, Decimal(0), parent)


def _put_set(basket: Basket, afford: Afford | None) -> None:
    """Add one set at a price of its own: a bundle with a fixed price, whose children cost nothing."""
    bottle, mug = (catalogue()[one - 1] for one in BUNDLED)
    for item, quantity in ((bottle, 1), (mug, 2)):
        basket.wanted[item.sku] = basket.wanted.get(item.sku, 0) + quantity
        if item.sku in basket.taken or (afford is not None and afford(item.sku, quantity) < quantity):
            basket.wanted[item.sku] -= quantity
            return
    whole = Item(BUNDLE, f"SET-{bottle.sku}-{mug.sku}", "Drinking set", bottle.kind, "", bottle.price + mug.price)
    parent = basket.add("bundle", whole, 1, _money(basket, whole))
    for item, quantity in ((bottle, 1), (mug, 2)):
        basket.add("simple", item, quantity, Decimal(0), parent)


def _money(basket: Basket, item: Item) -> Decimal:
    return basket.buyer.place.round(item.price * Decimal(basket.buyer.place.usd))


def amounts(basket: Basket, dice: random.Random) -> dict[str, Any]:
    """Return the money fields of the order: lines + shipping + tax + discount (which is below zero) = total."""
    place = basket.buyer.place
    goods = sum((Decimal(str(item["row_total"])) for item in basket.items), Decimal(0))
    shipping = place.round(Decimal(dice.choice(("0", "5", "9.90"))) * Decimal(place.usd))
    shipping_tax = place.round(shipping * Decimal(place.tax))
    tax = sum((Decimal(str(item["tax_amount"])) for item in basket.items), Decimal(0)) + shipping_tax
    discount = place.round(goods / 10) if dice.random() < 0.2 else Decimal(0)  # noqa: PLR2004 - one of five has a coupon
    total = goods + shipping + tax - discount
    found = {"subtotal": goods, "shipping_amount": shipping, "shipping_tax_amount": shipping_tax, "tax_amount": tax}
    found |= {"discount_amount": -discount, "grand_total": total, "total_due": total}
    return {name: number(value) for name, value in found.items()}
