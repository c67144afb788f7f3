"""What a test or an operator can do in BNG's warehouse by hand."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.bng.products import Products
from towpath.sandbox.bng.settings import MAIN
from towpath.sandbox.bng.shipping import Parcel, Shipping
from towpath.sandbox.bng.stock import Stock
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World


class Place(BaseModel):
    """A product in a warehouse, which need not have had it before."""

    model_config = ConfigDict(extra="forbid")
    sku: str
    warehouse: str = Field(default=MAIN, min_length=1)


class Count(Place):
    """What was found on the shelf."""

    on_hand: int


class Goods(Place):
    """What came in."""

    quantity: int = Field(ge=1)


class Warehouse:
    """Stock moves, each told about by webhook."""

    def __init__(self, world: World, products: Products, stock: Stock, shipping: Shipping) -> None:
        self._store, self._products, self._stock, self._shipping = world.store, products, stock, shipping

    def paths(self) -> list[Control]:
        """Return the paths of the warehouse."""
        return [
            Control("POST", "/_sandbox/warehouse/ship", self.ship),
            Control("POST", "/_sandbox/warehouse/count", self.count),
            Control("POST", "/_sandbox/warehouse/receive", self.receive),
            Control("POST", "/_sandbox/warehouse/return", self.receive),
            Control("PUT", "/_sandbox/products/{sku}", self._products.put_control),
        ]

    async def ship(self, call: Call) -> Answer:
        """Ship an order, wholly or in part, and return the shipment."""
        parcel = checked(Parcel, call.json())
        with self._store.transaction():
            return Answer(201, self._shipping.ship(parcel))

    async def count(self, call: Call) -> Answer:
        """Correct OnHand to what was counted, and return the row."""
        given = checked(Count, call.json())
        with self._store.transaction():
            return Answer(body=self.correct(given.sku, given.warehouse, given.on_hand))

    async def receive(self, call: Call) -> Answer:
        """Raise OnHand by what was bought, or came back from a customer, and return the row."""
        given = checked(Goods, call.json())
        with self._store.transaction():
            self._known(given.sku)
            return Answer(body=self._stock.change(given.sku, given.warehouse, on_hand=given.quantity))

    def correct(self, sku: str, warehouse: str, on_hand: int) -> Doc:
        """Set OnHand and return the row; raises Refusal(404) for an unknown SKU."""
        self._known(sku)
        row = self._stock.rows.get(f"{sku}@{warehouse}")
        return self._stock.change(sku, warehouse, on_hand=on_hand - (row["OnHand"] if row else 0))

    def _known(self, sku: str) -> None:
        if self._products.records.first("SKU", sku) is None:
            raise Refusal(404, "not_found", f"no product with SKU {sku}", field="sku")
