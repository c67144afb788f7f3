"""The shop's stock: what can be sold, who changes it, and a row for every change (Nop.Services, Catalog/ProductService.cs).

A product that manages its stock has one number, `stock_quantity`, or, with `use_multiple_warehouses`, a row for each warehouse with what lies
there and what of it is reserved. A checkout lowers the number or reserves; a shipment books what is reserved out of its warehouse.
"""

from __future__ import annotations

from typing import Final

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce.status import broken

MANAGED: Final = 1


class Inventory:
    """The stock of one shop; the caller opens the transaction."""

    def __init__(self, world: World) -> None:
        self._store, self._clock = world.store, world.clock

    def sellable(self, product: Doc) -> int | None:
        """Return how many can be sold, which may be below zero, or None for a product whose stock is not managed."""
        if product["manage_inventory_method_id"] != MANAGED:
            return None
        if not product["use_multiple_warehouses"]:
            return int(product["stock_quantity"])
        return sum(int(row["stock_quantity"] - row["reserved_quantity"]) for row in self.rows(product))

    def rows(self, product: Doc) -> list[Doc]:
        """Return the product's rows of warehouses."""
        return self._store.find("product_warehouse", [("product_id", "=", product["id"])])

    def adjust(self, product: Doc, change: int, by: str, order: int | None = None) -> None:
        """Sell (below zero, where there is not enough) or put back so many, for a product whose stock is managed."""
        before = self.sellable(product)
        if before is None or change == 0:
            return
        if not product["use_multiple_warehouses"]:
            product["stock_quantity"] += change
            self._store.put("product", product["id"], product)
        elif change < 0:
            self._reserve(product, -change)
        else:
            self._release(product, change)
        self.note(product, before, by, order)

    def write(self, product: Doc, by: str) -> None:
        """Put a whole product in the place of the one with its id."""
        before = self.sellable(self._store.get("product", product["id"]) or product)
        self._store.put("product", product["id"], product)
        self.note(product, before, by)

    def write_row(self, row: Doc, by: str) -> None:
        """Put a whole row of a warehouse in the place of the one with its id, or add it; raises Refusal(500) where a foreign key points nowhere."""
        product = self._store.get("product", row["product_id"])
        if product is None or self._store.get("warehouse", row["warehouse_id"]) is None:
            raise broken("The statement conflicted with the FOREIGN KEY constraint of product or warehouse.")
        before = self.sellable(product)
        self._store.put("product_warehouse", row["id"], row)
        self.note(product, before, by)

    def book(self, product: Doc, warehouse: int, quantity: int) -> None:
        """Take what a shipment sends out of its warehouse and of what is reserved there; of a product with one number nothing changes."""
        for row in self._row(product, warehouse):
            reserved = max(row["reserved_quantity"] - quantity, 0)
            self._put({**row, "reserved_quantity": reserved, "stock_quantity": row["stock_quantity"] - quantity})

    def unbook(self, product: Doc, warehouse: int, quantity: int) -> None:
        """Put what a shipment had sent back into its warehouse, reserved."""
        for row in self._row(product, warehouse):
            there = row["stock_quantity"] + quantity
            self._put({**row, "reserved_quantity": row["reserved_quantity"] + quantity, "stock_quantity": there})

    def note(self, product: Doc, before: int | None, by: str, order: int | None = None) -> None:
        """Write down what can be sold now, if that is not what could be before."""
        after = self.sellable(product)
        if after == before:
            return
        number = self._store.add("id/stock_change")
        row = {"id": number, "sku": product["sku"], "product_id": product["id"], "from": before, "to": after, "by": by, "order_id": order}
        self._store.put("stock_change", number, {**row, "at": stamp(self._clock.now())})

    def _row(self, product: Doc, warehouse: int) -> list[Doc]:
        if product["manage_inventory_method_id"] != MANAGED or not product["use_multiple_warehouses"]:
            return []
        return [row for row in self.rows(product) if row["warehouse_id"] == warehouse][:1]

    def _put(self, row: Doc) -> None:
        self._store.put("product_warehouse", row["id"], row)

    def _reserve(self, product: Doc, quantity: int) -> None:
        """Reserve where most is free; what is free nowhere goes to the first one, so that it owes."""
        rows = sorted(self.rows(product), key=lambda row: row["reserved_quantity"] - row["stock_quantity"])
        for row in rows:
            part = min(max(0, row["stock_quantity"] - row["reserved_quantity"]), quantity)
            row["reserved_quantity"] += part
            quantity -= part
        for row in rows[:1]:
            row["reserved_quantity"] += quantity
        for row in rows:
            self._put(row)

    def _release(self, product: Doc, quantity: int) -> None:
        """Free where most is reserved; what was reserved nowhere comes back as stock of the first one."""
        rows = sorted(self.rows(product), key=lambda row: (-row["reserved_quantity"], -row["stock_quantity"]))
        for row in rows:
            part = min(row["reserved_quantity"], quantity)
            row["reserved_quantity"] -= part
            quantity -= part
        for row in rows[:1]:
            row["stock_quantity"] += quantity
        for row in rows:
            self._put(row)
