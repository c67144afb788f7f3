"""The shop's tables, and what happens in them: an order is placed or changed, a customer registers."""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.catalogue import catalogue
from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce import dto
from towpath.sandbox.nopcommerce.bad import GHOST_PRODUCTS, ghost
from towpath.sandbox.nopcommerce.bundle import Bundle
from towpath.sandbox.nopcommerce.inventory import Inventory

FIRST_REGISTERED: Final = 1_000_000
"""Where the numbers of customers begin that register or are made by the API."""
REGISTERED: Final = 3
"""The role of those who registered."""


class Shop:
    """One shop over its store; the caller opens the transaction, so that a webhook is queued with its change or not at all."""

    def __init__(self, world: World) -> None:
        self._store, self._clock, self._outbox = world.store, world.clock, world.outbox
        self.inventory = Inventory(world)

    def fill(self) -> None:
        """Put products, warehouses, countries and states in, once."""
        if self._store.count("product"):
            return
        for item in catalogue():
            self._store.put("product", item.number, dto.product(item, self.now()))
        for warehouse in dto.warehouses():
            self._store.put("warehouse", warehouse["id"], warehouse)
        for country in dto.countries():
            self._store.put("country", country["id"], country)
        for state in dto.states():
            self._store.put("state_province", state["id"], state)

    def now(self) -> str:
        """Return the time as the API writes it."""
        return stamp(self._clock.now())

    def need(self, kind: str, key: int, otherwise: str | None = None) -> Doc:
        """Return a row; raises Refusal(404) in the words of the API, or in those given."""
        doc = self._store.get(kind, key)
        if doc is None:
            raise Refusal(404, "not_found", otherwise or f"{kind.replace('_', ' ').capitalize()} Id={key} not found")
        return doc

    def items(self, order: int) -> list[Doc]:
        """Return the items of an order."""
        return self._store.find("order_item", [("order_id", "=", order)])

    def knows(self, order: int) -> bool:
        """Return whether an order was placed, or given up for want of stock."""
        return self._store.get("order", order) is not None or self._store.get("given_up", order) is not None

    def place(self, bundle: Bundle) -> bool:
        """Write an order, sell what is in it, and send `order.placed`; False where nothing of it could be bought: it is given up."""
        number, bought = bundle.order["id"], {item["product_id"]: item["quantity"] for item in bundle.items}
        for product in bought:
            if product > GHOST_PRODUCTS:
                self._store.put("product", product, ghost(number, self.need("product", 1)))
        for product, wanted in bundle.wanted.items():
            self._sell(number, product, wanted, bought.get(product, 0))
        if not bought:
            self._store.put("given_up", number, {"order_id": number, "at": self.now()})
            return False
        for item in bundle.items:
            self._store.put("order_item", item["id"], item)
        for row in bundle.addresses:
            if self._store.get("address", row["id"]) is None:
                self._store.put("address", row["id"], row)
        self.add_customer(bundle.customer, bundle.attributes)
        self._store.put("order", number, bundle.order)
        self.tell("order.placed", "order", number)
        return True

    def affordable(self, number: int, quantity: int) -> int:
        """Return how many of so many a shopper gets of a product: what can be sold, nothing where it is not shown."""
        product = self.need("product", number)
        if not product["published"] or product["deleted"]:
            return 0
        there = self.inventory.sellable(product)
        return quantity if there is None else min(quantity, max(there, 0))

    def _sell(self, order: int, product: int, wanted: int, quantity: int) -> None:
        """Lower the stock and write the sale down, with what the shop believed to have before it; of nothing, where it had none."""
        row = self.need("product", product)
        sale = {"sku": row["sku"], "product_id": product, "order_id": order, "wanted": wanted, "quantity": quantity}
        self._store.put("sale", f"{order}/{product}", {**sale, "stock_before": self.inventory.sellable(row), "at": self.now()})
        self.inventory.adjust(row, -quantity, "checkout", order)

    def add_customer(self, customer: Doc, attributes: dict[str, str]) -> None:
        """Write a customer and its generic attributes, unless it is there."""
        number = customer["id"]
        if self._store.get("customer", number) is not None:
            return
        self._store.put("customer", number, customer)
        self.register(number)
        for key, value in attributes.items():
            self.set_attribute(number, key, value)

    def register(self, customer: int) -> None:
        """Give a customer the role of those who registered."""
        self._store.put("customer_role_mapping", customer, {"customer_id": customer, "customer_role_id": REGISTERED})

    def is_registered(self, customer: int) -> bool:
        """Tell whether a customer has the role of those who registered."""
        return self._store.get("customer_role_mapping", customer) is not None

    def set_attribute(self, customer: int, key: str, value: str) -> None:
        """Write one generic attribute of a customer."""
        place = f"Customer/{customer}/{key}"
        known = self._store.get("generic_attribute", place)
        number = known["id"] if known else self._store.add("id/generic_attribute")
        row = {"entity_id": customer, "key_group": "Customer", "key": key, "value": value, "store_id": 0}
        self._store.put("generic_attribute", place, {**row, "created_or_updated_date_utc": self.now(), "id": number})

    def change(self, kind: str, key: int, fields: Doc) -> Doc:
        """Merge fields into a row and return it; raises Refusal(400) for a field that the row does not have."""
        row = self.need(kind, key)
        for name in fields:
            if name not in row or name == "id":
                raise Refusal(400, "unknown_field", f"{kind} has no field {name}", field=name)
        row |= fields
        self._store.put(kind, key, row)
        return row

    def change_items(self, order: int, changes: list[Doc]) -> None:
        """Merge each change into the item with its `id`, else the one at its place; `sku` picks the product."""
        rows = self.items(order)
        for index, given in enumerate(changes):
            row = next((r for r in rows if r["id"] == given.get("id")), rows[index] if index < len(rows) and "id" not in given else None)
            if row is None:
                raise Refusal(400, "unknown_item", f"order {order} has no such item", field=f"items[{index}]")
            fields: dict[str, Any] = {name: value for name, value in given.items() if name not in {"id", "sku"}}
            if "sku" in given:
                fields["product_id"] = self.product_of(given["sku"])
            self.change("order_item", row["id"], fields)

    def product_of(self, sku: str) -> int:
        """Return the id of the product with that SKU; raises Refusal(404)."""
        found = self._store.find("product", [("sku", "=", sku)], limit=1)
        if not found:
            raise Refusal(404, "not_found", f"no product with SKU {sku}", field="sku")
        return int(found[0]["id"])

    def mail(self, template: str, order: Doc, shipment: int | None = None) -> None:
        """Queue a mail to the customer of an order, by the name of its message template."""
        number = self._store.add("id/mail")
        to = self.need("address", order["billing_address_id"])["email"]
        row = {"id": number, "template": template, "to": to, "order_id": order["id"], "shipment_id": shipment}
        self._store.put("mail", number, {**row, "created_on_utc": self.now()})

    def tell(self, event: str, entity: str, number: int) -> str | None:
        """Queue the plugin's webhook and return its id."""
        return self._outbox.emit(event, {"entity": entity, "entityId": number})
