"""Sales orders."""

from __future__ import annotations

from typing import Any

from towpath.sandbox.bng.kinds import CUSTOMERS, SALES_ORDERS
from towpath.sandbox.bng.records import Records
from towpath.sandbox.bng.stock import CANCELLED, Stock
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
NEW_STATUS = (10, 20)


class Orders:
    """The sales orders of one BNG server; they hold stock as long as they are open."""

    def __init__(self, world: World, contract: Contract, stock: Stock) -> None:
        self._outbox, self._contract, self._stock = world.outbox, contract, stock
        self.records = Records(world.store, world.clock, SALES_ORDERS)
        self._customers = Records(world.store, world.clock, CUSTOMERS)

    def create(self, call: Call) -> Answer:
        """Answer `POST /sales-orders`: a second one with the same ExternalOrderID makes a second order."""
        body = self._contract.check("SalesOrderCreate", call.json())
        if body.get("OrderStatus", 10) not in NEW_STATUS:
            raise Refusal(422, "invalid_status", "a new order is 10 or 20", field="OrderStatus")
        order = self.records.create({**DEFAULTS, **self._resolved(body)})
        self._stock.move(None, order)
        return Answer(201, order, {"Location": f"/api/v1/sales-orders/{order['SalesOrderID']}"})

    def change(self, call: Call) -> Answer:
        """Answer `PATCH /sales-orders/{id}`."""
        before = self.records.need(call.params["SalesOrderID"])
        body = self._contract.check("SalesOrderChange", call.json())
        if before["OrderStatus"] == CANCELLED and body.get("OrderStatus", CANCELLED) != CANCELLED:
            raise Refusal(409, "order_cancelled", "a cancelled order stays cancelled", field="OrderStatus")
        after = self.records.write(before["SalesOrderID"], {**before, **self._resolved(body)})
        self._stock.move(before, after)
        if after["OrderStatus"] != before["OrderStatus"]:
            self._outbox.emit("order_status_changed", after)
        return Answer(body=after)

    def _resolved(self, body: Doc) -> Doc:
        if "CustomerID" in body and self._customers.get(body["CustomerID"]) is None:
            raise Refusal(422, "unknown_customer", f"no customer {body['CustomerID']}", field="CustomerID")
        if "Lines" not in body:
            return body
        return {**body, "Lines": [self._line(index, line) for index, line in enumerate(body["Lines"])]}

    def _line(self, index: int, line: Doc) -> Doc:
        product = self._stock.products.first("SKU", line["SKU"])
        if product is None:
            raise Refusal(422, "unknown_sku", f"no product with SKU {line['SKU']}", field=f"Lines[{index}].SKU")
        if line.get("ProductID") not in (None, product["ProductID"]):
            raise Refusal(422, "unknown_product", f"{line['SKU']} is not product {line['ProductID']}", field=f"Lines[{index}].ProductID")
        return {"TaxAmount": "0.00", **line, "ProductID": product["ProductID"]}
