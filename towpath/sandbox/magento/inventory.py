"""Multi-source inventory: what lies in each source is physical; a sale makes a reservation, a shipment takes from its source.

What can be sold is the sum of the sources less what is reserved (magento/inventory: GetProductSalableQty).
"""

from __future__ import annotations

from typing import Any, Final

from towpath.sandbox.kit.clock import stamp
from towpath.sandbox.kit.messages import Answer, Call, Endpoint
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.magento.auth import BASE
from towpath.sandbox.magento.goods import SOURCES, number
from towpath.sandbox.magento.search import Lists
from towpath.sandbox.magento.wording import NOT_THERE, Worded

STOCK_ID: Final = 1
LACKING: Final = "Not all of your products are available in the requested quantity."


class Inventory:
    """The stock of one shop; the caller opens the transaction."""

    def __init__(self, world: World, lists: Lists) -> None:
        self._store, self._clock, self._lists = world.store, world.clock, lists

    def endpoints(self) -> list[Endpoint]:
        """Return the paths."""
        return [
            Endpoint("GET", f"{BASE}inventory/source-items", lambda call: self._lists.page("source_item", call)),
            Endpoint("POST", f"{BASE}inventory/source-items", self.save, write=True),
            Endpoint("GET", f"{BASE}inventory/get-product-salable-quantity/{{sku}}/{{stockId}}", self.ask),
        ]

    def salable(self, sku: str) -> float:
        """Return how many can be sold."""
        lies = sum(row["quantity"] for row in self._rows(sku) if row["status"] == 1)
        return float(lies + sum(row["quantity"] for row in self._store.find("reservation", [("sku", "=", sku)])))

    def reserve(self, sku: str, quantity: float, event: str, order: int) -> None:
        """Reserve (below zero) or give free so many for an order."""
        row = self._store.add("id/reservation")
        why = {"event_type": event, "object_type": "order", "object_id": str(order)}
        self._store.put("reservation", row, {"reservation_id": row, "stock_id": STOCK_ID, "sku": sku, "quantity": quantity, "metadata": why})

    def deduct(self, source: str, sku: str, quantity: float) -> None:
        """Take what a shipment sends out of its source; raises Refusal(400) where that lacks it."""
        row = self._store.get("source_item", f"{source}/{sku}")
        if row is None:
            raise Worded(404, "Source item not found by source code: %1 and sku: %2.", [source, sku])
        if row["quantity"] < quantity:
            raise Worded(400, LACKING)
        self.put({**row, "quantity": row["quantity"] - quantity}, "shipment")

    def put(self, row: Doc, by: str) -> None:
        """Write a source item, and what it was before."""
        key = f"{row['source_code']}/{row['sku']}"
        before, change = self._store.get("source_item", key), self._store.add("id/stock_change")
        self._store.put("source_item", key, {**row, "quantity": number(row["quantity"])})
        told = {"id": change, "sku": row["sku"], "from": before and before["quantity"], "to": row["quantity"], "by": by}
        self._store.put("stock_change", change, {**told, "at": stamp(self._clock.now())})

    def save(self, call: Call) -> Answer:
        """Answer `POST inventory/source-items`: absolute quantities. A SKU that no product has is taken all the same."""
        body = call.json()
        given = body.get("sourceItems") if isinstance(body, dict) else None
        if not isinstance(given, list) or not given:
            raise Worded(400, '"%fieldName" is required. Enter and try again.', {"fieldName": "sourceItems"})
        for row in given:
            self.put(_source_item(row), "source-items")
        return Answer(body=[])

    def ask(self, call: Call) -> Answer:
        """Answer with a bare number."""
        sku = call.params["sku"]
        product = next(iter(self._store.find("product", [("sku", "=", sku)], limit=1)), None)
        if product is None:
            raise Worded(404, NOT_THERE)
        if product["type_id"] != "simple":
            raise Worded(400, "Can't check requested quantity for products without Source Items support.")
        return Answer(body=number(self.salable(sku)))

    def _rows(self, sku: str) -> list[Doc]:
        return self._store.find("source_item", [("sku", "=", sku)])


def _source_item(row: Any) -> Doc:  # noqa: ANN401 - any JSON
    sku, source = (row.get(name) if isinstance(row, dict) else None for name in ("sku", "source_code"))
    try:
        quantity, status = float(row["quantity"]), int(row["status"])
    except (KeyError, TypeError, ValueError):
        raise Worded(400, 'Validation Failed: "%1" must be a number', ["quantity"]) from None
    if not isinstance(sku, str) or not sku or source not in SOURCES or status not in {0, 1}:
        raise Worded(400, 'Validation Failed: "%1" is not valid', ["source_code"])
    return {"sku": sku, "source_code": source, "quantity": quantity, "status": status}
