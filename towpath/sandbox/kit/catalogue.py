"""The goods that every system of the sandbox knows: the same SKUs, names and prices everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Final

KINDS: Final = (("Bag", "Accessories", "39.90"), ("Bottle", "Kitchen", "17.45"), ("Lamp", "Home", "64.00"), ("Jacket", "Apparel", "119.95"))
KINDS_MORE: Final = (("Mug", "Kitchen", "11.25"), ("Notebook", "Stationery", "8.60"))
COLOURS: Final = ("Black", "Blue", "Green", "Red", "White", "Sand", "Grey", "Orange", "Olive", "Plum")
STOCK: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Item:
    """One product; `number` is its id at the shop and `price` is in USD."""

    number: int
    sku: str
    name: str
    kind: str
    colour: str
    price: Decimal


@cache
def catalogue() -> tuple[Item, ...]:
    """Return the 60 products, always the same."""
    items = []
    for what, (word, kind, price) in enumerate(KINDS + KINDS_MORE):
        for index, colour in enumerate(COLOURS):
            number = what * len(COLOURS) + index + 1
            sku = f"{word[:3].upper()}-{colour[:3].upper()}-{number:03d}"
            items.append(Item(number, sku, f"{word}, {colour.lower()}", kind, colour, Decimal(price) + Decimal(index) / 2))
    return tuple(items)
