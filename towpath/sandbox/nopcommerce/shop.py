"""The shop's tables, and what happens in them: an order is placed or changed, a customer registers."""

from __future__ import annotations

from typing import Any

from towpath.sandbox.kit.catalogue import catalogue
from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce import dto
from towpath.sandbox.nopcommerce.bad import GHOST_PRODUCTS, ghost
from towpath.sandbox.nopcommerce.bundle import Bundle


class Shop:
    """One shop over its store; the caller opens the transaction, so that a webhook is queued with its change or not at all."""

    def __init__(self, world: World) -> None:
        self._store, self._clock, self._outbox = world.store, world.clock, world.outbox

    def fill(self) -> None:
        """Put products, countries and states in, once."""
        if self._store.count("product"):
            return
        for item in catalogue():
            self._store.put("product", item.number, dto.product(item, self.now()))
        for country in dto.countries():
            self._store.put("country", country["id"], country)
        for state in dto.states():
            self._store.put("state_province", state["id"], state)

    def now(self) -> str:
        """Return the time as the API writes it."""
        return stamp(self._clock.now())

    def need(self, kind: str, key: int) -> Doc:
        """Return a row; raises Refusal(404) in the words of the API."""
        doc = self._store.get(kind, key)
        if doc is None:
            raise Refusal(404, "not_found", f"{kind.replace('_', ' ').title().replace(' ', '')} Id={key} not found")
        return doc

    def place(self, bundle: Bundle) -> bool:
        """Write an order and send `order.placed`; False and nothing of it where the order is there already."""
        number = bundle.order["id"]
        if self._store.get("order", number) is not None:
            return False
        for item in bundle.items:
            if item["product_id"] > GHOST_PRODUCTS:
                self._store.put("product", item["product_id"], ghost(number, self.need("product", 1)))
            self._store.put("order_item", item["id"], item)
        for row in bundle.addresses:
            if self._store.get("address", row["id"]) is None:
                self._store.put("address", row["id"], row)
        self.add_customer(bundle.customer, bundle.attributes)
        self._store.put("order", number, bundle.order)
        self.tell("order.placed", "order", number)
        return True

    def add_customer(self, customer: Doc, attributes: dict[str, str]) -> None:
        """Write a customer and its generic attributes, unless it is there."""
        number = customer["id"]
        if self._store.get("customer", number) is not None:
            return
        self._store.put("customer", number, customer)
        for key, value in attributes.items():
            self.set_attribute(number, key, value)

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
        rows = self._store.find("order_item", [("order_id", "=", order)])
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

    def tell(self, event: str, entity: str, number: int) -> str | None:
        """Queue the plugin's webhook and return its id."""
        return self._outbox.emit(event, {"entity": entity, "entityId": number})
