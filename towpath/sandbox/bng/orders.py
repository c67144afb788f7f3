"""Sales orders."""

from __future__ import annotations

from typing import Any

from towpath.sandbox.bng.finance import Finance
from towpath.sandbox.bng.kinds import CUSTOMERS, PRODUCTS, SALES_ORDERS
from towpath.sandbox.bng.records import Records
from towpath.sandbox.bng.stock import CANCELLED, SHIPPED, Stock
from towpath.sandbox.kit.contract import Contract
from towpath.sandbox.kit.messages import Answer, Call, Refusal
from towpath.sandbox.kit.store import Doc
from towpath.sandbox.kit.system import World

DEFAULTS: dict[str, Any] = {
    "ExternalOrderID": None,
    "OrderStatus": 10,
    "PaymentStatus": "Pending",
    "ShippingAmount": "0.00",
    "TaxTotal": "0.00",
    "BillingAddress": None,
    "ShippingAddress": None,
    "CostCentre": None,
    "Dimensions": {},
    "CustomFields": {},
}
OPEN = (10, 20)


class Orders:
    """The sales orders of one BNG server; they hold stock as long as they are open, and are invoiced once they are shipped."""

    def __init__(self, world: World, contract: Contract, stock: Stock, finance: Finance) -> None:
        self._outbox, self._contract, self._stock, self._finance = world.outbox, contract, stock, finance
        self.records = Records(world.store, world.clock, SALES_ORDERS)
        self._customers = Records(world.store, world.clock, CUSTOMERS)
        self._products = Records(world.store, world.clock, PRODUCTS)

    def create(self, call: Call) -> Answer:
        """Answer `POST /sales-orders`: a second one with the same ExternalOrderID makes a second order."""
        body = self._contract.check("SalesOrderCreate", call.json())
        if body.get("OrderStatus", 10) not in OPEN:
            raise Refusal(422, "invalid_status", "a new order is 10 or 20", field="OrderStatus")
        order = self.records.create({**DEFAULTS, **self._resolved(body)})
        self._stock.settle(order)
        return Answer(201, order, {"Location": f"/api/v1/sales-orders/{order['SalesOrderID']}"})

    def change(self, call: Call) -> Answer:
        """Answer `PATCH /sales-orders/{id}`."""
        before = self.records.need(call.params["SalesOrderID"])
        body = self._contract.check("SalesOrderChange", call.json())
        if before["OrderStatus"] == CANCELLED and body.get("OrderStatus", CANCELLED) != CANCELLED:
            raise Refusal(409, "order_cancelled", "a cancelled order stays cancelled", field="OrderStatus")
        return Answer(body=self.write(before, self._resolved(body)))

    def write(self, before: Doc, changes: Doc) -> Doc:
        """Change an order and all that hangs on it: what it holds and took, its invoice, and who is told; return it."""
        after = self.records.write(before["SalesOrderID"], {**before, **changes})
        self._stock.settle(after)
        if after["OrderStatus"] != before["OrderStatus"]:
            self._outbox.emit("order_status_changed", after)
        if after["OrderStatus"] in SHIPPED:
            self._finance.invoice(after)
        return after

    def _resolved(self, body: Doc) -> Doc:
        if "CustomerID" in body and self._customers.get(body["CustomerID"]) is None:
            raise Refusal(422, "unknown_customer", f"no customer {body['CustomerID']}", field="CustomerID")
        if "Lines" not in body:
            return body
        numbers = [line["LineNo"] for line in body["Lines"]]
        if len(set(numbers)) < len(numbers):
            raise Refusal(422, "duplicate_line", "a LineNo is there twice", field="Lines")
        return {**body, "Lines": [self._line(index, line) for index, line in enumerate(body["Lines"])]}

    def _line(self, index: int, line: Doc) -> Doc:
        product = self._products.first("SKU", line["SKU"])
        if product is None:
            raise Refusal(422, "unknown_sku", f"no product with SKU {line['SKU']}", field=f"Lines[{index}].SKU")
        if line.get("ProductID") not in (None, product["ProductID"]):
            raise Refusal(422, "unknown_product", f"{line['SKU']} is not product {line['ProductID']}", field=f"Lines[{index}].ProductID")
        return {"TaxAmount": "0.00", **line, "ProductID": product["ProductID"]}
