"""What BNG's staff buys: vendors, purchase orders, and goods that come in. Its API lists them; no webhook tells of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from towpath.sandbox.bng.kinds import PRODUCTS, PURCHASE_ORDERS, VENDORS
from towpath.sandbox.bng.records import Records
from towpath.sandbox.bng.settings import MAIN
from towpath.sandbox.bng.stock import Stock
from towpath.sandbox.kit.control import checked
from towpath.sandbox.kit.messages import Answer, Call, Control, Handler, Refusal
from towpath.sandbox.kit.system import World


class VendorPut(BaseModel):
    """A vendor."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(min_length=1)
    email: str | None = None
    address: dict[str, Any] | None = None
    currency: str = "USD"


class Purchase(BaseModel):
    """What is ordered of a vendor: pieces by SKU, all at one cost."""

    model_config = ConfigDict(extra="forbid")
    vendor: str
    lines: dict[str, PositiveInt] = Field(min_length=1)
    unit_cost: Decimal = Decimal("1.00")


class Arrival(BaseModel):
    """What came in of a purchase order, by SKU; all that is still to come where nothing is named."""

    model_config = ConfigDict(extra="forbid")
    lines: dict[str, PositiveInt] | None = None
    warehouse: str = MAIN


class Purchasing:
    """The purchases of one BNG server."""

    def __init__(self, world: World, stock: Stock) -> None:
        self._store, self._clock, self._stock = world.store, world.clock, stock
        self.vendors, self.orders, self._products = (Records(world.store, world.clock, kind) for kind in (VENDORS, PURCHASE_ORDERS, PRODUCTS))

    def paths(self) -> list[Control]:
        """Return the paths of the buyers."""
        return [
            self._control("POST", "/_sandbox/vendors", self.add_vendor),
            self._control("POST", "/_sandbox/purchase-orders", self.order),
            self._control("POST", "/_sandbox/purchase-orders/{id}/receive", self.receive),
            self._control("POST", "/_sandbox/purchase-orders/{id}/cancel", self.cancel),
        ]

    def add_vendor(self, call: Call) -> Answer:
        """Add a vendor and return it."""
        given = checked(VendorPut, call.json())
        body = {"Name": given.name, "Email": given.email, "Address": given.address, "Currency": given.currency}
        return Answer(201, self.vendors.create(body))

    def order(self, call: Call) -> Answer:
        """Order of a vendor and return the purchase order."""
        given = checked(Purchase, call.json())
        vendor = self.vendors.need(given.vendor)
        for sku in given.lines:
            if self._products.first("SKU", sku) is None:
                raise Refusal(404, "not_found", f"no product with SKU {sku}", field="lines")
        cost = {"ReceivedQuantity": 0, "UnitCost": str(given.unit_cost)}
        lines = [{"LineNo": number, "SKU": sku, "Quantity": quantity, **cost} for number, (sku, quantity) in enumerate(given.lines.items(), start=1)]
        about = {"VendorID": vendor["VendorID"], "OrderDate": self._clock.now().date().isoformat(), "Status": "Open", "Currency": vendor["Currency"]}
        return Answer(201, self.orders.create({**about, "Lines": lines}))

    def receive(self, call: Call) -> Answer:
        """Take goods in, which raises the stock, and return the purchase order; raises Refusal(409) for more than is still to come."""
        given, order = checked(Arrival, call.json() if call.body else {}), self.orders.need(call.params["id"])
        left = {line["SKU"]: line["Quantity"] - line["ReceivedQuantity"] for line in order["Lines"]}
        came = {sku: quantity for sku, quantity in left.items() if quantity} if given.lines is None else given.lines
        if order["Status"] == "Cancelled" or any(quantity > left.get(sku, 0) for sku, quantity in came.items()):
            raise Refusal(409, "not_expected", f"{came} came in of {order['PurchaseOrderID']}, of which {left} are to come", field="lines")
        for sku, quantity in came.items():
            self._stock.change(sku, given.warehouse, on_hand=quantity)
        lines = [{**line, "ReceivedQuantity": line["ReceivedQuantity"] + came.get(line["SKU"], 0)} for line in order["Lines"]]
        done = all(line["ReceivedQuantity"] == line["Quantity"] for line in lines)
        return Answer(
            body=self.orders.write(order["PurchaseOrderID"], {**order, "Lines": lines, "Status": "Received" if done else "PartiallyReceived"})
        )

    def cancel(self, call: Call) -> Answer:
        """Cancel a purchase order and return it."""
        order = self.orders.need(call.params["id"])
        return Answer(body=self.orders.write(order["PurchaseOrderID"], {**order, "Status": "Cancelled"}))

    def _control(self, method: str, path: str, handle: Handler) -> Control:
        async def answer(call: Call) -> Answer:
            with self._store.transaction():
                return handle(call)

        return Control(method, path, answer)
