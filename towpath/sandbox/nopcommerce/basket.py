"""What is in an order and what it costs, from a seed; the sums add up to the last minor unit."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from towpath.sandbox.kit.catalogue import Item, catalogue
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.nopcommerce.dto import ORDER_ITEM
from towpath.sandbox.nopcommerce.people import chance
from towpath.sandbox.nopcommerce.places import Country

MOST_LINES = 5
ITEM_IDS = 20  # order 1001 has the items 20020, 20021, …


@dataclass(frozen=True, slots=True)
class Line:
    """One line: prices without tax in the order's currency, and its tax."""

    item: Item
    quantity: int
    unit: Decimal
    tax: Decimal
    discount: Decimal

    @property
    def price(self) -> Decimal:
        """Return what the line costs without tax."""
        return self.unit * self.quantity


def basket(dice: random.Random, country: Country) -> list[Line]:
    """Return one to five different products, with reduced prices now and then."""
    lines = []
    for item in dice.sample(catalogue(), dice.randint(1, MOST_LINES)):
        full, quantity = country.money(item.price), dice.choice((1, 1, 1, 2, 3, 12))
        unit = country.round(full * Decimal("0.9")) if chance(dice, 0.15) else full
        lines.append(Line(item, quantity, unit, country.round(unit * quantity * country.tax), (full - unit) * quantity))
    return lines


def items(order_id: int, lines: list[Line], country: Country) -> list[Doc]:
    """Return the order items of these lines."""
    docs = []
    for index, line in enumerate(lines):
        number = order_id * ITEM_IDS + index
        amounts: dict[str, Any] = {
            "unit_price_incl_tax": line.unit + country.round(line.unit * country.tax),
            "unit_price_excl_tax": line.unit,
            "price_incl_tax": line.price + line.tax,
            "price_excl_tax": line.price,
            "discount_amount_incl_tax": line.discount + country.round(line.discount * country.tax),
            "discount_amount_excl_tax": line.discount,
        }
        docs.append(
            {
                "order_item_guid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"shop/order-item/{number}")),
                "order_id": order_id,
                "product_id": line.item.number,
                "quantity": line.quantity,
                **ORDER_ITEM,
                **{name: float(amount) for name, amount in amounts.items()},
                "id": number,
            }
        )
    return docs


def totals(dice: random.Random, lines: list[Line], country: Country) -> dict[str, Any]:
    """Return the money fields of an order: items + shipping + tax - discount = total, all without tax but the tax."""
    goods = sum((line.price for line in lines), Decimal(0))
    shipping = country.money(Decimal(dice.choice(("0", "4.95", "9.90"))))
    shipping_tax = country.round(shipping * country.tax)
    tax = sum((line.tax for line in lines), Decimal(0)) + shipping_tax
    discount = country.round(goods / 10) if chance(dice, 0.2) else Decimal(0)
    amounts = {
        "order_subtotal_incl_tax": goods + tax - shipping_tax,
        "order_subtotal_excl_tax": goods,
        "order_shipping_incl_tax": shipping + shipping_tax,
        "order_shipping_excl_tax": shipping,
        "order_tax": tax,
        "order_discount": discount,
        "order_total": goods + shipping + tax - discount,
    }
    rates = f"{(country.tax * 100).normalize():f}:{tax}; "
    return {**{name: float(amount) for name, amount in amounts.items()}, "tax_rates": rates, "customer_currency_code": country.currency}
