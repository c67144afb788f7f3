"""How many items of an order are in shipments, shipped and delivered (Nop.Services, Orders/OrderService.cs)."""

from __future__ import annotations

from collections.abc import Callable

from towpath.sandbox.kit.store import Doc, Store


class Parcels:
    """Counts over the shipments of one shop.

    As the shop counts, of each shipment only the first row of an order item: a row that was created twice in one shipment is not seen.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def items(self, shipment: int) -> list[Doc]:
        """Return the items of a shipment."""
        return self._store.find("shipment_item", [("shipment_id", "=", shipment)])

    def sent(self, order: Doc) -> list[Doc]:
        """Return the items of all shipments of an order that were sent."""
        shipments = self._store.find("shipment", [("order_id", "=", order["id"])])
        return [item for shipment in shipments if shipment["shipped_date_utc"] is not None for item in self.items(shipment["id"])]

    def product(self, item: Doc) -> list[Doc]:
        """Return the product of a shipment item, nothing where its order item is not there."""
        sold = self._store.get("order_item", item["order_item_id"])
        product = self._store.get("product", sold["product_id"]) if sold else None
        return [product] if product else []

    def in_shipments(self, item: Doc) -> int:
        """Return how many of an order item are in shipments, sent or not."""
        return self._count(item, lambda _shipment: True)

    def can_be_added(self, item: Doc) -> int:
        """Return how many of an order item are in no shipment yet."""
        return max(int(item["quantity"]) - self.in_shipments(item), 0)

    def has_items_to_add(self, order: Doc) -> bool:
        """Return whether something of an order is in no shipment yet."""
        return any(self.can_be_added(item) > 0 for item in self._shippable(order))

    def has_items_to_ship(self, order: Doc) -> bool:
        """Return whether something of an order is in a shipment that was not sent; false for an order without shipments."""
        return any(self._count(item, lambda shipment: shipment["shipped_date_utc"] is None) > 0 for item in self._shippable(order))

    def has_items_to_deliver(self, order: Doc) -> bool:
        """Return whether something of an order is on its way."""
        return any(
            self._count(item, lambda shipment: shipment["shipped_date_utc"] is not None and shipment["delivery_date_utc"] is None) > 0
            for item in self._shippable(order)
        )

    def _shippable(self, order: Doc) -> list[Doc]:
        items = self._store.find("order_item", [("order_id", "=", order["id"])])
        return [item for item in items if (product := self._store.get("product", item["product_id"])) and product["is_ship_enabled"]]

    def _count(self, item: Doc, counts: Callable[[Doc], bool]) -> int:
        total = 0
        for shipment in self._store.find("shipment", [("order_id", "=", item["order_id"])]):
            first = next((row for row in self.items(shipment["id"]) if row["order_item_id"] == item["id"]), None)
            if first is not None and counts(shipment):
                total += int(first["quantity"])
        return total
