"""Editing an order that was placed: the shop recalculates its amounts and moves the stock by the difference, as its own pages do."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from towpath.sandbox.kit.messages import Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce.basket import Line, item_amounts, line, order_amounts
from towpath.sandbox.nopcommerce.places import COUNTRIES, Country
from towpath.sandbox.nopcommerce.shop import Shop


class Edits:
    """The edits of one shop; the caller opens the transaction."""

    def __init__(self, world: World, shop: Shop) -> None:
        self._store, self._shop = world.store, shop

    def change(self, order: Doc, quantities: Mapping[int, int], address: Mapping[str, Any]) -> None:
        """Set quantities by product, merge into the shipping address, and send `order.changed`; raises Refusal(400) for what is not in the order."""
        if quantities:
            self._recount(order, quantities)
        if address:
            self._shop.change("address", order["shipping_address_id"], dict(address))
        self._shop.tell("order.changed", "order", order["id"])

    def _recount(self, order: Doc, quantities: Mapping[int, int]) -> None:
        items, country = self._shop.items(order["id"]), self._country(order)
        if missing := set(quantities) - {item["product_id"] for item in items}:
            raise Refusal(400, "unknown_item", f"order {order['id']} has no product {min(missing)}", field="quantities")
        lines = []
        for item in items:
            quantity = quantities.get(item["product_id"], item["quantity"])
            lines.append(_line(item, quantity, country))
            if quantity != item["quantity"]:
                product = self._shop.need("product", item["product_id"])
                self._shop.inventory.adjust(product, item["quantity"] - quantity, "edit", order["id"])
                self._store.put("order_item", item["id"], {**item, "quantity": quantity, **item_amounts(lines[-1], country)})
        shipping = Decimal(str(order["order_shipping_excl_tax"]))
        order |= order_amounts(lines, country, shipping, reduced=order["order_discount"] > 0)
        self._store.put("order", order["id"], order)

    def _country(self, order: Doc) -> Country:
        number = self._shop.need("address", order["billing_address_id"])["country_id"]
        found = next((country for country in COUNTRIES if country.id == number), None)
        if found is None:
            raise Refusal(400, "unknown_country", f"no country {number}", field="country_id")
        return found


def _line(item: Doc, quantity: int, country: Country) -> Line:
    discount = Decimal(str(item["discount_amount_excl_tax"])) / item["quantity"]
    return line(item["product_id"], quantity, Decimal(str(item["unit_price_excl_tax"])), discount, country)
