"""What a test or an operator can do with an order and a product as the shop's own staff would: pay, cancel, edit, count the stock."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt

from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World
from towpath.sandbox.nopcommerce.edits import Edits
from towpath.sandbox.nopcommerce.processing import Processing
from towpath.sandbox.nopcommerce.query import identifier
from towpath.sandbox.nopcommerce.shop import Shop


class Cancellation(BaseModel):
    """How to cancel."""

    model_config = ConfigDict(extra="forbid")
    notify: bool = True


class Edit(BaseModel):
    """New quantities by SKU, and fields of the shipping address."""

    model_config = ConfigDict(extra="forbid")
    quantities: dict[str, PositiveInt] = {}
    shipping_address: dict[str, Any] = {}


class ProductPatch(BaseModel):
    """Fields of a product, merged."""

    model_config = ConfigDict(extra="allow")


class Staff:
    """The controls of one shop that do all that belongs to a change, the webhook included."""

    def __init__(self, world: World, shop: Shop, processing: Processing, edits: Edits) -> None:
        self._store, self._shop, self._processing, self._edits = world.store, shop, processing, edits

    def paths(self) -> list[Control]:
        """Return the paths of the staff."""
        return [
            Control("POST", "/_sandbox/orders/{id}/pay", self.pay),
            Control("POST", "/_sandbox/orders/{id}/cancel", self.cancel),
            Control("POST", "/_sandbox/orders/{id}/edit", self.edit),
            Control("POST", "/_sandbox/products/{sku}", self.change_product),
        ]

    async def pay(self, call: Call) -> Answer:
        """Mark an order as paid and answer with it; `order.paid` is sent."""
        with self._store.transaction():
            order = self._order(call)
            self._processing.pay(order)
        return Answer(body=order)

    async def cancel(self, call: Call) -> Answer:
        """Cancel an order and answer with it; `order.cancelled` is sent."""
        given = checked(Cancellation, call.json() if call.body else {})
        with self._store.transaction():
            order = self._order(call)
            self._processing.cancel(order, notify=given.notify)
        return Answer(body=order)

    async def edit(self, call: Call) -> Answer:
        """Change quantities, with the amounts and the stock that follow, or the shipping address; `order.changed` is sent."""
        given = checked(Edit, call.json())
        with self._store.transaction():
            order = self._order(call)
            wanted = {self._shop.product_of(sku): quantity for sku, quantity in given.quantities.items()}
            self._edits.change(order, wanted, given.shipping_address)
        return Answer(body={"order": order, "items": self._shop.items(order["id"])})

    async def change_product(self, call: Call) -> Answer:
        """Merge fields into the product with that SKU and answer with it."""
        given = checked(ProductPatch, call.json())
        with self._store.transaction():
            number = self._shop.product_of(call.params["sku"])
            before = self._shop.need("product", number)
            stock = self._shop.inventory.sellable(before)
            product = self._shop.change("product", number, given.model_extra or {})
            self._shop.inventory.note(product, stock, "control")
        return Answer(body=product)

    def _order(self, call: Call) -> Doc:
        return self._shop.need("order", identifier(call.params["id"], "id"))
