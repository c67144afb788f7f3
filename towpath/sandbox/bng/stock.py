"""Products and their stock; orders hold and take it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.bng.kinds import INVENTORY, PRODUCTS
from towpath.sandbox.bng.records import Records
from towpath.sandbox.kit.catalogue import STOCK, catalogue
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World

WAREHOUSE = "MAIN"
SHIPPED = (30, 40)
CANCELLED = 90


class NewProduct(BaseModel):
    """What `PUT /_sandbox/products/{sku}` takes; all of it has defaults."""

    model_config = ConfigDict(extra="forbid")
    name: str = "Added product"
    kind: str = "Home"
    price: str = Field(default="10.00", pattern=r"^\d+(\.\d{1,4})?$")
    on_hand: int = STOCK


class Stock:
    """The products and inventory of one BNG server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.products = Records(world.store, world.clock, PRODUCTS)
        self.inventory = Records(world.store, world.clock, INVENTORY)

    def fill(self) -> None:
        """Put the catalogue in, once."""
        if world_is_empty(self._world):
            for item in catalogue():
                attributes = {"Colour": item.colour}
                self._add(item.sku, item.name, item.kind, str(item.price), attributes, STOCK)

    def put(self, sku: str, given: NewProduct) -> Doc:
        """Add a product with stock, or change the one of that SKU, and tell about it."""
        known = self.products.first("SKU", sku)
        if known is None:
            product = self._add(sku, given.name, given.kind, given.price, {}, given.on_hand)
        else:
            changes = {"Name": given.name, "ProductType": given.kind, "Price": given.price}
            product = self.products.write(known["ProductID"], {**known, **changes})
        self._world.outbox.emit("product_updated", product)
        return product

    async def put_control(self, call: Call) -> Answer:
        """Answer `PUT /_sandbox/products/{sku}`."""
        given = checked(NewProduct, call.json() if call.body else {})
        with self._world.store.transaction():
            return Answer(body=self.put(call.params["sku"], given))

    def one(self, call: Call) -> Answer:
        """Answer `GET /inventory/{SKU}`, of one warehouse."""
        sku, warehouse = call.params["SKU"], call.query.get("warehouse", WAREHOUSE)
        found = self.inventory.get(f"{sku}@{warehouse}")
        if found is None:
            raise Refusal(404, "not_found", f"no stock record of {sku} in {warehouse}", field="SKU")
        return Answer(body=found)

    def move(self, before: Doc | None, after: Doc) -> None:
        """Hold, free or take out what the change of an order means, raise each Sequence, and tell about it."""
        held, taken = Counter(_quantities(after, "held")), Counter(_quantities(after, "taken"))
        held.subtract(_quantities(before, "held"))
        taken.subtract(_quantities(before, "taken"))
        for sku in sorted(set(held) | set(taken)):
            if held[sku] or taken[sku]:
                self._change(sku, held[sku], taken[sku])

    def _change(self, sku: str, held: int, taken: int) -> None:
        key = f"{sku}@{WAREHOUSE}"
        row = self.inventory.need(key)
        on_hand, allocated = row["OnHand"] - taken, row["Allocated"] + held
        row = self.inventory.write(key, {**row, "OnHand": on_hand, "Allocated": allocated, "Available": on_hand - allocated})
        self._world.outbox.emit("inventory_updated", row)

    def _add(self, sku: str, name: str, kind: str, price: str, attributes: dict[str, Any], on_hand: int) -> Doc:
        row = {"SKU": sku, "Warehouse": WAREHOUSE, "OnHand": on_hand, "Allocated": 0, "Available": on_hand}
        self.inventory.write(f"{sku}@{WAREHOUSE}", row)
        product = {"SKU": sku, "Name": name, "ProductType": kind, "Attributes": attributes, "Price": price, "Currency": "USD"}
        return self.products.create(product)


def world_is_empty(world: World) -> bool:
    """Return whether nothing was filled in yet."""
    return world.store.count(PRODUCTS.name) == 0


def _quantities(order: Doc | None, state: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    if order is not None and order["OrderStatus"] != CANCELLED and ("taken" if order["OrderStatus"] in SHIPPED else "held") == state:
        for line in order["Lines"]:
            counts[line["SKU"]] += line["Quantity"]
    return counts
