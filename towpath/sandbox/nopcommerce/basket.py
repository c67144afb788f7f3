"""What is in an order and what it costs, from a seed; the sums add up to the last minor unit."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from towpath.sandbox.kit.catalogue import catalogue
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.nopcommerce.dto import ORDER_ITEM
from towpath.sandbox.nopcommerce.people import chance
from towpath.sandbox.nopcommerce.places import Country

MOST_LINES = 5
ITEM_IDS = 20  # order 1001 has the items 20020, 20021, …


@dataclass(frozen=True, slots=True)
class Line:
    """One line: prices without tax in the order's currency, its tax, and what was taken off for each piece."""

    product: int
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
        lines.append(line(item.number, quantity, unit, full - unit, country))
    return lines


def line(product: int, quantity: int, unit: Decimal, discount: Decimal, country: Country) -> Line:
    """Return the line of so many at this price, with its tax."""
    return Line(product, quantity, unit, country.round(unit * quantity * country.tax), discount)


def affordable(lines: list[Line], country: Country, afford: Callable[[int, int], int]) -> list[Line]:
    """Return the lines with as many as `afford` gives of a product and a quantity, without those of which there is nothing."""
    got = [(one, afford(one.product, one.quantity)) for one in lines]
    return [line(one.product, quantity, one.unit, one.discount, country) for one, quantity in got if quantity > 0]


def items(order_id: int, lines: list[Line], country: Country) -> list[Doc]:
    """Return the order items of these lines."""
    docs = []
    for index, one in enumerate(lines):
        number = order_id * ITEM_IDS + index
        docs.append(
            {
                "order_item_guid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"shop/order-item/{number}")),
                "order_id": order_id,
                "product_id": one.product,
                "quantity": one.quantity,
                **ORDER_ITEM,
                **item_amounts(one, country),
                "id": number,
            }
        )
    return docs


def item_amounts(one: Line, country: Country) -> dict[str, float]:
    """Return the money fields of an order item."""
    discount = one.discount * one.quantity
    amounts = {
        "unit_price_incl_tax": one.unit + country.round(one.unit * country.tax),
        "unit_price_excl_tax": one.unit,
        "price_incl_tax": one.price + one.tax,
        "price_excl_tax": one.price,
        "discount_amount_incl_tax": discount + country.round(discount * country.tax),
        "discount_amount_excl_tax": discount,
    }
    return {name: float(amount) for name, amount in amounts.items()}


def totals(dice: random.Random, lines: list[Line], country: Country) -> dict[str, Any]:
    """Return the money fields of an order, with shipping and a discount from the dice."""
    shipping = country.money(Decimal(dice.choice(("0", "4.95", "9.90"))))
    return order_amounts(lines, country, shipping, reduced=chance(dice, 0.2))


def order_amounts(lines: list[Line], country: Country, shipping: Decimal, *, reduced: bool) -> dict[str, Any]:
    """Return the money fields of an order: items + shipping + tax - discount = total, all without tax but the tax."""
    goods = sum((one.price for one in lines), Decimal(0))
    shipping_tax = country.round(shipping * country.tax)
    tax = sum((one.tax for one in lines), Decimal(0)) + shipping_tax
    discount = country.round(goods / 10) if reduced else Decimal(0)
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
