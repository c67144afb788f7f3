"""Products, which an operator or a test can add and change."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from towpath.sandbox.bng.kinds import PRODUCTS
from towpath.sandbox.bng.records import Records
from towpath.sandbox.bng.settings import MAIN, BngSettings
from towpath.sandbox.bng.stock import Stock
from towpath.sandbox.kit.catalogue import STOCK, catalogue
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World


class ProductPut(BaseModel):
    """What `PUT /_sandbox/products/{sku}` takes; a new product has these defaults, a known one changes in what is given (`on_hand` apart)."""

    model_config = ConfigDict(extra="forbid")
    name: str = "Added product"
    kind: str = "Home"
    price: str = Field(default="10.00", pattern=r"^\d+(\.\d{1,4})?$")
    currency: str = "USD"
    attributes: dict[str, str] = {}
    on_hand: int = Field(default=STOCK, description="of a new product, in MAIN")


FIELDS = {"name": "Name", "kind": "ProductType", "price": "Price", "currency": "Currency", "attributes": "Attributes"}


class Products:
    """The products of one BNG server."""

    def __init__(self, world: World, stock: Stock) -> None:
        self._world, self._stock = world, stock
        self.records = Records(world.store, world.clock, PRODUCTS)

    def fill(self, settings: BngSettings) -> None:
        """Put the catalogue in, with the stock that is set for each warehouse, once."""
        if self._world.store.count(PRODUCTS.name):
            return
        for item in catalogue():
            self._create(item.sku, ProductPut(name=item.name, kind=item.kind, price=str(item.price), attributes={"Colour": item.colour}))
            for warehouse, on_hand in settings.stock.items():
                self._stock.add(item.sku, warehouse, on_hand)

    def put(self, sku: str, given: ProductPut) -> Doc:
        """Add a product with stock, or change the one of that SKU, and tell about it."""
        known = self.records.first("SKU", sku)
        if known is None:
            product = self._create(sku, given)
        else:
            changes = {FIELDS[name]: getattr(given, name) for name in FIELDS if name in given.model_fields_set}
            product = self.records.write(known["ProductID"], {**known, **changes})
        self._world.outbox.emit("product_updated", product)
        if known is None:
            self._stock.change(sku, MAIN, on_hand=given.on_hand)
        return product

    async def put_control(self, call: Call) -> Answer:
        """Answer `PUT /_sandbox/products/{sku}`."""
        given = checked(ProductPut, call.json() if call.body else {})
        with self._world.store.transaction():
            return Answer(body=self.put(call.params["sku"], given))

    def _create(self, sku: str, given: ProductPut) -> Doc:
        return self.records.create({"SKU": sku, **{field: getattr(given, name) for name, field in FIELDS.items()}})
